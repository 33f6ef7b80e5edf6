"""Live codes choose a target: order, room, hours, ends, fallback; and say what to see to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth_engine.live_codes import rules

ZONE = ZoneInfo("Asia/Shanghai")
#: A Monday, noon in Shanghai.
NOW = datetime(2026, 6, 1, 4, tzinfo=UTC)


@dataclass
class Place:
    id: str
    position: int = 0
    name: str = "Group"
    state: str = "active"
    fallback: bool = False
    capacity: int | None = 2
    taken: int = 0
    opens: str = ""
    closes: str = ""
    weekdays: list[int] = field(default_factory=lambda: list(rules.EVERY_DAY))
    expires_at: datetime | None = None
    weight: int = 1


def lead(places: list[Place], people: int, spread: str = "fill", now: datetime = NOW) -> list[str]:
    led = []
    for _ in range(people):
        choice = rules.choose(places, now, ZONE, spread)
        led.append(choice.target.id if choice.target else choice.reason)
        if choice.target:
            choice.target.taken += 1
    return led


def test_the_next_group_comes_when_one_is_full_and_then_the_fallback() -> None:
    places = [Place("b", 1), Place("a", 0), Place("z", 9, fallback=True, capacity=1)]
    assert lead(places, 6) == ["a", "a", "b", "b", "z", "z"]


def test_newcomers_are_led_by_weight_where_that_is_asked_for() -> None:
    places = [Place("a", capacity=None, weight=3), Place("b", 1, capacity=None)]
    led = lead(places, 40, "even")
    assert (led.count("a"), led.count("b")) == (30, 10)
    assert led[:4].count("b") == 1, "evenly from the start"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "paused"}, "paused"),
        ({"taken": 2}, "full"),
        ({"expires_at": NOW}, "expired"),
        ({"opens": "13:00", "closes": "18:00"}, "closed"),
        ({"weekdays": [2, 3]}, "closed"),
    ],
)
def test_why_nothing_is_shown_is_said(changes: dict[str, Any], reason: str) -> None:
    places = [replace(Place("a"), **changes)]
    assert lead(places, 1) == [reason]
    assert rules.REASONS[reason]
    assert rules.keeps(places[0], NOW, ZONE) == (reason == "full")


def test_nothing_behind_the_code_is_said_too() -> None:
    assert lead([], 1) == ["empty"]


@pytest.mark.parametrize(
    ("clock", "day", "is_open"),
    [("23:00", 1, True), ("03:00", 2, True), ("03:00", 1, False), ("12:00", 1, False), ("23:00", 7, False)],
)
def test_hours_past_midnight_belong_to_the_day_they_began(clock: str, day: int, is_open: bool) -> None:
    night = Place("a", opens="22:00", closes="04:00", weekdays=[1])
    hour, minute = map(int, clock.split(":"))
    day_before = datetime(2026, 5, 31, hour, minute, tzinfo=ZONE)  # a Sunday
    assert rules.is_open(night, day_before + timedelta(days=day % 7)) == is_open


def codes(*places: Place) -> list[str]:
    return [one.code for one in rules.warnings(places, NOW, ZONE)]


def test_what_to_see_to_is_said_the_worst_first() -> None:
    soon, past = NOW + timedelta(days=1), NOW - timedelta(days=1)
    assert codes() == ["no_target"]
    assert codes(Place("a", capacity=10)) == []
    assert codes(Place("a", taken=2)) == ["no_room"]
    assert codes(Place("a", taken=2), Place("b", fallback=True)) == ["only_fallback"]
    assert codes(Place("a", capacity=10, taken=8)) == ["nearly_full"]
    assert codes(Place("a", expires_at=soon)) == ["expiring"]
    assert codes(Place("a", expires_at=past)) == ["no_room", "expired"]
    assert codes(Place("a", opens="13:00", closes="14:00")) == [], "a closed hour is no fault"


places = st.builds(
    Place,
    id=st.uuids().map(str),
    position=st.integers(0, 3),
    state=st.sampled_from(["active", "active", "paused"]),
    fallback=st.booleans(),
    capacity=st.none() | st.integers(0, 4),
    opens=st.sampled_from(["", "09:00", "22:00"]),
    closes=st.sampled_from(["", "05:00", "13:00"]),
    weekdays=st.lists(st.integers(1, 7), min_size=1, unique=True),
    expires_at=st.none() | st.integers(-2, 2).map(lambda hours: NOW + timedelta(hours=hours)),
    weight=st.integers(1, 5),
)


@given(st.lists(places, max_size=5), st.integers(0, 12), st.sampled_from(["fill", "even"]))
def test_nobody_is_led_to_what_is_full_ended_closed_or_paused(
    behind: list[Place], people: int, spread: str
) -> None:
    for _ in range(people):
        choice = rules.choose(behind, NOW, ZONE, spread)
        fit = [one for one in behind if not one.fallback and not rules.hinders(one, NOW, ZONE)]
        if choice.target is None:
            assert rules.REASONS[choice.reason]
            assert not fit
            assert not any(one.fallback and rules.keeps(one, NOW, ZONE) for one in behind)
            return
        assert rules.keeps(choice.target, NOW, ZONE)
        assert choice.target in fit or (not fit and choice.target.fallback)
        choice.target.taken += 1
    for one in behind:
        assert one.fallback or one.capacity is None or one.taken <= one.capacity
