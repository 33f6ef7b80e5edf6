"""Slowing down guessing: failures are counted per email and per address, and the wait grows."""

from __future__ import annotations

from redis import Redis

from growth_engine.access import rules
from growth_engine.context import Parts
from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.errors import TooMany
from growth_engine.kit.i18n import N_

#: Failures are forgotten after a day without one.
_REMEMBER_SECONDS = 24 * 3600


class LockedOut(TooMany):
    code = "locked_out"
    message = N_("Too many attempts. Please wait %(wait)s and try again.")


class Attempt:
    """One try to sign in, counted before the password is looked at, so that parallel tries count too."""

    def __init__(self, parts: Parts, email: str, address: str) -> None:
        self._redis: Redis = parts.queue
        secret = parts.settings.secret_key
        # Keyed hashes: the queue Redis learns neither addresses nor who has an account.
        self._subjects = {
            "email": keyed_digest(secret, f"signin:{email}"),
            "address": keyed_digest(secret, f"signin:{address}"),
        }

    def begin(self) -> None:
        """Take a turn; raises LockedOut (with ``retry_after`` seconds) while the wait lasts."""
        waits = [self._remaining(kind) for kind in self._subjects]
        if max(waits) > 0:
            raise _locked(max(waits))
        for kind in self._subjects:
            count = self._redis.incr(self._count_key(kind))
            self._redis.expire(self._count_key(kind), _REMEMBER_SECONDS)
            lock = rules.lock_seconds(kind, count)
            # Whoever sets the lock has this turn; all others of the same moment wait for it to end.
            if lock and not self._redis.set(self._lock_key(kind), "1", nx=True, px=lock * 1000):
                raise _locked(self._remaining(kind))

    def succeeded(self) -> None:
        """The password was right: this email starts afresh, the address gets its turn back."""
        self._redis.delete(self._count_key("email"), self._lock_key("email"), self._lock_key("address"))
        if self._redis.decr(self._count_key("address")) <= 0:
            self._redis.delete(self._count_key("address"))

    def _remaining(self, kind: str) -> int:
        """Seconds the lock still lasts, rounded up."""
        millis = self._redis.pttl(self._lock_key(kind))
        return -(-millis // 1000) if millis > 0 else 0

    def _count_key(self, kind: str) -> str:
        return f"ge:signin:failures:{kind}:{self._subjects[kind]}"

    def _lock_key(self, kind: str) -> str:
        return f"ge:signin:lock:{kind}:{self._subjects[kind]}"


def _locked(seconds: int) -> LockedOut:
    seconds = max(seconds, 1)
    return LockedOut(params={"wait": _clock(seconds)}, extra={"retry_after": seconds})


def _clock(seconds: int) -> str:
    """``0:45``, ``12:30``: read alike in every language."""
    return f"{seconds // 60}:{seconds % 60:02d}"
