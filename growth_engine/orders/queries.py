"""Selects over products, orders, payments and refunds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, func, or_, select, text

from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.kit.tx import Database
from growth_engine.orders.models import Order, OrderLine, Payment, Product, Refund
from growth_engine.people.models import Contact

MOST_PER_PAGE = 100


class UnknownOrder(NotFound):
    code = "order_not_found"
    message = N_("There is no such order.")


class UnknownProduct(NotFound):
    code = "product_not_found"
    message = N_("There is no such product.")


def workspace_of_order(db: Database, order_id: str) -> str | None:
    """The workspace an order belongs to, before one is known (payment notifications)."""
    with db.transaction(None) as session:
        found: str | None = session.scalar(text("SELECT ge_order(:id)"), {"id": order_id})
        return found


# -- products ----------------------------------------------------------------------------------------


def product(ctx: Ctx, product_id: str, *, lock: bool = False) -> Product:
    query = select(Product).where(Product.id == product_id, Product.workspace_id == ctx.workspace_id)
    found = ctx.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise UnknownProduct
    return found


def products(ctx: Ctx, campaign_id: str, *, on_sale: bool = False) -> Sequence[Product]:
    """A campaign's products in the order they are shown."""
    query = select(Product).where(Product.campaign_id == campaign_id)
    if on_sale:
        query = query.where(Product.state == "on_sale")
    return ctx.session.scalars(query.order_by(Product.position, Product.id)).all()


@dataclass(frozen=True, slots=True)
class Sold:
    """What became of one product: pieces and money of orders paid at least in part."""

    orders: int
    pieces: int
    amount: int
    """Minor units, of whole lines: refunds are not split over products."""


def sold(ctx: Ctx, campaign_id: str) -> Mapping[str, Sold]:
    """By product id."""
    rows = ctx.session.execute(
        select(
            OrderLine.product_id,
            func.count(func.distinct(Order.id)),
            func.sum(OrderLine.quantity),
            func.sum(OrderLine.amount),
        )
        .join(Order, Order.id == OrderLine.order_id)
        .where(Order.campaign_id == campaign_id, Order.paid > 0)
        .group_by(OrderLine.product_id)
    )
    return {product_id: Sold(orders, int(pieces), int(amount)) for product_id, orders, pieces, amount in rows}


def pieces_ordered(ctx: Ctx, product_id: str) -> int:
    """Pieces of a product in orders that were not cancelled, nor refunded with the goods coming back."""
    query = (
        select(func.coalesce(func.sum(OrderLine.quantity), 0))
        .join(Order, Order.id == OrderLine.order_id)
        .where(OrderLine.product_id == product_id, Order.state != "cancelled", ~Order.restocked)
    )
    return int(ctx.session.scalar(query) or 0)


# -- orders ------------------------------------------------------------------------------------------


def order(ctx: Ctx, order_id: str) -> Order:
    found = ctx.session.scalar(
        select(Order).where(Order.id == order_id, Order.workspace_id == ctx.workspace_id)
    )
    if found is None:
        raise UnknownOrder
    return found


def orders_named(ctx: Ctx, order_ids: Collection[str]) -> Mapping[str, Order]:
    """Orders by id."""
    query = select(Order).where(Order.workspace_id == ctx.workspace_id, Order.id.in_(order_ids))
    return {one.id: one for one in ctx.session.scalars(query)}


def by_external_id(ctx: Ctx, external_id: str) -> Order | None:
    return ctx.session.scalar(
        select(Order).where(Order.workspace_id == ctx.workspace_id, Order.external_id == external_id)
    )


def to_be_paid(ctx: Ctx, order_ids: Iterable[str]) -> Mapping[str, Row[str, str, str]]:
    """(id, campaign_id, currency) by order id; unknown orders are left out."""
    query = select(Order.id, Order.campaign_id, Order.currency).where(
        Order.workspace_id == ctx.workspace_id, Order.id.in_(list(order_ids))
    )
    return {row.id: row for row in ctx.session.execute(query)}


def orders_page(
    ctx: Ctx,
    *,
    campaign_id: str | None = None,
    contact_ids: Sequence[str] = (),
    states: Sequence[str] = (),
    external_id: str | None = None,
    search: str = "",
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Order]:
    """Orders, newest first; ``search`` is an order number, an id, the shop's own id or part of a name."""
    query = select(Order).where(Order.workspace_id == ctx.workspace_id)
    if campaign_id:
        query = query.where(Order.campaign_id == campaign_id)
    if contact_ids:
        query = query.where(Order.contact_id.in_(contact_ids))
    if states:
        query = query.where(Order.state.in_(states))
    if external_id:
        query = query.where(Order.external_id == external_id)
    if search:
        query = query.where(_named(ctx, search))
    if before:
        query = query.where(Order.id < before)
    return ctx.session.scalars(query.order_by(Order.id.desc()).limit(limit)).all()


def _named(ctx: Ctx, search: str) -> ColumnElement[bool]:
    buyers = select(Contact.id).where(
        Contact.workspace_id == ctx.workspace_id, Contact.nickname.icontains(search, autoescape=True)
    )
    wanted = or_(Order.id == search, Order.external_id == search, Order.contact_id.in_(buyers))
    if search.isascii() and search.isdigit() and len(search) < 19:
        wanted = or_(wanted, Order.number == int(search))
    return wanted


def counts(ctx: Ctx, campaign_id: str) -> Mapping[str, int]:
    """How many orders of a campaign are in each state."""
    query = select(Order.state, func.count()).where(Order.campaign_id == campaign_id).group_by(Order.state)
    return dict(ctx.session.execute(query).all())


def lines(ctx: Ctx, order_ids: Iterable[str]) -> Mapping[str, Sequence[OrderLine]]:
    """Lines by order id."""
    found: dict[str, list[OrderLine]] = {}
    query = select(OrderLine).where(OrderLine.order_id.in_(list(order_ids)))
    for line in ctx.session.scalars(query.order_by(OrderLine.order_id, OrderLine.line)):
        found.setdefault(line.order_id, []).append(line)
    return found


def payments(ctx: Ctx, order_id: str) -> Sequence[Payment]:
    return ctx.session.scalars(select(Payment).where(Payment.order_id == order_id).order_by(Payment.id)).all()


def refunds(ctx: Ctx, order_id: str) -> Sequence[Refund]:
    return ctx.session.scalars(select(Refund).where(Refund.order_id == order_id).order_by(Refund.id)).all()


def expired(ctx: Ctx, now: datetime, limit: int) -> Sequence[Row[str, str]]:
    """(id, campaign id) of unpaid orders whose time is over, the oldest first."""
    query = (
        select(Order.id, Order.campaign_id)
        .where(
            Order.workspace_id == ctx.workspace_id,
            Order.state == "placed",
            Order.paid == 0,
            Order.expires_at <= now,
        )
        .order_by(Order.expires_at)
        .limit(limit)
    )
    return ctx.session.execute(query).all()


@dataclass(frozen=True, slots=True)
class Turnover:
    """A campaign's orders in numbers, minor units."""

    placed: int
    paid_orders: int
    paid: int
    refunded: int
    fees: int


def turnover(ctx: Ctx, campaign_id: str) -> Turnover:
    row = ctx.session.execute(
        select(
            func.count(),
            func.count().filter(Order.paid > 0),
            func.coalesce(func.sum(Order.paid), 0),
            func.coalesce(func.sum(func.least(Order.refunded, Order.paid)), 0),
            func.coalesce(func.sum(Order.fee), 0),
        ).where(Order.campaign_id == campaign_id)
    ).one()
    return Turnover(*(int(one) for one in row))
