"""What every play must keep, whichever plays there are: found, not listed."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Posted
from growth_engine.ledger.service import verify_all
from growth_engine.plays.content import placeholders
from growth_engine.plays.contract import (
    Given,
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Joined,
    Play,
    PlayEvent,
    Viewer,
)
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.registry import play, plays
from growth_engine.plays.selling import (
    OrderLine,
    OrderMoved,
    OrderPlaced,
    PinShare,
    Seller,
    SellingPlay,
    SetCommission,
    Share,
    sells,
)
from tests.factories.campaigns import Actors, join_event, make_campaign

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVENTS: list[PlayEvent] = [
    Joined(1),
    HelpCounted(1, 2, 1),
    HelpWithdrawn(1, 2, 0),
    HelpRestored(1, 2, 1),
    HelpCounted(1, 3, 2),
]

_ANN, _BOB, _CID = Seller(1, True), Seller(2, True), Seller(3, True)
_LINES = [OrderLine(1, "book", 2, 11_800), OrderLine(2, "pen", 3, 1_000)]

every_play = pytest.mark.parametrize("slug", sorted(plays()))
every_selling_play = pytest.mark.parametrize("slug", [slug for slug, of in plays().items() if sells(of)])


def pinned(of: Play, config: dict[str, Any]) -> list[PinShare]:
    placed = OrderPlaced("ord_1", _CID, _LINES, _BOB, _ANN)
    effects = of.decide(placed, {}, config, given()).effects
    return [effect for effect in effects if isinstance(effect, PinShare)]


def targets(of: Play, config: dict[str, Any], pins: list[PinShare], net: int) -> dict[int, int]:
    moved = OrderMoved(
        "ord_1",
        net,
        [Share(pin.level, pin.member, pin.terms) for pin in pins],
        {pin.member: Seller(pin.member, True) for pin in pins},
        ["all", "2026-06", "2026-06-01"],
    )
    effects = of.decide(moved, {}, config, given()).effects
    return {effect.level: effect.target for effect in effects if isinstance(effect, SetCommission)}


def given(seed: int = 1) -> Given:
    return Given(NOW, random.Random(seed))


@every_play
def test_the_default_config_round_trips(slug: str) -> None:
    schema = play(slug).Config()
    config = schema.load({})
    assert schema.load(schema.dump(config)) == config


@every_play
def test_a_part_of_a_config_can_be_checked_by_itself(slug: str) -> None:
    """The API checks what is changed before it joins the rest."""
    config = play(slug).Config().load({})
    for part in ({}, *({name: value} for name, value in config.items())):
        assert play(slug).Config(partial=True).validate(part) == {}


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
def test_the_promise_names_what_people_get(slug: str) -> None:
    """Copy, posters and previews are filled from it."""
    of = play(slug)
    promised = of.promise(of.Config().load({}))
    assert {"level1", "hold_days"} <= set(promised) or {"inviter_days", "friend_days"} <= set(promised)
    assert placeholders(promised)


@every_selling_play
def test_pinned_terms_are_plain_json_and_nobody_earns_from_an_unpaid_order(slug: str) -> None:
    of = play(slug)
    config = of.Config().load({})
    pins = pinned(of, config)
    assert [json.loads(json.dumps(pin.terms)) for pin in pins] == [pin.terms for pin in pins]
    assert not any(targets(of, config, pins, 0).values())


@every_selling_play
def test_every_selling_play_has_at_most_two_levels_and_never_pays_out_more_than_came_in(slug: str) -> None:
    of = play(slug)
    config = of.Config().load({})
    pins = pinned(of, config)
    assert {pin.level for pin in pins} <= {1, 2}
    before = 0
    for net in range(0, 12_801, 100):
        now = sum(targets(of, config, pins, net).values())
        assert before <= now <= net
        before = now


@every_selling_play
def test_every_selling_play_can_say_why_an_amount_is_what_it_is(slug: str) -> None:
    of = cast(SellingPlay, play(slug))
    config = of.Config().load({})
    pins = pinned(of, config)
    for net in (0, 6_333, 12_800):
        worths = targets(of, config, pins, net)
        for pin in pins:
            steps = of.explain(pin.terms, net)
            assert steps[-1].amounts["amount"] == worths[pin.level]


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
