"""Group codes: the group opens at the number of friends asked for, stays open, and everybody is told."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from campaigns import group_codes
from growth_engine.plays.contract import (
    Given,
    GrantDays,
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Joined,
    SendMessage,
    Viewer,
)
from growth_engine.plays.messages import message_text

GIVEN = Given(datetime(2026, 6, 1, tzinfo=UTC), random.Random(1))


def config(**changes: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = group_codes.Config().load({"helpers": 2, "group_name": "Tea", **changes})
    return loaded


def decide(event: Any, state: Any = None, **changes: Any) -> Any:
    return group_codes.decide(event, state or {}, config(**changes), GIVEN)


def test_the_group_opens_with_the_last_friend_asked_for_and_stays_open() -> None:
    first = decide(HelpCounted(1, 2, 1))
    assert [(one.template, dict(one.params)) for one in first.effects] == [
        ("group_progress", {"valid_invites": 1, "needed": 2})
    ]
    second = decide(HelpCounted(1, 3, 2), first.state)
    assert second.effects == [SendMessage("open:1", 1, "group_open", {"name": "Tea"})]
    left = decide(HelpWithdrawn(1, 3, 1), second.state)
    page = group_codes.page(left.state, config(), Viewer(1, 1))
    assert (page.opens, page.to_next) == (True, None)
    third = decide(HelpCounted(1, 4, 2), left.state)
    assert [one.template for one in third.effects] == ["friend_came"]


def test_without_friends_asked_for_it_is_open_at_once() -> None:
    assert group_codes.page({}, config(helpers=0), Viewer(1, 0)).opens
    assert decide(Joined(1), helpers=0).effects == ()


def test_the_friend_gets_days_where_that_is_promised() -> None:
    effects = decide(HelpCounted(1, 2, 1), friend_days=7).effects
    assert effects[0] == GrantDays("friend:2", 2, 7, "friend")


def test_a_group_without_a_name_is_spoken_of_without_one() -> None:
    words, _ = message_text("group_open", {"name": ""})
    assert "%(name)s" not in words


@given(st.integers(0, 4), st.lists(st.sampled_from(["come", "leave", "return"]), max_size=20))
def test_it_is_open_exactly_when_enough_friends_were_there_once(needed: int, happened: list[str]) -> None:
    rules, state = config(helpers=needed), {}
    valid = away = highest = opened = 0
    for number, what in enumerate(happened):
        if what == "come":
            valid += 1
            event: Any = HelpCounted(1, number + 2, valid)
        elif what == "leave" and valid:
            valid, away = valid - 1, away + 1
            event = HelpWithdrawn(1, 2, valid)
        elif what == "return" and away:
            valid, away = valid + 1, away - 1
            event = HelpRestored(1, 2, valid)
        else:
            continue
        decision = group_codes.decide(event, state, rules, GIVEN)
        state = dict(decision.state)
        opened += sum(getattr(one, "template", "") == "group_open" for one in decision.effects)
        highest = max(highest, valid)
    page = group_codes.page(state, rules, Viewer(1, valid))
    assert page.opens == (highest >= needed)
    assert opened == (highest >= needed > 0)
    assert page.to_next is None or page.to_next == needed - valid >= 1
