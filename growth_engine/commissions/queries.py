"""Selects over commissions, promoters and bindings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import UnaryExpression, and_, func, or_, select, text

from growth_engine.commissions.models import Binding, Commission, Promoter
from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.ledger.models import Account, JournalEntry, LegRow
from growth_engine.ledger.money import AVAILABLE, wallet_book
from growth_engine.orders.models import Order

MOST_PER_PAGE = 100
#: Kinds of Entries that name an order.
ORDER_KINDS = ("order", "payment", "refund", "cancel")


class UnknownCommission(NotFound):
    code = "commission_not_found"
    message = N_("There is no such commission.")


def commission(ctx: Ctx, commission_id: str) -> Commission:
    query = select(Commission).where(
        Commission.id == commission_id, Commission.workspace_id == ctx.workspace_id
    )
    found = ctx.session.scalar(query)
    if found is None:
        raise UnknownCommission
    return found


def commissions_named(ctx: Ctx, commission_ids: Iterable[str]) -> Mapping[str, Commission]:
    """Those of these ids that are commissions, by id."""
    query = select(Commission).where(
        Commission.workspace_id == ctx.workspace_id, Commission.id.in_(set(commission_ids))
    )
    return {one.id: one for one in ctx.session.scalars(query)}


def of_order(ctx: Ctx, order_id: str) -> Sequence[Commission]:
    """An order's shares, level 1 first."""
    query = select(Commission).where(Commission.order_id == order_id).order_by(Commission.level)
    return ctx.session.scalars(query).all()


def of_orders(ctx: Ctx, order_ids: Sequence[str]) -> Mapping[str, Sequence[Commission]]:
    found: dict[str, list[Commission]] = {}
    query = select(Commission).where(Commission.order_id.in_(order_ids)).order_by(Commission.level)
    for one in ctx.session.scalars(query):
        found.setdefault(one.order_id, []).append(one)
    return found


def worth_of_orders(ctx: Ctx, order_ids: Sequence[str]) -> Mapping[str, int]:
    """What an order's shares are worth together, minor units; nothing for orders without any."""
    query = (
        select(Commission.order_id, func.sum(Commission.target))
        .where(Commission.order_id.in_(order_ids))
        .group_by(Commission.order_id)
    )
    return {order_id: int(worth) for order_id, worth in ctx.session.execute(query)}


def commissions_page(
    ctx: Ctx,
    *,
    campaign_id: str | None = None,
    contact_ids: Sequence[str] = (),
    member: int | None = None,
    states: Sequence[str] = (),
    order_id: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Commission]:
    """Commissions, newest first."""
    query = select(Commission).where(Commission.workspace_id == ctx.workspace_id)
    if campaign_id:
        query = query.where(Commission.campaign_id == campaign_id)
    if contact_ids:
        query = query.where(Commission.contact_id.in_(contact_ids))
    if member is not None:
        query = query.where(Commission.member == member)
    if states:
        query = query.where(Commission.state.in_(states))
    if order_id:
        query = query.where(Commission.order_id == order_id)
    if before:
        query = query.where(Commission.id < before)
    return ctx.session.scalars(query.order_by(Commission.id.desc()).limit(limit)).all()


@dataclass(frozen=True, slots=True)
class StateTotal:
    """How many commissions are in a state, and what they are worth; minor units."""

    count: int
    amount: int


def totals(ctx: Ctx, campaign_id: str) -> Mapping[str, StateTotal]:
    """By state."""
    rows = ctx.session.execute(
        select(Commission.state, func.count(), func.sum(Commission.target))
        .where(Commission.campaign_id == campaign_id)
        .group_by(Commission.state)
    )
    return {state: StateTotal(count, int(amount)) for state, count, amount in rows}


#: In both senses, as the posting rules have it: as a promoter, and as a participant.
_EARNER_NOT_BLOCKED = text(
    "NOT EXISTS (SELECT FROM promoters s WHERE s.campaign_id = commissions.campaign_id"
    " AND s.number = commissions.member AND s.state = 'blocked')"
    " AND NOT EXISTS (SELECT FROM participants m WHERE m.campaign_id = commissions.campaign_id"
    " AND m.number = commissions.member AND m.state = 'blocked')"
)


def campaigns_due(ctx: Ctx, cutoff: datetime) -> Sequence[str]:
    """Campaigns in which something may mature by ``cutoff``: what blocked people have on hold waits for a
    person, and must not keep the job asking every minute."""
    query = (
        select(Commission.campaign_id)
        .where(
            Commission.workspace_id == ctx.workspace_id,
            Commission.state == "pending",
            Commission.hold_until <= cutoff,
            _EARNER_NOT_BLOCKED,
        )
        .distinct()
    )
    return ctx.session.scalars(query).all()


# -- promoters -----------------------------------------------------------------------------------------


def promoter(ctx: Ctx, campaign_id: str, number: int) -> Promoter | None:
    return ctx.session.get(Promoter, (campaign_id, number))


def promoters_page(
    ctx: Ctx,
    campaign_id: str,
    *,
    states: Sequence[str] = (),
    tier: str | None = None,
    order: str = "earned",
    offset: int = 0,
    limit: int = 50,
) -> Sequence[Promoter]:
    """Promoters, best first by ``earned``, ``sales`` or ``applied`` (oldest application first)."""
    orders: dict[str, list[UnaryExpression[Any]]] = {
        "earned": [Promoter.earned.desc(), Promoter.number.asc()],
        "sales": [Promoter.sales.desc(), Promoter.number.asc()],
        "applied": [Promoter.applied_at.asc().nulls_last(), Promoter.number.asc()],
    }
    query = select(Promoter).where(Promoter.campaign_id == campaign_id)
    if states:
        query = query.where(Promoter.state.in_(states))
    if tier is not None:
        query = query.where(Promoter.tier == tier)
    return ctx.session.scalars(query.order_by(*orders[order]).offset(offset).limit(limit)).all()


def promoter_counts(ctx: Ctx, campaign_id: str) -> Mapping[str, int]:
    """By state."""
    query = (
        select(Promoter.state, func.count())
        .where(Promoter.campaign_id == campaign_id)
        .group_by(Promoter.state)
    )
    return dict(ctx.session.execute(query).all())


def promoters_by_number(ctx: Ctx, campaign_id: str, numbers: Iterable[int]) -> Mapping[int, Promoter]:
    """What some participants did as sellers and buyers; nothing for those who did neither."""
    query = select(Promoter).where(Promoter.campaign_id == campaign_id, Promoter.number.in_(set(numbers)))
    return {one.number: one for one in ctx.session.scalars(query)}


def binding(ctx: Ctx, campaign_id: str, buyer: int) -> Binding | None:
    return ctx.session.get(Binding, (campaign_id, buyer))


def bound_to(
    ctx: Ctx, campaign_id: str, promoter: int, *, limit: int = 50, after: int = 0
) -> Sequence[Binding]:
    """Buyers bound to a promoter, by number."""
    query = (
        select(Binding)
        .where(Binding.campaign_id == campaign_id, Binding.promoter == promoter, Binding.buyer > after)
        .order_by(Binding.buyer)
        .limit(limit)
    )
    return ctx.session.scalars(query).all()


def bound_count(ctx: Ctx, campaign_id: str, promoter: int) -> int:
    query = select(func.count()).where(Binding.campaign_id == campaign_id, Binding.promoter == promoter)
    return ctx.session.scalar(query) or 0


# -- what the books say --------------------------------------------------------------------------------


def movements(ctx: Ctx, ref: str) -> Sequence[tuple[JournalEntry, Sequence[LegRow]]]:
    """What moved for a commission (or an order's fee), oldest first: Entries with their legs about it."""
    query = (
        select(JournalEntry, LegRow)
        .join(LegRow, (LegRow.book_id == JournalEntry.book_id) & (LegRow.seq == JournalEntry.seq))
        .where(LegRow.ref == ref, LegRow.workspace_id == ctx.workspace_id)
        .order_by(JournalEntry.at, JournalEntry.book_id, JournalEntry.seq, LegRow.line)
    )
    found: dict[tuple[str, int], tuple[JournalEntry, list[LegRow]]] = {}
    for entry, leg in ctx.session.execute(query):
        found.setdefault((entry.book_id, entry.seq), (entry, []))[1].append(leg)
    return list(found.values())


def entries_of_order(ctx: Ctx, order: Order, shares: Sequence[Commission]) -> Sequence[JournalEntry]:
    """Everything the campaign's book says about an order, oldest first: refused wishes, and what became
    of its shares later."""
    about_shares = select(LegRow.seq).where(
        LegRow.ref.in_([one.id for one in shares]), LegRow.book_id == order.campaign_id
    )
    named = and_(
        # Through the buyer's own Entries, which an index finds.
        JournalEntry.member == order.buyer,
        JournalEntry.kind.in_(ORDER_KINDS),
        JournalEntry.body["result"]["order_id"].astext == order.id,
    )
    query = select(JournalEntry).where(
        JournalEntry.book_id == order.campaign_id,
        JournalEntry.seq >= order.seq,
        or_(named, JournalEntry.seq.in_(about_shares), JournalEntry.seq.in_([one.seq for one in shares])),
    )
    return ctx.session.scalars(query.order_by(JournalEntry.seq)).all()


def available(ctx: Ctx, contact_ids: Sequence[str], currency: str) -> Mapping[str, int]:
    """What contacts may withdraw, minor units; below zero where a refund took back what was paid out."""
    query = select(Account.owner, Account.balance).where(
        Account.book_id == wallet_book(ctx.workspace_id),
        Account.account == AVAILABLE,
        Account.owner.in_(contact_ids),
        Account.currency == currency,
    )
    return dict(ctx.session.execute(query).all())
