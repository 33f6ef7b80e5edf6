"""The journal in SQL: locking books, storing Events once, appending hashed Entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from growth_engine.ledger.contract import (
    Connected,
    EntryDraft,
    Event,
    PayloadMismatch,
    Posted,
    Reason,
    Receipt,
    Received,
)

#: Hash before the first Entry of a book.
GENESIS = bytes(32)


@dataclass(slots=True)
class Head:
    """Where a book stands."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the journal."""

    book_id: str
    seq: int
    event_id: str
    kind: str
    accepted: bool
    member: int | None
    other: int | None
    rule_version: int
    at: datetime
    body: Mapping[str, Any]

    def canonical(self) -> bytes:
        """The bytes that are hashed: every field, keys sorted, UTC time to the microsecond."""
        return orjson.dumps(
            {
                "book": self.book_id,
                "seq": self.seq,
                "event": self.event_id,
                "kind": self.kind,
                "accepted": self.accepted,
                "member": self.member,
                "other": self.other,
                "rule_version": self.rule_version,
                "at": int(self.at.timestamp() * 1_000_000),
                "body": self.body,
            },
            option=orjson.OPT_SORT_KEYS,
        )

    def chained(self, previous: bytes) -> bytes:
        """SHA-256(previous ‖ canonical entry)."""
        return hashlib.sha256(previous + self.canonical()).digest()


def make_entry(event_id: str, event: Event, draft: EntryDraft, seq: int, at: datetime) -> Entry:
    body: dict[str, Any] = {"source": event.source}
    if draft.reasons:
        body["reasons"] = [reason.as_json() for reason in draft.reasons]
    if draft.ops:
        body["ops"] = draft.ops
    if draft.result:
        body["result"] = draft.result
    return Entry(
        event.book_id, seq, event_id, event.kind, draft.accepted, draft.member, draft.other,
        draft.rule_version, at, body,
    )  # fmt: skip


def begin(conn: Connected, workspace_id: str, book_ids: Sequence[str], lock_timeout_ms: int) -> None:
    """Scope the transaction to the workspace and lock its books, always in the same order."""
    conn.execute(
        "SELECT set_config('ge.workspace_id', %s, true), set_config('lock_timeout', %s, true)",
        (workspace_id, f"{lock_timeout_ms}ms"),
    )
    # The sub-select keeps the order: two batches never wait for each other in a ring.
    conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(id, 0))"
        " FROM (SELECT unnest(%s::text[]) AS id ORDER BY 1) AS books",
        (sorted(book_ids),),
    )


_INSERT_EVENTS = """
INSERT INTO events (id, workspace_id, book_id, source, key, kind, facts, payload_hash, occurred_at, accepted_at)
SELECT e.id, %(workspace_id)s, e.book_id, e.source, e.key, e.kind, e.facts::jsonb, e.payload_hash,
       e.occurred_at, %(now)s
FROM unnest(%(ids)s::text[], %(books)s::text[], %(sources)s::text[], %(keys)s::text[], %(kinds)s::text[],
            %(facts)s::text[], %(hashes)s::bytea[], %(occurred)s::timestamptz[])
     AS e (id, book_id, source, key, kind, facts, payload_hash, occurred_at)
ON CONFLICT (workspace_id, source, key) DO NOTHING
RETURNING id
"""


def insert_events(
    conn: Connected, workspace_id: str, ids: Sequence[str], events: Sequence[Event], now: datetime
) -> set[str]:
    """Store Events not stored before; the ids of those that were new."""
    rows = conn.execute(
        _INSERT_EVENTS,
        {
            "workspace_id": workspace_id,
            "now": now,
            "ids": list(ids),
            "books": [event.book_id for event in events],
            "sources": [event.source for event in events],
            "keys": [event.key for event in events],
            "kinds": [event.kind for event in events],
            "facts": [orjson.dumps(event.facts).decode() for event in events],
            "hashes": [event.payload_hash() for event in events],
            "occurred": [event.occurred_at for event in events],
        },
    ).fetchall()
    return {row[0] for row in rows}


@dataclass(frozen=True, slots=True)
class Earlier:
    """An Event that was stored before: its id, and what became of it."""

    event_id: str
    receipt: Receipt


_EARLIER = """
SELECT asked.source, asked.key, e.id, e.payload_hash, n.book_id, n.seq, n.accepted, n.body, p.parked
FROM unnest(%s::text[], %s::text[]) AS asked (source, key)
CROSS JOIN LATERAL (
  SELECT id, payload_hash FROM events
  WHERE workspace_id = %s AND source = asked.source AND key = asked.key OFFSET 0) AS e
LEFT JOIN LATERAL (
  SELECT book_id, seq, accepted, body FROM entries WHERE event_id = e.id OFFSET 0) AS n ON true
LEFT JOIN LATERAL (
  SELECT parked_at IS NOT NULL AS parked FROM pending_events WHERE event_id = e.id OFFSET 0) AS p ON true
"""


def earlier(
    conn: Connected, workspace_id: str, events: Sequence[Event]
) -> dict[tuple[str, str], Earlier | PayloadMismatch]:
    """What is known of Events stored before, by (source, key)."""
    found: dict[tuple[str, str], Earlier | PayloadMismatch] = {}
    if not events:
        return found
    wanted = {(event.source, event.key): event for event in events}
    rows = conn.execute(
        _EARLIER, ([key[0] for key in wanted], [key[1] for key in wanted], workspace_id)
    ).fetchall()
    for source, key, event_id, payload_hash, book_id, seq, accepted, body, parked in rows:
        if payload_hash != wanted[source, key].payload_hash():
            found[source, key] = PayloadMismatch()
        elif seq is None:
            found[source, key] = Earlier(event_id, Received(event_id, bool(parked)))
        else:
            reasons = tuple(Reason.from_json(reason) for reason in body.get("reasons", ()))
            posted = Posted(event_id, book_id, seq, accepted, reasons, body.get("result", {}), duplicate=True)
            found[source, key] = Earlier(event_id, posted)
    return found


def heads(conn: Connected, book_ids: Sequence[str]) -> dict[str, Head]:
    rows = conn.execute("SELECT id, last_seq, head FROM books WHERE id = ANY(%s)", (list(book_ids),))
    return {row[0]: Head(row[1], row[2]) for row in rows.fetchall()}


_INSERT_ENTRIES = """
INSERT INTO entries (book_id, seq, workspace_id, event_id, kind, accepted, member, other, rule_version, at, body, hash)
SELECT e.book_id, e.seq, %(workspace_id)s, e.event_id, e.kind, e.accepted, e.member, e.other, e.rule_version,
       e.at, e.body::jsonb, e.hash
FROM unnest(%(books)s::text[], %(seqs)s::bigint[], %(events)s::text[], %(kinds)s::text[], %(accepted)s::bool[],
            %(members)s::bigint[], %(others)s::bigint[], %(versions)s::int[], %(ats)s::timestamptz[],
            %(bodies)s::text[], %(hashes)s::bytea[])
     AS e (book_id, seq, event_id, kind, accepted, member, other, rule_version, at, body, hash)
"""


def append(
    conn: Connected,
    workspace_id: str,
    entries: Sequence[Entry],
    hashes: Sequence[bytes],
    heads_: Mapping[str, Head],
) -> None:
    """Append Entries and move the heads of their books."""
    conn.execute(
        _INSERT_ENTRIES,
        {
            "workspace_id": workspace_id,
            "books": [entry.book_id for entry in entries],
            "seqs": [entry.seq for entry in entries],
            "events": [entry.event_id for entry in entries],
            "kinds": [entry.kind for entry in entries],
            "accepted": [entry.accepted for entry in entries],
            "members": [entry.member for entry in entries],
            "others": [entry.other for entry in entries],
            "versions": [entry.rule_version for entry in entries],
            "ats": [entry.at for entry in entries],
            "bodies": [orjson.dumps(entry.body).decode() for entry in entries],
            "hashes": list(hashes),
        },
    )
    touched = sorted({entry.book_id for entry in entries})
    conn.execute(
        "UPDATE books SET last_seq = h.seq, head = h.head"
        " FROM unnest(%s::text[], %s::bigint[], %s::bytea[]) AS h (id, seq, head) WHERE books.id = h.id",
        (touched, [heads_[book].seq for book in touched], [heads_[book].hash for book in touched]),
    )


def keep_pending(conn: Connected, event_id: str, event: Event, due: datetime, error: str | None) -> None:
    """Remember that a stored Event waits to be posted, with the person's data it needs for that."""
    conn.execute(
        "INSERT INTO pending_events (event_id, workspace_id, book_id, payload, next_at, error)"
        " VALUES (%s, %s, %s, %s::jsonb, %s, %s) ON CONFLICT (event_id) DO NOTHING",
        (event_id, event.workspace_id, event.book_id, event.payload().decode(), due, error),
    )


def drop_pending(conn: Connected, event_ids: Sequence[str]) -> None:
    conn.execute("DELETE FROM pending_events WHERE event_id = ANY(%s)", (list(event_ids),))


_SELECT_ENTRIES = """
SELECT seq, event_id, kind, accepted, member, other, rule_version, at, body, hash
FROM entries WHERE book_id = %s AND seq > %s ORDER BY seq
"""


def entries_after(
    conn: Connected, book_id: str, seq: int, *, page: int = 5000
) -> Iterator[tuple[Entry, bytes]]:
    """Entries of a book with their hashes, in order, streamed."""
    while True:
        rows = conn.execute(_SELECT_ENTRIES + " LIMIT %s", (book_id, seq, page)).fetchall()  # type: ignore[arg-type]
        for row in rows:
            yield Entry(book_id, *row[:9]), row[9]
        if len(rows) < page:
            return
        seq = rows[-1][0]
