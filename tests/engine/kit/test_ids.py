"""Ids sort by the time they were made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from growth_engine.kit.clock import FixedClock
from growth_engine.kit.ids import Ids, earliest

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_ids_sort_by_time_whatever_their_random_part() -> None:
    clock = FixedClock(NOW)
    made = []
    for bits in (2**80 - 1, 0, 2**79):
        made.append(Ids(clock, lambda _n, bits=bits: bits).new("ord"))
        clock.advance(timedelta(milliseconds=1))
    assert made == sorted(made)
    assert {len(one) for one in made} == {30}


def test_the_earliest_id_of_a_time_comes_before_all_made_then_and_after_all_made_before() -> None:
    clock = FixedClock(NOW)
    now = Ids(clock, lambda _n: 0).new("ord")
    clock.advance(timedelta(milliseconds=-1))
    before = Ids(clock, lambda _n: 2**80 - 1).new("ord")
    assert before < earliest("ord", NOW) <= now
