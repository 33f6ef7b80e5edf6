"""Background work on orders: give up those that were not paid in time."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.ledger.contract import Event
from growth_engine.orders import queries

#: Orders given up at a time.
BATCH = 200


@job("orders.expire", every=30)
def expire(parts: Parts, workspace_id: str) -> int:
    """Cancel unpaid orders whose time is over; how many."""
    now = parts.clock.now()
    with parts.open(workspace_id) as ctx:
        due = queries.expired(ctx, now, BATCH)
    events = [
        Event(
            workspace_id,
            campaign_id,
            "cancel",
            "expiry",
            f"{order_id}:{now.isoformat()}",
            now,
            {"order_id": order_id, "reason": "order_expired"},
        )
        for order_id, campaign_id in due
    ]
    return len(parts.ledger.submit_many(events)) if events else 0
