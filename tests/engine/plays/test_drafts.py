"""What a draft may change while the campaign runs by its published rules."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.errors import Invalid
from growth_engine.membership import service as membership
from growth_engine.plays import service
from tests.factories.campaigns import Actors, make_campaign


def test_a_draft_does_not_redirect_the_days_a_published_campaign_grants(parts: Parts, workspace: str) -> None:
    campaign_id = make_campaign(parts, workspace)
    with parts.open(workspace) as ctx:
        promised = ctx.session.scalar(text("SELECT plan_id FROM campaigns"))
        other = membership.create_plan(ctx, slug="other", name="Other").id
    with parts.open(workspace) as ctx, pytest.raises(Invalid) as refused:
        service.update_draft(ctx, campaign_id, {"plan_id": other})
    assert set(refused.value.extra["errors"]) == {"plan_id"}
    with parts.open(workspace) as ctx:
        service.update_draft(ctx, campaign_id, {"plan_id": promised, "title": "Another title"})
    cast = Actors(parts, workspace, campaign_id)
    cast.join("ann")
    cast.join("bob", "ann")
    with parts.open(workspace) as ctx:
        assert set(ctx.session.scalars(text("SELECT plan_id FROM grants"))) == {promised}
