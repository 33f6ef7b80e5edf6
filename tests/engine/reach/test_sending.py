"""What is to be sent goes the best allowed way, waits with its reason, and is never dropped in silence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from growth_engine.app import create_app
from growth_engine.connections import queries as connections
from growth_engine.inbox import reception
from growth_engine.inbox.contract import Inbound
from growth_engine.inbox.payloads import PaymentNotice
from growth_engine.people import service as people
from growth_engine.plays.models import Campaign
from growth_engine.reach import deliveries, interpreters, queries
from growth_engine.reach.deliveries import To
from growth_engine.sandbox import faults
from growth_engine.sandbox.oa import windows
from tests.factories.console import Console
from tests.factories.stages import Stage


def tell(stage: Stage, name: str, *lines: str) -> None:
    """Texts for somebody, as if something had happened."""
    person = stage.person(name)
    with stage.parts.open(stage.workspace) as ctx:
        to = To(stage.oa, person.openid(), stage.contact(name), ctx.now())
        for line in lines:
            deliveries.add(ctx, to, "text", stage.parts.ids.new("key"), {"text": line})


def states(stage: Stage, name: str) -> list[tuple[str, str, str]]:
    rows = stage.deliveries(person=stage.person(name).openid())
    return [(one.state, one.waits_for, one.reason) for one in rows]


def test_the_inviter_is_told_with_their_next_step(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.later(minutes=5)
    for name in ("B", "C", "D"):
        stage.person(name).do("scan", text=code)
    stage.work()
    a = stage.person("A")
    before = len(stage.texts("A"))
    assert len(states(stage, "A")) >= 3
    assert {one[:2] for one in states(stage, "A") if one[0] == "waiting"} == {("waiting", "person")}
    a.do("text", appid=stage.appid, text="anybody there?")
    stage.work()
    told = stage.texts("A")[before:]
    # A window holds few messages: news are sent together.
    assert len(told) == 1
    assert told[0].count("A friend came through you") == 3
    assert "3 count by now" in told[0]
    assert {one[0] for one in states(stage, "A")} == {"sent"}


def test_within_the_minute_the_inviter_is_told_at_once(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.person("A").do("text", appid=stage.appid, text="hi")
    stage.person("B").do("scan", text=code)
    stage.work()
    assert "A friend came through you" in stage.texts("A")[-1]


def test_45047_waits_for_the_next_step_and_is_sent_then(stage: Stage) -> None:
    campaign = stage.campaign()
    b = stage.person("B")
    code = stage.inviter("A", campaign)
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/message/custom/send", value=45047, times=2)
    b.do("scan", text=code)
    stage.work()
    assert "<image>" not in stage.texts("B")
    waiting = stage.deliveries(person=b.openid(), kind="poster")
    assert [(one.state, one.waits_for, one.reason) for one in waiting] == [
        ("waiting", "person", "window_used_up")
    ]
    assert any(one.code == "45047" and one.trace for one in stage.deliveries(person=b.openid()))
    stage.work()
    assert "<image>" not in stage.texts("B"), "not asked again before they do something"
    b.do("text", appid=stage.appid, text="?")
    stage.work()
    assert stage.texts("B").count("<image>") == 1
    assert stage.deliveries(id=waiting[0].id)[0].state == "sent"


def test_a_poster_that_is_late_for_the_minute_waits_as_well(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    b.do("scan", text=code)
    stage.later(minutes=2)
    stage.work()
    assert [one for one in states(stage, "B") if one[0] == "waiting"] == [
        ("waiting", "person", "window_closed")
    ] * len(states(stage, "B"))
    b.do("scan", text=code)
    stage.work()
    assert stage.texts("B").count("<image>") == 1, "the one that waited, not another one"


def test_a_token_that_ends_in_the_middle_of_a_batch_costs_nobody_a_message(stage: Stage) -> None:
    names = ["B", "C", "D", "E", "F"]
    for name in names:
        stage.person(name).do("follow", appid=stage.appid)
        tell(stage, name, f"for {name}")
    stage.work("reach.profiles")
    stage.sandbox.fault("oa", "expire_token", match="/cgi-bin/message/custom/send", skip=2)
    stage.work()
    assert [stage.texts(name) for name in names] == [[f"for {name}"] for name in names]


def test_a_lost_answer_is_not_sent_twice(stage: Stage) -> None:
    stage.person("B").do("follow", appid=stage.appid)
    stage.sandbox.fault("oa", "lose_answer", match="/cgi-bin/message/custom/send")
    tell(stage, "B", "once")
    stage.work()
    stage.later(hours=1)
    stage.work()
    assert stage.texts("B") == ["once"]
    assert [one[0] for one in states(stage, "B")] == ["unknown"]
    with stage.parts.open(stage.workspace) as ctx:
        assert queries.trouble(ctx) == {"unknown": 1}


def test_a_busy_platform_is_tried_again_later(stage: Stage) -> None:
    b = stage.person("B")
    b.do("follow", appid=stage.appid)
    b.do("text", appid=stage.appid, text="opens two days")
    stage.work("reach.profiles")
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/message/custom/send", value=-1, times=2)
    tell(stage, "B", "patience")
    stage.work()
    assert states(stage, "B") == [("waiting", "time", "busy")]
    stage.later(seconds=6)
    stage.work()
    stage.later(seconds=11)
    stage.work()
    assert stage.texts("B") == ["patience"]


def test_wrong_credentials_stop_the_account_are_shown_and_nothing_is_lost(stage: Stage) -> None:
    for name in ("B", "C"):
        person = stage.person(name)
        person.do("follow", appid=stage.appid)
        person.do("text", appid=stage.appid, text="hi")
    stage.work()
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/message/custom/send", value=48004, times=9)
    tell(stage, "B", "one")
    tell(stage, "C", "two")
    stage.work()
    assert {one[1] for name in ("B", "C") for one in states(stage, name)} == {"staff"}
    with stage.parts.open(stage.workspace) as ctx:
        assert "permission" in str(connections.account(ctx, stage.oa).check_error)
        assert queries.trouble(ctx) == {"staff": 2}
    faults.clear(stage.sandbox.world)
    stage.parts.mirror.load_functions()
    console = Console(create_app(stage.parts), stage.parts, stage.workspace)
    console.post(f"/console/channels/{stage.oa}/check")
    stage.work()
    assert (stage.texts("B"), stage.texts("C")) == (["one"], ["two"])
    with stage.parts.open(stage.workspace) as ctx:
        assert connections.account(ctx, stage.oa).check_error is None


def test_what_can_never_arrive_says_why(stage: Stage) -> None:
    b = stage.person("B")
    b.do("follow", appid=stage.appid)
    b.do("mute", appid=stage.appid)
    tell(stage, "B", "hello?")
    stage.work()
    assert states(stage, "B") == [("refused", "", "blocked")]
    with stage.parts.open(stage.workspace) as ctx:
        page, more = queries.deliveries_page(ctx, contact_id=stage.contact("B"))
        assert ([one.code for one in page], more) == (["48002"], None)


def test_without_a_window_a_granted_subscription_carries_the_news(stage: Stage) -> None:
    template = "sandbox-friend-000000000000000000000000000"
    with stage.parts.open(stage.workspace) as ctx:
        row = connections.account(ctx, stage.oa)
        row.settings = {**row.settings, "notice_template": template, "notice_field": "thing1"}
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    a = stage.person("A")
    a.do("subscribe", appid=stage.appid, template_id=template, accept=True)
    stage.later(minutes=5)
    for name in ("B", "C"):
        stage.person(name).do("scan", text=code)
        stage.work()
        stage.later(seconds=1)
    assert stage.texts("A").count("<template>") == 1, "one grant, one message"
    assert states(stage, "A")[-1] == ("waiting", "person", "window_closed")
    # Taken back in the platform's settings: we believe it, and the news wait.
    a.do("subscribe", appid=stage.appid, template_id=template, accept=True)
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/message/subscribe/bizsend", value=43101)
    stage.work()
    assert states(stage, "A")[-1] == ("waiting", "person", "not_granted")
    a.do("text", appid=stage.appid, text="?")
    stage.work()
    assert "A friend came" in stage.texts("A")[-1]


def test_what_the_platform_shuts_goes_the_next_best_way(stage: Stage) -> None:
    """45047 although we counted otherwise: another window that is open, else the granted subscription."""
    template = "sandbox-friend-000000000000000000000000000"
    with stage.parts.open(stage.workspace) as ctx:
        row = connections.account(ctx, stage.oa)
        row.settings = {**row.settings, "notice_template": template, "notice_field": "thing1"}
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    a = stage.person("A")
    a.do("subscribe", appid=stage.appid, template_id=template, accept=True)
    stage.later(minutes=5)
    a.do("text", appid=stage.appid, text="?")
    a.do("scan", text=code)  # a second window, the shorter one: it is used first
    stage.work()
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/message/custom/send", value=45047, times=1)
    stage.person("B").do("scan", text=code)
    stage.work("reach.pick", "reach.deliver")
    assert "A friend came" in stage.texts("A")[-1]
    stage.later(minutes=5)
    stage.sandbox.fault("oa", "errcode", match="/cgi-bin/message/custom/send", value=45047, times=1)
    stage.person("C").do("scan", text=code)
    stage.work("reach.pick", "reach.deliver")
    assert stage.texts("A")[-1] == "<template>"
    assert states(stage, "A")[-1][0] == "sent"


def test_who_paid_may_be_written_to_for_two_days(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.inviter("A", campaign)
    stage.later(minutes=5)
    tell(stage, "A", *(f"news {number}" for number in range(7)))
    stage.work()
    assert {one[:2] for one in states(stage, "A") if one[0] != "sent"} == {("waiting", "person")}
    a, world = stage.person("A"), stage.sandbox.world
    with world.open():
        windows.opened(world, stage.appid, a.openid(), "pay")
    told = paid_by(stage, a.openid())
    with stage.parts.open(stage.workspace) as ctx:
        interpreters.paid(ctx, told)
        interpreters.paid(ctx, paid_by(stage, "somebody-else"))
    stage.work()
    assert {one[0] for one in states(stage, "A")} == {"sent"}
    stage.later(hours=47)
    for number in range(7):
        tell(stage, "A", f"more {number}")
        stage.work()
    assert {one[0] for one in states(stage, "A")} == {"sent"}
    stage.later(hours=2)
    tell(stage, "A", "too late")
    stage.work()
    assert states(stage, "A")[-1] == ("waiting", "person", "window_closed")


def paid_by(stage: Stage, openid: str) -> Inbound:
    now = stage.parts.clock.now()
    notice = PaymentNotice(
        app_id=stage.appid, mch_id="1", out_trade_no="1", transaction_id="1", trade_type="JSAPI",
        trade_state="SUCCESS", openid=openid, total=1, payer_total=1, currency="CNY", attach="",
        success_time=now,
    )  # fmt: skip
    return Inbound("wechat_pay", "chn_1", "ntf:1", "payment", now, openid, "1", notice)


def test_asking_for_the_poster_gets_the_poster(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.inviter("A", campaign)
    a = stage.person("A")
    a.do("text", appid=stage.appid, text=" 海报 ")
    stage.work()
    assert stage.texts("A").count("<image>") == 1
    stage.later(seconds=1)
    a.do("text", appid=stage.appid, text="Poster")
    stage.work()
    assert stage.texts("A").count("<image>") == 2
    uploads = [one for one in stage.sandbox.log(service="oa") if "/cgi-bin/media/upload" in one["line"]]
    assert len(uploads) == 1, "kept for two and a half days"


def test_an_answer_that_is_late_goes_as_a_message(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    monkeypatch.setattr(reception, "RESERVE_SECONDS", 5.0)
    stage.person("B").do("scan", text=code)
    stage.settled()
    assert "You are taking part" in " ".join(stage.texts("B"))


def test_old_news_are_not_sent_when_a_channel_is_connected(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.inviter("A", campaign)
    with stage.parts.open(stage.workspace) as ctx:
        from sqlalchemy import text

        ctx.session.execute(
            text(
                "INSERT INTO messages (id, workspace_id, contact_id, template, params, key, created_at)"
                " VALUES (:id, :ws, :contact, 'tier_reached', '{}', 'old', :at)"
            ),
            {
                "id": ctx.new_id("msg"),
                "ws": stage.workspace,
                "contact": stage.contact("A"),
                "at": ctx.now() - timedelta(days=3),
            },
        )
    before = len(states(stage, "A"))
    stage.work()
    assert len(states(stage, "A")) == before
    assert stage.count("messages", "picked_at IS NULL") == 0


def test_after_a_month_nobody_waits_any_more(stage: Stage) -> None:
    b = stage.person("B")
    b.do("follow", appid=stage.appid)
    stage.later(minutes=5)
    tell(stage, "B", "still there?")
    stage.work()
    assert states(stage, "B") == [("waiting", "person", "window_closed")]
    stage.later(days=31)
    stage.work("reach.prune")
    assert states(stage, "B") == [("refused", "", "window_closed")]
    stage.later(days=200)
    stage.work("reach.prune")
    assert states(stage, "B") == []


def test_two_accounts_of_one_person_become_one_contact(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    with stage.parts.open(stage.workspace) as ctx:
        known = people.create_or_update(ctx, {"unionid": b.unionid}, nickname="Bea", proven=True).contact_id
    stage.later(seconds=1)
    b.do("scan", text=code)
    assert stage.contact("B") != known
    assert stage.score("A", campaign) == 1
    stage.work()
    assert stage.score("A", campaign) == 0, "our own records knew them, as we know now"
    assert stage.contact("B") == known
    assert stage.participant("B", campaign).contact_id == known
    assert "<image>" in stage.texts("B")


def test_a_campaign_without_a_poster_says_so_and_sends_none(stage: Stage) -> None:
    campaign = stage.campaign(poster_template_id=None)
    with stage.parts.open(stage.workspace) as ctx:
        found = ctx.session.get(Campaign, campaign)
        assert found is not None
    from growth_engine.people.rules import Identity
    from growth_engine.plays import participation

    stage.person("A").do("follow", appid=stage.appid)
    ask = participation.JoinAsk(identities=[Identity("openid", stage.person("A").openid())])
    participation.join(stage.parts, stage.workspace, campaign, ask, source="test", key="a")
    token = stage.participant("A", campaign).invite_token
    stage.person("B").do("scan", text=stage.foreign_code(token))
    stage.work()
    assert stage.score("A", campaign) == 1
    assert "poster" not in " ".join(stage.texts("B"))
