"""Signs of life of the processes without a port: workers and cron, in one sorted set of the queue Redis."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

KEY = "ge:alive"
EVERY_SECONDS = 2.0
#: Silent for so long means gone.
GONE_SECONDS = 7.0


def beat(queue: Redis, kind: str) -> None:
    """Say that this process lives. Time is the server's, so machines need not agree on theirs."""
    now = _now(queue)
    queue.zadd(KEY, {f"{kind}:{socket.gethostname()}:{os.getpid()}": now})
    queue.zremrangebyscore(KEY, "-inf", now - 3600)


def leave(queue: Redis, kind: str) -> None:
    """Say goodbye at a clean stop."""
    queue.zrem(KEY, f"{kind}:{socket.gethostname()}:{os.getpid()}")


def living(queue: Redis, kind: str) -> int:
    """How many processes of this kind gave a sign of life lately."""
    members: Any = queue.zrangebyscore(KEY, _now(queue) - GONE_SECONDS, "+inf")
    return sum(1 for member in members if member.startswith(f"{kind}:".encode()))


def _now(queue: Redis) -> float:
    seconds, micros = queue.time()
    return float(seconds) + micros / 1e6


class Heart(threading.Thread):
    """Beats beside the work, so that a long job does not look like a death."""

    def __init__(self, queue: Redis, kind: str) -> None:
        super().__init__(name=f"heart-{kind}", daemon=True)
        self._queue, self._kind = queue, kind
        self._end = threading.Event()

    def run(self) -> None:
        down = False
        while not self._end.is_set():
            try:
                beat(self._queue, self._kind)
                down = False
            except (RedisError, OSError) as error:
                if not down:
                    log.warning("no sign of life can be given", error=str(error))
                down = True
            self._end.wait(EVERY_SECONDS)

    def stop(self) -> None:
        self._end.set()
        self.join(EVERY_SECONDS)
        try:
            leave(self._queue, self._kind)
        except (RedisError, OSError) as error:
            log.warning("no goodbye could be said", error=str(error))
