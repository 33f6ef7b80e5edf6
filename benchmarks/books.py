"""Trial balance, invariants and verification of a million legs: `python benchmarks/books.py [legs]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import _house as house
import orjson
import psycopg
from mirror import journal
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.ledger import queries
from growth_engine.ledger.contract import Connected, EntryDraft, Event
from growth_engine.ledger.invariants import INVARIANTS, Fault, faults_of
from growth_engine.ledger.journal import GENESIS, make_entry
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.money import Leg, wallet_book
from growth_engine.ledger.service import catch_up
from growth_engine.ledger.verify import snapshot, verify
from growth_engine.settings import Settings

T = TypeVar("T")
MEMBERS = 20_000
PRICE, LEVEL1, LEVEL2, FEE = 5900, 1180, 295, 59
TOGETHER = 500
"""Shares that mature in one Entry."""

_COLUMNS = {
    "events": "id, workspace_id, book_id, source, key, kind, facts, payload_hash, occurred_at, accepted_at",
    "entries": "book_id, seq, workspace_id, event_id, kind, accepted, member, other, rule_version, at,"
    " body, hash",
    "legs": "book_id, seq, line, workspace_id, account, owner, currency, amount, ref",
    "orders": "id, workspace_id, campaign_id, contact_id, buyer, promoter, currency, total, paid, state,"
    " fee_bp, fee, rule_version, seq, source, placed_at",
    "payments": "id, workspace_id, order_id, provider, external_id, amount, seq, at",
    "commissions": "id, workspace_id, campaign_id, order_id, level, member, contact_id, currency,"
    " rule_version, terms, target, pending, matured, state, seq, created_at, updated_at",
}


class Books:
    """Two books full of money by COPY: orders of six legs each, every fifth share of level 1 matured."""

    def __init__(self, conn: psycopg.Connection[Any], workspace_id: str, campaign_id: str) -> None:
        self._conn = conn
        self._workspace, self._campaign = workspace_id, campaign_id
        self._wallet = wallet_book(workspace_id)
        self._at = datetime(2026, 7, 1, tzinfo=UTC)
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}
        conn.execute(
            "INSERT INTO books (id, workspace_id, kind, last_seq, head, members, created_at)"
            " VALUES (%s, %s, 'wallet', 0, %s, 0, now()) ON CONFLICT DO NOTHING",
            (self._wallet, workspace_id, GENESIS),
        )
        heads = conn.execute("SELECT id, last_seq, head FROM books").fetchall()
        self._heads = {row[0]: [row[1], row[2]] for row in heads}
        rows = conn.execute(
            "SELECT number, inviter_number, contact_id FROM participants WHERE campaign_id = %s",
            (campaign_id,),
        )
        self._people = {number: (inviter, contact) for number, inviter, contact in rows}
        self._due: list[tuple[str, int, int]] = []
        self.orders = self.legs = 0

    def run(self, legs: int) -> None:
        buyers = self._buyers()
        while self.legs < legs:
            self._order(*next(buyers))
            if len(self._due) == TOGETHER:
                self._mature()
            if self.orders % 5000 == 0:
                self._flush()
        self._flush()
        self._finish()

    def _buyers(self) -> Iterator[tuple[int, int, int]]:
        """(buyer, inviter, inviter's inviter), again and again, of those who have both."""
        while True:
            for number, (inviter, _) in self._people.items():
                if inviter and self._people[inviter][0]:
                    yield number, inviter, self._people[inviter][0]

    def _order(self, buyer: int, first: int, second: int) -> None:
        self.orders += 1
        order = f"ord_{self.orders:026d}"
        shares = [
            (1, first, LEVEL1, f"com_{self.orders:025d}1"),
            (2, second, LEVEL2, f"com_{self.orders:025d}2"),
        ]
        legs: list[Leg] = []
        ops: list[list[Any]] = [["f", "paid", 1], ["v", buyer, PRICE]]
        for _, member, amount, share in shares:
            legs += [Leg("expense", "", -amount, share), Leg("pending", str(member), amount, share)]
            ops.append(["e", member, amount])
        legs += [Leg("fee", "", -FEE, order), Leg("platform", "", FEE, order)]
        seq = self._entry(self._campaign, "payment", f"p{self.orders}", legs, ops)
        ws, at = self._workspace, self._at
        contact = self._people[buyer][1]
        self._rows["orders"].append((order, ws, self._campaign, contact, buyer, first, "CNY", PRICE, PRICE,
                                     "paid", 100, FEE, 1, seq, "bench", at))  # fmt: skip
        self._rows["payments"].append((f"pym_{self.orders:026d}", ws, order, "manual", order, PRICE, seq, at))
        for level, member, amount, share in shares:
            done = level == 1 and self.orders % 5 == 0
            if done:
                self._due.append((share, member, amount))
            self._rows["commissions"].append((
                share, ws, self._campaign, order, level, member, self._people[member][1], "CNY", 1, "{}",
                amount, 0 if done else amount, amount if done else 0, "matured" if done else "pending",
                seq, at, at,
            ))  # fmt: skip

    def _mature(self) -> None:
        total = sum(amount for _, _, amount in self._due)
        out = [Leg("pending", str(member), -amount, share) for share, member, amount in self._due]
        come = [
            Leg("available", self._people[member][1], amount, share) for share, member, amount in self._due
        ]
        name = f"m{self.orders}"
        self._entry(self._campaign, "mature", name, [*out, Leg("wallet", "", total)], [])
        self._entry(self._wallet, "mature", name, [*come, Leg("campaign", self._campaign, -total)], [])
        self._due = []

    def _entry(self, book: str, kind: str, key: str, legs: list[Leg], ops: list[list[Any]]) -> int:
        head = self._heads[book]
        event_id = f"lev_{key}"
        event = Event(self._workspace, self._campaign, kind, "bench", key, self._at, {})
        self._at += timedelta(seconds=1)
        entry = make_entry(event_id, book, event, EntryDraft(True, 1, ops=ops, currency="CNY", legs=legs),
                           head[0] + 1, self._at)  # fmt: skip
        head[0], head[1] = entry.seq, entry.chained(head[1])
        body = orjson.dumps(entry.body).decode()
        if book == self._campaign:
            self._rows["events"].append((event_id, self._workspace, book, "bench", key, kind, "{}", b"",
                                         self._at, self._at))  # fmt: skip
        self._rows["entries"].append((book, entry.seq, self._workspace, event_id, kind, True, None, None, 1,
                                      self._at, body, head[1]))  # fmt: skip
        self._rows["legs"] += [
            (book, entry.seq, line, self._workspace, leg.account, leg.owner, "CNY", leg.amount, leg.ref)
            for line, leg in enumerate(legs, 1)
        ]
        self.legs += len(legs)
        return entry.seq

    def _flush(self) -> None:
        for table, columns in _COLUMNS.items():
            with self._conn.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in self._rows[table]:
                    copy.write_row(row)
            self._rows[table] = []

    def _finish(self) -> None:
        if self._due:  # whose time has not come after all
            self._conn.execute(
                "UPDATE commissions SET pending = target, matured = 0, state = 'pending' WHERE id = ANY(%s)",
                ([share for share, _, _ in self._due],),
            )
        for book, (seq, head) in self._heads.items():
            self._conn.execute("UPDATE books SET last_seq = %s, head = %s WHERE id = %s", (seq, head, book))
        self._conn.execute(_ACCOUNTS)
        self._conn.execute(_PROMOTERS)


_ACCOUNTS = """
INSERT INTO accounts (workspace_id, book_id, account, owner, currency, balance, credited, debited, last_seq)
SELECT workspace_id, book_id, account, owner, currency, sum(amount),
  coalesce(sum(amount) FILTER (WHERE amount > 0), 0), coalesce(-sum(amount) FILTER (WHERE amount < 0), 0),
  max(seq)
FROM legs GROUP BY 1, 2, 3, 4, 5
"""
_PROMOTERS = """
INSERT INTO promoters (workspace_id, campaign_id, number, contact_id, state, earned, sales, spent)
SELECT workspace_id, campaign_id, number, '', 'none', sum(earned), sum(sales), sum(spent) FROM (
  SELECT workspace_id, campaign_id, member AS number, target AS earned, 0 AS sales, 0 AS spent
  FROM commissions
  UNION ALL SELECT workspace_id, campaign_id, promoter, 0, paid, 0 FROM orders
  UNION ALL SELECT workspace_id, campaign_id, buyer, 0, 0, paid FROM orders) AS one
GROUP BY 1, 2, 3
"""


def timed(what: str, work: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = work()
    print(f"  {what:<52} {time.perf_counter() - began:7.2f} s", flush=True)
    return result


def write(settings: Settings, workspace_id: str, campaign_id: str, legs: int) -> Books:
    with psycopg.connect(settings.migration_database_url) as conn:
        conn.execute("ALTER TABLE legs DISABLE TRIGGER USER")
        books = Books(conn, workspace_id, campaign_id)
        books.run(legs)
        conn.execute("ALTER TABLE legs ENABLE TRIGGER USER")
        conn.commit()
        conn.autocommit = True
        conn.execute("VACUUM ANALYZE")
    return books


def main() -> None:
    legs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with house.servers() as settings, house.parts_of(settings) as parts:
        workspace_id, campaign_id, _ = house.live_campaign(parts)
        house.fill(settings, workspace_id, campaign_id, MEMBERS, journal)
        books = timed(f"COPY of {legs:,} legs", lambda: write(settings, workspace_id, campaign_id, legs))
        print(f"  {books.orders:,} orders, {books.legs:,} legs")
        with parts.open(workspace_id) as ctx:
            timed(
                "bare: SELECT sum(amount) FROM legs",
                lambda: ctx.session.scalar(text("SELECT sum(amount) FROM legs")),
            )
            counted = timed("trial balance, from every leg", lambda: queries.recounted_balance(ctx))
            kept = timed("trial balance, from the accounts", lambda: queries.trial_balance(ctx))
            page = partial(queries.account_statement, ctx, campaign_id, "expense")
            timed("first page of the statement of expense", page)
        print(f"  the two agree: {counted == kept}")
        for book in (campaign_id, wallet_book(workspace_id)):
            invariants(parts, workspace_id, book)
            timed(f"fold into the mirror, {book[:3]}", partial(catch_up, parts, workspace_id, book))
            key = BookKey(workspace_id, book)
            timed(f"digest of the mirror, {book[:3]}", partial(parts.mirror.digest, key))
            report = timed(f"ledger verify, {book[:3]}", partial(verify, parts, workspace_id, book))
            print(f"  {report.entries:,} entries; faults: {report.faults or 'none'}")


def invariants(parts: Parts, workspace_id: str, book: str) -> None:
    """Each by itself, then the cheap ones and all together."""
    wallet = wallet_book(workspace_id)
    kind = "wallet" if book == wallet else "campaign"
    names = {"workspace": workspace_id, "book": book, "wallet": wallet, "set_aside": []}
    with snapshot(parts, workspace_id) as conn:
        for one in INVARIANTS:
            if one.books in (kind, "every"):
                query = partial(conn.execute, one.sql.encode(), names)
                rows = timed(f"{kind}: {one.name}{' (cheap)' if one.cheap else ''}", query).fetchall()
                assert not rows, rows[:3]
        for cheap in (True, False):
            faults = partial(_faults, conn, workspace_id, book, cheap)
            timed(f"{kind}: {'all the cheap ones' if cheap else 'all'}", faults)


def _faults(conn: Connected, workspace_id: str, book: str, cheap: bool) -> list[Fault]:
    return list(faults_of(conn, workspace_id, book, cheap=cheap))


if __name__ == "__main__":
    main()
