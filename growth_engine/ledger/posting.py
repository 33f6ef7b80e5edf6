"""One batch on its way through its transaction: stored, loaded, decided, written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from growth_engine.kit.errors import GrowthError
from growth_engine.ledger import journal
from growth_engine.ledger.contract import BatchRules, Connected, EntryDraft, Event, Posted, Receipt, Received
from growth_engine.ledger.money import Balances

#: How many decisions the connection may hold back what the database could be working on already.
_NUDGE = 16


class Posting:
    """One batch on its way through the transaction."""

    def __init__(
        self,
        conn: Connected,
        workspace_id: str,
        events: Sequence[Event],
        ids: Sequence[str],
        books: Sequence[str],
        now: datetime,
        balances: Balances,
    ) -> None:
        self._books = books
        self._balances = balances
        self._conn = conn
        self._workspace_id = workspace_id
        self._events = events
        self._now = now
        self._ids = {(event.source, event.key): id_ for event, id_ in zip(events, ids, strict=True)}
        self._resumed: list[str] = []
        self._heads: dict[str, journal.Head] = {}
        self._entries: list[journal.Entry] = []
        self._written = 0
        """How many of the Entries the database has been sent."""
        self._hashes: list[bytes] = []
        self.receipts: dict[tuple[str, str], Receipt | GrowthError] = {}

    def load(self, rules: BatchRules) -> None:
        """Store the Events, load what the rules need, find those that were stored before.

        Questions go out before answers are fetched: the database works on the next while we read the last.
        """
        conn = self._conn
        ids = list(self._ids.values())
        stored = journal.ask_insert_events(conn, self._workspace_id, ids, self._events, self._now)
        asked = journal.ask_heads(conn, self._books)
        rules.load(self._events)
        new = {row[0] for row in stored.fetchall()}
        self._sort_out([event for event in self._events if self._ids[event.source, event.key] not in new])
        self._heads = journal.heads_in(asked)

    def decide(self, events: Sequence[Event], rules: BatchRules) -> None:
        """Decide those that are new or were left pending."""
        for n, event in enumerate(events, 1):
            if (event.source, event.key) not in self.receipts:
                self._add(event, rules.decide(event, self._heads[event.book_id].seq + 1))
            if n % _NUDGE == 0:
                # What did not fit the socket is sent on, else the database would wait for us.
                self._conn.pgconn.flush()

    def _sort_out(self, old: Sequence[Event]) -> None:
        """Events stored before: those posted are answered, those left pending are posted now."""
        for (source, key), found in journal.earlier(self._conn, self._workspace_id, old).items():
            if isinstance(found, GrowthError):
                self.receipts[source, key] = found
            elif isinstance(found.receipt, Received):
                self._ids[source, key] = found.event_id
                self._resumed.append(found.event_id)
            else:
                self.receipts[source, key] = found.receipt

    def _add(self, event: Event, draft: EntryDraft) -> None:
        name = (event.source, event.key)
        entry = self._append(event.book_id, event, draft)
        for book_id, more in draft.elsewhere.items():
            self._append(book_id, event, more)
        self.receipts[name] = Posted(
            entry.event_id,
            entry.book_id,
            entry.seq,
            entry.accepted,
            tuple(draft.reasons),
            draft.result,
            draft.answer,
        )

    def _append(self, book_id: str, event: Event, draft: EntryDraft) -> journal.Entry:
        head = self._heads[book_id]
        event_id = self._ids[event.source, event.key]
        entry = journal.make_entry(event_id, book_id, event, draft, head.seq + 1, self._now)
        head.seq, head.hash = entry.seq, entry.chained(head.hash)
        self._entries.append(entry)
        self._hashes.append(head.hash)
        if draft.legs:
            self._balances.move(book_id, draft.currency, draft.legs)
        return entry

    def write(self) -> None:
        """Send what was decided since the last time."""
        entries, hashes = self._entries[self._written :], self._hashes[self._written :]
        self._written = len(self._entries)
        if entries:
            journal.append(self._conn, self._workspace_id, entries, hashes, self._heads)
            journal.append_legs(self._conn, self._workspace_id, entries)
        if self._resumed:
            journal.drop_pending(self._conn, self._resumed)
            self._resumed = []

    def mirror_entries(self) -> dict[str, list[tuple[int, list[Any]]]]:
        """(seq, ops) by book, for books the mirror holds."""
        books: dict[str, list[tuple[int, list[Any]]]] = {}
        for entry in self._entries:
            books.setdefault(entry.book_id, []).append((entry.seq, entry.ops()))
        return books
