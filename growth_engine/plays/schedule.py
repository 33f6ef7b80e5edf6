"""Campaigns start and end when their time has come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import update

from growth_engine.context import Ctx, Parts
from growth_engine.plays import lifecycle, queries
from growth_engine.plays.models import Campaign


def advance(parts: Parts, workspace_id: str) -> int:
    """Start and end campaigns whose time has come; how many changed."""
    changed = 0
    with parts.open(workspace_id) as ctx:
        now = ctx.now()
        for campaign in _running(ctx):
            # The published version's dates rule; the draft may already hold others.
            published = queries.version(ctx, campaign.id, campaign.rule_version)
            assert published is not None, "a campaign in these states was published"
            state = lifecycle.advanced(
                campaign.state, starts_at=published.starts_at, ends_at=published.ends_at, now=now
            )
            if state == campaign.state:
                continue
            values: dict[str, Any] = {"state": state, "updated_at": now}
            if state == "ended":
                values["ended_at"] = now
            ctx.session.execute(
                update(Campaign)
                .where(Campaign.id == campaign.id, Campaign.state == campaign.state)
                .values(**values)
            )
            changed += 1
    return changed


def _running(ctx: Ctx) -> Iterator[Campaign]:
    """Every campaign that time may move on, page by page."""
    after: str | None = ""
    while after is not None:
        page, after = queries.campaigns_page(
            ctx, states=("scheduled", "live", "paused"), after=after, limit=queries.MOST_PER_PAGE
        )
        yield from page
