"""The envelope of callbacks (safe mode, WeCom): SHA-1 over sorted strings, AES padded to blocks of 32.

Written from sections 2.2 and 3.2 of the protocol sheet, apart from the application's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

#: The padding's block, twice the cipher's.
BLOCK = 32
KEY_CHARACTERS = 43


class BadEnvelope(Exception):
    """What came is not what the scheme makes; ``code`` is the official SDK's."""

    def __init__(self, code: int, why: str) -> None:
        self.code = code
        super().__init__(why)


def signature(*parts: str) -> str:
    """SHA-1 over the sorted strings, joined."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def is_signature(given: str, *parts: str) -> bool:
    return hmac.compare_digest(given.encode(), signature(*parts).encode())


def key_of(encoding_aes_key: str) -> bytes:
    """The 32 bytes behind the 43 characters of an EncodingAESKey."""
    if len(encoding_aes_key) != KEY_CHARACTERS:
        raise BadEnvelope(-40004, "an EncodingAESKey has 43 characters")
    return base64.b64decode(encoding_aes_key + "=")


def seal(encoding_aes_key: str, message: str, receive_id: str, random: bytes) -> str:
    """The Encrypt text of a message; ``random`` are 16 bytes."""
    key = key_of(encoding_aes_key)
    content = message.encode()
    plain = random + struct.pack(">I", len(content)) + content + receive_id.encode()
    fill = BLOCK - len(plain) % BLOCK
    plain += bytes([fill]) * fill
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(plain) + cipher.finalize()).decode()


def tampered(sealed: str) -> str:
    """The same text with one bit of its last block changed: the padding comes out wrong."""
    data = bytearray(base64.b64decode(sealed))
    data[-17] ^= 1 << 7
    return base64.b64encode(data).decode()


def unseal(encoding_aes_key: str, sealed: str, receive_id: str) -> str:
    """The message inside an Encrypt text made for ``receive_id``."""
    random_and_message = _opened(encoding_aes_key, sealed)
    length = struct.unpack(">I", random_and_message[16:20])[0]
    end = 20 + length
    if end > len(random_and_message):
        raise BadEnvelope(-40008, "the length reaches beyond the text")
    if random_and_message[end:] != receive_id.encode():
        raise BadEnvelope(-40005, "the text was made for somebody else")
    try:
        return random_and_message[20:end].decode()
    except UnicodeDecodeError as error:
        raise BadEnvelope(-40007, "the message is not UTF-8") from error


def _opened(encoding_aes_key: str, sealed: str) -> bytes:
    try:
        data = base64.b64decode(sealed, validate=True)
    except ValueError as error:
        raise BadEnvelope(-40010, "the text is not Base64") from error
    if not data or len(data) % 16:
        raise BadEnvelope(-40007, "the text is not made of whole blocks")
    key = key_of(encoding_aes_key)
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    plain = cipher.update(data) + cipher.finalize()
    fill = plain[-1]
    if not 1 <= fill <= BLOCK or len(plain) < fill + 20 or plain[-fill:] != bytes([fill]) * fill:
        raise BadEnvelope(-40007, "the padding is wrong")
    return plain[:-fill]
