"""Life and end of the processes without a port: their signs of life, in one sorted set of the queue Redis,
and how they are told to stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
from types import FrameType
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


def told_to_stop() -> threading.Event:
    """Set by SIGTERM or SIGINT from now on; for the main thread, which ends in its own time."""
    stop = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


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
