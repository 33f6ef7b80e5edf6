"""What every play must keep, whichever plays there are: found, not listed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Posted
from growth_engine.ledger.service import verify_all
from growth_engine.plays.contract import (
    Given,
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Joined,
    PlayEvent,
    Viewer,
)
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.registry import play, plays
from tests.factories.campaigns import Actors, join_event, make_campaign

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVENTS: list[PlayEvent] = [
    Joined(1),
    HelpCounted(1, 2, 1),
    HelpWithdrawn(1, 2, 0),
    HelpRestored(1, 2, 1),
    HelpCounted(1, 3, 2),
]

every_play = pytest.mark.parametrize("slug", sorted(plays()))


def given(seed: int = 1) -> Given:
    return Given(NOW, random.Random(seed))


@every_play
def test_the_default_config_round_trips(slug: str) -> None:
    schema = play(slug).Config()
    config = schema.load({})
    assert schema.load(schema.dump(config)) == config


@every_play
def test_every_option_has_a_label_for_the_console(slug: str) -> None:
    for name, field in play(slug).Config().fields.items():
        assert field.metadata.get("label"), f"{slug}: {name} has no label"


@every_play
def test_deciding_is_pure(slug: str) -> None:
    """The same event, state and randomness give the same decision, and nothing handed in is changed."""
    of = play(slug)
    config = of.Config().load({})
    before = of.Config().dump(config)
    state: dict[str, Any] = {}
    for event in EVENTS:
        kept = dict(state)
        first = of.decide(event, state, config, given())
        assert of.decide(event, state, config, given()) == first
        assert state == kept
        assert isinstance(of.scope(event, config), str)
        state = dict(first.state)
    assert of.Config().dump(config) == before


@every_play
def test_a_participants_page_can_be_drawn_from_the_first_moment(slug: str) -> None:
    of = play(slug)
    config = of.Config().load({})
    page = of.page({}, config, Viewer(1, 0))
    assert page.to_next is None or page.to_next >= 1


@every_play
def test_the_promise_names_the_days_of_both_sides(slug: str) -> None:
    """Copy, posters and previews are filled from it."""
    of = play(slug)
    assert {"inviter_days", "friend_days"} <= set(of.promise(of.Config().load({})))


@every_play
def test_the_same_event_twice_has_one_effect(parts: Parts, workspace: str, slug: str) -> None:
    cast = Actors(parts, workspace, make_campaign(parts, workspace, slug=slug))
    cast.join("ann")
    event = join_event(parts, workspace, cast.campaign_id, "bob", cast.tokens["ann"], key="once")
    first = parts.ledger.submit(event)
    cast._note("bob", first)
    grants, score = cast.grants(), cast.score("ann")
    again = parts.ledger.submit(event)
    assert (again.seq, again.duplicate) == (first.seq, True)
    assert not cast.join("bob", "ann").accepted
    assert (cast.grants(), cast.score("ann")) == (grants, score)
    assert all(report.clean for report in verify_all(parts, workspace))


@every_play
@pytest.mark.parametrize(("starts", "ends", "code"), [(1, 2, "not_started"), (-2, -1, "ended")])
def test_nothing_happens_before_the_start_or_after_the_end(
    parts: Parts, workspace: str, clock: FixedClock, slug: str, starts: int, ends: int, code: str
) -> None:
    at = {"starts_at": clock.now() + timedelta(hours=starts), "ends_at": clock.now() + timedelta(hours=ends)}
    cast = Actors(parts, workspace, make_campaign(parts, workspace, slug=slug, **at))
    posted = cast.join("ann")
    assert not posted.accepted
    assert [reason.code for reason in posted.reasons] == [code]
    assert cast.grants() == []
    assert "participant_id" not in posted.result


@every_play
def test_every_refusal_has_a_reason_with_words(parts: Parts, workspace: str, slug: str) -> None:
    cast = Actors(parts, workspace, make_campaign(parts, workspace, {"max_participants": 2}, slug=slug))
    refusals: list[Posted] = []
    cast.join("ann")
    cast.join("bob", "ann")
    refusals += [cast.join("bob", "ann"), cast.join("ann", "ann"), cast.join("cid", "ann")]
    cast.do("leave", "bob")
    refusals.append(cast.do("leave", "bob"))
    cast.do("block", "bob")
    refusals += [cast.do("block", "bob"), cast.join("bob")]
    for refused in refusals:
        assert not refused.accepted
        assert refused.reasons
        for reason in refused.reasons:
            assert REASONS[reason.code] % dict(reason.params)
