"""Reads the callbacks of all requests and writes them down together: in a storm one commit serves many."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from psycopg.rows import namedtuple_row

from growth_engine.context import Parts
from growth_engine.inbox import service
from growth_engine.inbox.service import Draft, Settled, Stored
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.schema import CONNECT_SECONDS
from growth_engine.kit.tx import WORKSPACE_SETTING, libpq_url

log = structlog.get_logger(__name__)

SCOPE = f"SELECT set_config('{WORKSPACE_SETTING}', %(workspace_id)s, true)"

#: Callbacks written in one transaction. There is no artificial wait: what is there is taken.
MOST = 200
#: By then the platform has hung up and will send it again.
PATIENCE_SECONDS = 10.0


Then = Callable[[list[Stored]], "Future[Any] | None"]


@dataclass(slots=True)
class _Waiting:
    workspace_id: str
    read: Callable[[], Sequence[Draft]] | None = None
    then: Then | None = None
    settled: Settled | None = None
    drafts: Sequence[Draft] = ()
    rows: list[Stored] | None = None
    """As they lie there now; set after the commit, when what it begins has begun."""
    late: bool = False
    """The request does not wait for that to be over any more."""
    over: queue.SimpleQueue[list[Stored] | BaseException] = field(default_factory=queue.SimpleQueue)
    """One answer. A Future's lock would be asked for once more by whoever wakes up."""

    def go_on(self, rows: list[Stored]) -> None:
        """It is written down: wake the request now, or when what begins with it is over."""
        begun: Future[Any] | None = None
        try:
            begun = self.then(rows) if self.then is not None else None
        except Exception:  # the request tries it again, and shows what is wrong
            log.exception("inbox.not_begun")
        self.rows = rows
        if begun is None or self.late:
            self.over.put(rows)
        else:
            begun.add_done_callback(lambda _: self.over.put(rows))


class Intake:
    """One thread of its own, started when it is first needed and ended by ``close``.

    It reads what comes, too, and hands it on: a request that did so itself would have to get the
    interpreter's lock back at each of these steps, among sixty others that want it. ``after`` is called
    after each commit.
    """

    def __init__(self, parts: Parts, after: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._after = after
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    def put(
        self,
        workspace_id: str,
        read: Callable[[], Sequence[Draft]],
        then: Then | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> list[Stored]:
        """Write messages down durably; returns after the commit, or raises what prevented it.

        ``read`` says what to write, ``then`` is given what was written and may begin something: both are
        called on the intake's thread and must not wait. Returns when that is over, or after ``seconds``.
        """
        return self._put(_Waiting(workspace_id, read, then), seconds)

    def settle(self, workspace_id: str, done: Settled) -> None:
        """Mark a message as done, together with others and with what comes in; returns after the commit."""
        self._put(_Waiting(workspace_id, settled=done), PATIENCE_SECONDS)

    def _put(self, waiting: _Waiting, seconds: float) -> list[Stored]:
        self._start()
        self._queue.put(waiting)
        for patience in (seconds, max(0.0, PATIENCE_SECONDS - seconds)):
            try:
                answer = waiting.over.get(timeout=patience)
            except queue.Empty:
                waiting.late = True
                if waiting.rows is not None:
                    return waiting.rows
                continue
            if isinstance(answer, BaseException):
                try:
                    raise answer
                finally:
                    del answer  # or it and this frame would keep each other, and the callback, in memory
            return answer
        raise Unavailable  # perhaps it is stored yet; sent again, it is counted

    def close(self) -> None:
        with self._lock:
            if self._thread is not None:
                self._queue.put(None)
                self._thread.join()
                self._thread = None
            self._disconnect()

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="inbox-intake", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ends = self._batch(first)
            try:
                self._take(batch)
            except BaseException as error:
                # The thread must outlive every failure, and nobody may wait for nothing.
                log.exception("inbox.intake_failed", messages=len(batch))
                for one in batch:
                    one.over.put(error)
            if ends:
                return

    def _batch(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Whatever waits by now, and whether the end was among it."""
        batch = [first]
        while len(batch) < MOST:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _take(self, batch: Sequence[_Waiting]) -> None:
        by_workspace: dict[str, list[_Waiting]] = {}
        for one in filter(_read, batch):
            by_workspace.setdefault(one.workspace_id, []).append(one)
        for workspace_id, several in by_workspace.items():
            self._write(workspace_id, several)
        self._after()

    # -- one transaction -----------------------------------------------------------------------------

    def _write(self, workspace_id: str, several: Sequence[_Waiting]) -> None:
        try:
            drafts = [draft for one in several for draft in one.drafts]
            settled = [one.settled for one in several if one.settled is not None]
            stored = self._store(workspace_id, drafts, settled)
        except psycopg.OperationalError as error:
            log.warning("inbox.database_unavailable", error=type(error).__name__)
            for one in several:
                one.over.put(Unavailable())
            return
        except BaseException as error:
            # One that the database refuses must not take the others with it.
            if len(several) == 1:
                several[0].over.put(error)
            else:
                for one in several:
                    self._write(workspace_id, [one])
            return
        for one in several:
            one.go_on(stored[: len(one.drafts)])
            stored = stored[len(one.drafts) :]

    def _store(self, workspace_id: str, drafts: Sequence[Draft], settled: Sequence[Settled]) -> list[Stored]:
        """Once more on a new connection when the old one was cut: a callback counted twice does no harm."""
        kept = self._conn is not None
        try:
            return self._sent(workspace_id, drafts, settled)
        except psycopg.OperationalError:
            self._disconnect()
            if not kept:
                raise
        return self._sent(workspace_id, drafts, settled)

    def _sent(self, workspace_id: str, drafts: Sequence[Draft], settled: Sequence[Settled]) -> list[Stored]:
        """Scope and rows in one piece, which the database takes as one transaction: every way to it and
        back gives up the interpreter's lock, and a busy process waits milliseconds to get it."""
        now = self._parts.clock.now()
        conn = self._connected()
        try:
            with conn.pipeline():
                conn.execute(SCOPE, {"workspace_id": workspace_id})
                if settled:
                    conn.execute(*service.settling(settled, now))
                answer = conn.execute(*service.storing(workspace_id, drafts, now)) if drafts else None
            return service.as_stored(drafts, answer.fetchall()) if answer else []
        except BaseException:
            if conn.broken:
                self._disconnect()
            raise

    def _connected(self) -> psycopg.Connection[Any]:
        if self._conn is None:
            self._conn = psycopg.connect(
                libpq_url(self._parts.settings.database_url),
                autocommit=True,
                prepare_threshold=0,
                row_factory=namedtuple_row,
                connect_timeout=CONNECT_SECONDS,
            )
        return self._conn

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _read(waiting: _Waiting) -> bool:
    """Whether there is something to write; what was wrong is told to whoever waits."""
    try:
        waiting.drafts = waiting.read() if waiting.read is not None else ()
    except BaseException as error:
        waiting.over.put(error)
        return False
    return True
