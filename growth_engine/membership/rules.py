"""How membership days run against the calendar: a pure fold over everything that ever happened.

Days are calendar days in the workspace's zone, so clock changes neither add nor lose any. In words:

- Grants wait in line and are used in the order they came; a second grant extends the first.
- A day is used as soon as the membership is open at any moment of it. So the day of the grant counts,
  the day on which someone pauses counts (they had it that morning), and so does the day of resuming.
- While paused nothing is used. A pause holds days; when none are left to hold, it is over.
- Taking a grant back takes the days of it that have not begun; used days stay used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

MoveKind = Literal["grant", "pause", "resume", "reverse"]
State = Literal["none", "active", "paused", "ended"]

#: A hundred years: more is a typing error, and dates must not run off the calendar.
MOST_DAYS: Final = 36_500
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happened to a membership; ``grant_id`` names the grant given or taken back."""

    kind: MoveKind
    day: date
    """Calendar day in the workspace's zone."""
    days: int = 0
    """Granted, or (for ``reverse``) at most so many taken back."""
    grant_id: str = ""


@dataclass(frozen=True, slots=True)
class GrantUse:
    """What became of one grant: ``days == used + left + taken_back``; today counts as used."""

    grant_id: str
    day: date
    days: int
    used: int
    left: int
    taken_back: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a membership stands on one day."""

    state: State
    days_left: int
    """Days the person can still enjoy, today included while the membership is open."""
    starts_on: date | None
    """First day of the present (or, when paused or ended, the last) unbroken stretch."""
    ends_on: date | None
    """Last day, if nothing more happens; ``None`` while paused and before the first grant."""
    segments: tuple[tuple[date, date], ...] = ()
    """Unbroken stretches of open days, first and last, the coming days included."""
    grants: tuple[GrantUse, ...] = ()


NOTHING: Final = Standing("none", 0, None, None)


def today_in(zone: str, now: datetime) -> date:
    """The calendar day a moment falls on in the workspace's zone."""
    return now.astimezone(ZoneInfo(zone)).date()


def calendar(moves: Iterable[Move], today: date) -> Standing:
    """Fold the moves, in the order they happened, into the standing on ``today``.

    A move dated after ``today`` has not happened yet; one dated before its predecessor (the workspace
    moved west) counts on the predecessor's day.
    """
    run = _Run()
    for move in moves:
        if move.day > today:
            break
        run.go_to(move.day)
        run.apply(move)
    run.go_to(today)
    return run.standing(today)


def unbegun(moves: Sequence[Move], grant_id: str, today: date) -> int:
    """How many days of a grant have not begun on ``today``: what taking it back takes."""
    return sum(grant.left for grant in calendar(moves, today).grants if grant.grant_id == grant_id)


@dataclass(slots=True)
class _Line:
    """One grant waiting in line."""

    grant_id: str
    day: date
    days: int
    left: int
    taken_back: int = 0


@dataclass(slots=True)
class _Run:
    """The fold's state: the day it stands on, the line of grants, and the stretches behind."""

    day: date | None = None
    open_today: bool = False
    """Today has begun for this membership: its day is used, whatever else happens today."""
    paused: bool = False
    left: int = 0
    lines: list[_Line] = field(default_factory=list)
    front: int = 0
    segments: list[tuple[date, date]] = field(default_factory=list)

    def go_to(self, day: date) -> None:
        """Let the days pass up to the morning of ``day``."""
        if self.day is None:
            self.day = day
            return
        passed = (day - self.day).days
        if passed <= 0:
            return
        used = 0 if self.paused else min(self.left, passed)
        if used:
            self._stretch(self.day + _DAY, self.day + used * _DAY)
            self._use(used)
        self.open_today = used == passed
        self.day = day

    def apply(self, move: Move) -> None:
        match move.kind:
            case "grant":
                self.lines.append(_Line(move.grant_id, move.day, move.days, move.days))
                self.left += move.days
            case "pause":
                self.paused = True
            case "resume":
                self.paused = False
            case "reverse":
                self._take_back(move)
        if self.left == 0:
            self.paused = False
        self._begin_today()

    def standing(self, today: date) -> Standing:
        if not self.lines:
            return NOTHING
        grants = tuple(
            GrantUse(x.grant_id, x.day, x.days, x.days - x.left - x.taken_back, x.left, x.taken_back)
            for x in self.lines
        )
        if self.paused:
            segments = tuple(self.segments)
            return Standing("paused", self.left, _start(segments), None, segments, grants)
        if self.open_today and self.left:
            self._stretch(today + _DAY, today + self.left * _DAY)
        segments = tuple(self.segments)
        ends_on = segments[-1][1] if segments else None
        if self.open_today:
            return Standing("active", self.left + 1, _start(segments), ends_on, segments, grants)
        return Standing("ended", 0, _start(segments), ends_on, segments, grants)

    def _begin_today(self) -> None:
        assert self.day is not None
        if not self.open_today and not self.paused and self.left:
            self.open_today = True
            self._stretch(self.day, self.day)
            self._use(1)

    def _use(self, days: int) -> None:
        self.left -= days
        while days:
            line = self.lines[self.front]
            taken = min(days, line.left)
            line.left -= taken
            days -= taken
            if not line.left:
                self.front += 1

    def _take_back(self, move: Move) -> None:
        for line in self.lines:
            if line.grant_id == move.grant_id:
                taken = min(move.days, line.left)
                line.left -= taken
                line.taken_back += taken
                self.left -= taken
                return

    def _stretch(self, first: date, last: date) -> None:
        if self.segments and self.segments[-1][1] + _DAY == first:
            first = self.segments.pop()[0]
        self.segments.append((first, last))


def _start(segments: tuple[tuple[date, date], ...]) -> date | None:
    return segments[-1][0] if segments else None
