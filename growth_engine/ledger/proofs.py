"""The proofs cron runs: cheap ones every few minutes, all of them every hour; what fails becomes an alert."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import structlog

from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.ledger import alerts, heads, queries, service, verify
from growth_engine.ledger.invariants import INVARIANTS, Fault, faults_of
from growth_engine.ledger.models import Book
from growth_engine.ledger.remedies import WORDS

log = structlog.get_logger(__name__)

TOPIC = "ledger."
"""What the topics of these alerts begin with; the check's name follows (``remedies.WORDS``)."""
#: Hashes in the queue Redis, one a workspace: book -> entry it was last looked at, moment it was last
#: proven. Lost, they are only asked too often once.
LOOKED_KEY = "ge:books-looked-at"
PROVEN_KEY = "ge:books-proven"
#: Books up to this long are folded from their first entry every hour (about 20,000 entries a second).
WHOLE = 500_000
#: One round of proofs begins no further book after this long; the rest come first in the next.
BUDGET_SECONDS = 120.0
#: Documents of exported heads one round reads; ``growth-engine ledger verify`` reads all.
DOCUMENTS = 7

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


def prove_all(parts: Parts, workspace_id: str, seconds: Callable[[], float] = time.monotonic) -> int:
    """Prove the books of a workspace, the one longest unproven first, as far as time allows; how many."""
    until = seconds() + BUDGET_SECONDS
    mirror = _catch_up(parts, workspace_id)
    exported, unread = _exported(parts, workspace_id)
    key = f"{PROVEN_KEY}:{workspace_id}"
    proven = 0
    for book in _longest_unproven(parts, workspace_id, key):
        if proven and seconds() >= until:
            log.info("proofs.continued_later", workspace=workspace_id, proven=proven)
            break
        whole = book.last_seq <= WHOLE
        documents = exported.get(book.id, ())
        report = verify.verify(parts, workspace_id, book.id, exported=documents, whole=whole)
        _settle(parts, workspace_id, book.id, [*report.faults, *unread, *mirror], WORDS)
        log.info("book.proven", book=book.id, entries=report.entries, faults=len(report.faults))
        parts.queue.hset(key, book.id, parts.clock.now().timestamp())
        proven += 1
    alerts.publish_count(parts, workspace_id)
    return proven


def _longest_unproven(parts: Parts, workspace_id: str, key: str) -> Sequence[Book]:
    with parts.open(workspace_id) as ctx:
        books = queries.books(ctx)
    at = _hash(parts, key)
    return sorted(books, key=lambda book: float(at.get(book.id.encode(), 0)))


def _catch_up(parts: Parts, workspace_id: str) -> list[Fault]:
    """Being a moment behind is no fault. A mirror that cannot be caught up is."""
    try:
        service.catch_up_all(parts, workspace_id)
    except GrowthError as error:
        return [Fault("mirror", f"cannot be caught up: {error.code}: {error}")]
    return []


def _exported(parts: Parts, workspace_id: str) -> tuple[Any, list[Fault]]:
    try:
        return heads.exported(parts.storage, workspace_id, DOCUMENTS), []
    except GrowthError as error:
        return {}, [Fault("heads", f"the documents in storage cannot be read: {error}")]


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
