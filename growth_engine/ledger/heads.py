"""Heads of the books, exported every day to a table and to storage, so that a rewritten history shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import orjson
import structlog
from sqlalchemy import text

from growth_engine.channels.storage import Storage
from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_
from growth_engine.ledger import queries
from growth_engine.ledger.contract import Connected
from growth_engine.ledger.invariants import SHOWN, Fault

log = structlog.get_logger(__name__)

#: Days whose document is written again if storage could not be reached then.
CATCH_UP = timedelta(days=7)

_EXPORT = text(
    "INSERT INTO book_heads (workspace_id, book_id, day, seq, head, at)"
    " SELECT b.workspace_id, b.id, :day, b.last_seq, b.head, :now FROM books b"
    " WHERE b.workspace_id = :workspace_id AND b.last_seq > coalesce("
    "   (SELECT h.seq FROM book_heads h WHERE h.book_id = b.id ORDER BY h.day DESC LIMIT 1), 0)"
    " AND NOT EXISTS (SELECT FROM book_heads WHERE workspace_id = :workspace_id AND day = :day)"
    " ON CONFLICT DO NOTHING"
)


class HeadsUnreadable(GrowthError):
    code = "heads_unreadable"
    status = 500
    message = N_("The document %(name)s in storage is not what was exported. Restore it from a copy.")


@dataclass(frozen=True, slots=True)
class Exported:
    """Where a book stood on a day, as a document in storage says."""

    day: str
    seq: int
    head: bytes


def export(parts: Parts, workspace_id: str) -> int:
    """Write down, once a day (UTC), where every book stands that has moved; how many documents were made.

    Rows first: a document is made from the day's rows, so one that could not be stored is made later.
    """
    with parts.open(workspace_id) as ctx:
        now = ctx.now()
        ctx.session.execute(_EXPORT, {"workspace_id": workspace_id, "day": now.date(), "now": now})
        days = queries.heads_since(ctx, now.date() - CATCH_UP)
    made = 0
    for day, heads in days.items():
        name = document_name(workspace_id, day)
        if parts.storage.has_document(name):
            continue
        books = [
            {"book": one.book_id, "seq": one.seq, "head": one.head.hex(), "at": one.at.isoformat()}
            for one in heads
        ]
        document = {"workspace": workspace_id, "day": day.isoformat(), "books": books}
        parts.storage.put_document(name, orjson.dumps(document, option=orjson.OPT_INDENT_2))
        log.info("heads exported", workspace=workspace_id, day=day.isoformat(), books=len(books))
        made += 1
    return made


def document_name(workspace_id: str, day: date) -> str:
    return f"heads/{workspace_id}/{day.isoformat()}.json"


def exported(storage: Storage, workspace_id: str, newest: int | None = None) -> Mapping[str, list[Exported]]:
    """What the documents in storage say, by book, newest day first; ``newest``: days, all when not given.

    Raises ``HeadsUnreadable`` for a document that is none of ours, and what storage raises.
    """
    names = sorted(storage.documents(f"heads/{workspace_id}"), reverse=True)
    found: dict[str, list[Exported]] = {}
    for name in names[:newest]:
        try:
            document = orjson.loads(storage.document(name))
            for one in document["books"]:
                stood = Exported(document["day"], one["seq"], bytes.fromhex(one["head"]))
                found.setdefault(one["book"], []).append(stood)
        except (ValueError, KeyError, TypeError) as error:
            raise HeadsUnreadable(params={"name": name}) from error
    return found


_ROWS = """
SELECT format('on %%s entry %%s had another hash', h.day, h.seq)
FROM book_heads h LEFT JOIN entries e ON e.book_id = h.book_id AND e.seq = h.seq
WHERE h.book_id = %s AND e.hash IS DISTINCT FROM h.head ORDER BY h.day LIMIT %s
"""


def faults_of(conn: Connected, book_id: str, documents: Sequence[Exported]) -> Iterator[Fault]:
    """Days on which the book was exported with another hash than its journal has now."""
    rows = conn.execute(_ROWS, (book_id, SHOWN)).fetchall()
    if rows:
        yield Fault("heads", "the table: " + "; ".join(what for (what,) in rows))
    seqs = [one.seq for one in documents]
    query = "SELECT seq, hash FROM entries WHERE book_id = %s AND seq = ANY(%s)"
    hashes: dict[int, bytes] = dict(conn.execute(query, (book_id, seqs)).fetchall())
    wrong = [one for one in documents if hashes.get(one.seq) != one.head]
    if wrong:
        shown = "; ".join(f"on {one.day} entry {one.seq} had another hash" for one in wrong[:SHOWN])
        yield Fault("heads", f"the documents in storage: {shown}")


def newest(conn: Connected, book_id: str) -> tuple[int, bytes] | None:
    """Entry and hash of the latest export of a book."""
    query = "SELECT seq, head FROM book_heads WHERE book_id = %s ORDER BY day DESC LIMIT 1"
    row = conn.execute(query, (book_id,)).fetchone()
    return (row[0], row[1]) if row else None
