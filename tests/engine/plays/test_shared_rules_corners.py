"""Corners of the shared rules where policies meet: blocks, second helps, returns and merges at once."""

from __future__ import annotations

from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.ledger.contract import Posted
from growth_engine.ledger.service import verify_all
from tests.factories.campaigns import Actors, make_campaign


def codes(posted: Posted) -> list[str]:
    return [reason.code for reason in posted.reasons]


@pytest.fixture
def stage(parts: Parts, workspace: str) -> Any:
    def make(config: dict[str, Any] | None = None) -> Actors:
        return Actors(parts, workspace, make_campaign(parts, workspace, config))

    yield make
    for report in verify_all(parts, workspace):
        assert report.clean, report.faults


def test_a_friend_who_comes_back_earns_a_blocked_inviter_nothing(stage: Any) -> None:
    cast = stage({"tiers": [{"invites": 2, "days": 90, "stock": 1}]})
    cast.join("ann")
    cast.join("bob", "ann")
    cast.do("leave", "bob")
    cast.join("cid", "ann")
    cast.do("block", "ann")
    assert "came_back" in codes(cast.join("bob"))
    assert [side for side, _, _ in cast.grants()].count("tier") == 0
    cast.do("unblock", "ann")
    cast.join("dan", "ann")
    assert ("tier", "ann", 90) in cast.grants()


def test_blocking_somebody_who_was_too_fast_voids_the_helps_they_gave(stage: Any) -> None:
    cast = stage({"velocity_limit": 1, "velocity_action": "block"})
    cast.join("ann")
    cast.join("bob", "ann")
    cast.join("cid", "bob")
    assert codes(cast.join("dan", "bob")) == ["too_fast"]
    assert cast.score("ann") == 1
    assert cast.do("block", "bob").accepted
    assert cast.score("ann") == 0
    assert not cast.do("block", "bob").accepted
    assert cast.do("unblock", "bob").accepted
    assert cast.score("ann") == 1


def test_leaving_and_coming_back_does_not_turn_a_refused_help_into_a_valid_one(stage: Any) -> None:
    cast = stage({"helps": "once_per_inviter", "refollow": "last_scanner", "new_only": "everyone"})
    cast.join("ann", device="phone")
    cast.join("bob")
    assert codes(cast.join("cid", "ann", device="phone")) == ["same_device"]
    assert cast.join("cid", "bob").accepted
    cast.do("leave", "cid")
    cast.join("cid", "ann")
    assert (cast.score("ann"), cast.score("bob")) == (0, 1)
