"""Task treasure: steps pay once, gone rewards are never silence, caps hold, whatever order people come in."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError
from sqlalchemy import text

from campaigns import tasks
from growth_engine.context import Parts
from growth_engine.ledger.service import verify_all
from growth_engine.plays.contract import (
    Effect,
    Given,
    GrantDays,
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Remember,
    ReserveStock,
    SendMessage,
    TagContact,
    Viewer,
)
from growth_engine.plays.messages import message_text
from tests.factories.campaigns import Actors, make_campaign

GIVEN = Given(datetime(2026, 6, 1, tzinfo=UTC), random.Random(1))
CODE = {"invites": 2, "kind": "text", "label": "A code", "text": "TEA-7", "stock": 1}
BOOK = {"invites": 3, "kind": "parcel", "label": "A book", "text": "Write to us", "stock": None}
DAYS = {"invites": 4, "days": 30}


def config(**changes: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = tasks.Config().load({"tiers": [CODE, BOOK, DAYS], **changes})
    return loaded


class Machine:
    """Does effects as the engine does, for one inviter: stock, the state, and what was given."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.rules = rules
        self.state: dict[str, Any] = {}
        self.stock = dict(tasks.stock(rules))
        self.days: dict[str, int] = {}
        self.told: dict[str, str] = {}
        self.tags: set[str] = set()
        self.taken: Counter[str] = Counter()

    def happens(self, event: Any) -> list[str]:
        decision = tasks.decide(event, self.state, self.rules, GIVEN)
        self.state = dict(decision.state)
        for effect in decision.effects:
            self.do(effect)
        return [reason.code for reason in decision.reasons]

    def do(self, effect: Effect) -> None:
        match effect:
            case GrantDays():
                self.days.setdefault(effect.key, effect.days)
            case SendMessage():
                self.told.setdefault(effect.key, effect.template)
            case TagContact():
                self.tags.add(effect.tag)
            case Remember():
                self.state[effect.name] = sorted({*self.state.get(effect.name, []), effect.value})
            case ReserveStock():
                here = self.stock.get(effect.item, 0) > 0
                self.stock[effect.item] -= here
                self.taken[effect.item] += here
                for one in effect.won if here else effect.sold_out:
                    self.do(one)

    def steps(self, valid: int) -> list[tuple[int, bool, bool]]:
        left = {name: max(0, count) for name, count in self.stock.items()}
        gone = frozenset(name for name, count in left.items() if not count)
        page = tasks.page(self.state, self.rules, Viewer(1, valid, gone, left))
        return [(step.invites, step.reached, step.waiting) for step in page.steps]


def test_each_kind_of_reward_reaches_the_winner() -> None:
    play = Machine(config(friend_days=7))
    for number in range(1, 5):
        play.happens(HelpCounted(1, number + 1, number))
    assert play.days == {**{f"friend:{n}": 7 for n in range(2, 6)}, "tier:4:1": 30}
    assert play.tags == {"parcel: A book"}
    assert [play.told[f"tier:{at}:1:won"] for at in (2, 3, 4)] == ["task_done", "task_done", "tier_reached"]
    assert play.steps(4) == [(2, True, False), (3, True, False), (4, True, False)]
    words, params = message_text("task_done", {"invites": 2, "label": "A code", "text": "TEA-7"})
    assert "TEA-7" in words % params


def test_whoever_finds_the_stock_empty_waits_and_is_served_when_there_is_more() -> None:
    play = Machine(config())
    play.stock["tier:2"] = 0
    play.happens(HelpCounted(1, 2, 1))
    play.happens(HelpCounted(1, 3, 2))
    assert play.told["tier:2:1:waits_told"] == "task_waiting"
    assert play.tags == {"waiting list"}
    assert play.steps(2)[0] == (2, False, True)
    play.happens(HelpCounted(1, 4, 3))
    assert "tier:2:1:won" not in play.told, "still nothing there"
    play.stock["tier:2"] = 5
    play.happens(HelpRestored(1, 4, 3))
    assert play.told["tier:2:1:won"] == "task_done"
    assert play.steps(3)[0] == (2, True, False)
    play.happens(HelpCounted(1, 5, 4))
    assert play.taken["tier:2"] == 1, "served once"


def test_days_instead_of_a_gone_reward_are_given_once() -> None:
    play = Machine(config(when_empty="days_instead", instead_days=10))
    play.stock["tier:2"] = 0
    for valid in (1, 2):
        play.happens(HelpCounted(1, valid + 1, valid))
    play.stock["tier:2"] = 5
    play.happens(HelpWithdrawn(1, 3, 1))
    play.happens(HelpCounted(1, 4, 2))
    assert play.days == {"tier:2:1:instead": 10}
    assert play.taken["tier:2"] == 0


def test_the_cap_stops_the_climb_and_says_so() -> None:
    play = Machine(config(rewards_cap=2))
    reasons = [play.happens(HelpCounted(1, number + 1, number)) for number in range(1, 5)]
    assert reasons == [[], [], [], ["rewards_cap"]]
    assert play.days == {}
    assert [at for at, _, _ in play.steps(4)] == [2, 3], "nothing is promised that is not given"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiers": []},
        {"tiers": [{"invites": 3, "days": 5}, {"invites": 3, "days": 9}]},
        {"tiers": [{"invites": 3}]},
        {"tiers": [{"invites": 3, "kind": "text", "label": "A code"}]},
        {"tiers": [{"invites": 3, "kind": "parcel", "text": "Write"}]},
        {"tiers": [{**BOOK, "days": 3}]},
        {"when_empty": "days_instead"},
    ],
)
def test_a_ladder_that_gives_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**wrong)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["come", "come", "leave", "return", "restock"]), max_size=40),
    st.none() | st.integers(1, 3),
    st.booleans(),
)
def test_no_step_pays_twice_and_none_is_silent(happened: list[str], cap: int | None, waits: bool) -> None:
    more = {} if waits else {"when_empty": "days_instead", "instead_days": 10}
    play = Machine(config(rewards_cap=cap, **more))
    valid, came, away, highest = 0, 0, 0, 0
    for what in happened:
        if what == "come":
            valid, came = valid + 1, came + 1
            play.happens(HelpCounted(1, came + 1, valid))
        elif what == "leave" and valid:
            valid, away = valid - 1, away + 1
            play.happens(HelpWithdrawn(1, 2, valid))
        elif what == "return" and away:
            valid, away = valid + 1, away - 1
            play.happens(HelpRestored(1, 2, valid))
        elif what == "restock":
            play.stock["tier:2"] += 1
        highest = max(highest, valid)
    reached = [tier["invites"] for tier in play.rules["tiers"] if tier["invites"] <= highest]
    assert play.state.get("tiers", []) == (reached if cap is None else reached[:cap])
    for at in play.state.get("tiers", ()):
        assert any(key.startswith(f"tier:{at}:1:") for key in play.told), "somebody reached a step unheard"
    assert play.taken["tier:2"] <= 1
    assert set(play.days) <= {"tier:4:1", "tier:2:1:instead"}


def test_the_last_reward_goes_to_one_of_all_who_reach_it(parts: Parts, workspace: str) -> None:
    """Through the real books: three reach the step, one reward is there."""
    campaign = make_campaign(parts, workspace, {"tiers": [{**CODE, "invites": 1}]}, slug="tasks")
    cast = Actors(parts, workspace, campaign)
    for who in ("ann", "ben", "cid"):
        cast.join(who)
        cast.join(f"friend of {who}", who)
    with parts.open(workspace) as ctx:
        rows = ctx.session.execute(text("SELECT template, contact_id FROM messages")).all()
        tags = ctx.session.execute(text("SELECT id FROM contacts WHERE 'waiting list' = ANY(tags)"))
        waiting = set(tags.scalars())
    told = Counter(template for template, _ in rows)
    assert (told["task_done"], told["task_waiting"]) == (1, 2)
    assert waiting == {cast.contacts["ben"], cast.contacts["cid"]}
    assert all(report.clean for report in verify_all(parts, workspace))
