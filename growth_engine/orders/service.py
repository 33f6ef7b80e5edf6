"""Commands on products and on orders that exist: change the offer, take payments, give refunds, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Event, Posted, Reason, Receipt
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

    The same payment again answers the same; with other content it raises ``PayloadMismatch``. Amounts in
    minor units. Raises ``UnknownOrder``, ``Invalid``, ``Unavailable`` (then send it again).
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
) -> Outcome:
    """Money went back to the buyer; otherwise as ``take_payment``. May come before its payment."""
    told = {"amount": amount, "currency": currency, "reason": reason[:200]}
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

    Raises ``Unavailable`` when the books are busy: some may be in the books then, send the same again.
    """
    with parts.open(workspace_id) as ctx:
        campaigns = queries.campaigns_of(ctx, [one.order_id for one in payments])
    known = [one for one in payments if one.order_id in campaigns]
    now = parts.clock.now()
    events = []
    for one in known:
        rules.check_amount(one.amount)
        rules.check_external_id(one.external_id)
        facts = {
            "order_id": one.order_id,
            "provider": one.provider,
            "external_id": one.external_id,
            "amount": one.amount,
            "currency": one.currency,
        }
        key = f"{one.provider}:{one.external_id}"
        events.append(Event(workspace_id, campaigns[one.order_id], "payment", "payment", key, now, facts))
    receipts = iter(parts.ledger.submit_many(events, timeout=60))
    return [_outcome(one.order_id, next(receipts)) if one.order_id in campaigns else None for one in payments]


def cancel(parts: Parts, workspace_id: str, order_id: str, *, key: str | None = None) -> Outcome:
    """Give up an unpaid order; its stock is free again. ``key`` names the request, if it may be repeated."""
    name = f"cancel:{order_id}:{key or parts.ids.new('key')}"
    return _submit(parts, workspace_id, "cancel", order_id, name, {"reason": "cancelled"})


def _money(
    parts: Parts,
    workspace_id: str,
    kind: str,
    order_id: str,
    provider: str,
    external_id: str,
    told: Mapping[str, Any],
) -> Outcome:
    rules.check_amount(told["amount"])
    rules.check_external_id(external_id)
    facts = {"provider": provider, "external_id": external_id, **told}
    return _submit(parts, workspace_id, kind, order_id, f"{provider}:{external_id}", facts)


def _submit(
    parts: Parts, workspace_id: str, kind: str, order_id: str, key: str, facts: Mapping[str, Any]
) -> Outcome:
    with parts.open(workspace_id) as ctx:
        campaign_id = queries.order(ctx, order_id).campaign_id
    event = Event(
        workspace_id, campaign_id, kind, kind, key, parts.clock.now(), {"order_id": order_id, **facts}
    )
    return _outcome(order_id, parts.ledger.submit(event))


def _outcome(order_id: str, receipt: Receipt) -> Outcome:
    if not isinstance(receipt, Posted):
        raise Unavailable(N_("The books are busy. Please send the same request again."))
    return Outcome(order_id, receipt.accepted, receipt.reasons, receipt.duplicate, receipt.seq)
