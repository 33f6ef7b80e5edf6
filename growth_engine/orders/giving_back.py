"""Refunds the merchant asks for here: they go back the way the money came, and are posted once it is back."""

from __future__ import annotations

from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.orders import providers, queries, service
from growth_engine.orders.models import Order
from growth_engine.orders.providers import RefundAnswer
from growth_engine.orders.service import Outcome

#: The way back while no payment came through a provider.
BY_HAND = "manual"


class OrderChanged(Conflict):
    """A refund of the order would do something else now than what was looked at."""

    code = "order_changed"
    message = N_("The order has changed meanwhile. Look at what the refund does now.")


def provider_of(ctx: Ctx, order_id: str) -> str:
    """Through whom the latest payment came; by hand while there is none."""
    known = [one.provider for one in queries.payments(ctx, order_id) if one.provider in providers.providers]
    return known[-1] if known else BY_HAND


def seen(order: Order) -> str:
    """What of an order the preview of a refund depends on."""
    return f"{order.paid}-{order.refunded}"


def give_back(
    parts: Parts,
    workspace_id: str,
    order_id: str,
    *,
    refund_id: str,
    amount: int,
    reason: str,
    restock: bool,
    as_seen: str,
) -> Outcome | RefundAnswer:
    """Refund ``amount`` minor units of an order as it was previewed; whoever paid gets it back the same way.

    The books' decision when the money is back, otherwise what the provider said. The same ``refund_id``
    again is the same refund, also after the order changed because of it. Raises ``UnknownOrder``,
    ``OrderChanged`` when the order is not ``as_seen`` any more, and what ``service.give_refund`` raises.
    """
    with parts.open(workspace_id) as ctx:
        order = queries.order(ctx, order_id)
        provider = provider_of(ctx, order_id)
        if as_seen != seen(order) and not _is_given(ctx, order_id, refund_id):
            raise OrderChanged
    answer = providers.provider(provider).refund(
        parts, workspace_id, order, refund_id, amount, reason, restock=restock
    )
    if answer.state != "done":
        return answer
    return service.give_refund(
        parts,
        workspace_id,
        order_id,
        provider=provider,
        external_id=answer.external_id,
        amount=amount,
        currency=order.currency,
        reason=reason,
        restock=restock,
    )


def _is_given(ctx: Ctx, order_id: str, refund_id: str) -> bool:
    """Whether a refund of this number is in the books: a button pressed twice changes nothing."""
    return any(one.external_id == refund_id for one in queries.refunds(ctx, order_id))
