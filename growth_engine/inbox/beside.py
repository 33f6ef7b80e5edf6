"""A process beside the web processes that understands callbacks, and how they talk: lists of the queue Redis.

In a storm one interpreter's lock is too little for receiving and understanding. Redis carries ids only, as
with every doorbell: what is understood is what was stored.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from growth_engine.context import Parts
from growth_engine.inbox import handling, queries
from growth_engine.inbox.contract import PassiveReply, reply_from_json, reply_to_json
from growth_engine.inbox.gathering import Replied, rounds
from growth_engine.inbox.handling import Asker, Attempt
from growth_engine.inbox.interpreting import InterpretTogether
from growth_engine.inbox.understanding import Understanding, hand_on
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.redis import queue_client

log = structlog.get_logger(__name__)

ASKED_KEY = "ge:callbacks:asked"
SAID_KEY = "ge:callbacks:said:"
ALIVE_KEY = "ge:callbacks:alive"
#: Another value with each start: a process that was killed and started again at once owes what it had taken.
BORN_KEY = "ge:callbacks:born"

#: The other process says so often that it lives, and is thought gone when it has not for so long.
BEAT_SECONDS = 0.5
GONE_SECONDS = 2.0
#: By then every request has gone: what is still owed is done here, and places are free again.
OVERDUE_SECONDS = 10.0
#: It says no more that it lives when it has been at one batch for so long: nobody gets an answer in time.
STUCK_SECONDS = 5.0
#: A Redis that hangs must not hold up receiving: it is waited for so long, then done without.
LINK_SECONDS = 1.5
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
        self._queue: Redis = queue_client(
            parts.settings.queue_redis_url, socket_timeout=LINK_SECONDS, socket_connect_timeout=LINK_SECONDS
        )
        self._here = here
        self._seconds, self._clock = seconds, clock
        self._mine = SAID_KEY + parts.ids.token(20)
        self._lock = threading.Lock()
        self._asked: dict[str, _Handed] = {}
        self._outgoing: list[_Handed] = []
        self._there = False
        self._born: bytes | None = None
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
            self._there = False  # until somebody has looked again
            self._take_back()

    def close(self) -> None:
        """Wait a little for what is owed; what is left then is begun here."""
        until = self._seconds() + CLOSE_SECONDS
        while self._asked and self._there and self._seconds() < until:
            self._end.wait(0.02)
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self._there = False
        self._take_back()
        self._queue.close()

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
                    self._look()
                    looked = self._seconds()
                for said in _popped(self._queue, self._mine, BEAT_SECONDS):
                    try:
                        self._hear(said)
                    except Exception:  # the others' answers are good; this one is overdue some time
                        log.exception("inbox.answer_unreadable")
            except (RedisError, OSError):
                self._there = False
                self._take_back()
                self._end.wait(BEAT_SECONDS)
            except Exception:  # the thread must outlive every failure
                log.exception("inbox.beside_failed")
                self._end.wait(BEAT_SECONDS)

    def _look(self) -> None:
        """Whether the other process is there, and is the one that was; if not, it answers nothing any more.
        So it is when Redis was emptied, and the answers in it are lost."""
        found: Any = self._queue.mget(ALIVE_KEY, BORN_KEY)
        alive, born = found
        self._there = alive is not None
        same = self._there and born == self._born
        self._take_back(self._seconds() - OVERDUE_SECONDS if same else math.inf)
        self._born = born

    def _hear(self, said: bytes) -> None:
        message_id, understood, given = orjson.loads(said)
        reply = reply_from_json(given) if given else None
        with self._lock:
            handed = self._asked.pop(message_id, None)
        if handed is None:
            return
        if not understood:
            self._do_here(handed)
            return
        asker = handed.attempt.asker
        too_late = reply is not None and asker is not None and not asker.promise()
        handed.replied.set_result(None if too_late else reply)
        if too_late:
            self._here.send_late(handed.workspace_id, handed.attempt)

    def _take_back(self, before: float = math.inf) -> None:
        """Do here what was handed over before then and is still owed. Should the other process have done it,
        nothing happens twice, and a reply it promised is found where it was stored."""
        with self._lock:
            owed = [one for one in self._asked.values() if one.at < before]
            for one in owed:
                del self._asked[one.attempt.message_id]
        if owed:
            log.warning("inbox.taken_back", messages=len(owed))
        for one in owed:
            self._do_here(one)

    def _do_here(self, one: _Handed) -> None:
        try:
            hand_on(self._here.begin(one.workspace_id, one.attempt), one.replied)
        except Exception as error:  # nobody may wait for nothing
            log.exception("inbox.not_taken_back", inbox_message=one.attempt.message_id)
            one.replied.set_exception(error)


class Serving:
    """The other end: takes whatever waits, understands it, and sends the replies back. What comes meanwhile
    waits in Redis and goes together next. One message that has to be understood alone goes ``here``."""

    def __init__(
        self,
        parts: Parts,
        here: Understanding,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._here = here
        self._seconds, self._clock = seconds, clock
        self._moved_at = seconds()

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop; what was taken by then is understood and answered, and only then do the
        web processes hear that nobody is here."""
        over = threading.Event()
        heart = threading.Thread(target=self._beat, args=(over,), name="callbacks-heart", daemon=True)
        heart.start()
        while not stop.is_set():
            self._moved_at = self._seconds()
            try:
                self._serve(_popped(self._parts.queue, ASKED_KEY, BEAT_SECONDS))
            except (RedisError, OSError) as error:
                log.warning("callbacks.no_redis", error=type(error).__name__)
                stop.wait(BEAT_SECONDS)
            except Exception:  # the next ones must not wait for what is wrong with these
                log.exception("callbacks.failed")
        self._here.close()
        over.set()
        heart.join()

    def _beat(self, over: threading.Event) -> None:
        born = self._parts.ids.token(20)
        said = False
        while not over.is_set():
            with contextlib.suppress(RedisError, OSError):  # then nobody hands us anything either
                if not said:
                    self._parts.queue.set(BORN_KEY, born)
                    said = True
                if self._seconds() - self._moved_at < STUCK_SECONDS:
                    self._parts.queue.set(ALIVE_KEY, "1", px=int(GONE_SECONDS * 1000))
            over.wait(BEAT_SECONDS)
        with contextlib.suppress(RedisError, OSError):  # it expires
            self._parts.queue.delete(ALIVE_KEY)

    def _serve(self, asked: Sequence[bytes]) -> None:
        by_workspace: dict[str, dict[str, _Asked]] = {}
        for one in asked:
            try:
                workspace_id, message_id, until, back = orjson.loads(one)
            except ValueError:
                log.warning("callbacks.unreadable")  # another version's; whoever asked does it when overdue
                continue
            by_workspace.setdefault(workspace_id, {})[message_id] = _Asked(until, back)
        for workspace_id, several in by_workspace.items():
            try:
                self._serve_one(workspace_id, several)
            except Exception:
                log.exception("callbacks.given_back", workspace=workspace_id, messages=len(several))
                self._say([(one.back, _given_back(id_)) for id_, one in several.items()])

    def _serve_one(self, workspace_id: str, several: Mapping[str, _Asked]) -> None:
        with self._parts.open(workspace_id) as ctx:
            said = queries.readable(ctx, list(several), untried=True)
        # Those left out are done meanwhile, or the job's to look at.
        self._say([(one.back, _answer(id_, None)) for id_, one in several.items() if id_ not in said])
        attempts = [
            Attempt(id_, 1, said[id_], _Deadline(one.until, self._clock))
            for id_, one in several.items()
            if id_ in said
        ]
        for together, batch in rounds(attempts):
            self._moved_at = self._seconds()
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
        self._say([(asked[id_].back, _answer(id_, reply)) for id_, reply in replies.items()])
        for one in alone:
            task = self._here.by_itself(workspace_id, one)
            task.add_done_callback(partial(self._say_done, asked[one.message_id].back, one.message_id))

    def _say_done(self, back: str, message_id: str, done: Replied) -> None:
        said = _given_back(message_id) if done.exception() else _answer(message_id, done.result())
        self._say([(back, said)])

    def _say(self, answers: Sequence[tuple[str, bytes]]) -> None:
        by_process: dict[str, list[bytes]] = {}
        for back, said in answers:
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


def _answer(message_id: str, reply: PassiveReply | None) -> bytes:
    """Tells a web process that there is nothing more to do with a message."""
    return orjson.dumps([message_id, True, reply_to_json(reply) if reply else None])


def _given_back(message_id: str) -> bytes:
    """Tells a web process to understand a message itself."""
    return orjson.dumps([message_id, False, None])


class _Deadline(Asker):
    """A request in another process, which waits until then."""

    here = False

    def __init__(self, until: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._until, self._clock = until, clock

    def promise(self) -> bool:
        return self._clock() < self._until and super().promise()


def require_server(queue: Redis) -> None:
    """Refuse, with one line that says what to do, a queue Redis that does not know the command we wait with.
    One that cannot be reached may come back."""
    try:
        queue.lmpop(1, BORN_KEY + ":none", direction="LEFT")
    except ResponseError as error:
        if "unknown command" not in str(error):
            raise
        raise Misconfigured(
            "The queue Redis is too old: callbacks need Redis 7 or Valkey."
            " Point QUEUE_REDIS_URL at a newer server."
        ) from error
    except (RedisError, OSError) as error:
        log.warning("callbacks.no_redis", error=type(error).__name__)


def _popped(redis: Redis, key: str, seconds: float) -> Sequence[bytes]:
    """What lies in a list, as soon as something does; nothing after so many seconds."""
    found: Any = redis.blmpop(seconds, 1, key, direction="LEFT", count=MOST)
    return found[1] if found else ()
