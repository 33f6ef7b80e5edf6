"""Background work on payouts: hand them to their provider, ask what became of them."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.payouts import sending


@job("payouts.send", every=10)
def send(parts: Parts, workspace_id: str) -> int:
    return sending.send_due(parts, workspace_id)
