"""Posters carry the channel's own code: issued, issued anew before it ends, given up with the campaign."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from growth_engine.access import service as access
from growth_engine.app import create_app
from growth_engine.plays import queries
from growth_engine.plays.invites import invite_url
from growth_engine.plays.models import InviteCode
from growth_engine.plays.service import update_draft
from growth_engine.posters import queries as posters
from growth_engine.sandbox.oa.actions import CannotDo
from tests.factories.stages import Stage


def code_row(stage: Stage, name: str, campaign: str) -> InviteCode:
    me = stage.participant(name, campaign)
    with stage.parts.open(stage.workspace) as ctx:
        account_id = queries.campaign(ctx, campaign).channel_account_id
        assert account_id is not None
        found = queries.invite_code(ctx, me.id, account_id)
        assert found is not None
        return found


def test_a_campaign_of_many_months_keeps_posters_that_work(stage: Stage) -> None:
    """Codes live thirty days: before they end there are new ones, and the invite token stays what it is."""
    campaign = stage.campaign()
    first = stage.inviter("A", campaign)
    token = stage.participant("A", campaign).invite_token
    seen = {first}
    for month in (1, 2):
        stage.later(days=28)
        stage.work()
        code = stage.code("A", campaign)
        assert code not in seen, "issued anew before it ends"
        seen.add(code)
        stage.person(f"B{month}").do("scan", text=code)
        stage.work()
        assert stage.score("A", campaign) == month
    assert code_row(stage, "A", campaign).issue == 3
    with pytest.raises(CannotDo, match="run out"):
        stage.person("late").do("scan", text=first)
    # What the old poster's code meant is not lost: the token in it resolves, as a link and in a new code.
    assert stage.participant("A", campaign).invite_token == token
    page = create_app(stage.parts).test_client().get(f"/i/{token}")
    assert page.status_code == 200
    stage.person("late").do("scan", text=stage.foreign_code(token))
    assert stage.score("A", campaign) == 3


def test_who_got_the_poster_in_the_chat_gets_the_new_one_there(stage: Stage) -> None:
    campaign = stage.campaign()
    b = stage.person("B")
    b.do("scan", text=stage.inviter("A", campaign))
    stage.work()
    assert stage.texts("B").count("<image>") == 1
    stage.later(days=28)
    stage.work()
    b.do("text", appid=stage.appid, text="hello")
    stage.work()
    assert stage.texts("B").count("<image>") == 2
    assert any("new poster" in one for one in stage.texts("B"))


def test_while_no_code_can_be_issued_the_link_stands_in(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/qrcode/create", value=45009)
    assert stage.inviter("A", campaign) == invite_url(
        stage.parts.settings, stage.participant("A", campaign).invite_token
    )
    row = code_row(stage, "A", campaign)
    assert (row.state, row.error) == ("waiting", "quota: 45009")
    stage.later(days=1)  # the quota begins anew at midnight in China
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/qrcode/create", value=-1, times=1)
    stage.work()
    stage.later(minutes=2)
    stage.work()
    assert stage.code("A", campaign).startswith("http://weixin.qq.com/q/")


def test_a_campaign_that_ended_asks_for_no_more_codes(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.inviter("A", campaign)
    with stage.parts.open(stage.workspace) as ctx:
        queries.campaign(ctx, campaign).state = "ended"
    stage.later(days=40)
    stage.work()
    row = code_row(stage, "A", campaign)
    assert (row.state, row.issue, row.next_at) == ("ended", 1, None)


def test_a_campaign_without_a_channel_carries_the_link(stage: Stage) -> None:
    campaign = stage.campaign(channel_account_id=None)
    token_link = stage.inviter("A", campaign)
    assert token_link.endswith(f"/i/{stage.participant('A', campaign).invite_token}")
    assert stage.count("invite_codes") == 0


def test_bound_later_the_poster_changes_with_the_next_look(stage: Stage) -> None:
    campaign = stage.campaign(channel_account_id=None)
    stage.inviter("A", campaign)
    with stage.parts.open(stage.workspace) as ctx:
        update_draft(ctx, campaign, {"channel_account_id": stage.oa})
    assert stage.code("A", campaign).startswith("http://weixin.qq.com/q/")
    with stage.parts.open(stage.workspace) as ctx:
        update_draft(ctx, campaign, {"channel_account_id": None})
        me = queries.participation(ctx, campaign, [stage.participant("A", campaign).contact_id])
        assert me is not None
    assert stage.code("A", campaign).endswith(f"/i/{me.invite_token}")
    # And back: what had run out in between is issued again.
    stage.later(days=31)
    stage.work()
    with stage.parts.open(stage.workspace) as ctx:
        update_draft(ctx, campaign, {"channel_account_id": stage.oa})
    assert stage.code("A", campaign).startswith("http://weixin.qq.com/q/")
    with stage.parts.open(stage.workspace) as ctx:
        assert posters.poster_of(ctx, me.id) is not None


def test_the_api_binds_a_campaign_to_a_channel(stage: Stage) -> None:
    client: FlaskClient = create_app(stage.parts).test_client()
    token = access.create_token(stage.parts, stage.workspace, ["*"], "tests")
    headers = {"Authorization": f"Bearer {token}"}
    made = client.post(
        "/api/v1/campaigns",
        json={"template": "saas-membership", "channel_account_id": stage.wecom, "channel_users": ["LiSi"]},
        headers=headers,
    )
    assert made.status_code == 201, made.text
    assert made.json is not None
    assert (made.json["channel_account_id"], made.json["channel_users"]) == (stage.wecom, ["LiSi"])
    path = f"/api/v1/campaigns/{made.json['id']}"
    changed = client.patch(
        path, json={"channel_account_id": stage.oa, "channel_default": True}, headers=headers
    )
    assert changed.json is not None
    assert (changed.json["channel_account_id"], changed.json["channel_default"]) == (stage.oa, True)
    wrong = client.patch(path, json={"channel_account_id": "chn_nobody"}, headers=headers)
    assert wrong.status_code == 422
    assert client.patch(path, json={"channel_account_id": None}, headers=headers).status_code == 200
