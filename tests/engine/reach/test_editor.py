"""The campaign editor binds a campaign to a channel."""

from __future__ import annotations

from growth_engine.app import create_app
from growth_engine.connections import service as connections
from growth_engine.plays import queries
from growth_engine.plays.models import Campaign
from tests.factories.console import Console, form_of
from tests.factories.stages import Stage
from tests.factories.workspaces import make_workspace


def console_of(stage: Stage, workspace: str) -> Console:
    stage.parts.mirror.load_functions()
    return Console(create_app(stage.parts), stage.parts, workspace, "marketer")


def campaign(stage: Stage) -> Campaign:
    with stage.parts.open(stage.workspace) as ctx:
        rows, _ = queries.campaigns_page(ctx)
        return rows[0]


def test_the_editor_offers_the_channels_and_keeps_the_choice(stage: Stage) -> None:
    console = console_of(stage, stage.workspace)
    new = console.get("/console/campaigns/new?template=cafe")
    assert "None: posters carry the invite link" in new
    form = form_of(new)
    console.post("/console/campaigns/new", {**form, "channel": stage.oa, "channel_default": "1"})
    made = campaign(stage)
    assert (made.channel_account_id, made.channel_default) == (stage.oa, True)
    edit = f"/console/campaigns/{made.id}/edit"
    form = form_of(console.get(edit))
    assert form["channel"] == stage.oa
    form.pop("channel_default", None)
    console.post(edit, {**form, "channel": stage.wecom})
    assert (campaign(stage).channel_account_id, campaign(stage).channel_default) == (stage.wecom, False)
    # In WeCom it may say whom the codes add; ids however separated, each once.
    console.post(edit, {**form, "channel": stage.wecom, "channel_users": "ZhangSan，LiSi LiSi"})
    assert campaign(stage).channel_users == ["ZhangSan", "LiSi"]
    assert form_of(console.get(edit))["channel_users"] == "ZhangSan, LiSi"
    page = console.post(
        edit, {**form, "channel": stage.wecom, "channel_users": ",".join(map(str, range(101)))}, status=422
    )
    assert "At most 100 employees" in page.text
    assert "on Corp" in console.get(f"/console/campaigns/{made.id}")
    # One that is disabled since stays chosen until somebody chooses another.
    with stage.parts.open(stage.workspace) as ctx:
        connections.disable(ctx, stage.wecom)
    assert form_of(console.get(edit))["channel"] == stage.wecom
    console.post(edit, {**form, "channel": ""})
    assert campaign(stage).channel_account_id is None
    console.post(edit, {**form, "channel": "chn_of_nobody"}, status=422)


def test_without_a_channel_nothing_is_asked(stage: Stage) -> None:
    workspace = make_workspace(stage.parts)
    page = console_of(stage, workspace).get("/console/campaigns/new?template=cafe")
    assert 'name="channel"' not in page
