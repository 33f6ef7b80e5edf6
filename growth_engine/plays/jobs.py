"""Jobs of campaigns: starting and ending them on time."""

from __future__ import annotations

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.plays import schedule


@job("campaigns.advance", every=5)
def advance(parts: Parts, workspace_id: str) -> int:
    return schedule.advance(parts, workspace_id)
