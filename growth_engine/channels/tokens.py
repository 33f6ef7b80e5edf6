"""Values that all processes share and one of them renews: access tokens, tickets, media ids."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import orjson
import structlog
from redis import Redis
from redis.exceptions import RedisError

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import ChannelError, RetryLater, error_for
from growth_engine.kit.clock import Clock
from growth_engine.kit.ids import Ids

log = structlog.get_logger(__name__)

#: Renewed so long before the platform says it ends: a call under way must not outlive its token.
EARLY_SECONDS = 60
#: Longer than a renewal can take (two calls of at most 11 s each).
LOCK_MS = 25_000
#: Who finds another renewing looks again after so long, and gives up after so many looks.
WAIT_SECONDS = 0.05
WAITS = 300
#: After a failed renewal nobody tries again for so long: a wrong secret must not be asked a hundred times.
PAUSE_MS = 5_000

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True, slots=True)
class Renewed:
    """A new value and how long it is good for."""

    value: str = field(repr=False)
    seconds: int


Renew = Callable[[str | None], Renewed]
"""Gets a new value; is told the one that was refused, when that is the reason."""


class Tokens:
    """Shared values in the queue Redis. Of all threads of all processes one renews, the others wait."""

    def __init__(
        self, queue: Redis, clock: Clock, ids: Ids, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._queue, self._clock, self._ids, self._sleep = queue, clock, ids, sleep
        self._release = queue.register_script(_RELEASE)

    def get(self, name: str, renew: Renew, *, refused: str | None = None) -> str:
        """The value called ``name``; renewed when it is missing, ends soon, or is the one just refused."""
        try:
            for _ in range(WAITS):
                value = self._kept(name)
                if value is not None and value != refused:
                    return value
                self._raise_recent_failure(name)
                owner = self._ids.token(20)
                if self._queue.set(_key(name, "lock"), owner, nx=True, px=LOCK_MS):
                    try:
                        return self._renewed(name, renew, refused)
                    finally:
                        self._release(keys=[_key(name, "lock")], args=[owner])
                self._sleep(WAIT_SECONDS)
        except RedisError as error:
            log.warning("tokens.unavailable", error=type(error).__name__)
            raise RetryLater(Reason.BUSY, operation="tokens", number="queue Redis") from None
        raise RetryLater(Reason.BUSY, operation="tokens", number="waited too long")

    def forget(self, name: str) -> None:
        self._queue.delete(_key(name, "value"), _key(name, "failed"))

    def _renewed(self, name: str, renew: Renew, refused: str | None) -> str:
        value = self._kept(name)  # somebody may have been faster than our lock
        if value is not None and value != refused:
            return value
        self._raise_recent_failure(name)
        try:
            new = renew(refused)
        except ChannelError as error:
            self._keep_failure(name, error)
            raise
        good_for = new.seconds - min(EARLY_SECONDS, new.seconds / 4)
        until = self._clock.now() + timedelta(seconds=good_for)
        kept = orjson.dumps({"value": new.value, "until": until.timestamp()})
        self._queue.set(_key(name, "value"), kept, ex=max(1, new.seconds))
        return new.value

    def _kept(self, name: str) -> str | None:
        raw = self._queue.get(_key(name, "value"))
        if raw is None:
            return None
        kept = orjson.loads(raw)
        return str(kept["value"]) if self._clock.now().timestamp() < kept["until"] else None

    def _keep_failure(self, name: str, error: ChannelError) -> None:
        kept = {
            "reason": error.reason,
            "operation": error.operation,
            "number": error.number,
            "trace": error.trace,
        }
        self._queue.set(_key(name, "failed"), orjson.dumps(kept), px=PAUSE_MS)

    def _raise_recent_failure(self, name: str) -> None:
        raw = self._queue.get(_key(name, "failed"))
        if raw is not None:
            kept = orjson.loads(raw)
            raise error_for(Reason(kept.pop("reason")), **kept)


def fingerprint(secret: str) -> str:
    """Goes into a token's name: with a corrected secret nobody meets the old one's token or failure."""
    return hashlib.blake2b(secret.encode(), digest_size=6).hexdigest()


def _key(name: str, part: str) -> str:
    return f"ge:channel:{{{name}}}:{part}"
