"""Opaque ids that sort by the time they were made: ``cmp_06f3…`` (prefix, 26 Crockford base-32 digits)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime

from growth_engine.kit.clock import Clock

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
#: Two digits at a time: ids are made by the thousand.
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
_LENGTH = 26
_RANDOM_BITS = 80

# Invite tokens are typed and read aloud now and then: no 0/o, 1/l/i.
_TOKEN_DIGITS = "23456789abcdefghjkmnpqrstuvwxyz"  # noqa: S105 - an alphabet, not a secret
TOKEN_LENGTH = 12


class BufferedBits:
    """The operating system's random bits, fetched in pieces of 4 KiB, a store for each thread.

    Every system call gives up the interpreter's lock; a busy web process waits milliseconds to get it
    back, and a registration needs a dozen ids.
    """

    def __init__(self, fetch: Callable[[int], bytes] = os.urandom, piece: int = 4096) -> None:
        self._fetch = fetch
        self._piece = piece
        self._local = threading.local()

    def __call__(self, bits: int) -> int:
        size = (bits + 7) // 8
        store: bytes = getattr(self._local, "store", b"")
        at: int = getattr(self._local, "at", 0)
        if len(store) - at < size:
            store, at = self._fetch(max(self._piece, size)), 0
            self._local.store = store
        self._local.at = at + size
        return int.from_bytes(store[at : at + size], "big") >> (size * 8 - bits)


def _written(prefix: str, at: datetime, bits: int) -> str:
    number = (int(at.timestamp() * 1000) << _RANDOM_BITS) | bits
    digits = []
    for _ in range(_LENGTH // 2):
        digits.append(_PAIRS[number & 1023])
        number >>= 10
    return f"{prefix}_{''.join(reversed(digits))}"


def earliest(prefix: str, at: datetime) -> str:
    """What no id made at ``at`` or later sorts before: the start of a period in an index over ids."""
    return _written(prefix, at, 0)


class Ids:
    """Makes ids and tokens from an injected clock and an injected source of random bits.

    ``bits(n)`` must return an integer of at most ``n`` random bits, fit for secrets.
    """

    def __init__(self, clock: Clock, bits: Callable[[int], int] | None = None) -> None:
        self._clock = clock
        self._bits = bits or BufferedBits()

    def new(self, prefix: str) -> str:
        """A new id, e.g. ``new("con")`` -> ``con_06f3vb…``: 48 bits of milliseconds, 80 random bits."""
        return _written(prefix, self._clock.now(), self._bits(_RANDOM_BITS))

    def token(self, length: int = TOKEN_LENGTH) -> str:
        """A short public token (invite links, QR scenes): 12 digits of a 31-letter alphabet, 59 bits."""
        number = self._bits(length * 8)
        digits = []
        for _ in range(length):
            number, digit = divmod(number, len(_TOKEN_DIGITS))
            digits.append(_TOKEN_DIGITS[digit])
        return "".join(digits)

    def digits(self, length: int = 6) -> str:
        """A one-time code of decimal digits; 64 spare bits leave no measurable bias."""
        return f"{self._bits(length * 4 + 64) % 10**length:0{length}d}"
