"""Background work on commissions: what has been on hold long enough goes over to the wallets."""

from __future__ import annotations

from datetime import datetime

from growth_engine.commissions import queries
from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.ledger.contract import Event, Posted

#: Commissions of one Event: large enough to be quick, small enough that nobody else waits for the book.
LIMIT = 1_000
#: Events of one campaign in one round.
EVENTS = 4


@job("commissions.mature", every=60)
def mature(parts: Parts, workspace_id: str) -> int:
    """One round for every campaign with something due; how many commissions went over."""
    cutoff = parts.clock.now()
    with parts.open(workspace_id) as ctx:
        campaigns = queries.campaigns_due(ctx, cutoff)
    return sum(_mature(parts, workspace_id, campaign_id, cutoff) for campaign_id in campaigns)


def _mature(parts: Parts, workspace_id: str, campaign_id: str, cutoff: datetime) -> int:
    """Stops with the first Event that had room left: a further one would find nothing, and say so in the
    journal for good."""
    done = 0
    for _ in range(EVENTS):
        key = f"{campaign_id}:{cutoff.isoformat()}:{parts.ids.new('key')}"
        facts = {"cutoff": cutoff.isoformat(), "limit": LIMIT}
        event = Event(workspace_id, campaign_id, "mature", "maturity", key, cutoff, facts)
        receipt = parts.ledger.submit(event, timeout=60)
        count = receipt.result.get("matured", 0) if isinstance(receipt, Posted) else 0
        done += count
        if count < LIMIT:
            break
    return done
