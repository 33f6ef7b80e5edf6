"""The journal in SQL: locking books, storing Events once, appending hashed Entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from psycopg import Cursor
from psycopg.rows import TupleRow

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
from growth_engine.ledger.money import check_balance

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

    def ops(self) -> list[list[Any]]:
        """Changes for the mirror: those the rules asked for, then the accounts the legs move."""
        currency = self.body.get("currency", "")
        moved = [["a", leg[0], leg[1], currency, leg[2]] for leg in self.body.get("legs", ())]
        return [*self.body.get("ops", ()), *moved]

    def chained(self, previous: bytes) -> bytes:
        """SHA-256(previous ‖ canonical entry)."""
        return hashlib.sha256(previous + self.canonical()).digest()


def make_entry(event_id: str, book_id: str, event: Event, draft: EntryDraft, seq: int, at: datetime) -> Entry:
    body: dict[str, Any] = {"source": event.source}
    if draft.reasons:
        body["reasons"] = [reason.as_json() for reason in draft.reasons]
    if draft.ops:
        body["ops"] = draft.ops
    if draft.result:
        body["result"] = draft.result
    if draft.legs:
        check_balance(draft.legs)
        body["currency"] = draft.currency
        body["legs"] = [leg.as_json() for leg in draft.legs]
    return Entry(
        book_id, seq, event_id, event.kind, draft.accepted, draft.member, draft.other,
        draft.rule_version, at, body,
    )  # fmt: skip


def begin(conn: Connected, workspace_id: str, book_ids: Sequence[str], lock_timeout_ms: int) -> None:
    """Scope the transaction to the workspace and lock its books, always in the same order."""
    # The sub-select keeps the order: two batches never wait for each other in a ring. The settings stand
    # first in the list and so hold for the locks already.
    conn.execute(
        "SELECT set_config('ge.workspace_id', %s, true), set_config('lock_timeout', %s, true),"
        " (SELECT count(pg_advisory_xact_lock(hashtextextended(id, 0)))"
        "  FROM (SELECT unnest(%s::text[]) AS id ORDER BY 1) AS books)",
        (workspace_id, f"{lock_timeout_ms}ms", sorted(book_ids)),
    )


_INSERT_EVENTS = """
INSERT INTO events (id, workspace_id, book_id, source, key, kind, facts, payload_hash, occurred_at,
  accepted_at)
SELECT e.id, w.id, e.book, e.source, e.key, e.kind, e.facts, sha256((w.salt || e.hash)::bytea),
  e.occurred_at, %s
FROM (SELECT id, salt FROM workspaces WHERE id = %s) AS w, json_to_recordset(%s::json)
  AS e (id text, book text, source text, key text, kind text, facts jsonb, hash text, occurred_at timestamptz)
ON CONFLICT (workspace_id, source, key) DO NOTHING
RETURNING id
"""


def ask_insert_events(
    conn: Connected, workspace_id: str, ids: Sequence[str], events: Sequence[Event], now: datetime
) -> Cursor[TupleRow]:
    """Send Events to be stored, without waiting (in a pipeline); the ids of those that were new come back."""
    rows = [
        {
            "id": event_id,
            "book": event.book_id,
            "source": event.source,
            "key": event.key,
            "kind": event.kind,
            "facts": event.facts,
            "hash": event.payload_hash().hex(),
            "occurred_at": event.occurred_at,
        }
        for event_id, event in zip(ids, events, strict=True)
    ]
    return conn.execute(_INSERT_EVENTS, (now, workspace_id, orjson.dumps(rows).decode()))


def insert_event(conn: Connected, event_id: str, event: Event, now: datetime) -> bool:
    """Store one Event; False when it was stored before."""
    return bool(ask_insert_events(conn, event.workspace_id, [event_id], [event], now).fetchall())


@dataclass(frozen=True, slots=True)
class Earlier:
    """An Event that was stored before: its id, and what became of it."""

    event_id: str
    receipt: Receipt


_EARLIER = """
SELECT asked.source, asked.key, e.id,
       e.payload_hash = sha256((w.salt || asked.hash)::bytea)
         OR (asked.nameless AND coalesce(p.nameless, false)),
       n.book_id, n.seq, n.accepted, n.body, p.parked
FROM (SELECT id, salt FROM workspaces WHERE id = %s) AS w
CROSS JOIN json_to_recordset(%s::json) AS asked (source text, key text, hash text, nameless boolean)
CROSS JOIN LATERAL (
  SELECT id, book_id, payload_hash FROM events
  WHERE workspace_id = w.id AND source = asked.source AND key = asked.key OFFSET 0) AS e
LEFT JOIN LATERAL (
  SELECT book_id, seq, accepted, body FROM entries
  WHERE event_id = e.id AND book_id = e.book_id OFFSET 0) AS n ON true
LEFT JOIN LATERAL (
  SELECT parked_at IS NOT NULL AS parked, NOT payload ? 'person' AS nameless
  FROM pending_events WHERE event_id = e.id OFFSET 0) AS p ON true
"""


def earlier(
    conn: Connected, workspace_id: str, events: Sequence[Event]
) -> dict[tuple[str, str], Earlier | PayloadMismatch]:
    """What is known of Events stored before, by (source, key).

    One whose person was erased while it waited comes back without the person, and is the same all the same.
    """
    found: dict[tuple[str, str], Earlier | PayloadMismatch] = {}
    if not events:
        return found
    asked = [
        {
            "source": event.source,
            "key": event.key,
            "hash": event.payload_hash().hex(),
            "nameless": event.person is None,
        }
        for event in events
    ]
    rows = conn.execute(_EARLIER, (workspace_id, orjson.dumps(asked).decode())).fetchall()
    for source, key, event_id, same, book_id, seq, accepted, body, parked in rows:
        if not same:
            found[source, key] = PayloadMismatch()
        elif seq is None:
            found[source, key] = Earlier(event_id, Received(event_id, bool(parked)))
        else:
            reasons = tuple(Reason.from_json(reason) for reason in body.get("reasons", ()))
            posted = Posted(event_id, book_id, seq, accepted, reasons, body.get("result", {}), duplicate=True)
            found[source, key] = Earlier(event_id, posted)
    return found


def ask_heads(conn: Connected, book_ids: Sequence[str]) -> Cursor[TupleRow]:
    """Send the question of ``heads`` without waiting (in a pipeline)."""
    return conn.execute("SELECT id, last_seq, head FROM books WHERE id = ANY(%s)", (list(book_ids),))


def heads_in(cursor: Cursor[TupleRow]) -> dict[str, Head]:
    return {row[0]: Head(row[1], row[2]) for row in cursor.fetchall()}


def heads(conn: Connected, book_ids: Sequence[str]) -> dict[str, Head]:
    """Where books stand; those that do not exist are left out."""
    return heads_in(ask_heads(conn, book_ids))


_INSERT_ENTRIES = """
WITH moved AS (
  UPDATE books SET last_seq = h.seq, head = decode(h.head, 'hex')
  FROM json_to_recordset(%(heads)s::json) AS h (id text, seq bigint, head text)
  WHERE books.id = h.id
)
INSERT INTO entries (book_id, seq, workspace_id, event_id, kind, accepted, member, other, rule_version, at,
  body, hash)
SELECT e.book, e.seq, %(workspace_id)s, e.event, e.kind, e.accepted, e.member, e.other, e.rule, e.at, e.body,
       decode(e.hash, 'hex')
FROM json_to_recordset(%(entries)s::json)
  AS e (book text, seq bigint, event text, kind text, accepted boolean, member bigint, other bigint, rule int,
        at timestamptz, body jsonb, hash text)
"""


def append(
    conn: Connected,
    workspace_id: str,
    entries: Sequence[Entry],
    hashes: Sequence[bytes],
    heads_: Mapping[str, Head],
) -> None:
    """Append Entries and move the heads of their books."""
    rows = [
        {
            "book": entry.book_id,
            "seq": entry.seq,
            "event": entry.event_id,
            "kind": entry.kind,
            "accepted": entry.accepted,
            "member": entry.member,
            "other": entry.other,
            "rule": entry.rule_version,
            "at": entry.at,
            "body": entry.body,
            "hash": hash_.hex(),
        }
        for entry, hash_ in zip(entries, hashes, strict=True)
    ]
    touched = sorted({entry.book_id for entry in entries})
    moved = [{"id": book, "seq": heads_[book].seq, "head": heads_[book].hash.hex()} for book in touched]
    conn.execute(
        _INSERT_ENTRIES,
        {
            "workspace_id": workspace_id,
            "heads": orjson.dumps(moved).decode(),
            "entries": orjson.dumps(rows).decode(),
        },
    )


_INSERT_LEGS = """
WITH legs_ AS (
  INSERT INTO legs (book_id, seq, line, workspace_id, account, owner, currency, amount, ref)
  SELECT l.book, l.seq, l.line, %(workspace_id)s, l.account, l.owner, l.currency, l.amount, l.ref
  FROM unnest(%(books)s::text[], %(seqs)s::bigint[], %(lines)s::int[], %(accounts)s::text[],
              %(owners)s::text[], %(currencies)s::text[], %(amounts)s::bigint[], %(refs)s::text[])
    AS l (book, seq, line, account, owner, currency, amount, ref)
), moved AS MATERIALIZED (
  SELECT a.*, kept.ctid AS place
  FROM json_to_recordset(%(moved)s::json)
    AS a (book text, account text, owner text, currency text, credited bigint, debited bigint, seq bigint)
  LEFT JOIN LATERAL (
    SELECT ctid FROM accounts WHERE book_id = a.book AND account = a.account AND owner = a.owner
      AND currency = a.currency OFFSET 0) AS kept ON true
), kept_ AS (
  UPDATE accounts SET
    balance = accounts.balance + moved.credited - moved.debited,
    credited = accounts.credited + moved.credited, debited = accounts.debited + moved.debited,
    last_seq = moved.seq
  FROM moved WHERE accounts.ctid = moved.place
)
INSERT INTO accounts (workspace_id, book_id, account, owner, currency, balance, credited, debited, last_seq)
SELECT %(workspace_id)s, a.book, a.account, a.owner, a.currency, a.credited - a.debited, a.credited,
       a.debited, a.seq
FROM moved AS a WHERE a.place IS NULL
"""


def append_legs(conn: Connected, workspace_id: str, entries: Sequence[Entry]) -> None:
    """Write the legs of Entries and move the accounts they name."""
    legs: list[tuple[str, int, int, str, str, str, int, str]] = []
    moved: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for entry in entries:
        currency = entry.body.get("currency", "")
        for line, (account, owner, amount, ref) in enumerate(entry.body.get("legs", ()), 1):
            legs.append((entry.book_id, entry.seq, line, account, owner, currency, amount, ref))
            name = (entry.book_id, account, owner, currency)
            sums = moved.get(name)
            if sums is None:
                sums = moved[name] = {
                    **dict(zip(("book", "account", "owner", "currency"), name, strict=True)),
                    "credited": 0,
                    "debited": 0,
                }
            sums["credited" if amount > 0 else "debited"] += abs(amount)
            sums["seq"] = entry.seq
    if not legs:
        return
    books, seqs, lines, accounts, owners, currencies, amounts, refs = zip(*legs, strict=True)
    conn.execute(
        _INSERT_LEGS,
        {
            "workspace_id": workspace_id,
            "books": _texts(books),
            "seqs": _numbers(seqs),
            "lines": _numbers(lines),
            "accounts": _texts(accounts),
            "owners": _texts(owners),
            "currencies": _texts(currencies),
            "amounts": _numbers(amounts),
            "refs": _texts(refs),
            "moved": orjson.dumps(list(moved.values())).decode(),
        },
    )


def as_json(tables: Mapping[str, Sequence[Any]]) -> dict[str, str | None]:
    """Rows by name as parameters for ``json_to_recordset``; ``None`` for none."""
    return {name: orjson.dumps(rows).decode() if rows else None for name, rows in tables.items()}


def _numbers(values: Sequence[int]) -> str:
    """A PostgreSQL array as text: joined here it costs a tenth of what psycopg takes to write it."""
    return "{" + ",".join(map(str, values)) + "}"


def _texts(values: Sequence[str]) -> str:
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        # Ids and names of accounts hold neither; whatever else comes by is written with care.
        joined = '","'.join(value.replace("\\", r"\\").replace('"', r"\"") for value in values)
    return '{"' + joined + '"}'


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
        rows = conn.execute(_SELECT_ENTRIES + " LIMIT %s", (book_id, seq, page)).fetchall()
        for row in rows:
            yield Entry(book_id, *row[:9]), row[9]
        if len(rows) < page:
            return
        seq = rows[-1][0]
