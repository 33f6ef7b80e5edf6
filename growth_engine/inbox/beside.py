"""A process beside the web processes that understands callbacks, and how they talk: lists of the queue Redis.

In a storm one interpreter's lock is too little for receiving and understanding. Redis carries ids only, as
with every doorbell: what is understood is what was stored.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import structlog
from redis import Redis
from redis.exceptions import RedisError

from growth_engine.context import Parts
from growth_engine.inbox import handling, queries
from growth_engine.inbox.contract import PassiveReply, reply_from_json, reply_to_json
from growth_engine.inbox.gathering import Replied, rounds
from growth_engine.inbox.handling import Asker, Attempt
from growth_engine.inbox.interpreting import InterpretTogether
from growth_engine.inbox.understanding import Understanding, hand_on

log = structlog.get_logger(__name__)

ASKED_KEY = "ge:callbacks:asked"
SAID_KEY = "ge:callbacks:said:"
ALIVE_KEY = "ge:callbacks:alive"

#: The other process says so often that it lives, and is thought gone when it has not for so long.
BEAT_SECONDS = 0.5
GONE_SECONDS = 2.0
#: What nobody takes by then is of no use to anybody.
FORGET_SECONDS = 60
#: Taken from a list at a time.
MOST = 200
#: The way back and the commit take no longer: a reply is promised while so much is left.
BACK_SECONDS = 1.0
#: How long a web process that ends waits for answers.
CLOSE_SECONDS = 3.0


@dataclass(slots=True)
class _Handed:
    workspace_id: str
    attempt: Attempt
    until: float
    at: float
    replied: Replied = field(default_factory=Replied)


class Beside:
    """The web process's end. Messages are handed over together (``flush``); while no other process gives a
    sign of life, ``begin`` says so, and what it had not answered is understood ``here``."""

    def __init__(
        self,
        parts: Parts,
        here: Understanding,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue: Redis = parts.queue
        self._here = here
        self._seconds, self._clock = seconds, clock
        self._mine = SAID_KEY + parts.ids.token(20)
        self._lock = threading.Lock()
        self._asked: dict[str, _Handed] = {}
        self._outgoing: list[_Handed] = []
        self._there = False
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def begin(self, workspace_id: str, attempt: Attempt, seconds: float) -> Replied | None:
        """Have a stored message understood elsewhere, whose request waits for so many seconds; None when
        there is nobody to do it. ``flush`` follows."""
        if self._thread is None:
            self._start()
        if not self._there:
            return None
        until = self._clock() + seconds - BACK_SECONDS
        handed = _Handed(workspace_id, attempt, until, self._seconds())
        with self._lock:
            self._asked[attempt.message_id] = handed
            self._outgoing.append(handed)
        return handed.replied

    def flush(self) -> None:
        """Hand over what was begun since the last time."""
        with self._lock:
            going, self._outgoing = self._outgoing, []
        if not going:
            return
        said = [
            orjson.dumps([one.workspace_id, one.attempt.message_id, one.until, self._mine]) for one in going
        ]
        try:
            with self._queue.pipeline(transaction=False) as pipe:
                pipe.rpush(ASKED_KEY, *said)
                pipe.expire(ASKED_KEY, FORGET_SECONDS)
                pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("inbox.not_handed_over", messages=len(going), error=type(error).__name__)
            self._take_back()

    def close(self) -> None:
        """Wait a little for what is owed, then no longer: the job has what is left."""
        until = self._seconds() + CLOSE_SECONDS
        while self._asked and self._there and self._seconds() < until:
            time.sleep(0.02)
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            left, self._asked = list(self._asked.values()), {}
        for one in left:
            one.replied.set_result(None)

    # -- answers -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="inbox-beside", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        looked = float("-inf")
        while not self._end.is_set():
            try:
                if self._seconds() - looked >= BEAT_SECONDS:
                    self._there = bool(self._queue.exists(ALIVE_KEY))
                    looked = self._seconds()
                    if not self._there:
                        self._take_back()
                    self._forget()
                for said in _popped(self._queue, self._mine, BEAT_SECONDS):
                    self._hear(said)
            except (RedisError, OSError):
                self._there = False
                self._take_back()
                self._end.wait(BEAT_SECONDS)
            except Exception:  # the thread must outlive every failure
                log.exception("inbox.beside_failed")
                self._end.wait(BEAT_SECONDS)

    def _hear(self, said: bytes) -> None:
        message_id, reply = orjson.loads(said)
        with self._lock:
            handed = self._asked.pop(message_id, None)
        if handed is not None:
            handed.replied.set_result(reply_from_json(reply) if reply else None)

    def _take_back(self) -> None:
        """The other process is gone: do here what it owed. Should it have done it, nothing happens twice."""
        with self._lock:
            owed, self._asked = list(self._asked.values()), {}
        if owed:
            log.warning("inbox.taken_back", messages=len(owed))
        for one in owed:
            hand_on(self._here.begin(one.workspace_id, one.attempt), one.replied)

    def _forget(self) -> None:
        """An answer may have been lost with Redis; the job does what was not done."""
        before = self._seconds() - FORGET_SECONDS
        with self._lock:
            lost = [one for one in self._asked.values() if one.at < before]
            for one in lost:
                del self._asked[one.attempt.message_id]
        for one in lost:
            one.replied.set_result(None)


class Serving:
    """The other end: takes whatever waits, understands it, and sends the replies back. What comes meanwhile
    waits in Redis and goes together next. One message that has to be understood alone goes ``here``."""

    def __init__(
        self,
        parts: Parts,
        here: Understanding,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._here = here
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop; what was taken by then is understood and answered."""
        heart = threading.Thread(target=self._beat, args=(stop,), name="callbacks-heart", daemon=True)
        heart.start()
        while not stop.is_set():
            try:
                self._serve(_popped(self._parts.queue, ASKED_KEY, BEAT_SECONDS))
            except (RedisError, OSError) as error:
                log.warning("callbacks.no_redis", error=type(error).__name__)
                stop.wait(BEAT_SECONDS)
            except Exception:  # those at hand are left to the job; the others must not wait for them
                log.exception("callbacks.failed")
        self._here.close()
        heart.join()

    def _beat(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(RedisError, OSError):  # then nobody hands us anything either
                self._parts.queue.set(ALIVE_KEY, "1", px=int(GONE_SECONDS * 1000))
            stop.wait(BEAT_SECONDS)
        with contextlib.suppress(RedisError, OSError):  # it expires
            self._parts.queue.delete(ALIVE_KEY)

    def _serve(self, asked: Sequence[bytes]) -> None:
        by_workspace: dict[str, dict[str, _Asked]] = {}
        for one in asked:
            workspace_id, message_id, until, back = orjson.loads(one)
            by_workspace.setdefault(workspace_id, {})[message_id] = _Asked(until, back)
        for workspace_id, several in by_workspace.items():
            with self._parts.open(workspace_id) as ctx:
                said = queries.first_attempts(ctx, list(several))
            # Those left out are done meanwhile, or the job's to look at.
            self._say([(one.back, id_, None) for id_, one in several.items() if id_ not in said])
            attempts = [
                Attempt(id_, 1, said[id_], _Deadline(one.until, self._clock))
                for id_, one in several.items()
                if id_ in said
            ]
            for together, batch in rounds(attempts):
                self._understand(workspace_id, together, batch, several)

    def _understand(
        self,
        workspace_id: str,
        together: InterpretTogether | None,
        batch: Sequence[Attempt],
        asked: Mapping[str, _Asked],
    ) -> None:
        replies: dict[str, PassiveReply | None] = {}
        alone = list(batch)
        if together is not None:
            replies, alone = handling.interpret_together(self._parts, workspace_id, together, batch)
        self._say([(asked[id_].back, id_, reply) for id_, reply in replies.items()])
        for one in alone:
            task = self._here.by_itself(workspace_id, one)
            task.add_done_callback(partial(self._say_done, asked[one.message_id].back, one.message_id))

    def _say_done(self, back: str, message_id: str, done: Replied) -> None:
        self._say([(back, message_id, None if done.exception() else done.result())])

    def _say(self, replies: Sequence[tuple[str, str, PassiveReply | None]]) -> None:
        by_process: dict[str, list[bytes]] = {}
        for back, message_id, reply in replies:
            said = orjson.dumps([message_id, reply_to_json(reply) if reply else None])
            by_process.setdefault(back, []).append(said)
        try:
            with self._parts.queue.pipeline(transaction=False) as pipe:
                for back, several in by_process.items():
                    pipe.rpush(back, *several)
                    pipe.expire(back, FORGET_SECONDS)
                pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("callbacks.not_answered", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Until when a message's reply is of use, and where it goes."""

    until: float
    back: str


class _Deadline(Asker):
    """A request in another process, which waits until then."""

    def __init__(self, until: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._until, self._clock = until, clock

    def promise(self) -> bool:
        return self._clock() < self._until and super().promise()


def _popped(redis: Redis, key: str, seconds: float) -> Sequence[bytes]:
    """What lies in a list, as soon as something does; nothing after so many seconds."""
    found: Any = redis.blmpop(seconds, 1, key, direction="LEFT", count=MOST)
    return found[1] if found else ()
