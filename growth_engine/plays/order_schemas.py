"""Shapes of the REST API about selling: products, orders, commissions, promoters."""

from __future__ import annotations

from marshmallow import fields, validate

from growth_engine.commissions.service import ACTIONS, DECISIONS, MOST_AT_ONCE
from growth_engine.kit.rest import Document, Moment, PageQuery
from growth_engine.orders.rules import MOST_AMOUNT, MOST_LINES, MOST_QUANTITY
from growth_engine.plays.schemas import ConsentField, DecisionShape, Person

_ID = validate.Length(min=1, max=128)
_CURRENCY = validate.Regexp(r"[A-Z]{3}\Z")


def _minor(description: str, **more: object) -> fields.Integer:
    meta = {"description": f"{description}, in minor units (fen, cents)."}
    return fields.Integer(strict=True, metadata=meta, **more)  # type: ignore[arg-type]


def _amount(description: str, **more: object) -> fields.Integer:
    return _minor(description, validate=validate.Range(min=1, max=MOST_AMOUNT), **more)


# -- products ------------------------------------------------------------------------------------------


class ProductChange(Document):
    """What of a product may be changed; what is left out stays. Orders keep the name and price they had."""

    name = fields.String(validate=validate.Length(min=1, max=80))
    description = fields.String(validate=validate.Length(max=2000))
    price = _amount("Price of one")
    position = fields.Integer(strict=True, validate=validate.Range(min=0, max=1000))
    state = fields.String(validate=validate.OneOf(["on_sale", "hidden"]))
    stock = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(min=0, max=10_000_000),
        metadata={"description": "How many there are in all, sold ones included; null for no limit."},
    )


class NewProduct(ProductChange):
    """Something a campaign offers."""

    sku = fields.String(required=True, validate=validate.Length(min=1, max=64))
    name = fields.String(required=True, validate=validate.Length(min=1, max=80))
    price = _amount("Price of one", required=True)


class ProductShape(Document):
    """Something a campaign offers."""

    id = fields.String(required=True)
    campaign_id = fields.String(required=True)
    sku = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    price = _minor("Price of one", required=True)
    currency = fields.String(required=True)
    stock = fields.Integer(required=True, allow_none=True)
    taken = fields.Integer(required=True, metadata={"description": "Reserved or sold; 0 without a limit."})
    state = fields.String(required=True)
    position = fields.Integer(required=True)


class ProductsShape(Document):
    """A campaign's products, in the order they are shown."""

    items = fields.List(fields.Nested(ProductShape), required=True)


# -- orders --------------------------------------------------------------------------------------------


class OrderLineAsked(Document):
    """How many of what."""

    sku = fields.String(required=True, validate=validate.Length(min=1, max=64))
    quantity = fields.Integer(strict=True, load_default=1, validate=validate.Range(min=1, max=MOST_QUANTITY))
    amount = _amount("What the whole line costs, if your shop gives another price than the product's")


class NewOrder(Document):
    """Somebody buys. They take part in the campaign from then on."""

    campaign_id = fields.String(required=True, validate=_ID)
    buyer = fields.Nested(Person, required=True)
    consent = ConsentField(
        required=True,
        metadata={"description": "That the person agreed to take part and to the use of name and picture."},
    )
    invite_token = fields.String(
        allow_none=True,
        validate=validate.Length(max=128),
        metadata={"description": "Of the promoter through whose link they came."},
    )
    external_id = fields.String(
        validate=_ID, metadata={"description": "The order's id in your shop: it names the order for good."}
    )
    currency = fields.String(load_default="CNY", validate=_CURRENCY)
    lines = fields.List(
        fields.Nested(OrderLineAsked), required=True, validate=validate.Length(min=1, max=MOST_LINES)
    )
    minutes_to_pay = fields.Integer(
        strict=True,
        validate=validate.Range(min=5, max=43_200),
        metadata={"description": "Instead of the campaign's own."},
    )


class MoneyMoved(Document):
    """Money that came for an order or went back; provider and external_id name it."""

    external_id = fields.String(required=True, validate=_ID)
    provider = fields.String(load_default="manual", validate=validate.Regexp(r"[a-z][a-z0-9_]{0,31}\Z"))
    amount = _amount("How much", required=True)
    currency = fields.String(load_default="CNY", validate=_CURRENCY)


class RefundMoved(MoneyMoved):
    """Money that went back to a buyer."""

    reason = fields.String(load_default="", validate=validate.Length(max=200))
    restock = fields.Boolean(
        load_default=False,
        metadata={"description": "The goods go back into stock, if nothing that was paid is left after it."},
    )


class OrderLineShape(Document):
    line = fields.Integer(required=True)
    product_id = fields.String(required=True)
    sku = fields.String(required=True)
    name = fields.String(required=True)
    quantity = fields.Integer(required=True)
    amount = _minor("The whole line", required=True)


class ShareShape(Document):
    """A level's share of an order."""

    id = fields.String(required=True)
    campaign_id = fields.String(required=True)
    order_id = fields.String(required=True)
    level = fields.Integer(required=True)
    member_no = fields.Integer(required=True)
    contact_id = fields.String(required=True)
    currency = fields.String(required=True)
    amount = _minor("What it is worth now", required=True)
    pending = _minor("Of which on hold", required=True)
    matured = _minor("Of which gone over to the wallet", required=True)
    state = fields.String(required=True)
    reason = fields.String(required=True)
    hold_until = Moment(required=True, allow_none=True)
    rule_version = fields.Integer(required=True)


class StepShape(Document):
    """One step of how an amount came about."""

    message = fields.String(required=True)


class ShareDetail(ShareShape):
    """A share with how its amount came about."""

    because = fields.List(fields.String(), required=True)


class OrderShape(Document):
    """An order."""

    id = fields.String(required=True)
    number = fields.Integer(required=True, metadata={"description": "For people to read out."})
    campaign_id = fields.String(required=True)
    external_id = fields.String(required=True, allow_none=True)
    contact_id = fields.String(required=True)
    buyer_no = fields.Integer(required=True)
    promoter_no = fields.Integer(required=True, allow_none=True)
    currency = fields.String(required=True)
    total = _minor("What it costs", required=True)
    paid = _minor("What came", required=True)
    refunded = _minor("What went back", required=True)
    fee = _minor("The platform's fee", required=True)
    state = fields.String(required=True)
    rule_version = fields.Integer(required=True)
    placed_at = Moment(required=True)
    expires_at = Moment(required=True, allow_none=True)
    paid_at = Moment(required=True, allow_none=True)
    lines = fields.List(fields.Nested(OrderLineShape), required=True)


class OrderDetail(OrderShape):
    """An order with its shares."""

    commissions = fields.List(fields.Nested(ShareShape), required=True)


class PlacedShape(OrderShape):
    """An order and the decision about it."""

    decision = fields.Nested(DecisionShape, required=True)


class OrderQuery(PageQuery):
    """Filters."""

    campaign_id = fields.String(validate=_ID)
    contact = fields.String(validate=_ID, metadata={"description": "A contact's id or identity."})
    external_id = fields.String(validate=_ID)
    state = fields.String(validate=validate.OneOf(["placed", "paid", "refunded", "cancelled"]))


class RefundQuery(Document):
    """How much would go back."""

    amount = fields.Integer(required=True, validate=validate.Range(min=1, max=MOST_AMOUNT))


class TakenShape(Document):
    """What one beneficiary would lose."""

    commission_id = fields.String(required=True)
    level = fields.Integer(required=True)
    member_no = fields.Integer(required=True)
    contact_id = fields.String(required=True)
    before = _minor("Worth before", required=True)
    after = _minor("Worth after", required=True)
    from_hold = _minor("Taken from what is on hold", required=True)
    from_wallet = _minor("Taken from the wallet", required=True)
    debt = _minor("Of which is not there any more", required=True)
    policy = fields.String(required=True, validate=validate.OneOf(["carry", "absorb"]))


class RefundPreview(Document):
    """What a refund would take back from whom. Nothing is done."""

    order_id = fields.String(required=True)
    amount = _minor("How much would go back", required=True)
    refused = fields.Boolean(required=True, metadata={"description": "More than is left of the order."})
    fee_back = _minor("The platform's fee no longer owed", required=True)
    restockable = fields.Integer(
        required=True, metadata={"description": "Pieces that `restock` would put back into limited stock."}
    )
    taken = fields.List(fields.Nested(TakenShape), required=True)


# -- commissions and promoters -------------------------------------------------------------------------


class CommissionQuery(PageQuery):
    """Filters."""

    campaign_id = fields.String(validate=_ID)
    contact = fields.String(validate=_ID)
    order_id = fields.String(validate=_ID)
    state = fields.String(
        validate=validate.OneOf(["waiting", "pending", "held", "matured", "reversed", "void"])
    )


class CommissionAction(Document):
    """What to do to commissions of one campaign."""

    campaign_id = fields.String(required=True, validate=_ID)
    ids = fields.List(
        fields.String(validate=_ID), required=True, validate=validate.Length(min=1, max=MOST_AT_ONCE)
    )
    action = fields.String(required=True, validate=validate.OneOf(ACTIONS))
    reason = fields.String(
        required=True,
        validate=validate.Length(min=1, max=200),
        metadata={"description": "The promoter reads it."},
    )


class ActedShape(Document):
    """Which commissions were changed; those the action does not fit were left alone."""

    done = fields.List(fields.String(), required=True)
    decision = fields.Nested(DecisionShape, required=True)


class PromoterQuery(PageQuery):
    """Filters."""

    state = fields.String(validate=validate.OneOf(["none", "applied", "approved", "rejected", "blocked"]))


class PromoterShape(Document):
    """What a participant is and did as a seller and buyer."""

    member_no = fields.Integer(required=True)
    contact_id = fields.String(required=True)
    state = fields.String(required=True)
    tier = fields.String(required=True)
    spent = _minor("Their own purchases", required=True)
    orders = fields.Integer(required=True)
    sales = _minor("What buyers bound to them spent", required=True)
    earned = _minor("Commission of every level", required=True)
    note = fields.String(required=True)
    applied_at = Moment(required=True, allow_none=True)


class PromoterDecision(Document):
    """What is decided about a promoter."""

    action = fields.String(required=True, validate=validate.OneOf(DECISIONS))
    tier = fields.String(validate=validate.Length(max=20))
    note = fields.String(validate=validate.Length(max=500))


class PromoterDecided(Document):
    """The decision, and the promoter after it."""

    decision = fields.Nested(DecisionShape, required=True)
    promoter = fields.Nested(PromoterShape, required=True)
