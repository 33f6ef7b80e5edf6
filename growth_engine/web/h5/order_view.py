"""An order as its buyer sees it: what it is about, what is still due, what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_
from growth_engine.orders import queries as orders
from growth_engine.orders.models import Order, OrderLine, Payment, Refund

#: (icon, what is said in a word, what is said in a sentence) by ``OrderView.standing``; message ids.
STANDINGS: Mapping[str, tuple[str, str, str]] = {
    "due": ("clock", N_("To be paid"), N_("Your order is noted and the goods are kept for you.")),
    "partly": ("clock", N_("Partly paid"), N_("Something has come in. The rest is still to be paid.")),
    "late": (
        "hourglass",
        N_("Time is over"),
        N_("The time to pay is over. Unless your payment is on its way, the order is cancelled in a moment."),
    ),
    "paid": ("circle-check", N_("Paid"), N_("Thank you! Your payment has arrived.")),
    "partly_refunded": (
        "arrow-back-up",
        N_("Partly refunded"),
        N_("The order is paid, and a part of the money went back to you."),
    ),
    "refunded": ("arrow-back-up", N_("Refunded"), N_("What you paid went back to you.")),
    "expired": ("hourglass", N_("Not paid in time"), N_("It was not paid in time and is cancelled.")),
    "cancelled": ("circle-x", N_("Cancelled"), N_("This order was cancelled.")),
}


@dataclass(frozen=True, slots=True)
class OrderView:
    """Amounts in minor units of ``order.currency``."""

    order: Order
    lines: Sequence[OrderLine]
    payments: Sequence[Payment]
    refunds: Sequence[Refund]
    standing: str
    """A key of ``STANDINGS``."""

    @property
    def due(self) -> int:
        return self.order.total - self.order.paid

    @property
    def payable(self) -> bool:
        """Money is still expected, so the page keeps looking."""
        return self.standing in ("due", "partly", "late")

    @property
    def may_cancel(self) -> bool:
        return self.order.state == "placed" and self.order.paid == 0


def order_view(ctx: Ctx, order: Order) -> OrderView:
    lines = orders.lines(ctx, [order.id]).get(order.id, ())
    return OrderView(
        order,
        lines,
        orders.payments(ctx, order.id),
        orders.refunds(ctx, order.id),
        standing_of(order, ctx.now()),
    )


def fingerprint(order: Order, now: datetime) -> str:
    """Changes with whatever the page of an order shows."""
    return f"{standing_of(order, now)}.{order.paid}.{order.refunded}"


def standing_of(order: Order, now: datetime) -> str:
    """How an order stands at ``now``: a key of ``STANDINGS``."""
    if order.state == "cancelled":
        expires, closed = order.expires_at, order.closed_at
        late = expires is not None and closed is not None and closed >= expires
        return "expired" if late else "cancelled"
    if order.state == "refunded":
        return "refunded"
    if order.state == "paid":
        return "partly_refunded" if order.refunded else "paid"
    if order.paid:
        return "partly"
    return "late" if order.expires_at is not None and order.expires_at <= now else "due"
