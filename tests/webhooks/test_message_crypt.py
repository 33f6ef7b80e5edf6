"""Signatures and encryption of callbacks: published vectors, two other libraries, the openssl command."""

from __future__ import annotations

import base64
import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth_engine.channels.protocol.message_crypt import (
    MessageCrypt,
    Undecryptable,
    WrongReceiver,
    aes_key,
    signature,
    signed,
)
from growth_engine.kit.errors import Misconfigured
from tests.factories import callbacks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from wechatpy.crypto import PrpCrypto as WechatpyCrypto
    from wechatpy.crypto import WeChatCrypto
    from wechatpy.exceptions import InvalidAppIdException
    from werobot.crypto import PrpCrypto as WerobotCrypto

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "wechat.json").read_text(encoding="utf-8")
)["vectors"]
KEY, OTHER = callbacks.AES_KEY, callbacks.OTHER_AES_KEY
RECEIVER = callbacks.APPID
RANDOM = b"0123456789abcdef"


def vectors(*kinds: str) -> list[Any]:
    found = [pytest.param(one, id=one["id"]) for one in VECTORS if one["kind"] in kinds]
    assert found
    return found


# -- the published vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vectors("sig"))
def test_signatures_are_the_published_ones(vector: dict[str, Any]) -> None:
    assert signature(*vector["parts"]) == vector["sha1"]
    assert signed(vector["sha1"], *vector["parts"])
    assert not signed(vector["sha1"].upper(), *vector["parts"])


@pytest.mark.parametrize("vector", vectors("enc", "dec"))
def test_messages_open_and_seal_as_published(vector: dict[str, Any]) -> None:
    crypt = MessageCrypt(vector["receiveid"], [vector["encoding_aes_key"]])
    opened = crypt.open(vector["encrypt"])
    assert opened.message.decode() == vector["msg"]
    assert crypt.seal(vector["msg"].encode(), random=vector["random"].encode()) == vector["encrypt"]


@pytest.mark.parametrize("vector", [v for v in vectors("enc", "dec") if "msg_signature" in v.values[0]])
def test_envelopes_are_signed_as_published(vector: dict[str, Any]) -> None:
    parts = [vector[name] for name in ("token", "timestamp", "nonce", "encrypt")]
    assert signed(vector["msg_signature"], *parts)


# -- other people's programs, every padding ----------------------------------------------------------


@pytest.mark.parametrize("size", range(101))
def test_wechatpy_and_werobot_read_ours_and_we_read_theirs(size: int) -> None:
    message = ("裂变" * 60).encode()[: size - size % 3] + b"x" * (size % 3)
    raw = aes_key(KEY)
    ours = MessageCrypt(RECEIVER, [KEY])
    sealed = ours.seal(message, random=RANDOM)
    assert WechatpyCrypto(raw).decrypt(sealed, RECEIVER) == message.decode()
    assert WerobotCrypto(raw).decrypt(sealed, RECEIVER) == message
    for theirs in (WechatpyCrypto(raw), WerobotCrypto(raw)):
        assert ours.open(theirs.encrypt(message.decode(), RECEIVER).decode()).message == message


def test_a_whole_envelope_passes_wechatpy_both_ways() -> None:
    theirs = WeChatCrypto(callbacks.TOKEN, KEY, RECEIVER)
    xml = theirs.encrypt_message("<xml><a>1</a></xml>", "nonce", "1714112445")
    from growth_engine.channels.protocol import documents, envelope

    outside, form = documents.read(xml.encode())
    query = {"timestamp": "1714112445", "nonce": "nonce", "msg_signature": outside.text("MsgSignature")}
    crypt = MessageCrypt(RECEIVER, [KEY])
    opened = envelope.open_encrypted(query, outside.text("Encrypt"), tokens=[callbacks.TOKEN], crypt=crypt)
    assert opened.message == b"<xml><a>1</a></xml>"
    answer = envelope.seal_reply(
        b"<xml><b>2</b></xml>", form, token=callbacks.TOKEN, crypt=crypt, key=0,
        timestamp="1714112446", nonce="n2", random=RANDOM,
    )  # fmt: skip
    claimed = documents.read(answer)[0].text("MsgSignature")
    assert theirs.decrypt_message(answer, claimed, "1714112446", "n2") == "<xml><b>2</b></xml>"


def test_openssl_reads_what_we_seal_and_seals_what_we_read() -> None:
    raw, message = aes_key(KEY), "你好，openssl".encode()
    options = ["-aes-256-cbc", "-nopad", "-K", raw.hex(), "-iv", raw[:16].hex()]

    def openssl(direction: str, data: bytes) -> bytes:
        return subprocess.run(
            ["openssl", "enc", direction, *options], input=data, capture_output=True, check=True
        ).stdout

    crypt = MessageCrypt(RECEIVER, [KEY])
    sealed = crypt.seal(message, random=RANDOM)
    plain = openssl("-d", base64.b64decode(sealed))
    assert plain[:16] == RANDOM
    assert plain[20 : 20 + len(message)] == message
    assert base64.b64encode(openssl("-e", plain)).decode() == sealed
    digest = subprocess.run(
        ["openssl", "dgst", "-sha1", "-r"], input=b"abc", capture_output=True, check=True
    ).stdout.decode()
    assert digest.startswith(signature("c", "a", "b"))


@given(st.binary(max_size=300))
def test_whatever_is_sealed_is_opened(message: bytes) -> None:
    crypt = MessageCrypt(RECEIVER, [KEY])
    sealed = crypt.seal(message, random=RANDOM)
    assert crypt.open(sealed).message == message
    assert len(base64.b64decode(sealed)) % 32 == 0


# -- what must not open ------------------------------------------------------------------------------


def test_a_key_that_was_replaced_still_opens_and_says_which_it_was() -> None:
    crypt = MessageCrypt(RECEIVER, [OTHER, KEY])
    assert crypt.open(callbacks.encrypt(b"x", RECEIVER, KEY)).key == 1
    assert crypt.open(callbacks.encrypt(b"x", RECEIVER, OTHER)).key == 0
    assert callbacks.decrypt(crypt.seal(b"y", random=RANDOM, key=1), KEY) == (b"y", RECEIVER)


@pytest.mark.parametrize("pad", [0, 33, 255])
def test_wrong_padding_is_refused(pad: int) -> None:
    with pytest.raises(Undecryptable):
        MessageCrypt(RECEIVER, [KEY]).open(callbacks.encrypt(b"hello", RECEIVER, pad=pad))


@pytest.mark.parametrize("length", [1000, 2**31, 2**32 - 1])
def test_a_length_beyond_the_message_is_refused(length: int) -> None:
    with pytest.raises(Undecryptable):
        MessageCrypt(RECEIVER, [KEY]).open(callbacks.encrypt(b"hello", RECEIVER, length=length))


@pytest.mark.parametrize("receiver", ["wx0000000000000000", "", RECEIVER + "x", "x" + RECEIVER])
def test_a_message_for_another_account_is_refused(receiver: str) -> None:
    with pytest.raises(WrongReceiver):
        MessageCrypt(RECEIVER, [KEY, OTHER]).open(callbacks.encrypt(b"hello", receiver))
    with pytest.raises(InvalidAppIdException):
        WechatpyCrypto(aes_key(KEY)).decrypt(callbacks.encrypt(b"hello", receiver), RECEIVER)


def test_a_flipped_byte_is_refused_or_changes_the_text_and_then_the_signature_shows_it() -> None:
    sealed = base64.b64decode(callbacks.encrypt(b"hello" * 20, RECEIVER))
    crypt, original = MessageCrypt(RECEIVER, [KEY]), base64.b64encode(sealed).decode()
    proof = signature("token", "1", "2", original)
    for at in range(len(sealed)):
        flipped = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        text = base64.b64encode(flipped).decode()
        assert not signed(proof, "token", "1", "2", text)
        try:
            assert crypt.open(text).message != b"hello" * 20 or at < 32  # the random bytes in front
        except (Undecryptable, WrongReceiver):
            continue


@pytest.mark.parametrize(
    "text", ["", "=", "a", "中文", "AAAA", "A" * 24, "A" * 43 + "=", "\x00", "AAAA AAAA"]
)
def test_what_is_no_ciphertext_is_refused(text: str) -> None:
    with pytest.raises(Undecryptable):
        MessageCrypt(RECEIVER, [KEY]).open(text)


@pytest.mark.parametrize("key", ["", "short", KEY + "A", KEY[:-1] + "=", KEY[:-1] + "+", KEY + "\n"])
def test_a_key_that_is_none_is_refused_when_it_is_entered(key: str) -> None:
    with pytest.raises(Misconfigured):
        aes_key(key)


def test_keys_with_spare_bits_are_normal() -> None:
    assert len(aes_key("A" * 42 + "B")) == 32
    assert aes_key("A" * 42 + "B") == aes_key("A" * 43)
