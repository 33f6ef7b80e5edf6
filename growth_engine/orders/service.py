"""Commands on products and on orders that exist: change the offer, take payments, give refunds, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError

from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.ledger import naming
from growth_engine.ledger.contract import Event, PayloadMismatch, Posted, Reason, Receipt
from growth_engine.orders import queries, rules
from growth_engine.orders.models import Product

#: What a product may be changed in.
EDITABLE = ("name", "description", "price", "picture_key", "position", "state")


class SkuTaken(Conflict):
    code = "sku_taken"
    message = N_("There is a product with this SKU already.")


def add_product(
    ctx: Ctx,
    campaign_id: str,
    *,
    sku: str,
    name: str,
    price: int,
    currency: str,
    description: str = "",
    picture_key: str | None = None,
    position: int | None = None,
    state: str = "on_sale",
) -> Product:
    """Offer something in a campaign; the caller has checked that it is one of this workspace that sells.

    Raises ``Invalid``, ``SkuTaken``.
    """
    rules.check_sku(sku)
    last = max((one.position for one in queries.products(ctx, campaign_id)), default=-1)
    product = Product(
        id=ctx.new_id("prd"),
        workspace_id=ctx.workspace_id,
        campaign_id=campaign_id,
        sku=sku,
        name="",
        description="",
        price=1,
        currency=currency,
        position=last + 1,
        state=state,
        created_at=ctx.now(),
        updated_at=ctx.now(),
    )
    given = {"name": name, "description": description, "price": price, "picture_key": picture_key}
    _change(product, {**given, **({"position": position} if position is not None else {}), "state": state})
    try:
        with ctx.session.begin_nested():
            ctx.session.add(product)
    except IntegrityError:
        raise SkuTaken from None
    return product


def change_product(ctx: Ctx, product_id: str, changes: Mapping[str, Any]) -> Product:
    """Orders placed before keep the name and price they had. Raises ``UnknownProduct``, ``Invalid``."""
    product = queries.product(ctx, product_id, lock=True)
    unknown = sorted(set(changes) - set(EDITABLE))
    if unknown:
        raise Invalid(fields={name: [N_("This cannot be changed.")] for name in unknown})
    _change(product, changes)
    product.updated_at = ctx.now()
    ctx.session.flush()
    return product


def _change(product: Product, changes: Mapping[str, Any]) -> None:
    errors: dict[str, list[str]] = {}
    for name, value in changes.items():
        setattr(product, name, value)
    if not 1 <= len(product.name.strip()) <= 80:
        errors["name"] = [N_("Give it a name of at most 80 characters.")]
    if len(product.description) > 2000:
        errors["description"] = [N_("At most 2000 characters.")]
    if product.state not in ("on_sale", "hidden"):
        errors["state"] = [N_("Choose on_sale or hidden.")]
    if not 0 < product.price <= rules.MOST_AMOUNT:
        errors["price"] = [N_("Give an amount above zero, in minor units.")]
    if errors:
        raise Invalid(fields=errors)


# -- money of orders -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the books decided about a payment, a refund or a cancellation."""

    order_id: str
    accepted: bool
    reasons: tuple[Reason, ...]
    duplicate: bool
    seq: int


class Refused(Conflict):
    """The books refused; ``extra["decision"]`` holds the reasons."""

    code = "order_refused"
    message = N_("The order cannot be changed like this.")


class AlreadyRecorded(PayloadMismatch):
    """The provider's id names another payment or refund in the books; ``extra["recorded"]`` says which."""

    code = "already_recorded"
    status = 409
    message = N_(
        "“%(external_id)s” is in the books already: %(amount)s for order %(order_id)s."
        " Use another id for something else."
    )

    def __init__(self, facts: Mapping[str, Any]) -> None:
        amount = format_amount(facts["amount"], facts["currency"])
        names = ("order_id", "provider", "external_id", "amount", "currency")
        super().__init__(
            params={**facts, "amount": amount}, extra={"recorded": {name: facts[name] for name in names}}
        )


def take_payment(
    parts: Parts,
    workspace_id: str,
    order_id: str,
    *,
    provider: str,
    external_id: str,
    amount: int,
    currency: str,
) -> Outcome:
    """Money came for an order; ``provider`` and ``external_id`` name the payment.

    The same payment again answers the same. Other content under its name is taken where the books refused
    what was told first, and raises ``AlreadyRecorded`` where they hold it. Amounts in minor units. Raises
    ``UnknownOrder``, ``Invalid`` (what this order can never be paid with; nothing is recorded then) and
    ``Unavailable`` (then send it again).
    """
    told = {"amount": amount, "currency": currency}
    return _money(parts, workspace_id, "payment", order_id, provider, external_id, told)


def give_refund(
    parts: Parts,
    workspace_id: str,
    order_id: str,
    *,
    provider: str,
    external_id: str,
    amount: int,
    currency: str,
    reason: str = "",
    restock: bool = False,
) -> Outcome:
    """Money went back to the buyer; otherwise as ``take_payment``. May come before its payment.

    ``restock``: the goods go back into stock, if nothing that was paid is left after it.
    """
    told: dict[str, Any] = {"amount": amount, "currency": currency, "reason": reason[:200]}
    if restock:
        told["restock"] = True
    return _money(parts, workspace_id, "refund", order_id, provider, external_id, told)


@dataclass(frozen=True, slots=True)
class Came:
    """One payment of many (a daily bill, an import); amounts in minor units."""

    order_id: str
    provider: str
    external_id: str
    amount: int
    currency: str


def take_payments(parts: Parts, workspace_id: str, payments: Sequence[Came]) -> list[Outcome | None]:
    """Many payments at once, each as ``take_payment`` would; ``None`` for an order that does not exist.

    Raises ``Unavailable`` when the books are busy: some may be in the books then, send the same again. A
    name that was used before with other content raises as well: tell them one by one then.
    """
    with parts.open(workspace_id) as ctx:
        known = queries.to_be_paid(ctx, {one.order_id for one in payments})
    now = parts.clock.now()
    events = []
    for one in payments:
        if order := known.get(one.order_id):
            told = {"amount": one.amount, "currency": one.currency}
            _check_money(order, one.external_id, told)
            events.append(
                _money_event(workspace_id, "payment", order, one.provider, one.external_id, told, now)
            )
    receipts = iter(parts.ledger.submit_many(events, timeout=60))
    return [_outcome(one.order_id, next(receipts)) if one.order_id in known else None for one in payments]


def cancel(parts: Parts, workspace_id: str, order_id: str, *, key: str | None = None) -> Outcome:
    """Give up an unpaid order; its stock is free again. ``key`` names the request, if it may be repeated."""
    with parts.open(workspace_id) as ctx:
        order = queries.order(ctx, order_id)
    name = f"cancel:{order_id}:{key or parts.ids.new('key')}"
    facts = {"order_id": order_id, "reason": "cancelled"}
    event = Event(workspace_id, order.campaign_id, "cancel", "cancel", name, parts.clock.now(), facts)
    return _outcome(order_id, parts.ledger.submit(event))


def _money(
    parts: Parts,
    workspace_id: str,
    kind: str,
    order_id: str,
    provider: str,
    external_id: str,
    told: Mapping[str, Any],
) -> Outcome:
    with parts.open(workspace_id) as ctx:
        order = queries.to_be_paid(ctx, [order_id]).get(order_id)
    if order is None:
        raise queries.UnknownOrder
    _check_money(order, external_id, told)
    event = _money_event(workspace_id, kind, order, provider, external_id, told, parts.clock.now())
    try:
        return _outcome(order_id, naming.submit(parts, event))
    except naming.AlreadyRecorded as error:
        raise AlreadyRecorded(error.facts) from None


def _check_money(order: Row[str, str, str], external_id: str, told: Mapping[str, Any]) -> None:
    """What no state of the order could change: the caller mends it, and the books never hear of it."""
    rules.check_amount(told["amount"])
    rules.check_external_id(external_id)
    if told["currency"] != order.currency:
        message = translate(N_("This order is in %(currency)s."), {"currency": order.currency})
        raise Invalid(fields={"currency": [message]})


def _money_event(
    workspace_id: str,
    kind: str,
    order: Row[str, str, str],
    provider: str,
    external_id: str,
    told: Mapping[str, Any],
    now: datetime,
) -> Event:
    facts = {"order_id": order.id, "provider": provider, "external_id": external_id, **told}
    key = f"{provider}:{external_id}"
    return Event(workspace_id, order.campaign_id, kind, kind, key, now, facts)


def _outcome(order_id: str, receipt: Receipt) -> Outcome:
    if not isinstance(receipt, Posted):
        raise Unavailable(N_("The books are busy. Please send the same request again."))
    return Outcome(order_id, receipt.accepted, receipt.reasons, receipt.duplicate, receipt.seq)
