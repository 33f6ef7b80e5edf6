"""Background work on commissions: what has been on hold long enough goes over to the wallets."""

from __future__ import annotations

from growth_engine.commissions import queries
from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.ledger.contract import Event, Posted

#: Commissions of one Event: large enough to be quick, small enough that nobody else waits for the book.
LIMIT = 1_000
#: Events handed in at a time.
EVENTS = 4


@job("commissions.mature", every=60)
def mature(parts: Parts, workspace_id: str) -> int:
    """One round for every campaign with something due; how many commissions went over."""
    cutoff = parts.clock.now()
    with parts.open(workspace_id) as ctx:
        campaigns = queries.campaigns_due(ctx, cutoff)
    events = [
        Event(
            workspace_id,
            campaign_id,
            "mature",
            "maturity",
            f"{campaign_id}:{cutoff.isoformat()}:{parts.ids.new('key')}",
            cutoff,
            {"cutoff": cutoff.isoformat(), "limit": LIMIT},
        )
        for campaign_id in campaigns
        for _ in range(EVENTS)
    ]
    receipts = parts.ledger.submit_many(events, timeout=60) if events else []
    return sum(receipt.result.get("matured", 0) for receipt in receipts if isinstance(receipt, Posted))
