"""The application's crypto and the sandbox's, written apart from the same sheet, understand each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from growth_engine.channels.protocol import pay_crypto
from growth_engine.channels.protocol.message_crypt import MessageCrypt, WrongReceiver, signature, signed
from growth_engine.sandbox import Sandbox, envelope, paycrypto
from tests.sandbox.conftest import HTTP

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx2c2769f8efd9abc2"
RANDOM = b"0123456789abcdef"


def test_messages_of_every_padding_pass_both_ways() -> None:
    application = MessageCrypt(APPID, [KEY])
    for length in range(101):
        text = "信" * (length // 3) + "x" * (length % 3)
        theirs = envelope.seal(KEY, text, APPID, RANDOM)
        assert application.open(theirs).message == text.encode()
        assert application.seal(text.encode(), random=RANDOM) == theirs
        assert envelope.unseal(KEY, theirs, APPID) == text


def test_a_message_for_somebody_else_is_one_to_both() -> None:
    sealed = envelope.seal(KEY, "hello", "wx0000000000000000", RANDOM)
    with pytest.raises(WrongReceiver):
        MessageCrypt(APPID, [KEY]).open(sealed)
    with pytest.raises(envelope.BadEnvelope):
        envelope.unseal(KEY, sealed, APPID)


def test_signatures_are_the_same() -> None:
    parts = ("token", "1795000000", "nonce", "中文")
    assert signature(*parts) == envelope.signature(*parts)
    assert signed(envelope.signature(*parts), *parts)


def test_the_sandbox_takes_the_applications_signature_and_the_application_the_answers(
    sandbox: Sandbox,
) -> None:
    known = sandbox.credentials["pay"]
    path, now = f"/v3/pay/transactions/out-trade-no/none_00?mchid={known['mchid']}", sandbox.world.now()
    header = pay_crypto.authorization(
        mch_id=known["mchid"],
        serial_no=known["merchant_serial"],
        key=pay_crypto.private_key(known["merchant_private_key"]),
        method="GET",
        path_and_query=path,
        timestamp=now,
        nonce="nonce",
        body=b"",
    )
    answer = HTTP.get(sandbox.pay_url + path, headers={"Authorization": header})
    assert answer.json()["code"] == "ORDER_NOT_EXIST", "signed well, and then not found"
    keys = pay_crypto.platform_keys([(known["public_key_id"], known["public_key"])])
    assert pay_crypto.verify(keys, answer.headers, answer.content, now=now) == known["public_key_id"]
    with pytest.raises(pay_crypto.SignatureRefused):
        pay_crypto.verify(keys, answer.headers, answer.content + b" ", now=now)
    with pytest.raises(pay_crypto.SignatureRefused):
        pay_crypto.verify(keys, answer.headers, answer.content, now=now + 301)


def test_seals_and_sealed_names_are_opened_by_the_other(sandbox: Sandbox) -> None:
    known = sandbox.credentials["pay"]
    plain: dict[str, Any] = {"out_trade_no": "订单1"}
    resource = {
        "algorithm": paycrypto.ALGORITHM,
        "nonce": "0123456789ab",
        "associated_data": "transaction",
        "ciphertext": paycrypto.seal(
            known["api_v3_key"], json.dumps(plain).encode(), "0123456789ab", "transaction"
        ),
    }
    assert json.loads(pay_crypto.decrypt_resource(known["api_v3_key"], resource)) == plain
    merchant = sandbox.world.store.get("pay.merchants", known["mchid"])
    assert merchant is not None
    sealed = pay_crypto.seal_name(pay_crypto.public_key(known["public_key"]), "张三")
    assert paycrypto.unseal_field(merchant["public_key_private"], sealed) == "张三"
