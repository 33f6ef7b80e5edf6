"""Selects for reading the books on the console: Entries by what they are about, accounts by owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CompoundSelect, and_, func, or_, select, union

from growth_engine.context import Ctx
from growth_engine.ledger.models import Account, Book, JournalEntry, LegRow
from growth_engine.ledger.money import AVAILABLE, RESERVED


@dataclass(frozen=True, slots=True)
class OrderWanted:
    """An order as the books know it: by the Entries that name it, and by what moved for it."""

    order_id: str
    buyer: int
    """Number of the participant."""
    refs: Sequence[str]
    """The order's id (its fee) and those of its commissions."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which Entries of a book to read; what is not given lets everything through."""

    kinds: Sequence[str] = ()
    accepted: bool | None = None
    member: int | None = None
    """A participant of a campaign, on either side."""
    owners: Sequence[str] = ()
    """Contacts in the wallet book whose money moved."""
    order: OrderWanted | None = None


def entries(
    ctx: Ctx, book_id: str, wanted: Wanted, *, before: int | None = None, limit: int = 50
) -> Sequence[JournalEntry]:
    """Entries, newest first."""
    query = select(JournalEntry).where(JournalEntry.book_id == book_id)
    if before is not None:
        query = query.where(JournalEntry.seq < before)
    if wanted.accepted is not None:
        query = query.where(JournalEntry.accepted == wanted.accepted)
    if wanted.kinds:
        query = query.where(JournalEntry.kind.in_(wanted.kinds))
    if wanted.member is not None:
        query = query.where(or_(JournalEntry.member == wanted.member, JournalEntry.other == wanted.member))
    if wanted.owners:
        moved = select(LegRow.seq).where(
            LegRow.book_id == book_id,
            LegRow.account.in_((AVAILABLE, RESERVED)),
            LegRow.owner.in_(wanted.owners),
        )
        query = query.where(JournalEntry.seq.in_(moved))
    if wanted.order is not None:
        query = query.where(JournalEntry.seq.in_(_about(book_id, wanted.order)))
    return ctx.session.scalars(query.order_by(JournalEntry.seq.desc()).limit(limit)).all()


def _about(book_id: str, order: OrderWanted) -> CompoundSelect[int]:
    """Sequence numbers of the Entries about an order; two selects, for one with OR would have no index."""
    moved = select(LegRow.seq).where(LegRow.book_id == book_id, LegRow.ref.in_(order.refs))
    named = select(JournalEntry.seq).where(
        JournalEntry.book_id == book_id,
        JournalEntry.member == order.buyer,
        JournalEntry.body["result"]["order_id"].astext == order.order_id,
    )
    return union(moved, named)


def previous_hashes(ctx: Ctx, book_id: str, seqs: Sequence[int]) -> Mapping[int, bytes]:
    """The hash each of these Entries is chained to; none for the first of a book."""
    query = select(JournalEntry.seq + 1, JournalEntry.hash).where(
        JournalEntry.book_id == book_id, JournalEntry.seq.in_([seq - 1 for seq in seqs])
    )
    return dict(ctx.session.execute(query).all())


def last_entries(ctx: Ctx) -> Mapping[str, datetime]:
    """When each book was written to last; books without an Entry are left out."""
    query = select(Book.id, JournalEntry.at).join(
        JournalEntry, and_(JournalEntry.book_id == Book.id, JournalEntry.seq == Book.last_seq)
    )
    return dict(ctx.session.execute(query.where(Book.workspace_id == ctx.workspace_id)).all())


def accounts_page(
    ctx: Ctx, book_id: str, account: str, *, offset: int = 0, limit: int = 50
) -> Sequence[Account]:
    """The owners of an account, debts first, then the largest balance."""
    query = (
        select(Account)
        .where(Account.book_id == book_id, Account.account == account)
        .order_by((Account.balance < 0).desc(), func.abs(Account.balance).desc(), Account.owner)
    )
    return ctx.session.scalars(query.offset(offset).limit(limit)).all()


def accounts_of(ctx: Ctx, book_id: str, account: str, owner: str) -> Sequence[Account]:
    """One owner's account, by currency."""
    query = (
        select(Account)
        .where(Account.book_id == book_id, Account.account == account, Account.owner == owner)
        .order_by(Account.currency)
    )
    return ctx.session.scalars(query).all()
