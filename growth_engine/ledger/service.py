"""Commands that keep the books complete: post what waits, bring the mirror up to date, rebuild it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

import structlog
from sqlalchemy import update

from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError, NotFound
from growth_engine.kit.i18n import N_
from growth_engine.ledger import journal, queries, verify
from growth_engine.ledger.contract import Event, Received
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.models import PendingEvent, StoredEvent
from growth_engine.ledger.verify import Progress, snapshot

log = structlog.get_logger(__name__)

#: Entries sent to the mirror at a time.
PAGE = 2_000
#: Tries before an Event is parked: a person must look then. The waits double from five seconds.
ATTEMPTS = 8
FIRST_WAIT = timedelta(seconds=5)
SWEEP_BATCH = 200


class UnknownBook(NotFound):
    code = "book_not_found"
    message = N_("There is no such book.")


def _unwatched(_done: int, _all: int) -> None:
    """Progress nobody looks at."""


def _mirror_unreachable(error: GrowthError) -> None:
    log.warning("mirror.unreachable", code=error.code)


def catch_up(parts: Parts, workspace_id: str, book_id: str, progress: Progress = _unwatched) -> int:
    """Apply to the mirror what it lacks of a book; how many Entries."""
    return _replay(parts, workspace_id, book_id, None, progress)


def _replay(parts: Parts, workspace_id: str, book_id: str, epoch: int | None, progress: Progress) -> int:
    key = BookKey(workspace_id, book_id)
    done = 0
    with snapshot(parts, workspace_id) as conn:
        head = journal.heads(conn, [book_id]).get(book_id)
        if head is None:
            raise UnknownBook
        last = parts.mirror.apply(key, [], epoch=epoch).last_seq
        page = []
        for entry, _ in journal.entries_after(conn, book_id, last):
            page.append((entry.seq, entry.ops()))
            if len(page) == PAGE:
                parts.mirror.apply(key, page, epoch=epoch)
                done += len(page)
                progress(last + done, head.seq)
                page = []
        if page:
            parts.mirror.apply(key, page, epoch=epoch)
            done += len(page)
        progress(last + done, head.seq)
    return done


def catch_up_all(parts: Parts, workspace_id: str) -> int:
    """Bring every book of a workspace up to date in the mirror: after a lost call, or a lost server."""
    with parts.open(workspace_id) as ctx:
        heads = {book.id: book.last_seq for book in queries.books(ctx)}
    done = 0
    for book_id, last_seq in heads.items():
        if parts.mirror.last_seq(BookKey(workspace_id, book_id)) < last_seq:
            done += catch_up(parts, workspace_id, book_id)
    if done:
        log.info("mirror.caught_up", workspace=workspace_id, entries=done)
    return done


def rebuild(parts: Parts, workspace_id: str, book_id: str, progress: Progress = _unwatched) -> int:
    """Build a book anew in the mirror under a fresh epoch, then switch readers to it; Entries applied.

    Joins go on meanwhile: the switch is refused while the new epoch is behind, and caught up.
    """
    key = BookKey(workspace_id, book_id)
    epoch = parts.mirror.begin_rebuild(key)
    try:
        done = _replay(parts, workspace_id, book_id, epoch, progress)
        with parts.open(workspace_id) as ctx:
            found = queries.book(ctx, book_id)
            journal_end = found.last_seq if found else 0
        # A live epoch ahead of the journal can only come from a database restored from a backup.
        ahead = parts.mirror.last_seq(key) > journal_end
        while not parts.mirror.finish_rebuild(key, epoch, force=ahead):
            done += _replay(parts, workspace_id, book_id, epoch, progress)
    except BaseException:
        parts.mirror.abandon_rebuild(key, epoch)
        raise
    return done


def verify_all(parts: Parts, workspace_id: str) -> list[verify.Report]:
    """Verify every book of a workspace, the wallet's among them."""
    with parts.open(workspace_id) as ctx:
        books = [book.id for book in queries.books(ctx)]
    return list(verify_each(parts, workspace_id, books))


def verify_each(
    parts: Parts,
    workspace_id: str,
    book_ids: Iterable[str],
    *,
    watch: Callable[[str], AbstractContextManager[Progress]] = lambda _book_id: nullcontext(_unwatched),
    unreachable: Callable[[GrowthError], None] = _mirror_unreachable,
) -> Iterator[verify.Report]:
    """Verify books of a workspace one after another, each as its report is asked for.

    The mirror is caught up first: being a moment behind is no fault, holding something else is. ``watch``
    gives the progress to tell of a book; ``unreachable`` hears why the mirror could not be caught up, which
    the reports then name book by book.
    """
    try:
        catch_up_all(parts, workspace_id)
    except GrowthError as error:
        unreachable(error)
    for book_id in book_ids:
        with watch(book_id) as progress:
            report = verify.verify(parts, workspace_id, book_id, progress)
        yield report


def sweep(parts: Parts, workspace_id: str) -> int:
    """Post Events that were accepted but could not be posted at once; how many were tried."""
    with parts.open(workspace_id) as ctx:
        due = queries.due_events(ctx, SWEEP_BATCH)
    for pending, stored in due:
        try:
            receipt = parts.ledger.submit(_as_event(pending, stored))
            if isinstance(receipt, Received):
                _put_off(parts, workspace_id, pending.event_id, None)
        except GrowthError as error:
            _put_off(parts, workspace_id, pending.event_id, f"{error.code}: {error}")
    return len(due)


def _as_event(pending: PendingEvent, stored: StoredEvent) -> Event:
    return Event(
        workspace_id=stored.workspace_id,
        book_id=stored.book_id,
        kind=stored.kind,
        source=stored.source,
        key=stored.key,
        occurred_at=stored.occurred_at,
        facts=stored.facts,
        person=pending.payload.get("person"),
    )


def _put_off(parts: Parts, workspace_id: str, event_id: str, error: str | None) -> None:
    """Wait longer before the next try, or park; ``None`` keeps the error of the first one."""
    with parts.open(workspace_id) as ctx:
        pending = ctx.session.get(PendingEvent, event_id, with_for_update=True)
        if pending is None:
            return
        pending.attempts += 1
        pending.error = error[:500] if error else pending.error
        pending.next_at = ctx.now() + FIRST_WAIT * 2 ** min(pending.attempts, 10)
        if pending.attempts >= ATTEMPTS:
            pending.parked_at = ctx.now()
            log.error("ledger.event_parked", event_id=event_id)


def retry_parked(parts: Parts, workspace_id: str) -> int:
    """Let parked Events be tried again (after a mended rule); how many."""
    with parts.open(workspace_id) as ctx:
        statement = update(PendingEvent).where(PendingEvent.parked_at.is_not(None))
        parked = queries.parked_events(ctx)
        ctx.session.execute(statement.values(parked_at=None, attempts=0, next_at=ctx.now()))
        ctx.ring("ledger.sweep")
    return len(parked)
