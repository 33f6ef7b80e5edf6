"""The story a demo tells is believable, in order, and the same for the same seed."""

from __future__ import annotations

from collections import Counter

import phonenumbers
import pytest

from growth_engine.demo.scenario import Scenario, scenario, velocity_limit
from growth_engine.people.rules import clean_nickname, is_virtual_number, normalise

PEOPLE = 3000


@pytest.fixture(scope="module")
def story() -> Scenario:
    return scenario(PEOPLE, seed=1)


def test_the_same_seed_tells_the_same_story_and_another_seed_another_one(story: Scenario) -> None:
    assert scenario(PEOPLE, seed=1) == story
    assert scenario(PEOPLE, seed=2) != story


@pytest.mark.parametrize("count", [1, 2, 7, 60, 200, PEOPLE])
def test_everybody_joins_once_and_nobody_before_their_inviter(count: int) -> None:
    told = scenario(count, seed=3)
    assert [person.number for person in told.people] == list(range(count))
    joins = [step for step in told.steps if step.kind in ("join", "forged")]
    assert sorted(step.who for step in joins) == list(range(count))
    place = {step.who: index for index, step in enumerate(told.steps) if step.kind in ("join", "forged")}
    for index, step in enumerate(told.steps):
        assert 0.0 <= step.at <= 1.0
        if step.kind not in ("meet", "visit", "join", "forged"):
            assert place[step.who] < index, step
        if step.other is not None:
            assert place[step.other] < index, step
    assert list(told.steps) == sorted(told.steps)


def test_every_kind_of_thing_happens(story: Scenario) -> None:
    kinds = Counter(step.kind for step in story.steps)
    wanted = "meet visit join forged again self_invite loop poster leave back block retry"
    assert set(kinds) == set(wanted.split())
    assert kinds["visit"] > kinds["join"] > kinds["poster"] > kinds["leave"] > kinds["back"] > 0


def test_few_bring_many_over_many_generations(story: Scenario) -> None:
    generation: list[int] = []
    for person in story.people:
        generation.append(0 if person.inviter is None else generation[person.inviter] + 1)
    assert max(generation) >= 6
    brought = sorted(Counter(p.inviter for p in story.people if p.inviter is not None).values(), reverse=True)
    invited = sum(brought)
    assert 0.85 < invited / PEOPLE < 0.97
    assert len(brought) < PEOPLE / 2, "most people bring nobody"
    assert sum(brought[: len(brought) // 5]) > 0.4 * invited, (
        "a fifth of the inviters brings most of the rest"
    )


def test_one_inviter_alone_is_too_fast_for_the_campaign_of_the_demo(story: Scenario) -> None:
    assert story.velocity_limit == velocity_limit(PEOPLE)
    brought = Counter(person.inviter for person in story.people if person.inviter is not None)
    beyond = [inviter for inviter, count in brought.items() if count > story.velocity_limit]
    assert len(beyond) == 1
    at = {step.at for step in story.steps if step.kind == "join" and step.other == beyond[0]}
    assert len(at) <= 2, "the friends of the machine come all at once"


def test_arrivals_have_peaks(story: Scenario) -> None:
    hours = Counter(int(step.at * 7 * 24) % 24 for step in story.steps if step.kind == "join")
    assert hours[21] + hours[20] > 5 * (hours[2] + hours[3] + 1)
    days = Counter(int(step.at * 7) for step in story.steps if step.kind == "join")
    assert days[3] > 2 * days[0]


def test_numbers_are_reserved_for_fiction_and_valid_and_nobody_has_two(story: Scenario) -> None:
    phones = [person.phone for person in story.people if person.way == "form"]
    assert len(phones) == len(set(phones))
    assert 100 < len(phones) <= 150
    assert all(person.phone == "" for person in story.people if person.way == "api")
    for phone in phones:
        number = phonenumbers.parse(phone)
        assert number.country_code == 1
        assert str(number.national_number)[3:8] == "55501"
        assert normalise("phone", phone, "CN") == phone
        assert not is_virtual_number(phone)


def test_names_are_kept_as_they_are_and_come_in_both_languages_and_with_emoji(story: Scenario) -> None:
    names = [person.nickname for person in story.people]
    assert [name for name in names if clean_nickname(name) != name] == []
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in name) for name in names)
    assert 0.6 < chinese / PEOPLE < 0.95
    assert sum(any(ord(c) > 0x1F000 for c in name) for name in names) > PEOPLE / 20
    assert len(set(names)) > PEOPLE / 3
