"""Selects for the simulator: a campaign's last days of orders as they really went, in a few statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, any_, func, literal, select, union_all

from growth_engine.access import queries as access
from growth_engine.commissions.models import Commission, Promoter
from growth_engine.context import Ctx
from growth_engine.kit import ids
from growth_engine.orders.models import Order, OrderLine, Payment, Refund
from growth_engine.plays import selling
from growth_engine.plays.models import Participant
from growth_engine.plays.simulator import History, Person, Sale, Transfer

#: A replay of this many takes a few seconds; beyond, the newest are enough to judge rules by.
MOST_ORDERS = 50_000
#: An id is made moments after the time its order carries, by another process perhaps.
_SKEW = timedelta(hours=1)
#: Longest time an order may wait for its first payment (``SellingConfig.order_minutes``).
_LONGEST_WAIT = timedelta(days=30)


def history(ctx: Ctx, campaign_id: str, *, days: int = 30, most: int = MOST_ORDERS) -> History:
    """The last ``days`` days of a campaign, from midnight in the workspace's zone until now."""
    workspace = access.workspace(ctx.session, ctx.workspace_id)
    assert workspace is not None
    zone, until = ZoneInfo(workspace.timezone), ctx.now()
    first_day = (until.astimezone(zone) - timedelta(days=days)).date()
    since = datetime.combine(first_day, time(), zone)
    orders = _orders(ctx, campaign_id, since, most + 1)
    kept = orders[:most]
    named = [order.id for order in kept]
    lines, transfers = _lines(ctx, named), _transfers(ctx, named)
    sales = [
        Sale(
            order_id=one.id,
            seq=one.seq,
            at=one.placed_at,
            buyer=one.buyer,
            promoter=one.promoter,
            lines=lines.get(one.id, ()),
            transfers=transfers.get(one.id, ()),
        )
        for one in sorted(kept, key=lambda one: one.seq)
    ]
    posted = _posted(ctx, named)
    people = _people(ctx, campaign_id, sales, posted, _used_before(ctx, campaign_id, since))
    return History(sales, people, zone, since, until, posted, cut=len(orders) > most)


def _orders(ctx: Ctx, campaign_id: str, since: datetime, limit: int) -> Sequence[Any]:
    """Newest first."""
    query = (
        select(Order.id, Order.seq, Order.placed_at, Order.buyer, Order.promoter)
        .where(
            Order.workspace_id == ctx.workspace_id,
            Order.campaign_id == campaign_id,
            _not_before(since),
            Order.placed_at >= since,
        )
        .order_by(Order.id.desc())
        .limit(limit)
    )
    return ctx.session.execute(query).all()


def _lines(ctx: Ctx, orders: Sequence[str]) -> Mapping[str, Sequence[selling.OrderLine]]:
    query = (
        select(OrderLine.order_id, OrderLine.line, OrderLine.sku, OrderLine.quantity, OrderLine.amount)
        .where(OrderLine.workspace_id == ctx.workspace_id, OrderLine.order_id == _any_of(orders))
        .order_by(OrderLine.order_id, OrderLine.line)
    )
    found: dict[str, list[selling.OrderLine]] = defaultdict(list)
    for order_id, line, sku, quantity, amount in ctx.session.execute(query):
        found[order_id].append(selling.OrderLine(line, sku, quantity, amount))
    return found


def _transfers(ctx: Ctx, orders: Sequence[str]) -> Mapping[str, Sequence[Transfer]]:
    came = select(Payment.order_id, Payment.seq, Payment.at, Payment.amount).where(
        Payment.workspace_id == ctx.workspace_id, Payment.order_id == _any_of(orders)
    )
    went = select(Refund.order_id, Refund.seq, Refund.at, -Refund.amount).where(
        Refund.workspace_id == ctx.workspace_id, Refund.order_id == _any_of(orders)
    )
    found: dict[str, list[Transfer]] = defaultdict(list)
    for order_id, seq, at, amount in ctx.session.execute(union_all(came, went)):
        found[order_id].append(Transfer(seq, at, amount))
    return found


def _posted(ctx: Ctx, orders: Sequence[str]) -> Mapping[int, int]:
    """What the orders' commissions stand at, by participant."""
    query = (
        select(Commission.member, func.sum(Commission.target))
        .where(Commission.workspace_id == ctx.workspace_id, Commission.order_id == _any_of(orders))
        .group_by(Commission.member)
    )
    return {member: int(amount) for member, amount in ctx.session.execute(query)}


def _used_before(ctx: Ctx, campaign_id: str, since: datetime) -> Mapping[int, Mapping[str, int]]:
    """Of the month the period begins in: what was earned by then, by participant and month."""
    month = f"{since:%Y-%m}"
    query = (
        select(Commission.member, func.sum(Commission.target))
        .join(Order, Order.id == Commission.order_id)
        .where(
            Commission.workspace_id == ctx.workspace_id,
            Commission.campaign_id == campaign_id,
            Order.campaign_id == campaign_id,
            _not_before(since.replace(day=1) - _LONGEST_WAIT),
            Order.placed_at < since,
            Commission.terms["periods"].contains([month]),
        )
        .group_by(Commission.member)
    )
    return {member: {month: int(amount)} for member, amount in ctx.session.execute(query)}


def _people(
    ctx: Ctx,
    campaign_id: str,
    sales: Sequence[Sale],
    posted: Mapping[int, int],
    used_before: Mapping[int, Mapping[str, int]],
) -> Mapping[int, Person]:
    """Buyers, promoters and who brought these, as they stood when the period began."""
    numbers = {sale.buyer for sale in sales} | {sale.promoter for sale in sales if sale.promoter}
    found = _participants(ctx, campaign_id, numbers)
    uplines = {inviter for _state, inviter in found.values() if inviter} - found.keys()
    found |= _participants(ctx, campaign_id, uplines)
    rows = {row.number: row for row in _promoters(ctx, campaign_id, found)}
    spent_since: Counter[int] = Counter()
    for sale in sales:
        spent_since[sale.buyer] += sale.net
    people: dict[int, Person] = {}
    for number, (state, inviter) in found.items():
        row = rows.get(number)
        if row is None:
            people[number] = Person(inviter, state == "active", used=used_before.get(number, {}))
            continue
        earlier = max(0, row.earned - posted.get(number, 0))
        people[number] = Person(
            inviter=inviter,
            here=state == "active",
            state=row.state,
            tier=row.tier,
            spent=max(0, row.spent - spent_since[number]),
            used={"all": earlier, **used_before.get(number, {})},
        )
    return people


def _participants(ctx: Ctx, campaign_id: str, numbers: Collection[int]) -> dict[int, tuple[str, int]]:
    """(state, inviter) by number."""
    query = select(Participant.number, Participant.state, Participant.inviter_number).where(
        Participant.workspace_id == ctx.workspace_id,
        Participant.campaign_id == campaign_id,
        Participant.number == _any_number(numbers),
    )
    return {number: (state, inviter) for number, state, inviter in ctx.session.execute(query)}


def _promoters(ctx: Ctx, campaign_id: str, numbers: Collection[int]) -> Iterable[Any]:
    query = select(Promoter.number, Promoter.state, Promoter.tier, Promoter.spent, Promoter.earned).where(
        Promoter.workspace_id == ctx.workspace_id,
        Promoter.campaign_id == campaign_id,
        Promoter.number == _any_number(numbers),
    )
    return ctx.session.execute(query).all()


def _not_before(at: datetime) -> ColumnElement[bool]:
    """Orders of an earlier time are not even looked at: the index over a campaign's orders is by id."""
    return Order.id >= ids.earliest("ord", at - _SKEW)


def _any_of(texts: Sequence[str]) -> ColumnElement[bool]:
    """One array instead of tens of thousands of parameters."""
    return any_(literal(list(texts), ARRAY(Text)))


def _any_number(numbers: Collection[int]) -> ColumnElement[bool]:
    return any_(literal(sorted(numbers), ARRAY(BigInteger)))
