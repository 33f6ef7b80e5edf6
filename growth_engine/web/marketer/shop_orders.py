"""The orders of a campaign: found by state, number or buyer, and taken along as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from babel.numbers import get_currency_precision
from flask import Blueprint, Response, render_template, request

from growth_engine.commissions import queries as commissions
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import page_of
from growth_engine.orders import queries
from growth_engine.orders.models import Order, OrderLine
from growth_engine.web import form_money
from growth_engine.web.marketer import campaign_frame, csv_files
from growth_engine.web.marketer.campaign_frame import Person

bp = Blueprint("shop_orders", __name__, url_prefix="/console/campaigns")

STATES: Mapping[str, str] = {
    "placed": N_("To be paid"),
    "paid": N_("Paid"),
    "refunded": N_("Refunded"),
    "cancelled": N_("Cancelled"),
}

#: Of the file; the names are for programs and stay the same in every language.
COLUMNS = (
    "number", "order_id", "external_id", "placed_at", "state", "buyer", "buyer_contact_id", "promoter",
    "products", "currency", "total", "paid", "refunded", "commission", "platform_fee", "paid_at", "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """An order with what the list says about it."""

    order: Order
    lines: Sequence[OrderLine]
    commission: int | None
    """Of everybody who earns from it, minor units; ``None`` when nobody does."""
    buyer: Person | None
    promoter: Person | None


@dataclass(frozen=True, slots=True)
class Filter:
    state: str
    search: str

    @property
    def states(self) -> tuple[str, ...]:
        return (self.state,) if self.state else ()


@bp.get("/<campaign_id>/orders")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    ask = web.page_ask(50)
    wanted = _filter()
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        found = queries.orders_page(
            ctx,
            campaign_id=campaign_id,
            states=wanted.states,
            search=wanted.search,
            before=str(ask.after[0]) if ask.after else None,
            limit=ask.limit + 1,
        )
        page = page_of(found, ask.limit, lambda one: (one.id,))
        rows = _rows(ctx, campaign_id, page.items)
        counts = queries.counts(ctx, campaign_id)
    return render_template(
        "marketer/shop_orders.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_orders.listing",
        page=page,
        rows=rows,
        counts=counts,
        states=STATES,
        state=wanted.state,
        search=wanted.search,
        filtered=bool(wanted.state or wanted.search or ask.after),
    )


@bp.get("/<campaign_id>/orders.csv")
@web.require_staff("marketer")
def export(campaign_id: str) -> Response:
    """The filtered orders, newest first, written while they are read."""
    wanted = _filter()
    with web.ctx() as ctx:
        campaign_frame.shop(ctx, campaign_id)
    return csv_files.answer(f"orders-{campaign_id}", COLUMNS, _batches(campaign_id, wanted))


def _filter() -> Filter:
    state = request.args.get("state", "")
    return Filter(state if state in STATES else "", request.args.get("q", "").strip()[:100])


def _rows(ctx: Ctx, campaign_id: str, orders: Sequence[Order]) -> list[Row]:
    ids = [one.id for one in orders]
    lines, worth = queries.lines(ctx, ids), commissions.worth_of_orders(ctx, ids)
    numbers = {number for one in orders for number in (one.buyer, one.promoter)}
    people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
    return [
        Row(
            one,
            lines.get(one.id, ()),
            worth.get(one.id),
            people.get(one.buyer),
            people.get(one.promoter),
        )
        for one in orders
    ]


# -- the file ----------------------------------------------------------------------------------------


def _batches(campaign_id: str, wanted: Filter) -> Iterator[Sequence[Sequence[str]]]:
    before: str | None = None
    while True:
        with web.ctx() as ctx:
            found = queries.orders_page(
                ctx,
                campaign_id=campaign_id,
                states=wanted.states,
                search=wanted.search,
                before=before,
                limit=csv_files.BATCH,
            )
            written = [_cells(row) for row in _rows(ctx, campaign_id, found)]
        yield written
        if len(found) < csv_files.BATCH:
            return
        before = found[-1].id


def _cells(row: Row) -> list[str]:
    order = row.order
    places = get_currency_precision(order.currency)
    amounts = (order.total, order.paid, order.refunded, row.commission or 0, order.fee)
    return [
        str(order.number), order.id, order.external_id or "", csv_files.moment(order.placed_at), order.state,
        row.buyer.name if row.buyer else "", order.contact_id, row.promoter.name if row.promoter else "",
        "; ".join(f"{one.sku} x {one.quantity}" for one in row.lines), order.currency,
        *(form_money.written(amount, places) for amount in amounts),
        csv_files.moment(order.paid_at), order.source,
    ]  # fmt: skip
