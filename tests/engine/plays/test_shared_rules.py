"""The rules all plays share, through the real poster, database and mirror."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Posted
from growth_engine.ledger.service import verify_all
from tests.factories.campaigns import Actors, join_event, make_campaign


def codes(posted: Posted) -> list[str]:
    return [reason.code for reason in posted.reasons]


@pytest.fixture
def stage(parts: Parts, workspace: str) -> Any:
    def make(config: dict[str, Any] | None = None, **more: Any) -> Actors:
        return Actors(parts, workspace, make_campaign(parts, workspace, config, **more))

    yield make
    for report in verify_all(parts, workspace):
        assert report.clean, report.faults


def test_both_sides_get_their_days_and_the_tree_grows(stage: Any) -> None:
    cast = stage()
    cast.join("ann")
    posted = cast.join("bob", "ann")
    assert posted.accepted
    assert posted.reasons == ()
    assert cast.grants() == [("friend", "bob", 30), ("inviter", "ann", 30)]
    assert cast.score("ann") == 1


def test_joining_again_answers_the_same_participant_with_the_reason(stage: Any) -> None:
    cast = stage()
    cast.join("ann")
    first = cast.join("bob", "ann")
    again = cast.join("bob", "ann")
    assert not again.accepted
    assert codes(again) == ["already_joined"]
    assert again.answer["id"] == first.answer["id"]
    assert again.answer["invite_token"] == first.answer["invite_token"]
    assert len(cast.grants()) == 2


def test_nobody_invites_themselves_or_their_own_ancestor(stage: Any) -> None:
    cast = stage({"helps": "once_per_inviter", "new_only": "everyone"})
    cast.join("ann")
    cast.join("bob", "ann")
    cast.join("cid", "bob")
    assert "self_invite" in codes(cast.join("ann", "ann"))
    assert "loop" in codes(cast.join("ann", "cid"))
    assert [cast.score(who) for who in ("ann", "bob", "cid")] == [1, 1, 0]


def test_someone_we_knew_already_joins_but_does_not_count(stage: Any) -> None:
    other, cast = stage(), stage()
    other.join("bob")
    cast.join("ann")
    posted = cast.join("bob", "ann")
    assert codes(posted) == ["not_new"]
    assert posted.answer["state"] == "active"
    assert cast.score("ann") == 0
    assert cast.grants() == []


@pytest.mark.parametrize("new_only", ["campaign", "everyone"])
def test_policies_that_welcome_known_people_count_them(stage: Any, new_only: str) -> None:
    other, cast = stage(), stage({"new_only": new_only})
    other.join("bob")
    cast.join("ann")
    assert cast.join("bob", "ann").accepted
    assert cast.score("ann") == 1


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"state": "paused"}, "paused"),
        ({"state": "ended"}, "ended"),
        ({"state": "scheduled"}, "not_started"),
        ({"ends_at": timedelta(seconds=0)}, "ended"),
        ({"starts_at": timedelta(seconds=1)}, "not_started"),
    ],
)
def test_a_closed_campaign_takes_nobody_and_says_why(
    stage: Any, clock: FixedClock, columns: dict[str, Any], reason: str
) -> None:
    columns = {k: clock.now() + v if isinstance(v, timedelta) else v for k, v in columns.items()}
    cast = stage(**columns)
    posted = cast.join("ann")
    assert not posted.accepted
    assert codes(posted) == [reason]
    assert posted.answer == {}


def test_a_full_campaign_takes_nobody(stage: Any) -> None:
    cast = stage({"max_participants": 1})
    cast.join("ann")
    assert codes(cast.join("bob", "ann")) == ["full"]


def test_the_inviter_stops_earning_at_the_cap_but_friends_do_not(stage: Any) -> None:
    cast = stage({"inviter_cap": 1})
    cast.join("ann")
    cast.join("bob", "ann")
    posted = cast.join("cid", "ann")
    assert posted.accepted
    assert codes(posted) == ["inviter_cap"]
    assert cast.score("ann") == 2
    assert cast.grants() == [("friend", "bob", 30), ("friend", "cid", 30), ("inviter", "ann", 30)]


def test_too_many_helps_in_a_window_do_not_count_until_the_next(stage: Any, clock: FixedClock) -> None:
    cast = stage({"velocity_limit": 2, "velocity_seconds": 60})
    cast.join("ann")
    assert [codes(cast.join(f"bot{n}", "ann")) for n in range(3)] == [[], [], ["too_fast"]]
    clock.advance(timedelta(seconds=61))
    assert cast.join("bob", "ann").accepted
    assert cast.score("ann") == 3


def test_velocity_can_block_the_inviter(stage: Any) -> None:
    cast = stage({"velocity_limit": 1, "velocity_action": "block"})
    cast.join("ann")
    cast.join("bot1", "ann")
    assert codes(cast.join("bot2", "ann")) == ["too_fast"]
    assert codes(cast.join("bot3", "ann")) == ["inviter_blocked"]
    assert codes(cast.join("ann")) == ["blocked"]


def test_a_second_account_on_the_same_phone_does_not_count(stage: Any) -> None:
    cast = stage()
    cast.join("ann", device="d1")
    assert codes(cast.join("second", "ann", device="d1")) == ["same_device"]
    assert cast.join("bob", "ann", device="d2").accepted


def test_a_burst_from_one_address_does_not_count(stage: Any, clock: FixedClock) -> None:
    cast = stage({"address_limit": 2})
    cast.join("ann", address="a0")
    assert [codes(cast.join(f"p{n}", "ann", address="a1")) for n in range(3)] == [[], [], ["address_burst"]]
    clock.advance(timedelta(minutes=11))
    assert cast.join("late", "ann", address="a1").accepted


def test_virtual_numbers_are_refused_only_where_asked(stage: Any) -> None:
    strict, lax = stage({"refuse_virtual_numbers": True}), stage()
    for cast, wanted in ((strict, ["virtual_number"]), (lax, [])):
        cast.join("ann" + cast.campaign_id)
        posted = cast.join("v" + cast.campaign_id, "ann" + cast.campaign_id, virtual_number=True)
        assert codes(posted) == wanted


@pytest.mark.parametrize(
    ("refollow", "through", "scores", "moved"),
    [
        ("first_inviter", None, (1, 0), False),
        ("first_inviter", "zoe", (1, 0), False),
        ("first_inviter", "ann", (1, 0), False),
        ("last_scanner", None, (1, 0), False),
        ("last_scanner", "ann", (1, 0), False),
        ("last_scanner", "zoe", (0, 1), True),
    ],
)
@pytest.mark.parametrize("leaving", ["stops_counting", "count_regardless"])
def test_leaving_and_coming_back_follows_the_policy(
    stage: Any, refollow: str, leaving: str, through: str | None, scores: tuple[int, int], moved: bool
) -> None:
    cast = stage({"refollow": refollow, "leaving": leaving})
    cast.join("ann")
    cast.join("zoe")
    cast.join("bob", "ann")
    before = cast.grants()
    cast.do("leave", "bob")
    kept = leaving == "count_regardless"
    assert (cast.score("ann"), cast.score("zoe")) == ((1, 0) if kept else (0, 0))
    posted = cast.join("bob", through)
    assert posted.accepted
    assert codes(posted) == ["came_back"]
    assert posted.answer["state"] == "active"
    # An invite that never stopped counting cannot move.
    assert (cast.score("ann"), cast.score("zoe")) == ((1, 0) if kept else scores)
    assert cast.grants() == before, "coming back is never rewarded again"


def test_leaving_twice_is_refused_with_a_reason(stage: Any) -> None:
    cast = stage()
    cast.join("ann")
    assert cast.do("leave", "ann").accepted
    assert codes(cast.do("leave", "ann")) == ["left"]
    assert not cast.do("leave", "ann").accepted


def test_an_inviter_who_left_brings_nobody(stage: Any) -> None:
    cast = stage()
    cast.join("ann")
    cast.do("leave", "ann")
    assert codes(cast.join("bob", "ann")) == ["inviter_left"]


def test_blocking_voids_and_unblocking_restores(stage: Any) -> None:
    cast = stage()
    cast.join("ann")
    cast.join("bob", "ann")
    cast.join("cid", "bob")
    cast.do("block", "bob")
    assert (cast.score("ann"), cast.score("bob")) == (0, 1)
    assert codes(cast.join("dan", "bob")) == ["inviter_blocked"]
    assert codes(cast.join("bob", "ann")) == ["blocked"]
    cast.do("unblock", "bob")
    assert cast.score("ann") == 1
    assert cast.join("eve", "bob").accepted


def test_one_person_may_help_several_inviters_where_the_policy_says_so(stage: Any) -> None:
    cast = stage({"helps": "once_per_inviter", "new_only": "everyone"})
    cast.join("ann")
    cast.join("zoe")
    cast.join("bob", "ann")
    assert cast.join("bob", "zoe").accepted
    assert codes(cast.join("bob", "zoe")) == ["already_joined"]
    assert (cast.score("ann"), cast.score("zoe")) == (1, 1)


def test_tiers_reward_once_and_stock_runs_out_in_words(stage: Any) -> None:
    cast = stage({"tiers": [{"invites": 2, "days": 7, "stock": 1}]})
    for inviter in ("ann", "zoe"):
        cast.join(inviter)
        cast.join(f"{inviter}1", inviter)
    assert codes(cast.join("ann2", "ann")) == []
    assert codes(cast.join("zoe2", "zoe")) == ["sold_out"]
    assert [grant for grant in cast.grants() if grant[0] == "tier"] == [("tier", "ann", 7)]
    cast.do("leave", "ann2")
    cast.join("ann2")
    assert len([grant for grant in cast.grants() if grant[0] == "tier"]) == 1


def test_500_parallel_duplicates_are_one_help_and_one_grant(stage: Any, parts: Parts, workspace: str) -> None:
    """Acceptance case 1."""
    cast = stage()
    cast.join("ann")
    token = cast.tokens["ann"]
    same = [join_event(parts, workspace, cast.campaign_id, "bob", token, key="one") for _ in range(250)]
    other = [join_event(parts, workspace, cast.campaign_id, "bob", token) for _ in range(250)]
    with ThreadPoolExecutor(64) as pool:
        receipts = list(
            pool.map(parts.ledger.submit, [e for pair in zip(same, other, strict=True) for e in pair])
        )
    assert len({receipt.answer["id"] for receipt in receipts if receipt.answer}) == 1
    cast._note("bob", next(receipt for receipt in receipts if receipt.answer))
    assert sum(receipt.accepted and not receipt.duplicate for receipt in receipts) == 1
    assert cast.score("ann") == 1
    assert cast.grants() == [("friend", "bob", 30), ("inviter", "ann", 30)]


def test_stock_of_n_with_ten_n_claimants_gives_exactly_n(stage: Any, parts: Parts, workspace: str) -> None:
    """Acceptance case 2."""
    n = 20
    cast = stage({"tiers": [{"invites": 1, "days": 9, "stock": n}], "velocity_limit": 10_000})
    for i in range(10 * n):
        cast.join(f"inviter{i}")
    events = [
        join_event(parts, workspace, cast.campaign_id, f"friend{i}", cast.tokens[f"inviter{i}"])
        for i in range(10 * n)
    ]
    with ThreadPoolExecutor(32) as pool:
        receipts = list(pool.map(parts.ledger.submit, events))
    for i, receipt in enumerate(receipts):
        cast._note(f"friend{i}", receipt)
    assert sum("sold_out" in codes(receipt) for receipt in receipts) == 9 * n
    assert len([grant for grant in cast.grants() if grant[0] == "tier"]) == n
