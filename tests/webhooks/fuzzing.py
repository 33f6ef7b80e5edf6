"""What is thrown at every parser: noise, broken documents, and right documents with a few bytes wrong."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

import hypothesis
from hypothesis import strategies as st

from growth_engine.channels.protocol import documents
from growth_engine.channels.protocol.documents import Unreadable
from growth_engine.channels.protocol.message_crypt import MessageCrypt, MessageRefused
from growth_engine.inbox.contract import Account, Refused, Request
from growth_engine.inbox.payloads import KINDS
from tests.factories.callbacks import (
    AES_KEY,
    API_V3_KEY,
    APPID,
    OPENID,
    PAYMENT,
    PUB_KEY_ID,
    TOKEN,
    document,
    encrypt,
    notice,
    pay_headers,
    public_pem,
    sha1,
)
from webhooks import wechat_oa, wechat_pay, wecom

#: Slower than this is an attack that worked: a machine answers thousands of honest ones a second.
SLOW_SECONDS = 0.5
#: What is slow by its nature is slow each time; what was held up once (a collection of garbage, a first
#: import, a processor shared with others) is not.
TRIES = 3
NOW = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)

_NAMES = [
    "ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "EventKey", "MsgId", "MsgID", "Ticket",
    "ChangeType", "UserID", "ExternalUserID", "State", "WelcomeCode", "MemChangeList", "Item", "List",
    "SubscribeMsgPopupEvent", "Encrypt", "id", "create_time", "event_type", "resource", "amount", "total",
    "payer", "openid", "mchid", "success_time", "ciphertext", "nonce", "associated_data", "algorithm",
]  # fmt: skip
_WORDS = [
    "event", "text", "image", "subscribe", "SCAN", "unsubscribe", "CLICK", "VIEW", "TEMPLATESENDJOBFINISH",
    "subscribe_msg_popup_event", "change_external_contact", "add_external_contact", "del_follow_user",
    "change_external_chat", "update", "customer_acquisition", "qrscene_", "qrscene_a", "1714112445", "",
    "TRANSACTION.SUCCESS", "REFUND.CLOSED", "MCHTRANSFER.BILL.FINISHED", "2026-06-01T10:00:00+08:00",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "AEAD_AES_256_GCM", "sys", OPENID,
    "\0", "\ud800", "\uffff", "]]>", "中文", "x" * 129, "9" * 30, "-1", "１２", "²",
]  # fmt: skip
_NUMBERS = [0, -1, 1, 1714112445, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 1.5, float("nan"), float("inf")]

_SAMPLES = [
    document(form, values)
    for form in ("xml", "json")
    for values in (
        {"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": 1714112445, "MsgType": "event",
         "Event": "subscribe", "EventKey": "qrscene_a", "Ticket": "t"},
        {"ToUserName": "gh_1", "FromUserName": "sys", "CreateTime": 1714112445, "MsgType": "event",
         "Event": "change_external_chat", "ChangeType": "update", "MemChangeList": {"Item": ["a", "b"]}},
    )
] + [notice("TRANSACTION.SUCCESS", PAYMENT)]  # fmt: skip


_PIECES = [b"<", b">", b"]]>", b"&", b"{", b'"', b"<!DOCTYPE x", b"\xff", b"\0", b"&#0;", b"\\u0000"]


def _damaged(random: Random) -> bytes:
    """A right document with some of its bytes changed, dropped or doubled."""
    data = bytearray(random.choice(_SAMPLES))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        piece = random.choice(
            [random.randbytes(random.randrange(4)), random.choice(_PIECES), data[at : at + 9]]
        )
        data[at : at + random.choice([0, 0, 1, 12])] = piece
    return bytes(data)


def _made_up(random: Random) -> bytes:
    """A document of known names with values that do not belong there, in either form."""
    values = {random.choice(_NAMES): _value(random, 3) for _ in range(random.randrange(10))}
    if random.random() < 0.5:
        return json.dumps(values).encode()
    return document("xml", values).replace(b"\0", b"&#0;")


def _value(random: Random, deep: int) -> Any:
    kind = random.randrange(8 if deep else 5)
    if kind < 3:
        return random.choice(_WORDS)
    if kind < 5:
        return random.choice([*_NUMBERS, None, True])
    if kind == 5:
        return [_value(random, deep - 1) for _ in range(random.randrange(4))]
    return {random.choice(_NAMES): _value(random, deep - 1) for _ in range(random.randrange(4))}


# Made from one number each: Hypothesis's own recursive documents take longer to make than to read.
CONTENT = st.one_of(
    st.binary(max_size=200),
    st.integers(0, 2**64).map(lambda seed: _damaged(Random(seed))),
    st.integers(0, 2**64).map(lambda seed: _made_up(Random(seed))),
)

ACCOUNT = Account(
    "chn_1",
    "any",
    {"appid": APPID, "corpid": APPID, "mchid": "1"},
    mode="plain",
    tokens=(TOKEN, "other"),
    aes_keys=(AES_KEY, AES_KEY[::-1]),
    api_v3_keys=(API_V3_KEY,),
    platform_keys=((PUB_KEY_ID, public_pem()),),
)


def fuzz(examples: int) -> None:
    """Throw ``examples`` inputs at every parser: it may refuse, and neither crash nor take its time."""

    @hypothesis.settings(max_examples=examples, database=None)
    @hypothesis.given(CONTENT)
    def throw(data: bytes) -> None:
        for name, parse in PARSERS.items():
            assert any(_seconds(parse, data) < SLOW_SECONDS for _ in range(TRIES)), name

    throw()


def _seconds(parse: Callable[[bytes], object], data: bytes) -> float:
    """The parser's own work, in seconds of this thread: what waits for its turn does not count."""
    started = time.thread_time()
    with suppress(Unreadable, Refused, MessageRefused):
        parse(data)
    return time.thread_time() - started


def _parsed(provider: Any) -> Callable[[bytes], None]:
    def parse(data: bytes) -> None:
        for inbound in provider.parse(data, "chn_1"):
            assert inbound.kind in KINDS
            assert len(inbound.identity) <= 160
            assert len(inbound.sender) <= 128
            assert "\0" not in inbound.sender + inbound.identity
            inbound.occurred_at.astimezone(UTC)

    return parse


def _request(data: bytes, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Request:
    return Request("POST", query, headers or {}, data, NOW)


def _signed(*more: str) -> dict[str, str]:
    query = {"timestamp": "1", "nonce": "n", "signature": sha1(TOKEN, "1", "n"), "encrypt_type": "aes"}
    return query | ({"msg_signature": sha1(TOKEN, "1", "n", *more)} if more else {})


def _enveloped(provider: Any) -> Callable[[bytes], None]:
    """The body itself as it comes, and a genuine envelope around the same bytes."""

    def verify(data: bytes) -> None:
        sealed = encrypt(data, APPID)
        genuine = _request(document("xml", {"Encrypt": sealed}), _signed(sealed))
        assert provider.verify(genuine, ACCOUNT).content == data
        encoded = base64.b64encode(data).decode()
        for query in (_signed(encoded), {"signature": encoded, "timestamp": encoded, "nonce": encoded}):
            try:
                provider.verify(_request(document("json", {"Encrypt": encoded}), query), ACCOUNT)
            except Refused:
                continue
        provider.verify(_request(data, _signed()), ACCOUNT)

    return verify


def _noticed(data: bytes) -> None:
    """A rightly signed body of any kind, and one whose headers are noise."""
    noise = data.decode("latin-1")
    headers = {f"wechatpay-{name}": noise for name in ("timestamp", "nonce", "signature", "serial")}
    with suppress(Refused):
        wechat_pay.verify(_request(data, {}, headers), ACCOUNT)
    if b"{" in data:  # signing takes longer than everything else, and the rest is no JSON anyway
        wechat_pay.verify(_request(data, {}, pay_headers(data, NOW)), ACCOUNT)


def _decrypted(data: bytes) -> None:
    crypt = MessageCrypt(APPID, [AES_KEY])
    for text in (data.decode("latin-1"), base64.b64encode(data).decode()):
        try:
            crypt.open(text)
        except MessageRefused:
            continue


PARSERS: Mapping[str, Callable[[bytes], object]] = {
    "xml": documents.read_xml,
    "json": documents.read_json,
    "ciphertext": _decrypted,
    "wechat_oa message": _parsed(wechat_oa),
    "wecom message": _parsed(wecom),
    "wechat_pay notice": _parsed(wechat_pay),
    "wechat_oa callback": _enveloped(wechat_oa),
    "wecom callback": _enveloped(wecom),
    "wechat_pay callback": _noticed,
}
