"""Campaigns start and end when their time has come, however many there are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.plays import queries, schedule
from tests.factories.campaigns import make_campaign


def test_an_old_campaign_starts_on_time_behind_pages_of_newer_ones(
    parts: Parts, workspace: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_PER_PAGE", 3)
    soon = clock.now() + timedelta(hours=1)
    campaign_id = make_campaign(parts, workspace, state="scheduled", starts_at=soon)
    clock.advance(timedelta(seconds=1))
    for _ in range(4):
        make_campaign(parts, workspace)
    assert schedule.advance(parts, workspace) == 0
    clock.advance(timedelta(hours=1))
    assert schedule.advance(parts, workspace) == 1
    with parts.open(workspace) as ctx:
        assert queries.campaign(ctx, campaign_id).state == "live"
