"""Selects over the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, aliased

from growth_engine.context import Ctx
from growth_engine.ledger.models import (
    Account,
    Alert,
    Book,
    BookHead,
    JournalEntry,
    LegRow,
    PendingEvent,
    StoredEvent,
)


def books(ctx: Ctx) -> Sequence[Book]:
    return ctx.session.scalars(select(Book).order_by(Book.id)).all()


def book(ctx: Ctx, book_id: str) -> Book | None:
    return ctx.session.get(Book, book_id)


def entries_page(
    ctx: Ctx,
    book_id: str,
    *,
    before: int | None = None,
    limit: int = 50,
    accepted: bool | None = None,
    kinds: Sequence[str] = (),
    member: int | None = None,
) -> Sequence[JournalEntry]:
    """Entries, newest first; ``member`` takes those a participant is on either side of."""
    query = select(JournalEntry).where(JournalEntry.book_id == book_id)
    if before is not None:
        query = query.where(JournalEntry.seq < before)
    if accepted is not None:
        query = query.where(JournalEntry.accepted == accepted)
    if kinds:
        query = query.where(JournalEntry.kind.in_(kinds))
    if member is not None:
        query = query.where(or_(JournalEntry.member == member, JournalEntry.other == member))
    return ctx.session.scalars(query.order_by(JournalEntry.seq.desc()).limit(limit)).all()


def due_events(ctx: Ctx, limit: int) -> Sequence[tuple[PendingEvent, StoredEvent]]:
    """Pending Events whose time has come, oldest first."""
    query = (
        select(PendingEvent, StoredEvent)
        .join(StoredEvent, StoredEvent.id == PendingEvent.event_id)
        .where(PendingEvent.parked_at.is_(None), PendingEvent.next_at <= ctx.now())
        .order_by(PendingEvent.event_id)
        .limit(limit)
    )
    return [(pending, stored) for pending, stored in ctx.session.execute(query).all()]


def parked_events(ctx: Ctx) -> Sequence[tuple[PendingEvent, StoredEvent]]:
    query = (
        select(PendingEvent, StoredEvent)
        .join(StoredEvent, StoredEvent.id == PendingEvent.event_id)
        .where(PendingEvent.parked_at.is_not(None))
        .order_by(PendingEvent.event_id)
    )
    return [(pending, stored) for pending, stored in ctx.session.execute(query).all()]


@dataclass(frozen=True, slots=True)
class Told:
    """What was told under a name: its facts, and the decision; ``None`` while there is none."""

    facts: Mapping[str, Any]
    accepted: bool | None


def decision_named(ctx: Ctx, source: str, key: str) -> Told | None:
    """What was told under this name; ``None``: nothing."""
    query = (
        select(StoredEvent.facts, JournalEntry.accepted)
        .outerjoin(
            JournalEntry,
            and_(JournalEntry.event_id == StoredEvent.id, JournalEntry.book_id == StoredEvent.book_id),
        )
        .where(
            StoredEvent.workspace_id == ctx.workspace_id, StoredEvent.source == source, StoredEvent.key == key
        )
    )
    found = ctx.session.execute(query).first()
    return Told(*found) if found else None


def events_named(ctx: Ctx, source: str, keys: Sequence[str]) -> int:
    """How many of these names were used."""
    query = select(func.count()).where(
        StoredEvent.workspace_id == ctx.workspace_id,
        StoredEvent.source == source,
        StoredEvent.key.in_(keys),
    )
    return ctx.session.scalar(query) or 0


def pending_count(ctx: Ctx) -> int:
    return ctx.session.scalar(select(func.count()).select_from(PendingEvent)) or 0


def event_is_known(ctx: Ctx, source: str, key: str) -> bool:
    """Whether an Event of this name was accepted, posted or not."""
    query = select(StoredEvent.id).where(
        StoredEvent.workspace_id == ctx.workspace_id, StoredEvent.source == source, StoredEvent.key == key
    )
    return ctx.session.scalar(query) is not None


# -- money -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """One line of a trial balance; amounts in minor units."""

    book_id: str
    account: str
    currency: str
    owners: int
    credited: int
    debited: int
    balance: int


def trial_balance(ctx: Ctx, book_id: str | None = None) -> Sequence[BalanceLine]:
    """The accounts of one book or of all, summed over owners; a book's lines of a currency sum to 0."""
    return _balance_lines(
        ctx,
        select(
            Account.book_id, Account.account, Account.currency, func.count(),
            func.sum(Account.credited), func.sum(Account.debited), func.sum(Account.balance),
        )
        .where(Account.workspace_id == ctx.workspace_id, *_of_book(Account.book_id, book_id))
        .group_by(Account.book_id, Account.account, Account.currency)
        .order_by(Account.book_id, Account.account, Account.currency),
    )  # fmt: skip


def recounted_balance(ctx: Ctx, book_id: str | None = None) -> Sequence[BalanceLine]:
    """The same from the legs alone: reads every leg."""
    credit = func.sum(case((LegRow.amount > 0, LegRow.amount), else_=0))
    debit = func.sum(case((LegRow.amount < 0, -LegRow.amount), else_=0))
    by_owner = (
        select(
            LegRow.book_id, LegRow.account, LegRow.currency, LegRow.owner,
            credit.label("credited"), debit.label("debited"),
        )
        .where(LegRow.workspace_id == ctx.workspace_id, *_of_book(LegRow.book_id, book_id))
        .group_by(LegRow.book_id, LegRow.account, LegRow.currency, LegRow.owner)
        .subquery()
    )  # fmt: skip
    places = (by_owner.c.book_id, by_owner.c.account, by_owner.c.currency)
    credited, debited = func.sum(by_owner.c.credited), func.sum(by_owner.c.debited)
    return _balance_lines(
        ctx,
        select(*places, func.count(), credited, debited, credited - debited)
        .group_by(*places)
        .order_by(*places),
    )


def _of_book(column: InstrumentedAttribute[str], book_id: str | None) -> Sequence[ColumnElement[bool]]:
    return () if book_id is None else (column == book_id,)


def _balance_lines(ctx: Ctx, query: Executable) -> list[BalanceLine]:
    return [
        BalanceLine(book_id, account, currency, owners, int(credited), int(debited), int(balance))
        for book_id, account, currency, owners, credited, debited, balance in ctx.session.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One leg on an account's statement; amounts in minor units."""

    seq: int
    line: int
    at: datetime
    kind: str
    """Of the Event."""
    amount: int
    currency: str
    ref: str
    balance: int
    """Of the account after this leg."""


def account_statement(
    ctx: Ctx,
    book_id: str,
    account: str,
    owner: str = "",
    *,
    currency: str | None = None,
    before: tuple[int, int] | None = None,
    limit: int = 50,
) -> Sequence[StatementLine]:
    """What moved on an account, newest first, with the balance after each; ``before``: (seq, line) of the
    last one seen."""
    page = _legs_page(book_id, account, owner, currency, before, limit).subquery()
    stands = aliased(Account)
    later = aliased(LegRow)
    newer = (
        select(func.coalesce(func.sum(later.amount), 0))
        .where(later.book_id == book_id, later.account == account, later.owner == owner)
        .where(later.currency == page.c.currency, tuple_(later.seq, later.line) >= (before or (0, 0)))
        .scalar_subquery()
    )
    # From the balance of now backwards, in one statement: a first page reads no more than it shows.
    stood = stands.balance - newer if before else stands.balance
    here = and_(stands.book_id == book_id, stands.account == account, stands.owner == owner)
    rows = ctx.session.execute(
        select(
            page.c.seq, page.c.line, JournalEntry.at, JournalEntry.kind, page.c.amount, page.c.currency,
            page.c.ref, stood,
        )
        .join(JournalEntry, and_(JournalEntry.book_id == book_id, JournalEntry.seq == page.c.seq))
        .join(stands, and_(here, stands.currency == page.c.currency))
        .order_by(page.c.seq.desc(), page.c.line.desc())
    )  # fmt: skip
    left: dict[str, int] = {}
    lines = []
    for seq, line, at, kind, amount, money, ref, top in rows:
        balance = left.setdefault(money, int(top))
        lines.append(StatementLine(seq, line, at, kind, amount, money, ref, balance))
        left[money] = balance - amount
    return lines


def _legs_page(
    book_id: str, account: str, owner: str, currency: str | None, before: tuple[int, int] | None, limit: int
) -> Select[LegRow]:
    query = select(LegRow).where(LegRow.book_id == book_id, LegRow.account == account, LegRow.owner == owner)
    if currency is not None:
        query = query.where(LegRow.currency == currency)
    if before is not None:
        # The first condition alone is one the index answers.
        query = query.where(LegRow.seq <= before[0], tuple_(LegRow.seq, LegRow.line) < before)
    return query.order_by(LegRow.seq.desc(), LegRow.line.desc()).limit(limit)


def legs_of(ctx: Ctx, book_id: str, seqs: Sequence[int]) -> Mapping[int, Sequence[LegRow]]:
    """Legs of Entries by sequence number, in their order; an Entry without legs has an empty list."""
    query = (
        select(LegRow)
        .where(LegRow.book_id == book_id, LegRow.seq.in_(seqs))
        .order_by(LegRow.seq, LegRow.line)
    )
    found: dict[int, list[LegRow]] = {seq: [] for seq in seqs}
    for leg in ctx.session.scalars(query):
        found[leg.seq].append(leg)
    return found


# -- proofs ----------------------------------------------------------------------------------------------


def open_alerts(ctx: Ctx, topic: str | None = None, subject: str | None = None) -> Sequence[Alert]:
    """What must not be and still is, the latest to begin first."""
    query = select(Alert).where(Alert.cleared_at.is_(None))
    if topic is not None:
        query = query.where(Alert.topic == topic)
    if subject is not None:
        query = query.where(Alert.subject == subject)
    return ctx.session.scalars(query.order_by(Alert.raised_at.desc(), Alert.id)).all()


def past_alerts(ctx: Ctx, limit: int = 50) -> Sequence[Alert]:
    """Alerts that are over, the latest to end first."""
    query = select(Alert).where(Alert.cleared_at.is_not(None))
    return ctx.session.scalars(query.order_by(Alert.cleared_at.desc(), Alert.id).limit(limit)).all()


def heads_since(ctx: Ctx, day: date) -> Mapping[date, Sequence[BookHead]]:
    """Exported heads from a day on, by day."""
    query = select(BookHead).where(BookHead.day >= day).order_by(BookHead.day, BookHead.book_id)
    found: dict[date, list[BookHead]] = {}
    for one in ctx.session.scalars(query):
        found.setdefault(one.day, []).append(one)
    return found
