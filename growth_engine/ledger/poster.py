"""The poster: one thread per process that takes every waiting Event and posts it, a batch a transaction."""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
import psycopg
import structlog
from psycopg.types.json import set_json_loads

from growth_engine.kit.clock import Clock
from growth_engine.kit.errors import GrowthError, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.kit.ids import Ids
from growth_engine.ledger import journal
from growth_engine.ledger.contract import (
    Connected,
    Event,
    Posted,
    Receipt,
    Received,
    RulesFactory,
)
from growth_engine.ledger.money import Balances
from growth_engine.ledger.posting import Posting
from growth_engine.ledger.telling import BESIDE, Teller

log = structlog.get_logger(__name__)

#: Events decided in one transaction at most; larger gains little and makes everybody wait longer.
BATCH_LIMIT = 500
#: Events written at a time, where a batch may be written in pieces: the database writes one piece while
#: the next is decided.
PIECE = 100
#: How long a batch may wait for a book another process holds before its Events are only stored.
LOCK_TIMEOUT_MS = 4_000
#: How long a caller waits for a decision.
WAIT_SECONDS = 15.0
#: When the sweep may first try an Event that could not be posted at once.
FIRST_RETRY = timedelta(seconds=2)

Waiting = tuple[Event, "Future[Receipt]"]
Mirrored = Callable[[str, str, Sequence[tuple[int, list[Any]]]], None]


class Poster:
    """Group commit. ``submit`` from any thread; the poster's own thread and connection do the rest.

    ``mirrored(workspace_id, book_id, [(seq, ops), …])`` is called after each commit; it must not raise
    for a mirror that is down (a job catches it up). ``ring(job, workspace_id)`` wakes workers. ``piece`` and
    ``beside`` say from which size a batch is written in pieces and told beside the next.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        clock: Clock,
        ids: Ids,
        rules: RulesFactory,
        mirrored: Mirrored,
        ring: Callable[[str, str], None],
        batch_limit: int = BATCH_LIMIT,
        lock_timeout_ms: int = LOCK_TIMEOUT_MS,
        piece: int = PIECE,
        beside: int = BESIDE,
    ) -> None:
        self._conninfo = conninfo
        self._clock = clock
        self._ids = ids
        self._rules = rules
        self._ring = ring
        self._piece = piece
        self._teller = Teller(mirrored, ring, beside)
        self._batch_limit = batch_limit
        self._lock_timeout_ms = lock_timeout_ms
        self._waiting: dict[str, deque[Waiting]] = {}
        self._turns: deque[str] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._conn: Connected | None = None

    # -- for callers ---------------------------------------------------------------------------------

    def submit(self, event: Event, *, timeout: float = WAIT_SECONDS) -> Receipt:
        """Hand in one Event and wait for its Receipt.

        Raises ``PayloadMismatch`` when (source, key) was used with another payload and ``Unavailable``
        when the database cannot be reached: nothing is promised then, send the same Event again.
        """
        return self.submit_many([event], timeout=timeout)[0]

    def submit_many(self, events: Sequence[Event], *, timeout: float = WAIT_SECONDS) -> list[Receipt]:
        futures = self.enqueue(events)
        try:
            return [future.result(timeout) for future in futures]
        except TimeoutError:
            raise Unavailable(N_("The books are busy. Please send the same request again.")) from None

    def enqueue(self, events: Sequence[Event]) -> list[Future[Receipt]]:
        """Hand in Events without waiting (page views)."""
        futures: list[Future[Receipt]] = [Future() for _ in events]
        with self._wake:
            if self._closed:
                raise Unavailable(N_("The server is stopping. Please try again in a moment."))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger-poster", daemon=True)
                self._thread.start()
            for event, future in zip(events, futures, strict=True):
                queue = self._waiting.get(event.workspace_id)
                if queue is None:
                    queue = self._waiting[event.workspace_id] = deque()
                    self._turns.append(event.workspace_id)
                queue.append((event, future))
            self._wake.notify()
        return futures

    def close(self) -> None:
        """Post what waits, then stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        self._teller.close()
        self._disconnect()

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._turns and not self._closed:
                    self._wake.wait()
                if not self._turns:
                    return
                workspace_id, batch = self._take()
            try:
                with _collector_paused():
                    self._post(workspace_id, batch)
            except BaseException as error:
                # The thread must outlive every failure, and nobody may wait for ever.
                log.exception("ledger.batch_failed", workspace=workspace_id, events=len(batch))
                self._disconnect()
                _fail(batch, error)

    def _take(self) -> tuple[str, list[Waiting]]:
        """The next workspace's waiting Events; the workspace goes to the end of the line if some remain.

        All of one name in a batch say the same: one that says something else is for the next batch, which
        finds the first one stored.
        """
        workspace_id = self._turns.popleft()
        queue = self._waiting[workspace_id]
        batch = [queue.popleft()]
        first = batch[0][0]
        alone = self._rules.alone(first)
        names = {(first.source, first.key): first}
        while queue and not alone and len(batch) < self._batch_limit:
            event = queue[0][0]
            known = names.setdefault((event.source, event.key), event)
            if self._rules.alone(event) or not _same(known, event):
                break
            batch.append(queue.popleft())
        if queue:
            self._turns.append(workspace_id)
        else:
            del self._waiting[workspace_id]
        return workspace_id, batch

    def _post(self, workspace_id: str, batch: list[Waiting]) -> None:
        """Post a batch; when it fails, its Events one by one, so that one bad Event harms no other."""
        try:
            self._post_with_retry(workspace_id, batch)
        except GrowthError as error:
            _fail(batch, error)
        except psycopg.errors.LockNotAvailable as error:
            self._store_only(batch, error)
        except Exception as error:
            if len(batch) == 1:
                log.exception("ledger.event_failed", workspace=workspace_id, kind=batch[0][0].kind)
                self._store_only(batch, error)
                return
            for waiting in batch:
                self._post(workspace_id, [waiting])

    def _post_with_retry(self, workspace_id: str, batch: list[Waiting]) -> None:
        """Once more after a failure that says nothing about the Events.

        Two processes may meet the same new person in two books (unique violation, deadlock), and a
        broken connection leaves open whether the commit took; Events are named, so trying again is safe.
        """
        try:
            self._post_together(workspace_id, batch)
        except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
            log.info("ledger.batch_collided", events=len(batch))
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise
            log.warning("ledger.connection_lost", events=len(batch))
            self._disconnect()
        else:
            return
        try:
            self._post_together(workspace_id, batch)
        except psycopg.errors.LockNotAvailable:
            raise
        except psycopg.OperationalError:
            log.warning("ledger.database_unreachable", events=len(batch))
            self._disconnect()
            raise Unavailable(N_("The database cannot be reached. Please try again in a moment.")) from None

    def _post_together(self, workspace_id: str, batch: list[Waiting]) -> None:
        conn = self._connected()
        events = list({(event.source, event.key): event for event, _ in batch}.values())
        now = self._clock.now()
        balances = Balances()
        batch_rules = self._rules(conn, now, balances)
        books = sorted({book for event in events for book in self._rules.books(event)})
        event_ids = [self._ids.new("lev") for _ in events]
        posting = Posting(conn, workspace_id, events, event_ids, books, now, balances)
        try:
            # BEGIN and COMMIT by hand: psycopg's transaction() waits for an answer at both ends, and
            # every wait of this thread is one that all callers share.
            with conn.pipeline():
                conn.execute("BEGIN")
                journal.begin(conn, workspace_id, books, self._lock_timeout_ms)
                posting.load(batch_rules)
                for piece in self._pieces(events):
                    posting.decide(piece, batch_rules)
                    posting.write()
                    batch_rules.save()
                conn.execute("COMMIT")
        except BaseException:
            self._roll_back(conn)
            raise
        self._teller.tell(
            workspace_id,
            len(events),
            posting.mirror_entries(),
            batch_rules.after_commit(),
            lambda: self._answer(batch, posting),
        )

    def _pieces(self, events: list[Event]) -> Iterator[Sequence[Event]]:
        """In what pieces a batch is decided and written."""
        size = self._piece if all(map(self._rules.in_pieces, events)) else len(events)
        return (events[at : at + size] for at in range(0, len(events), size))

    def _answer(self, batch: list[Waiting], posting: Posting) -> None:
        given: set[tuple[str, str]] = set()
        for event, future in batch:
            name = (event.source, event.key)
            receipt = posting.receipts[name]
            if isinstance(receipt, GrowthError):
                future.set_exception(receipt)
            else:
                future.set_result(_as_duplicate(receipt) if name in given else receipt)
            given.add(name)

    def _store_only(self, batch: list[Waiting], error: Exception) -> None:
        """Accept Events durably without posting them; the sweep posts them later."""
        now = self._clock.now()
        ring_for: set[str] = set()
        for event, future in batch:
            event_id = self._ids.new("lev")
            try:
                conn = self._connected()
                with conn.transaction():
                    conn.execute("SELECT set_config('ge.workspace_id', %s, true)", (event.workspace_id,))
                    if journal.insert_event(conn, event_id, event, now):
                        note = f"{type(error).__name__}: {error}"[:500]
                        journal.keep_pending(conn, event_id, event, now + FIRST_RETRY, note)
                        receipt: Receipt = Received(event_id)
                    else:
                        found = journal.earlier(conn, event.workspace_id, [event])[event.source, event.key]
                        if isinstance(found, GrowthError):
                            raise found
                        receipt = found.receipt
            except GrowthError as refused:
                future.set_exception(refused)
            except psycopg.Error:
                log.exception("ledger.store_failed")
                self._disconnect()
                future.set_exception(Unavailable())
            except (TypeError, ValueError) as unwritable:
                # No JSON (a lone surrogate): nobody but its own caller is told.
                future.set_exception(unwritable)
            else:
                ring_for.add(event.workspace_id)
                future.set_result(receipt)
        for workspace_id in ring_for:
            self._ring("ledger.sweep", workspace_id)

    def _connected(self) -> Connected:
        if self._conn is None or self._conn.closed:
            conn = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=0)
            # Every row of a batch is one index probe. A plan made while a table was still empty would
            # read it whole (or all rows of the workspace, which row-level security makes look cheap), and
            # prepared statements keep their plans.
            for plan in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "material"):
                conn.execute(f"SET enable_{plan} = off")
            conn.execute("SET application_name = 'growth-engine poster'")
            set_json_loads(orjson.loads, conn)
            self._conn = conn
        return self._conn

    def _roll_back(self, conn: Connected) -> None:
        if conn.closed:
            return
        try:
            conn.execute("ROLLBACK")
        except psycopg.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _same(one: Event, other: Event) -> bool:
    try:
        return one is other or one.payload_hash() == other.payload_hash()
    except (TypeError, ValueError):
        return False  # one of them cannot be written as JSON, and fails by itself


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Let the collector of cycles wait for the end of a batch, which makes none and frees all it made.

    It would go over the batch's thousands of rows again and again while they are in use: two fifths of the
    time a payment took. Whoever finds it paused leaves it to those who paused it.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _as_duplicate(receipt: Receipt) -> Receipt:
    if isinstance(receipt, Received):
        return receipt
    return Posted(
        receipt.event_id, receipt.book_id, receipt.seq, receipt.accepted, receipt.reasons, receipt.result,
        receipt.answer, duplicate=True,
    )  # fmt: skip


def _fail(batch: Sequence[Waiting], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
