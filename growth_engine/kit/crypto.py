"""Hashes and signatures of secrets we hand out: tokens are stored hashed, cookies are signed."""

from __future__ import annotations

import hashlib
import hmac

from itsdangerous import BadSignature, URLSafeTimedSerializer


def digest(secret: str) -> bytes:
    """SHA-256 of a high-entropy secret (API tokens, one-time links): what the database keeps of it."""
    return hashlib.sha256(secret.encode()).digest()


def keyed_digest(key: str, text: str) -> str:
    """A keyed hash (BLAKE2b, 128 bits, hex) of something guessable: an address, a device, a phone number."""
    return hashlib.blake2b(text.encode(), key=key.encode()[:64], digest_size=16).hexdigest()


def same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


class Signer:
    """Signs small JSON values for cookies and links; each ``purpose`` has its own key."""

    def __init__(self, secret_key: str, purpose: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret_key, salt=f"growth-engine.{purpose}")

    def sign(self, value: object) -> str:
        return str(self._serializer.dumps(value))

    def unsign(self, signed: str, *, max_age: int | None = None) -> object | None:
        """The value, or ``None`` when forged, damaged or older than ``max_age`` seconds."""
        try:
            return self._serializer.loads(signed, max_age=max_age)  # type: ignore[no-any-return]
        except BadSignature:
            return None
