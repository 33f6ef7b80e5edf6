"""Selects over commissions, promoters and bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import UnaryExpression, func, select

from growth_engine.commissions.models import Binding, Commission, Promoter
from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.ledger.models import Account
from growth_engine.ledger.money import AVAILABLE, wallet_book

MOST_PER_PAGE = 100


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


def campaigns_due(ctx: Ctx, cutoff: datetime) -> Sequence[str]:
    """Campaigns in which something may mature by ``cutoff``."""
    query = (
        select(Commission.campaign_id)
        .where(
            Commission.workspace_id == ctx.workspace_id,
            Commission.state == "pending",
            Commission.hold_until <= cutoff,
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


def available(ctx: Ctx, contact_ids: Sequence[str], currency: str) -> Mapping[str, int]:
    """What contacts may withdraw, minor units; below zero where a refund took back what was paid out."""
    query = select(Account.owner, Account.balance).where(
        Account.book_id == wallet_book(ctx.workspace_id),
        Account.account == AVAILABLE,
        Account.owner.in_(contact_ids),
        Account.currency == currency,
    )
    return dict(ctx.session.execute(query).all())
