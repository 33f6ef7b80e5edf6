"""Proof that a book is whole: sequence, hash chain, money, tables and mirror, each against the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson
import psycopg
import structlog
from psycopg.types.json import set_json_loads

from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger import heads, journal, tree
from growth_engine.ledger.contract import Connected
from growth_engine.ledger.digest import Digest
from growth_engine.ledger.fold import Fold
from growth_engine.ledger.invariants import Fault, faults_of
from growth_engine.ledger.mirror import BookKey

Progress = Callable[[int, int], None]
"""(Entries done, Entries in all)."""


log = structlog.get_logger(__name__)

__all__ = ["Fault", "Progress", "Report", "verify"]


@dataclass(slots=True)
class Report:
    """What one book's verification found; ``clean`` when there is no fault."""

    book_id: str
    entries: int = 0
    digest: Digest | None = None
    """Of the journal's own fold, at its last Entry."""
    faults: list[Fault] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.faults

    def fault(self, check: str, detail: str) -> None:
        self.faults.append(Fault(check, detail))


@contextmanager
def snapshot(parts: Parts, workspace_id: str) -> Iterator[Connected]:
    """A read-only connection that sees one moment of one workspace."""
    with psycopg.connect(libpq_url(parts.db.url)) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        set_json_loads(orjson.loads, conn)  # a long journal is read in two thirds of the time
        scope(conn, workspace_id)
        yield conn


def scope(conn: Connected, workspace_id: str) -> None:
    """Begin a transaction that sees one workspace."""
    conn.execute("SELECT set_config('ge.workspace_id', %s, true)", (workspace_id,))
    # Whole books are joined here, and a book may have grown tenfold since the planner last looked:
    # a nested loop that seemed cheap would take hours.
    conn.execute("SET LOCAL enable_nestloop = off")


def verify(
    parts: Parts,
    workspace_id: str,
    book_id: str,
    progress: Progress = lambda _done, _all: None,
    *,
    exported: Sequence[heads.Exported] | None = None,
    whole: bool = True,
) -> Report:
    """Check one book while the product goes on working.

    ``exported``: its heads as storage has them, read here when not given. ``whole``: walk the journal from
    its beginning and fold it; otherwise from the last exported head, and the mirror is compared with the
    tables alone, for books so long that the walk would take minutes.
    """
    report = Report(book_id)
    with snapshot(parts, workspace_id) as conn:
        head = journal.heads(conn, [book_id]).get(book_id)
        if head is None:
            report.fault("book", "there is no such book")
            return report
        fold = Fold() if whole else None
        begin = None if whole else heads.newest(conn, book_id)
        sound = _walk(conn, head, begin or (0, journal.GENESIS), fold, report, progress)
        report.faults += faults_of(conn, workspace_id, book_id)
        _heads(parts, conn, workspace_id, exported, report)
        for number, kept, counted in tree.miscounted(conn, book_id):
            report.fault(
                "counts", f"participant {number} keeps {kept} valid invites, its edges say {counted}"
            )
        _pending(conn, book_id, report)
        if not sound:
            return report
        if fold is None:
            _mirror_and_tables(parts, conn, workspace_id, head, report)
            return report
        report.digest = fold.digest()
        _compare("tables", tree.digest(conn, book_id, head.seq), report.digest, report)
    _mirror(parts, workspace_id, fold, report)
    return report


def _walk(
    conn: Connected,
    head: journal.Head,
    begin: tuple[int, bytes],
    fold: Fold | None,
    report: Report,
    progress: Progress,
) -> bool:
    """Read the journal once: chained, and every op possible. False when its end was not reached.

    Gaps and a wrong head are named by the invariants.
    """
    seq, previous = begin
    for entry, hash_ in journal.entries_after(conn, report.book_id, seq):
        if entry.seq != seq + 1:
            return False
        if entry.chained(previous) != hash_:
            report.fault("chain", f"entry {entry.seq} does not match its hash")
            return False
        if fold is not None:
            try:
                fold.apply(entry.seq, entry.ops())
            except (ValueError, IndexError) as error:
                report.fault("ops", f"entry {entry.seq}: {error}")
                return False
        seq, previous = entry.seq, hash_
        report.entries += 1
        if report.entries % 1000 == 0:
            progress(seq, head.seq)
    progress(seq, head.seq)
    return seq == head.seq


def _heads(
    parts: Parts,
    conn: Connected,
    workspace_id: str,
    exported: Sequence[heads.Exported] | None,
    report: Report,
) -> None:
    if exported is None:
        try:
            exported = heads.exported(parts.storage, workspace_id).get(report.book_id, ())
        except GrowthError as error:
            report.fault("heads", f"the documents in storage cannot be read: {error}")
            exported = ()
    report.faults += heads.faults_of(conn, report.book_id, exported)


def _pending(conn: Connected, book_id: str, report: Report) -> None:
    rows = conn.execute(
        "SELECT event_id, error FROM pending_events WHERE book_id = %s AND parked_at IS NOT NULL", (book_id,)
    )
    for event_id, error in rows.fetchall():
        report.fault("parked", f"event {event_id} is accepted but cannot be posted: {error}")


def _mirror_and_tables(
    parts: Parts, conn: Connected, workspace_id: str, head: journal.Head, report: Report
) -> None:
    """Compare the mirror with the tables if it stands where they do: no fold can bring one to the other."""
    try:
        found = parts.mirror.digest(BookKey(workspace_id, report.book_id))
    except GrowthError as error:
        report.fault("mirror", f"{error.code}: {error}")
        return
    if found.last_seq != head.seq:
        log.info("mirror.not_compared", book=report.book_id, mirror=found.last_seq, journal=head.seq)
        return
    report.digest = found
    _compare("mirror", found, tree.digest(conn, report.book_id, head.seq), report)


def _mirror(parts: Parts, workspace_id: str, fold: Fold, report: Report) -> None:
    """Compare with the mirror at the mirror's own place: it may have gone on since the snapshot."""
    book = BookKey(workspace_id, report.book_id)
    try:
        found = parts.mirror.digest(book)
        if found.last_seq < fold.last_seq:
            report.fault("mirror", f"is behind: entry {found.last_seq} of {fold.last_seq}")
            return
    except GrowthError as error:
        report.fault("mirror", f"{error.code}: {error}")
        return
    if found.last_seq > fold.last_seq:
        with snapshot(parts, workspace_id) as conn:
            for entry, _ in journal.entries_after(conn, report.book_id, fold.last_seq):
                if entry.seq > found.last_seq:
                    break
                fold.apply(entry.seq, entry.ops())
    _compare("mirror", found, fold.digest(), report)


def _compare(check: str, found: Digest, wanted: Digest, report: Report) -> None:
    if found == wanted:
        return
    differing = [
        f"{name} is {getattr(found, name)}, the journal says {getattr(wanted, name)}"
        for name in Digest.__slots__
        if getattr(found, name) != getattr(wanted, name)
    ]
    report.fault(check, "; ".join(differing))
