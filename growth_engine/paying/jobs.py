"""Background work on WeChat Pay: follow attempts, refunds and transfers to their end, compare the bills."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.paying import attempts, bills, refunding, transfers


@job("paying.attempts", every=10)
def settle_attempts(parts: Parts, workspace_id: str) -> int:
    """Ask about orders that should be paid by now, close those that are over, post what was paid."""
    return attempts.settle_due(parts, workspace_id)


@job("paying.refunds", every=10)
def settle_refunds(parts: Parts, workspace_id: str) -> int:
    """Send refunds whose turn it is, ask how they stand, post what is back."""
    return refunding.settle_due(parts, workspace_id)


@job("paying.transfers", every=10)
def settle_transfers(parts: Parts, workspace_id: str) -> int:
    """Take ends of transfers that notices told to the books; the rest the payout job asks about."""
    return transfers.settle_due(parts, workspace_id)


@job("paying.bills", every=600)
def compare_bills(parts: Parts, workspace_id: str) -> int:
    """Hold yesterday's bills against the books."""
    return bills.compare_due(parts, workspace_id)
