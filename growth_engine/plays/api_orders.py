"""REST: products and orders, for the merchant's own shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import g

from growth_engine.commissions import queries as commissions
from growth_engine.context import Ctx
from growth_engine.kit import rest, web
from growth_engine.kit.pages import Page
from growth_engine.ledger.contract import Reason
from growth_engine.orders import queries, service
from growth_engine.orders.models import Order, Product
from growth_engine.orders.service import Refused
from growth_engine.people import queries as people
from growth_engine.plays import ordering, participation, refunding, selling_stock, shares
from growth_engine.plays import queries as campaigns
from growth_engine.plays.order_schemas import (
    MoneyMoved,
    NewOrder,
    NewProduct,
    OrderDetail,
    OrderQuery,
    PlacedShape,
    ProductChange,
    ProductShape,
    ProductsShape,
    RefundMoved,
    RefundPreview,
    RefundQuery,
)
from growth_engine.plays.ordering import CannotOrder, Wanted
from growth_engine.plays.words import in_words

blp = rest.Blueprint("orders", __name__, description="What campaigns sell, and who buys it.")


# -- products ------------------------------------------------------------------------------------------


@blp.get("/campaigns/<campaign_id>/products")
@rest.scope("orders:read")
@rest.answers(200, ProductsShape)
def list_products(ctx: Ctx, campaign_id: str) -> dict[str, Any]:
    """What a campaign offers, hidden products included."""
    campaigns.campaign(ctx, campaign_id)
    stock = selling_stock.stock_of_products(ctx, campaign_id)
    return {"items": [_product(one, stock.get(one.id)) for one in queries.products(ctx, campaign_id)]}


@blp.post("/campaigns/<campaign_id>/products")
@rest.scope("orders:write")
@rest.takes(NewProduct)
@rest.answers(201, ProductShape)
def add_product(ctx: Ctx, campaign_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Offer something."""
    config = ordering.selling_config(ctx, campaign_id)
    given = dict(body)
    stock = given.pop("stock", None)
    product = service.add_product(ctx, campaign_id, currency=config["currency"], **given)
    return _with_stock(ctx, product, stock)


@blp.patch("/products/<product_id>")
@rest.scope("orders:write")
@rest.takes(ProductChange)
@rest.answers(200, ProductShape)
def change_product(ctx: Ctx, product_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change a product. Orders placed before keep the name and price they had."""
    given = dict(body)
    has_stock, stock = "stock" in given, given.pop("stock", None)
    product = service.change_product(ctx, product_id, given)
    if has_stock:
        return _with_stock(ctx, product, stock)
    held = selling_stock.stock_of_products(ctx, product.campaign_id)
    return _product(product, held.get(product.id))


def _with_stock(ctx: Ctx, product: Product, stock: int | None) -> dict[str, Any]:
    selling_stock.set_total(ctx, product.id, stock)
    ctx.session.flush()
    held = selling_stock.stock_of_products(ctx, product.campaign_id)
    return _product(product, held.get(product.id))


def _product(product: Product, stock: Any) -> dict[str, Any]:
    names = ("id", "campaign_id", "sku", "name", "description", "price", "currency", "state", "position")
    shown = {name: getattr(product, name) for name in names}
    return {**shown, "stock": stock.total if stock else None, "taken": stock.taken if stock else 0}


# -- orders --------------------------------------------------------------------------------------------


@blp.post("/orders")
@rest.scope("orders:write")
@rest.takes(NewOrder)
@rest.answers(201, PlacedShape, "Placed.", as_is=True)
@rest.answers(200, PlacedShape, "Placed before; the same order.")
@rest.refuses(503)
@rest.outside_transaction
def place_order(body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Order for a person, who takes part in the campaign from then on.

    Refused with 409 `cannot_order` and the `decision`: out of stock, campaign over, person blocked… What was
    not placed may be sent again under the same `external_id`; one that names another order is a 409
    `already_recorded`.
    """
    parts = web.parts()
    ask = participation.asked_by(
        body["buyer"], "buyer", parts.settings.phone_region, body["consent"], body.get("invite_token")
    )
    outcome = ordering.place_order(
        parts,
        g.workspace_id,
        body["campaign_id"],
        ask,
        [Wanted(line["sku"], line["quantity"], line.get("amount")) for line in body["lines"]],
        currency=body["currency"],
        source="api",
        key=rest.event_key(body["campaign_id"], "order"),
        external_id=body.get("external_id"),
        minutes=body.get("minutes_to_pay"),
    )
    decision = _decision(outcome.accepted, outcome.reasons)
    if outcome.order_id is None:
        raise CannotOrder(extra={"decision": decision})
    with web.ctx() as ctx:
        placed = _orders(ctx, [queries.order(ctx, outcome.order_id)])[0]
    return {**placed, "decision": decision}, 200 if outcome.duplicate else 201


@blp.get("/orders")
@rest.scope("orders:read")
@rest.asks(OrderQuery)
@rest.answers(200, rest.page_of(OrderDetail))
def list_orders(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """Orders, newest first."""
    (before,) = rest.after(query["cursor"], str) or (None,)
    limit = query["limit"]
    family = people.contact_family(ctx, people.resolve(ctx, query["contact"])) if "contact" in query else []
    rows = queries.orders_page(
        ctx,
        campaign_id=query.get("campaign_id"),
        external_id=query.get("external_id"),
        contact_ids=family,
        states=[query["state"]] if "state" in query else [],
        before=before,
        limit=limit + 1,
    )
    last = rows[limit - 1].id if len(rows) > limit else None
    return rest.page(_details(ctx, rows[:limit]), last)


@blp.get("/orders/<order_id>")
@rest.scope("orders:read")
@rest.answers(200, OrderDetail)
def get_order(ctx: Ctx, order_id: str) -> dict[str, Any]:
    """An order with its shares."""
    return _details(ctx, [queries.order(ctx, order_id)])[0]


@blp.post("/orders/<order_id>/payments")
@rest.scope("orders:write")
@rest.takes(MoneyMoved)
@rest.answers(200, PlacedShape)
@rest.refuses(503)
@rest.outside_transaction
def report_payment(order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Money came for an order. Reporting the same payment again changes nothing.

    Refused with 409 `order_refused` and the `decision`: more than is due. Another currency than the order's
    is a 422, and nothing is recorded. What was refused may be sent again correctly under the same id; an id
    that stands for something else in the books is a 409 `already_recorded` that says for what.
    """
    return _moved(service.take_payment(web.parts(), g.workspace_id, order_id, **body))


@blp.post("/orders/<order_id>/refunds")
@rest.scope("orders:write")
@rest.takes(RefundMoved)
@rest.answers(200, PlacedShape)
@rest.refuses(503)
@rest.outside_transaction
def report_refund(order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Money went back to the buyer. May come before its payment; the same refund again changes nothing.

    Refused with 409 `order_refused` and the `decision`: more than the order. Otherwise as payments are.
    """
    return _moved(service.give_refund(web.parts(), g.workspace_id, order_id, **body))


@blp.post("/orders/<order_id>/cancel")
@rest.scope("orders:write")
@rest.answers(200, PlacedShape, as_is=True)
@rest.refuses(503)
@rest.outside_transaction
def cancel_order(order_id: str) -> dict[str, Any]:
    """Give up an order nobody paid for."""
    return _moved(service.cancel(web.parts(), g.workspace_id, order_id, key=rest.event_key(order_id)))


@blp.get("/orders/<order_id>/refund-preview")
@rest.scope("orders:read")
@rest.asks(RefundQuery)
@rest.answers(200, RefundPreview)
def preview_refund(ctx: Ctx, order_id: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """What a refund would take back from whom. Nothing is done."""
    seen = refunding.preview(ctx, order_id, query["amount"])
    return {
        "order_id": order_id,
        "amount": seen.amount,
        "refused": seen.too_large,
        "fee_back": seen.fee_back,
        "restockable": seen.restockable,
        "taken": [
            {
                "commission_id": one.commission.id,
                "level": one.commission.level,
                "member_no": one.commission.member,
                "contact_id": one.commission.contact_id,
                "before": one.before,
                "after": one.after,
                "from_hold": one.from_hold,
                "from_wallet": one.from_wallet,
                "debt": one.debt,
                "policy": one.policy,
            }
            for one in seen.taken
        ],
    }


def _moved(outcome: service.Outcome) -> dict[str, Any]:
    decision = _decision(outcome.accepted, outcome.reasons)
    if not outcome.accepted:
        raise Refused(extra={"decision": decision})
    with web.ctx() as ctx:
        return {**_orders(ctx, [queries.order(ctx, outcome.order_id)])[0], "decision": decision}


def _decision(accepted: bool, reasons: Sequence[Reason]) -> dict[str, Any]:
    return {"accepted": accepted, "reasons": in_words(reasons)}


_SHOWN = (
    "id", "number", "campaign_id", "external_id", "contact_id", "currency", "total", "paid", "refunded",
    "fee", "state", "rule_version", "placed_at", "expires_at", "paid_at",
)  # fmt: skip

_LINE = ("line", "product_id", "sku", "name", "quantity", "amount")


def _orders(ctx: Ctx, rows: Sequence[Order]) -> list[dict[str, Any]]:
    lines = queries.lines(ctx, [row.id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in _SHOWN},
            "buyer_no": row.buyer,
            "promoter_no": row.promoter or None,
            "lines": [{name: getattr(line, name) for name in _LINE} for line in lines.get(row.id, ())],
        }
        for row in rows
    ]


def _details(ctx: Ctx, rows: Sequence[Order]) -> list[dict[str, Any]]:
    found = commissions.of_orders(ctx, [row.id for row in rows])
    return [
        {**shown, "commissions": [shares.as_record(one) for one in found.get(shown["id"], ())]}
        for shown in _orders(ctx, rows)
    ]
