"""Keys of channels at rest: encrypted with a key derived from the product's secret key."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_

_PURPOSE = b"growth-engine.channel-secrets"
#: In front of what is sealed, so that the way of sealing can change.
_FORM = b"\x01"
_NONCE_BYTES = 12


class SecretsUnreadable(GrowthError):
    """GROWTH_SECRET_KEY is not the one they were sealed with, or the row was tampered with."""

    code = "channel_secrets_unreadable"
    status = 500
    message = N_("The keys of this channel cannot be decrypted: has GROWTH_SECRET_KEY changed?")


class Sealer:
    """AES-256-GCM. What is sealed is bound to its row: it cannot be opened in another one's place."""

    def __init__(self, secret_key: str, random: Callable[[int], bytes] = os.urandom) -> None:
        key = HKDF(hashes.SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret_key.encode())
        self._cipher = AESGCM(key)
        self._random = random

    def seal(self, value: Any, bound_to: str) -> bytes:
        nonce = self._random(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, orjson.dumps(value), bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> Any:
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if not sealed.startswith(_FORM) or len(nonce) < _NONCE_BYTES:
            raise SecretsUnreadable
        try:
            return orjson.loads(self._cipher.decrypt(nonce, rest, bound_to.encode()))
        except InvalidTag:
            raise SecretsUnreadable from None
