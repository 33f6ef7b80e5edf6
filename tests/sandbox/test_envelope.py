"""The sandbox's envelope crypto: published vectors, two independent libraries, all it must refuse."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from wechatpy.crypto import PrpCrypto
from werobot.crypto import PrpCrypto as WerobotCrypto

from growth_engine.sandbox import envelope

KNOWN = json.loads((Path(__file__).parents[1] / "vectors" / "wechat.json").read_text())["vectors"]
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx2c2769f8efd9abc2"


def _of(kind: str) -> list[Any]:
    found = [pytest.param(one, id=one["id"]) for one in KNOWN if one["kind"] == kind]
    assert found
    return found


@pytest.mark.parametrize("one", _of("sig"))
def test_signatures_are_the_published_ones(one: Any) -> None:
    assert envelope.signature(*one["parts"]) == one["sha1"]


@pytest.mark.parametrize("one", _of("enc"))
def test_sealing_gives_the_published_text(one: Any) -> None:
    made = envelope.seal(one["encoding_aes_key"], one["msg"], one["receiveid"], one["random"].encode())
    assert made == one["encrypt"]
    if "msg_signature" in one:
        assert envelope.is_signature(one["msg_signature"], one["token"], one["timestamp"], one["nonce"], made)


@pytest.mark.parametrize("one", _of("dec"))
def test_the_published_texts_are_opened(one: Any) -> None:
    assert envelope.unseal(one["encoding_aes_key"], one["encrypt"], one["receiveid"]) == one["msg"]
    parts = (one["token"], one["timestamp"], one["nonce"], one["encrypt"])
    assert envelope.is_signature(one["msg_signature"], *parts)


@pytest.mark.parametrize("peer", [PrpCrypto, WerobotCrypto])
def test_messages_of_every_padding_pass_both_ways_between_us_and_a_peer(peer: Any) -> None:
    other = peer(base64.b64decode(KEY + "="))
    for length in range(101):
        text = "m" * length
        sealed = envelope.seal(KEY, text, APPID, b"0123456789abcdef")
        assert _text(other.decrypt(sealed, APPID)) == text
        assert envelope.unseal(KEY, _text(other.encrypt(text, APPID)), APPID) == text


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_chinese_counts_in_bytes() -> None:
    sealed = envelope.seal(KEY, "裂变增长🎉", APPID, b"0123456789abcdef")
    assert envelope.unseal(KEY, sealed, APPID) == "裂变增长🎉"


def _raw(plain: bytes) -> str:
    key = envelope.key_of(KEY)
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(plain) + cipher.finalize()).decode()


def _plain(length: int, message: bytes = b"hello", tail: bytes = APPID.encode()) -> bytes:
    return b"0123456789abcdef" + length.to_bytes(4) + message + tail


def _padded(plain: bytes, fill: int | None = None) -> bytes:
    rest = 32 - len(plain) % 32
    return plain + bytes([rest if fill is None else fill]) * rest


@pytest.mark.parametrize(
    ("sealed", "code"),
    [
        (_raw(_padded(_plain(5), fill=0)), -40007),
        (_raw(_padded(_plain(5), fill=33)), -40007),
        (_raw(_padded(_plain(5000))), -40008),
        (_raw(_padded(_plain(5, tail=b"wx0000000000000000"))), -40005),
        (_raw(_padded(_plain(2, b"\xff\xfe"))), -40007),
        ("not base64!", -40010),
        (base64.b64encode(b"short").decode(), -40007),
        ("", -40007),
    ],
)
def test_what_is_not_of_the_scheme_is_refused(sealed: str, code: int) -> None:
    with pytest.raises(envelope.BadEnvelope) as refused:
        envelope.unseal(KEY, sealed, APPID)
    assert refused.value.code == code


def test_a_changed_bit_is_noticed() -> None:
    sealed = envelope.seal(KEY, "hello", APPID, b"0123456789abcdef")
    with pytest.raises(envelope.BadEnvelope):
        envelope.unseal(KEY, envelope.tampered(sealed), APPID)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(envelope.BadEnvelope, match="43"):
        envelope.key_of(KEY[:-1])


def test_a_wrong_signature_is_one() -> None:
    assert not envelope.is_signature("0" * 40, "token", "1", "2")
    assert not envelope.is_signature("é", "token", "1", "2")
