"""A commission as callers see it, with how its amount came about."""

from __future__ import annotations

from typing import Any, cast

from growth_engine.commissions.models import Commission
from growth_engine.context import Ctx
from growth_engine.orders import queries as orders
from growth_engine.plays import queries, worth
from growth_engine.plays.registry import play
from growth_engine.plays.selling import SellingPlay

_SHOWN = (
    "id", "campaign_id", "order_id", "level", "contact_id", "currency", "pending", "matured", "state",
    "reason", "hold_until", "rule_version",
)  # fmt: skip


def as_record(commission: Commission) -> dict[str, Any]:
    """Plain values; ``amount`` is what it is worth now, minor units."""
    shown = {name: getattr(commission, name) for name in _SHOWN}
    return {**shown, "member_no": commission.member, "amount": commission.target}


def because(ctx: Ctx, commission: Commission) -> list[str]:
    """The steps of the arithmetic, in the language spoken now."""
    order = orders.order(ctx, commission.order_id)
    rules = cast(SellingPlay, play(queries.campaign(ctx, commission.campaign_id).play))
    steps = rules.explain(commission.terms, max(0, order.paid - order.refunded))
    return [worth.in_words(step, commission.currency) for step in steps]
