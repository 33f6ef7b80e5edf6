"""Whom a buyer belongs to, policy by policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from growth_engine.plays.binding import Bound, Verdict, bind

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN, BOB = 1, 2


def days(count: int) -> timedelta:
    return timedelta(days=count)


def bound(promoter: int, since: timedelta, *, protection: int = 15, validity: int = 60) -> Bound:
    at = NOW - since
    return Bound(promoter, at, at + days(protection), at + days(validity))


def ask(policy: str, current: Bound | None, touch: int | None, **more: Any) -> Verdict:
    config = {"binding": policy, "protection_days": 15, "validity_days": 60}
    given: dict[str, Any] = {"inviter": 0, "joined_at": NOW, "touch": touch, "now": NOW, **more}
    return bind(config, current, **given)


def whose(verdict: Verdict) -> int | None:
    return verdict.bound.promoter if verdict.bound else None


@pytest.mark.parametrize("policy", ["first_touch", "permanent", "last_touch"])
def test_the_first_link_followed_binds(policy: str) -> None:
    verdict = ask(policy, None, ANN)
    assert (whose(verdict), verdict.changed) == (ANN, True)


@pytest.mark.parametrize("policy", ["first_touch", "permanent"])
def test_whoever_brought_the_buyer_in_was_first(policy: str) -> None:
    verdict = ask(policy, None, BOB, inviter=ANN)
    assert (whose(verdict), verdict.changed) == (ANN, True)


@pytest.mark.parametrize(
    ("since", "promoter", "code"),
    [
        (days(14), ANN, "binding_protected"),
        (days(15), BOB, None),
        (days(59), BOB, None),
        (days(60), BOB, None),
    ],
)
def test_another_link_takes_over_after_the_protection(
    since: timedelta, promoter: int, code: str | None
) -> None:
    verdict = ask("first_touch", bound(ANN, since), BOB)
    assert whose(verdict) == promoter
    assert [reason.code for reason in verdict.reasons] == ([code] if code else [])


def test_after_its_validity_a_buyer_belongs_to_nobody_until_another_link() -> None:
    assert whose(ask("first_touch", bound(ANN, days(59)), None)) == ANN
    lapsed = ask("first_touch", bound(ANN, days(60)), None)
    assert (whose(lapsed), [reason.code for reason in lapsed.reasons]) == (None, ["binding_expired"])
    again = ask("first_touch", bound(ANN, days(60)), ANN)
    assert (whose(again), again.changed) == (ANN, True)


def test_for_ever_is_for_ever() -> None:
    current = Bound(ANN, NOW - days(3000), None, None)
    assert ask("permanent", current, BOB) == Verdict(current)


def test_the_latest_link_counts_where_the_campaign_says_so() -> None:
    verdict = ask("last_touch", bound(ANN, days(1)), BOB)
    assert (whose(verdict), verdict.changed) == (BOB, True)
    assert verdict.bound is not None
    assert verdict.bound.valid_until == NOW + days(60)


@pytest.mark.parametrize(("inviter", "wanted"), [(ANN, ANN), (0, None)])
def test_registration_alone_may_decide(inviter: int, wanted: int | None) -> None:
    verdict = ask("registration", None, BOB, inviter=inviter)
    assert (whose(verdict), verdict.changed) == (wanted, False)
