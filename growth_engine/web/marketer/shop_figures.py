"""What a campaign that sells came to: orders, money, commission by state, and what a paid order cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from growth_engine.commissions import queries as commissions
from growth_engine.commissions.queries import StateTotal
from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_
from growth_engine.orders import queries as orders
from growth_engine.orders.queries import Turnover

#: The end of the funnel where something is sold, as the mirror counts it.
STEPS: Sequence[tuple[str, str]] = (
    ("ordered", N_("Ordered")),
    ("paid", N_("Paid")),
    ("refunded", N_("Gave something back")),
)
#: Commission states in the order money goes through them.
STATES: Mapping[str, str] = {
    "waiting": N_("Waiting for payment"),
    "pending": N_("On hold"),
    "held": N_("Held by hand"),
    "matured": N_("In the wallet"),
    "reversed": N_("Taken back"),
    "void": N_("Void"),
}


@dataclass(frozen=True, slots=True)
class Sales:
    """Amounts in minor units of ``currency``."""

    currency: str
    turnover: Turnover
    by_state: Mapping[str, StateTotal]

    @property
    def commission(self) -> int:
        """Of every state: what is void or taken back is worth nothing."""
        return sum(one.amount for one in self.by_state.values())

    @property
    def cost_per_order(self) -> int | None:
        """Commission and platform fee by paid order, rounded; ``None`` before the first."""
        paid = self.turnover.paid_orders
        return (2 * (self.commission + self.turnover.fees) + paid) // (2 * paid) if paid else None


def sales(ctx: Ctx, campaign_id: str, currency: str) -> Sales:
    return Sales(currency, orders.turnover(ctx, campaign_id), commissions.totals(ctx, campaign_id))
