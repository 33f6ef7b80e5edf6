"""The proofs cron runs: cheap ones every few minutes, all of them every hour; what fails becomes an alert."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.ledger import alerts, heads, queries, service, verify
from growth_engine.ledger.invariants import INVARIANTS, Fault, faults_of
from growth_engine.ledger.models import Book
from growth_engine.ledger.remedies import TOPIC, WORDS

log = structlog.get_logger(__name__)

#: Hashes in the queue Redis, one a workspace: book -> entry it was last looked at, moment it was last
#: proven. Lost, they are only asked too often once.
LOOKED_KEY = "ge:books-looked-at"
PROVEN_KEY = "ge:books-proven"
#: Likewise: book -> moment a person asked for a proof that has not been given yet.
ASKED_KEY = "ge:books-asked"
#: Likewise: book -> "<entries walked>/<entries in all>" of the proof going on.
WALKED_KEY = "ge:books-walked"
#: A book is proven again when its last proof is this old; cron rings every hour.
PROVEN_FOR = timedelta(minutes=55)
#: Books up to this long are folded from their first entry (about 20,000 entries a second), longer ones
#: walked from their last exported head: a worker should not be held up for minutes.
WHOLE = 200_000
#: Documents of exported heads a proof reads; ``growth-engine ledger verify`` reads all. One is enough to
#: show any change before it.
DOCUMENTS = 3

_CHEAP = [one.name for one in INVARIANTS if one.cheap]


def topic(check: str) -> str:
    return TOPIC + check


def check_often(parts: Parts, workspace_id: str) -> int:
    """Ask the cheap invariants of every book that has moved since; how many books were looked at."""
    with parts.open(workspace_id) as ctx:
        books = queries.books(ctx)
        alarmed = {alert.subject for alert in queries.open_alerts(ctx)}
    key = f"{LOOKED_KEY}:{workspace_id}"
    seen = {name.decode(): int(seq) for name, seq in _hash(parts, key).items()}
    moved = [book for book in books if book.id in alarmed or seen.get(book.id) != book.last_seq]
    for book in moved:
        with verify.snapshot(parts, workspace_id) as conn:
            faults = list(faults_of(conn, workspace_id, book.id, cheap=True))
        _settle(parts, workspace_id, book.id, faults, _CHEAP)
        parts.queue.hset(key, book.id, book.last_seq)
    alerts.publish_count(parts, workspace_id)
    return len(moved)


def prove_next(parts: Parts, workspace_id: str) -> int:
    """Prove the book longest unproven, if one is due; how many were. One at a time: others wait, too."""
    key = f"{PROVEN_KEY}:{workspace_id}"
    now = parts.clock.now()
    with parts.open(workspace_id) as ctx:
        books = queries.books(ctx)
    at, asked = _hash(parts, key), _hash(parts, f"{ASKED_KEY}:{workspace_id}")
    since = {book.id: float(at.get(book.id.encode(), 0)) for book in books}
    old = (now - PROVEN_FOR).timestamp()
    due = [book for book in books if since[book.id] <= old or book.id.encode() in asked]
    if not due:
        return 0
    book = min(due, key=lambda book: (book.id.encode() not in asked, since[book.id], book.id))
    faults = _prove(parts, workspace_id, book)
    _settle(parts, workspace_id, book.id, faults, WORDS)
    parts.queue.hset(key, book.id, str(now.timestamp()))
    for done_with in (ASKED_KEY, WALKED_KEY):
        parts.queue.hdel(f"{done_with}:{workspace_id}", book.id)
    alerts.publish_count(parts, workspace_id)
    return 1


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a book's proofs."""

    proven_at: datetime | None
    """``None``: never, or Redis has forgotten."""
    asked_at: datetime | None
    """Since when a person waits for another one."""
    walked: int
    """Entries read by the proof going on, of ``entries``; 0 while it waits for its turn."""
    entries: int


def ask(parts: Parts, workspace_id: str, book_ids: Iterable[str]) -> None:
    """Have these books proven as soon as a worker is free, however lately they were."""
    key, now = f"{ASKED_KEY}:{workspace_id}", str(parts.clock.now().timestamp())
    for book_id in book_ids:
        parts.queue.hsetnx(key, book_id, now)
    parts.bell.ring("ledger.verify", workspace_id)


def standings(parts: Parts, workspace_id: str, book_ids: Iterable[str]) -> Mapping[str, Standing]:
    """How far the proofs of these books are."""
    proven, asked, walked = (
        {name.decode(): text.decode() for name, text in _hash(parts, f"{key}:{workspace_id}").items()}
        for key in (PROVEN_KEY, ASKED_KEY, WALKED_KEY)
    )
    found = {}
    for book_id in book_ids:
        done, _, entries = walked.get(book_id, "0/0").partition("/")
        found[book_id] = Standing(
            _moment(proven.get(book_id)), _moment(asked.get(book_id)), int(done), int(entries)
        )
    return found


def _moment(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(seconds), UTC) if seconds else None


def _prove(parts: Parts, workspace_id: str, book: Book) -> list[Fault]:
    faults = []
    try:
        service.catch_up(parts, workspace_id, book.id)  # a moment behind is no fault
    except GrowthError as error:
        faults.append(Fault("mirror", f"cannot be caught up: {error.code}: {error}"))
    documents: Sequence[heads.Exported] = ()
    try:
        documents = heads.exported(parts.storage, workspace_id, DOCUMENTS).get(book.id, ())
    except GrowthError as error:
        faults.append(Fault("heads", f"the documents in storage cannot be read: {error}"))
    whole, key = book.last_seq <= WHOLE, f"{WALKED_KEY}:{workspace_id}"

    def walked(done: int, entries: int) -> None:
        parts.queue.hset(key, book.id, f"{done}/{entries}")

    report = verify.verify(parts, workspace_id, book.id, walked, exported=documents, whole=whole)
    faults += report.faults
    log.info("book.proven", book=book.id, entries=report.entries, faults=len(faults))
    return faults


def _settle(
    parts: Parts, workspace_id: str, book_id: str, faults: Iterable[Fault], looked_at: Collection[str]
) -> None:
    failing: dict[str, str] = {}
    for fault in faults:
        known = failing.get(topic(fault.check))
        failing[topic(fault.check)] = f"{known}; {fault.detail}" if known else fault.detail
    with parts.open(workspace_id) as ctx:
        alerts.settle(ctx, book_id, failing, [topic(check) for check in looked_at])


def _hash(parts: Parts, key: str) -> dict[bytes, bytes]:
    found: Any = parts.queue.hgetall(key)
    return dict(found)
