"""People add employees through codes, half and wholly, twice told or never, and are handed over."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.channels.wecom import Customers
from growth_engine.people import queries as people
from growth_engine.people.rules import Identity
from growth_engine.plays import participation, queries
from growth_engine.plays.models import Participant
from growth_engine.reach import deliveries, rules
from growth_engine.reach import queries as reach
from growth_engine.reach.deliveries import To
from growth_engine.sandbox import faults
from growth_engine.sandbox.control import staff
from growth_engine.sandbox.wecom import relations
from growth_engine.sandbox.wecom.seed import CORPID
from tests.factories.stages import Stage


def campaign_of(stage: Stage, **columns: Any) -> str:
    return stage.campaign(channel_account_id=stage.wecom, channel_users=["ZhangSan"], **columns)


def inviter(stage: Stage, campaign: str, name: str = "A") -> str:
    """Somebody who takes part; what the code on their poster says."""
    ask = participation.JoinAsk(identities=[Identity("external_id", name)], nickname=name)
    joined = participation.join(stage.parts, stage.workspace, campaign, ask, source="test", key=name)
    assert joined.participant is not None
    return stage.code_of(joined.participant["id"])


def external(stage: Stage, name: str) -> str:
    return relations.external_text(stage.sandbox.world, CORPID, stage.person(name).id)


def taking_part(stage: Stage, name: str, campaign: str) -> Participant | None:
    with stage.parts.open(stage.workspace) as ctx:
        owner = people.by_identity(ctx, Identity("external_userid", external(stage, name)))
        return queries.participation(ctx, campaign, people.contact_family(ctx, owner)) if owner else None


def score(stage: Stage, campaign: str, name: str = "A") -> int:
    with stage.parts.open(stage.workspace) as ctx:
        owner = people.by_identity(ctx, Identity("external_id", name))
        assert owner is not None
        me = queries.participation(ctx, campaign, [owner])
        assert me is not None
        return me.valid_invites


def chat(stage: Stage, name: str, user: str = "ZhangSan") -> list[str]:
    told = stage.person(name).chat(relations.chat_of(CORPID, user))
    return [one.get("text", f"<{one['kind']}>") for one in told if one["from"] == "them"]


def test_half_and_full_are_one_referral_and_one_welcome_with_the_poster(stage: Stage) -> None:
    campaign = campaign_of(stage)
    code = inviter(stage, campaign)
    assert code.startswith("https://work.weixin.qq.com/ca/")
    b = stage.person("B")
    assert b.do("scan", text=code)["kind"] == "wecom"
    stage.work()
    stage.later(seconds=2)  # the employee's side follows
    stage.work()
    assert score(stage, campaign) == 1
    assert stage.count("inbox_messages", "state = 'done'") == 2
    welcome, picture = chat(stage, "B")
    assert "You are taking part in" in welcome
    assert picture == "<image>"
    own = taking_part(stage, "B", campaign)
    assert own is not None
    stage.person("C").do("scan", text=stage.code_of(own.id))
    stage.later(seconds=2)
    assert queries_score(stage, own.id) == 1


def queries_score(stage: Stage, participant_id: str) -> int:
    with stage.parts.open(stage.workspace) as ctx:
        return queries.participant(ctx, participant_id).valid_invites


def test_when_the_poster_is_slow_the_welcome_goes_with_a_link(stage: Stage) -> None:
    campaign = campaign_of(stage)
    code = inviter(stage, campaign)
    stage.person("B").do("scan", text=code)
    stage.later(seconds=13)
    stage.work("reach.deliver")
    assert chat(stage, "B")[1:] == ["<news>"]


def test_a_welcome_after_twenty_seconds_is_not_tried(stage: Stage) -> None:
    campaign = campaign_of(stage)
    stage.person("B").do("scan", text=inviter(stage, campaign))
    stage.later(seconds=25)
    stage.work()
    assert chat(stage, "B") == []
    states = {(one.state, one.reason) for one in stage.deliveries(kind="welcome")}
    assert states == {("refused", "too_late")}
    assert score(stage, campaign) == 1


def test_the_customer_who_removes_the_employee_has_left(stage: Stage) -> None:
    campaign = campaign_of(stage)
    code = inviter(stage, campaign)
    b = stage.person("B")
    b.do("scan", text=code)
    stage.later(seconds=5)
    b.do("delete_employee", userid="ZhangSan")
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert (found.state, score(stage, campaign)) == ("left", 0)
    stage.later(minutes=1)
    b.do("scan", text=code)
    stage.later(seconds=5)
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert (found.state, score(stage, campaign)) == ("active", 1)


def test_the_employee_who_removes_the_customer_costs_nobody_a_help(stage: Stage) -> None:
    campaign = campaign_of(stage)
    stage.person("B").do("scan", text=inviter(stage, campaign))
    stage.later(seconds=5)
    employee(stage, "ZhangSan", "delete", person=stage.person("B").id)
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert (found.state, score(stage, campaign)) == ("active", 1)


def employee(stage: Stage, userid: str, action: str, **params: Any) -> None:
    staff.do(stage.sandbox.world, userid, action, {"corpid": CORPID, **params})
    stage.sandbox.settle()


def hand_over(stage: Stage, name: str, giver: str, taker: str) -> None:
    world = stage.sandbox.world
    with world.open():
        known = relations.relation(world, CORPID, giver, external(stage, name))
        assert known is not None
        relations.employee_deletes(world, CORPID, known, "DELETE_BY_TRANSFER")
        relations.take_over(world, CORPID, known, taker)
    stage.sandbox.settle()
    stage.later(seconds=5)
    stage.work()


@pytest.mark.parametrize("told", [True, False])
def test_who_is_handed_over_was_not_brought_again_and_leaves_by_leaving_the_new_one(
    stage: Stage, told: bool
) -> None:
    """Whether events tell of it or, as of what the API does, only the next round."""
    campaign = campaign_of(stage, channel_default=True)
    stage.person("B").do("scan", text=inviter(stage, campaign))
    stage.later(minutes=15)
    stage.work()
    if not told:
        stage.sandbox.fault("wecom", "lose", on="callback", match="*", times=2)
    hand_over(stage, "B", "ZhangSan", "LiSi")
    stage.work("reach.reconcile")
    stage.work()
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert (found.state, score(stage, campaign)) == ("active", 1)
    assert stage.count("participants") == 2
    stage.person("B").do("delete_employee", userid="LiSi")
    stage.later(seconds=5)
    stage.work()
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert (found.state, score(stage, campaign)) == ("left", 0)


def test_what_was_told_a_moment_ago_counts_more_than_the_list(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list was read before a second employee was added: it does not say that they were handed over."""
    campaign = campaign_of(stage, channel_default=True)
    stage.person("B").do("scan", text=inviter(stage, campaign))
    stage.later(minutes=15)
    stage.work()
    employee(stage, "LiSi", "add", person=stage.person("B").id)
    monkeypatch.setattr(Customers, "of", lambda _, user: [external(stage, "B")] * (user == "ZhangSan"))
    stage.work("reach.reconcile")
    with stage.parts.open(stage.workspace) as ctx:
        known = reach.people_here(ctx, stage.wecom)[external(stage, "B")]
    assert rules.staff_of(known.ties) == ["LiSi", "ZhangSan"]


def test_a_welcome_does_not_queue_behind_what_has_time(stage: Stage) -> None:
    """It has 20 s, and a campaign's news may be thousands."""
    campaign = campaign_of(stage)
    code = inviter(stage, campaign)
    with stage.parts.open(stage.workspace) as ctx:
        for number in range(100):
            to = To(stage.wecom, f"somebody-{number}", None, ctx.now())
            deliveries.add(ctx, to, "text", f"news-{number}", {"text": "news"})
    stage.person("B").do("scan", text=code)
    with stage.parts.open(stage.workspace) as ctx:
        first = deliveries.claim(ctx, 10)
    assert "welcome" in [one.kind for one in first]


def test_an_added_event_that_was_lost_is_found_in_the_list(stage: Stage) -> None:
    campaign = campaign_of(stage, channel_default=True)
    code = inviter(stage, campaign)
    employee(stage, "WangWu", "add", person=stage.person("Old").id)
    stage.sandbox.fault("wecom", "lose", on="callback", match="*", times=9)
    stage.person("B").do("scan", text=code)
    employee(stage, "WangWu", "add", person=stage.person("Quiet").id)
    stage.later(seconds=5)
    assert taking_part(stage, "B", campaign) is None
    stage.work("reach.reconcile")
    stage.work()
    assert score(stage, campaign) == 1
    assert taking_part(stage, "Quiet", campaign) is None, "in the list is not newly come"
    stage.work("reach.reconcile")
    assert score(stage, campaign) == 1
    with stage.parts.open(stage.workspace) as ctx:
        assert people.by_identity(ctx, Identity("unionid", stage.person("Quiet").unionid)) is not None


def test_what_wecom_refuses_is_tried_in_the_next_round(stage: Stage) -> None:
    campaign = campaign_of(stage)
    code = inviter(stage, campaign)
    stage.sandbox.fault("wecom", "lose", on="callback", match="*", times=9)
    stage.person("B").do("scan", text=code)
    stage.later(seconds=5)
    stage.sandbox.fault("wecom", "errcode", match="/cgi-bin/externalcontact/list", value=-1, times=1)
    stage.work("reach.reconcile")
    assert score(stage, campaign) == 0
    stage.work("reach.reconcile")
    assert score(stage, campaign) == 1


def test_people_seen_on_two_channels_are_one(stage: Stage) -> None:
    campaign = campaign_of(stage)
    code = inviter(stage, campaign)
    b = stage.person("B")
    b.do("follow", appid=stage.appid)
    stage.work()
    stage.later(minutes=1)
    b.do("scan", text=code)
    stage.later(seconds=5)
    stage.work()
    with stage.parts.open(stage.workspace) as ctx:
        here = people.by_identity(ctx, Identity("openid", b.openid()))
        there = people.by_identity(ctx, Identity("external_userid", external(stage, "B")))
    assert here == there
    assert stage.count("contacts", "merged_into IS NULL") == 2
    # Leaving the one is not leaving the other.
    b.do("unfollow", appid=stage.appid)
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert found.state == "active"
    b.do("delete_employee", userid="ZhangSan")
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert found.state == "left"


def test_news_for_customers_of_employees_stand_on_their_page(stage: Stage) -> None:
    campaign = campaign_of(stage)
    stage.person("B").do("scan", text=inviter(stage, campaign))
    stage.later(seconds=5)
    stage.work()
    own = taking_part(stage, "B", campaign)
    assert own is not None
    stage.person("C").do("scan", text=stage.code_of(own.id))
    stage.later(seconds=5)
    stage.work()
    states = {(one.state, one.reason) for one in stage.deliveries(kind="message", contact_id=own.contact_id)}
    assert states == {("refused", "no_way")}


def test_a_groups_members_say_who_brought_them(stage: Stage) -> None:
    campaign = campaign_of(stage)
    inviter(stage, campaign)
    with stage.parts.open(stage.workspace) as ctx:
        owner = people.by_identity(ctx, Identity("external_id", "A"))
        assert owner is not None
        me = queries.participation(ctx, campaign, [owner])
        assert me is not None
    chat_id, code = group_code(stage, me.invite_token)
    b = stage.person("B")
    b.do("scan", text=code)
    stage.later(seconds=5)
    stage.work()
    assert score(stage, campaign) == 1
    assert taking_part(stage, "B", campaign) is not None
    with stage.parts.open(stage.workspace) as ctx:
        row = ctx.session.execute(
            text("SELECT members, dismissed FROM chat_groups WHERE chat_id = :id"), {"id": chat_id}
        ).one()
        assert tuple(row) == (2, False)
    b.do("leave_group", chat_id=chat_id)
    stage.later(seconds=5)
    stage.work()
    found = taking_part(stage, "B", campaign)
    assert found is not None
    assert (found.state, score(stage, campaign)) == ("left", 0)


def test_a_group_whose_event_was_lost_is_read_by_the_next_round(stage: Stage) -> None:
    campaign = campaign_of(stage)
    inviter(stage, campaign)
    with stage.parts.open(stage.workspace) as ctx:
        owner = people.by_identity(ctx, Identity("external_id", "A"))
        me = queries.participation(ctx, campaign, [str(owner)])
        assert me is not None
    _, code = group_code(stage, me.invite_token)
    stage.sandbox.fault("wecom", "lose", on="callback", match="*", times=9)
    stage.person("B").do("scan", text=code)
    stage.later(seconds=5)
    stage.work("reach.reconcile")
    stage.work()
    assert score(stage, campaign) == 1


def group_code(stage: Stage, state: str) -> tuple[str, str]:
    """A group of ZhangSan's and a code that lets people into it."""
    from growth_engine.channels.wecom import Groups, JoinWay, Wecom
    from growth_engine.connections import credentials
    from growth_engine.connections import queries as connections
    from growth_engine.sandbox.wecom import groups

    world = stage.sandbox.world
    with world.open():
        made = groups.make(world, CORPID, "ZhangSan", "福利群")
    with stage.parts.open(stage.workspace) as ctx:
        wecom = Wecom(credentials.wecom(connections.connection(ctx, stage.wecom)), stage.parts.gear)
    config_id = Groups(wecom).add_join_way(JoinWay(state, (made["chat_id"],), auto_create=False))
    way = Groups(wecom).join_way(config_id)
    return made["chat_id"], stage.content_of(way.qr_code)


def test_without_named_employees_all_who_may_have_customers_are_behind_the_code(stage: Stage) -> None:
    campaign = stage.campaign(channel_account_id=stage.wecom)
    code = inviter(stage, campaign)
    stage.person("B").do("scan", text=code)
    stage.later(seconds=5)
    assert score(stage, campaign) == 1


def test_what_staff_mend_at_wecom_gives_everybody_their_code_in_the_end(stage: Stage) -> None:
    """41054: the employee was not activated. Nobody tells us when they are."""
    campaign = campaign_of(stage)
    stage.sandbox.fault("wecom", "errcode", match="/cgi-bin/externalcontact/add_contact_way", value=41054)
    assert "/i/" in inviter(stage, campaign), "the link stands in meanwhile"
    faults.clear(stage.sandbox.world)
    stage.later(hours=7)
    stage.work()
    assert stage.sandbox.world.store.count("wecom.ways", f"{CORPID}/") == 1
    with stage.parts.open(stage.workspace) as ctx:
        owner = people.by_identity(ctx, Identity("external_id", "A"))
        me = queries.participation(ctx, campaign, [owner or ""])
        assert me is not None
    stage.person("B").do("scan", text=stage.code_of(me.id))
    stage.later(seconds=5)
    assert score(stage, campaign) == 1


def test_contact_ways_of_ended_campaigns_are_deleted(stage: Stage) -> None:
    campaign = campaign_of(stage)
    inviter(stage, campaign)
    assert stage.sandbox.world.store.count("wecom.ways", f"{CORPID}/") == 1
    with stage.parts.open(stage.workspace) as ctx:
        found = queries.campaign(ctx, campaign)
        found.state, found.ended_at = "ended", ctx.now()
    stage.later(days=8)
    stage.work()
    assert stage.sandbox.world.store.count("wecom.ways", f"{CORPID}/") == 1, "people still scan posters"
    stage.later(days=8)
    stage.work()
    assert stage.sandbox.world.store.count("wecom.ways", f"{CORPID}/") == 0
