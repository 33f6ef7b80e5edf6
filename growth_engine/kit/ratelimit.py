"""How many requests a caller may make a minute, counted in the queue Redis for all processes together."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
#: Requests are taken from Redis in blocks of a thousandth of the limit: exact for small limits, and for
#: large ones a round trip every hundred requests instead of one each.
_BLOCKS_PER_WINDOW = 1000
#: After Redis failed, it is not asked again for so long: a request must not wait for each other's timeout.
_PAUSE_SECONDS = 1.0

_TAKE = """
local taken = redis.call('INCRBY', KEYS[1], ARGV[1])
if taken == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return taken
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands in the present window."""

    limit: int
    remaining: int
    reset_seconds: int
    exceeded: bool


class _Counter:
    """What this process has taken from Redis for one caller and one window."""

    __slots__ = ("last", "lock", "next", "window")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.window = -1
        self.next = 1
        self.last = 0


class RateLimiter:
    """Fixed windows of a minute. Without Redis nobody is refused: the API is worth more than the limit."""

    def __init__(self, queue: Redis, limit: int) -> None:
        self._limit = limit
        self._block = max(1, limit // _BLOCKS_PER_WINDOW)
        self._take = queue.register_script(_TAKE)
        self._counters: dict[str, _Counter] = {}
        self._silent_until = 0.0

    def count(self, caller: str, now: float) -> Standing:
        """Count one request of ``caller`` at ``now`` (seconds since the epoch)."""
        window, inside = divmod(int(now), WINDOW_SECONDS)
        counter = self._counters.get(caller) or self._counters.setdefault(caller, _Counter())
        with counter.lock:
            if counter.window != window or counter.next > counter.last:
                self._refill(caller, counter, window)
            number = counter.next
            counter.next += 1
        return Standing(
            limit=self._limit,
            remaining=max(0, self._limit - number),
            reset_seconds=WINDOW_SECONDS - inside,
            exceeded=number > self._limit,
        )

    def _refill(self, caller: str, counter: _Counter, window: int) -> None:
        if counter.window != window:
            counter.window, counter.next, counter.last = window, 1, 0
        last = self._ask(f"ge:rate:{caller}:{window}")
        if last is None:  # counted by this process alone, and refused by nobody
            counter.next = min(counter.next, self._limit)
            return
        counter.next, counter.last = last - self._block + 1, last

    def _ask(self, key: str) -> int | None:
        if time.monotonic() < self._silent_until:
            return None
        try:
            return int(self._take(keys=[key], args=[self._block, 2 * WINDOW_SECONDS]))
        except RedisError as error:
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("ratelimit.unavailable", error=type(error).__name__)
            return None
