"""Passwords: argon2id with OWASP's parameters, a few at a time, and equal work for unknown people."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, 2 passes, 1 lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: 32 request threads hashing at once would need 600 MiB and both cores.
_turns = threading.Semaphore(4)
_nobody = ""


def hash_password(password: str) -> str:
    with _turns:
        return _hasher.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is right; without a hash the same work is done and the answer is no."""
    with _turns:
        try:
            right = _hasher.verify(password_hash or _hash_of_nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
    return right and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def _hash_of_nobody() -> str:
    global _nobody
    if not _nobody:
        _nobody = _hasher.hash("nobody's password")
    return _nobody
