"""People come to the Official Account through posters, by themselves, again, and leave: real callbacks."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from growth_engine.inbox import reception
from growth_engine.plays import queries
from tests.factories.holding import holding, locking
from tests.factories.stages import Stage


def test_who_follows_through_a_poster_counts_and_gets_a_poster_of_their_own(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    assert code.startswith("http://weixin.qq.com/q/")
    assert stage.person("B").do("scan", text=code)["followed"]
    assert stage.score("A", campaign) == 1
    stage.work()
    welcome, *rest = stage.texts("B")
    assert "You are taking part in" in welcome
    assert "<image>" in rest
    assert stage.code("B", campaign) != code
    stage.person("C").do("scan", text=stage.code("B", campaign))
    assert (stage.score("A", campaign), stage.score("B", campaign)) == (1, 1)


def test_the_welcome_fits_into_three_messages_within_a_minute(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.person("B").do("scan", text=stage.inviter("A", campaign))
    stage.work()
    sent = [one for one in stage.sandbox.log(service="oa") if "message/custom/send" in one["line"]]
    told = stage.texts("B")
    assert told.count("<image>") == 1
    # The text is the answer to the callback itself, which counts for nothing.
    assert len(told) - 1 <= len(sent) <= 3
    assert [one.state for one in stage.deliveries(person=stage.person("B").openid())] == ["sent"] * 2


@pytest.mark.drill
@pytest.mark.parametrize("how", ["duplicate", "concurrent"])
def test_five_hundred_follow_callbacks_are_one_help_and_one_grant(stage: Stage, how: str) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.work()
    before = stage.count("grants")
    stage.sandbox.fault("oa", how, on="callback", match="subscribe", value=500)
    stage.person("B").do("scan", text=code)
    assert stage.sandbox.settle(120)
    stage.work()
    assert stage.score("A", campaign) == 1
    assert stage.count("invite_edges", "state = 'valid'") == 1
    # One for the inviter, one for the friend.
    assert stage.count("grants") - before == 2
    assert stage.count("participants") == 2
    with stage.parts.open(stage.workspace) as ctx:
        row = ctx.session.execute(
            text("SELECT deliveries, altered, state FROM inbox_messages WHERE sender = :b"),
            {"b": stage.person("B").openid()},
        ).one()
    assert tuple(row) == (500, 0, "done")


def test_three_deliveries_after_time_outs_are_one_help(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database hangs: the platform gives up and sends again. Its 5 s, and our 3, go by faster here."""
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.sandbox.options(callback_timeout=0.4)
    monkeypatch.setattr(reception, "RESERVE_SECONDS", 4.8)
    with locking(stage.parts, "inbox_messages") as let_go:
        threading.Timer(1.0, let_go).start()
        stage.person("B").do("scan", text=code)
    stage.sandbox.options(callback_timeout=5.0)
    stage.settled()
    assert stage.score("A", campaign) == 1
    assert stage.count("inbox_messages", "sender = :b AND deliveries = 3", b=stage.person("B").openid()) == 1
    # The answer came too late to be one: it was sent as a message of its own.
    assert "taking part" in " ".join(stage.texts("B"))


def test_a_decision_that_takes_longer_than_any_patience_is_kept_and_told_later(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    with holding(stage.parts, campaign) as let_go:
        threading.Timer(6.0, let_go).start()
        stage.person("B").do("scan", text=code)
    stage.later(minutes=1)
    stage.work()
    assert stage.score("A", campaign) == 1
    assert "taking part" in " ".join(stage.texts("B")) or stage.deliveries(kind="text", state="waiting")


def test_somebody_who_follows_already_takes_part_and_counts_for_nobody(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    b.do("follow", appid=stage.appid)
    assert not b.do("scan", text=code)["followed"]
    stage.work()
    assert stage.score("A", campaign) == 0
    assert stage.takes_part("B", campaign)
    told = stage.texts("B")
    assert "met before" in told[0]
    assert "<image>" in told
    stage.later(seconds=1)
    b.do("scan", text=code)
    assert "taking part already" in stage.texts("B")[-1]
    assert stage.score("A", campaign) == 0


def test_who_is_new_our_own_records_say_not_the_platform(stage: Stage) -> None:
    """Followed before the account was connected: a SCAN, and somebody we never saw."""
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    stage.sandbox.fault("oa", "lose", on="callback", match="subscribe")
    b.do("follow", appid=stage.appid)
    assert not b.do("scan", text=code)["followed"]
    assert stage.score("A", campaign) == 1


def test_two_events_of_one_second_are_two(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    b.do("scan", text=code)
    b.do("scan", text=code)
    b.do("text", appid=stage.appid, text="hello")
    b.do("unfollow", appid=stage.appid)
    stage.later(seconds=1)
    b.do("scan", text=code)
    stage.work()
    assert stage.score("A", campaign) == 1
    assert stage.count("inbox_messages", "sender = :b AND state = 'done'", b=b.openid()) >= 4
    assert stage.participant("B", campaign).state == "active"


def test_a_follow_that_was_lost_is_found_with_the_next_step(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.sandbox.fault("oa", "lose", on="callback", match="subscribe")
    b = stage.person("B")
    b.do("scan", text=code)
    assert not stage.takes_part("B", campaign)
    stage.later(hours=2)
    b.do("text", appid=stage.appid, text="hello?")
    stage.work()
    assert stage.score("A", campaign) == 1
    assert "<image>" in stage.texts("B")


def test_an_unfollow_that_overtakes_its_follow_is_the_last_word(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    b = stage.person("B")
    stage.sandbox.fault("oa", "delay", on="callback", match="subscribe", value=30)
    b.do("scan", text=code)
    stage.later(seconds=5)
    b.do("unfollow", appid=stage.appid)
    stage.later(seconds=60)
    stage.work()
    assert stage.participant("B", campaign).state == "left"
    assert stage.score("A", campaign) == 0
    assert "taking part" not in " ".join(stage.texts("B"))
    stage.later(seconds=5)
    b.do("scan", text=code)
    assert stage.score("A", campaign) == 1


def test_ones_own_poster_counts_for_nobody(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    stage.person("A").do("scan", text=code)
    assert stage.score("A", campaign) == 0
    assert "your own poster" in stage.texts("A")[-1]


@pytest.mark.parametrize(("state", "words"), [("ended", "has ended"), ("paused", "taking a break")])
def test_whoever_comes_when_nothing_counts_is_told_why(stage: Stage, state: str, words: str) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    with stage.parts.open(stage.workspace) as ctx:
        queries.campaign(ctx, campaign).state = state
    stage.person("B").do("scan", text=code)
    stage.work()
    (told,) = stage.texts("B")
    assert words in told
    assert not stage.takes_part("B", campaign)
    assert stage.contact("B") is not None


def test_who_comes_without_a_code_takes_part_in_the_channels_own_campaign(stage: Stage) -> None:
    stage.person("Early").do("follow", appid=stage.appid)
    assert stage.texts("Early") == []
    campaign = stage.campaign(channel_default=True)
    stage.person("B").do("follow", appid=stage.appid)
    stage.work()
    assert stage.takes_part("B", campaign)
    assert "<image>" in stage.texts("B")
    assert not stage.takes_part("Early", campaign)


def test_a_code_of_somebody_elses_making_is_no_invite(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.inviter("A", campaign)
    code = stage.foreign_code("a-scene-of-another-tool")
    stage.person("B").do("scan", text=code)
    assert stage.contact("B") is not None
    assert not stage.takes_part("B", campaign)
