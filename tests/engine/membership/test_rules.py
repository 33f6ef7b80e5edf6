"""The calendar against a day-by-day model, and the cases people ask about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growth_engine.membership.rules import NOTHING, Move, calendar, today_in, unbegun

START = date(2026, 3, 1)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def grant(offset: int, days: int, grant_id: str = "g1") -> Move:
    return Move("grant", day(offset), days, grant_id)


def pause(offset: int) -> Move:
    return Move("pause", day(offset))


def resume(offset: int) -> Move:
    return Move("resume", day(offset))


def test_thirty_days_granted_today_leave_thirty_and_end_on_the_twenty_ninth_day_after() -> None:
    standing = calendar([grant(0, 30)], day(0))
    assert (standing.state, standing.days_left) == ("active", 30)
    assert (standing.starts_on, standing.ends_on) == (day(0), day(29))


def test_the_last_day_has_one_day_left_and_the_day_after_none() -> None:
    assert calendar([grant(0, 30)], day(29)).days_left == 1
    ended = calendar([grant(0, 30)], day(30))
    assert (ended.state, ended.days_left, ended.ends_on) == ("ended", 0, day(29))


def test_a_second_grant_extends_the_first() -> None:
    standing = calendar([grant(0, 30), grant(10, 15, "g2")], day(10))
    assert (standing.days_left, standing.ends_on, standing.starts_on) == (35, day(44), day(0))


def test_a_grant_after_a_gap_starts_a_new_stretch() -> None:
    standing = calendar([grant(0, 3), grant(10, 5, "g2")], day(11))
    assert standing.segments == ((day(0), day(2)), (day(10), day(14)))
    assert (standing.starts_on, standing.days_left) == (day(10), 4)


def test_a_grant_on_the_day_after_the_end_joins_the_stretch() -> None:
    assert calendar([grant(0, 3), grant(3, 2, "g2")], day(3)).segments == ((day(0), day(4)),)


def test_nothing_is_used_while_paused_and_the_days_of_pausing_and_resuming_are() -> None:
    moves = [grant(0, 30), pause(4), resume(20)]
    paused = calendar(moves, day(10))
    assert (paused.state, paused.days_left, paused.ends_on) == ("paused", 25, None)
    resumed = calendar(moves, day(20))
    assert (resumed.state, resumed.days_left, resumed.ends_on) == ("active", 25, day(44))
    assert resumed.segments == ((day(0), day(4)), (day(20), day(44)))


def test_pausing_and_resuming_on_one_day_changes_nothing() -> None:
    assert calendar([grant(0, 9), pause(2), resume(2)], day(5)) == calendar([grant(0, 9)], day(5))


def test_a_grant_that_comes_while_paused_waits() -> None:
    standing = calendar([grant(0, 5), pause(0), grant(3, 5, "g2")], day(8))
    assert (standing.state, standing.days_left) == ("paused", 9)


def test_a_pause_on_the_last_day_has_nothing_to_hold() -> None:
    moves = [grant(0, 1), pause(0), grant(5, 3, "g2")]
    assert calendar(moves, day(5)).days_left == 3


def test_taking_a_grant_back_takes_only_days_not_begun() -> None:
    moves = [grant(0, 30)]
    assert unbegun(moves, "g1", day(9)) == 20
    moves.append(Move("reverse", day(9), 20, "g1"))
    standing = calendar(moves, day(9))
    assert (standing.state, standing.days_left, standing.ends_on) == ("active", 1, day(9))
    assert calendar(moves, day(10)).state == "ended"
    assert unbegun(moves, "g1", day(9)) == 0


def test_taking_back_an_unused_later_grant_leaves_the_earlier_one_alone() -> None:
    moves = [grant(0, 30), grant(1, 30, "g2"), Move("reverse", day(2), 30, "g2")]
    standing = calendar(moves, day(2))
    assert standing.ends_on == day(29)
    assert [(g.used, g.left, g.taken_back) for g in standing.grants] == [(3, 27, 0), (0, 0, 30)]


def test_taking_back_the_grant_in_front_moves_the_later_one_forward() -> None:
    moves = [grant(0, 30), grant(0, 10, "g2"), Move("reverse", day(4), 25, "g1")]
    assert calendar(moves, day(4)).ends_on == day(14)


def test_taking_back_everything_while_paused_ends_the_pause_too() -> None:
    moves = [grant(0, 30), pause(4), Move("reverse", day(6), 25, "g1")]
    assert calendar(moves, day(7)).state == "ended"
    assert calendar([*moves, grant(8, 2, "g2")], day(8)).state == "active"


def test_without_grants_there_is_no_membership() -> None:
    assert calendar([], day(0)) == NOTHING
    assert calendar([pause(0), resume(1)], day(5)) == NOTHING


def test_moves_of_later_days_have_not_happened_yet() -> None:
    assert calendar([grant(5, 10)], day(4)) == NOTHING


def test_a_workspace_that_moved_west_does_not_go_back_in_time() -> None:
    assert calendar([grant(1, 5), grant(0, 5, "g2")], day(1)).ends_on == day(10)


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("America/New_York", (5, 4)), ("Europe/Berlin", (23, 22)), ("Asia/Shanghai", (16, 16))],
)
def test_clock_changes_neither_add_nor_lose_a_day(zone: str, hours: tuple[int, int]) -> None:
    first = today_in(zone, datetime(2026, 3, 7, 12, tzinfo=UTC))
    moves = [Move("grant", first, 60, "g1")]
    moment, seen = datetime(2026, 3, 7, 12, tzinfo=UTC), []
    for _ in range(24 * 59):
        seen.append((today_in(zone, moment), calendar(moves, today_in(zone, moment)).days_left))
        moment += timedelta(hours=1)
    by_day = dict(seen)
    assert sorted(by_day.values(), reverse=True) == list(range(60, 60 - len(by_day), -1))


# -- against a naive model ---------------------------------------------------------------------------


@dataclass
class Naive:
    """Walks every single day; a list of one entry per day instead of arithmetic."""

    waiting: list[str] = field(default_factory=list)
    used: list[date] = field(default_factory=list)
    paused: bool = False

    def begin(self, today: date) -> None:
        if today not in self.used and not self.paused and self.waiting:
            self.waiting.pop(0)
            self.used.append(today)

    def apply(self, move: Move, today: date) -> None:
        if move.kind == "grant":
            self.waiting += [move.grant_id] * move.days
        elif move.kind == "pause":
            self.paused = True
        elif move.kind == "resume":
            self.paused = False
        else:
            for _ in range(min(move.days, self.waiting.count(move.grant_id))):
                self.waiting.remove(move.grant_id)
        if not self.waiting:
            self.paused = False
        self.begin(today)


def runs(days: list[date]) -> tuple[tuple[date, date], ...]:
    found: list[tuple[date, date]] = []
    for one in sorted(days):
        if found and found[-1][1] + timedelta(days=1) == one:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return tuple(found)


@st.composite
def histories(draw: st.DrawFn) -> list[Move]:
    offsets = sorted(draw(st.lists(st.integers(0, 60), max_size=12)))
    moves: list[Move] = []
    for number, offset in enumerate(offsets):
        kind = draw(st.sampled_from(["grant", "grant", "pause", "resume", "reverse"]))
        if kind == "grant":
            moves.append(grant(offset, draw(st.integers(1, 20)), f"g{number}"))
        elif kind == "reverse":
            granted = [m.grant_id for m in moves if m.kind == "grant"] or ["nothing"]
            moves.append(
                Move("reverse", day(offset), draw(st.integers(0, 25)), draw(st.sampled_from(granted)))
            )
        else:
            moves.append(Move(kind, day(offset)))
    return moves


@settings(max_examples=600, deadline=None)
@given(histories(), st.integers(0, 90))
def test_the_calendar_agrees_with_a_day_by_day_model(moves: list[Move], offset: int) -> None:
    today, naive = day(offset), Naive()
    for passed in range(offset + 1):
        naive.begin(day(passed))
        for move in moves:
            if move.day == day(passed):
                naive.apply(move, day(passed))
    standing = calendar(moves, today)
    past = list(naive.used)
    open_today = not naive.paused and today in past
    coming = [today + timedelta(days=n + 1) for n in range(len(naive.waiting))] if open_today else []
    left = len(naive.waiting) if naive.paused else open_today + len(coming)
    assert standing.days_left == left
    assert standing.segments == runs(past + coming)
    assert sum(g.used for g in standing.grants) == len(past)
    for one in standing.grants:
        assert one.days == one.used + one.left + one.taken_back
        assert one.left == naive.waiting.count(one.grant_id)
    assert (standing.state == "paused") == naive.paused
    assert (standing.state == "active") == open_today
