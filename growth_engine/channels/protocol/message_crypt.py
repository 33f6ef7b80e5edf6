"""Callbacks of Official Accounts and WeCom: how they are signed and encrypted (sheet §2.2 and §3.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from growth_engine.kit.errors import GrowthError, Misconfigured
from growth_engine.kit.i18n import N_

#: PKCS#7 with blocks of 32 bytes, not AES's 16: pads of 1 to 32 (rule 2).
BLOCK = 32
#: In front of every message: random bytes, then the message's length, big-endian (§2.2).
RANDOM_BYTES = 16
LENGTH_BYTES = 4
_AES_BLOCK = 16
_ENCODING_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")


class MessageRefused(GrowthError):
    """What came is not from the platform, or not for us. ``number``: the official SDK's error number."""

    code = "message_refused"
    status = 400
    number = -40007


class WrongSignature(MessageRefused):
    code = "wrong_signature"
    status = 403
    number = -40001
    message = N_("The signature is wrong. Check that the token is the same on both sides.")


class Undecryptable(MessageRefused):
    code = "undecryptable"
    message = N_("The message cannot be decrypted. Check that the EncodingAESKey is the same on both sides.")


class WrongReceiver(MessageRefused):
    code = "wrong_receiver"
    status = 403
    number = -40005
    message = N_("The message was encrypted for another account.")


def signature(*parts: str) -> str:
    """SHA-1 of the sorted and joined strings, lower-case hex: token, timestamp, nonce and, for an
    encrypted body, the ciphertext (§2.1, §2.2)."""
    text = "".join(sorted(parts)).encode(errors="replace")
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def signed(claimed: str, *parts: str) -> bool:
    """Whether ``claimed`` is the signature of ``parts``, compared in constant time."""
    return hmac.compare_digest(signature(*parts).encode(), claimed.encode(errors="replace"))


def aes_key(encoding_aes_key: str) -> bytes:
    """The 32 bytes behind an EncodingAESKey. Spare bits in its last character are normal (§2.2)."""
    if not _ENCODING_AES_KEY.fullmatch(encoding_aes_key):
        raise Misconfigured(N_("An EncodingAESKey has 43 letters and digits."))
    return base64.b64decode(encoding_aes_key + "=")


@dataclass(frozen=True, slots=True)
class Opened:
    """A decrypted message, and which of our keys opened it: the reply is encrypted with the same one."""

    message: bytes
    key: int


class MessageCrypt:
    """Opens and seals messages of one account.

    ``receiver`` is the id behind every message: the appid, or the corpid. ``keys`` are EncodingAESKeys,
    the current one first; while a key is being changed the platform may still use the previous one.
    """

    def __init__(self, receiver: str, keys: Sequence[str]) -> None:
        self._receiver = receiver.encode()
        self._keys = [aes_key(key) for key in keys]

    def open(self, encrypted: str) -> Opened:
        """Decrypt ``encrypted`` (Base64); raises Undecryptable or WrongReceiver."""
        refused: MessageRefused = Undecryptable()
        for number, key in enumerate(self._keys):
            try:
                return Opened(self._open(key, encrypted), number)
            except WrongReceiver as error:  # the right key: says more than that another one does not fit
                refused = error
            except Undecryptable:
                continue
        raise refused

    def seal(self, message: bytes, *, random: bytes, key: int = 0) -> str:
        """Encrypt with key number ``key``; ``random`` are 16 fresh bytes."""
        if len(random) != RANDOM_BYTES:
            raise ValueError(f"{RANDOM_BYTES} random bytes are needed")
        plain = random + len(message).to_bytes(LENGTH_BYTES, "big") + message + self._receiver
        pad = BLOCK - len(plain) % BLOCK
        encryptor = _cipher(self._keys[key]).encryptor()
        sealed = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
        return base64.b64encode(sealed).decode()

    def _open(self, key: bytes, encrypted: str) -> bytes:
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise Undecryptable from None
        if not sealed or len(sealed) % _AES_BLOCK:
            raise Undecryptable
        decryptor = _cipher(key).decryptor()
        plain = _unpadded(decryptor.update(sealed) + decryptor.finalize())
        start = RANDOM_BYTES + LENGTH_BYTES
        end = start + int.from_bytes(plain[RANDOM_BYTES:start], "big")
        if len(plain) < start or end > len(plain):
            raise Undecryptable
        # Without this a message for another account that shares our token could be played back to us.
        if not hmac.compare_digest(plain[end:], self._receiver):
            raise WrongReceiver
        return plain[start:end]


def _cipher(key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key), modes.CBC(key[:_AES_BLOCK]))  # the IV is the protocol's (§2.2)


def _unpadded(plain: bytes) -> bytes:
    pad = plain[-1]
    if not 1 <= pad <= min(BLOCK, len(plain)) or plain[-pad:] != bytes([pad]) * pad:
        raise Undecryptable
    return plain[:-pad]
