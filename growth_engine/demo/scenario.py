"""Who does what in a demo, and in which order: a pure function of a seed and a number of people."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from growth_engine.demo.names import nickname

Kind = Literal[
    "meet", "visit", "join", "forged", "again", "self_invite", "loop", "retry", "back",
    "leave", "block", "poster"
]  # fmt: skip
Way = Literal["api", "form"]

#: 555-0100 to 555-0199 are reserved for fiction in every North American area code (NANPA, 555 line
#: numbers), and still pass as valid numbers; these are area codes of large cities.
AREA_CODES: Final = (
    202, 206, 212, 213, 214, 215, 216, 303, 305, 310, 312, 313, 404, 408, 412, 415, 416, 503, 504, 512, 514,
    602, 604, 612, 615, 617, 619, 702, 703, 713, 718, 720, 773, 786, 801, 808, 813, 816, 858, 901, 902, 904,
)  # fmt: skip
FICTION_NUMBERS: Final = len(AREA_CODES) * 100

DAYS: Final = 7
#: How busy the days of a campaign are, and the hours of a day: lunch and evening.
_BUSY_DAYS: Final = (5, 12, 22, 25, 18, 10, 8)
_BUSY_HOURS: Final = (1, 1, 0, 0, 0, 1, 2, 4, 6, 7, 7, 8, 14, 10, 6, 6, 6, 7, 9, 12, 18, 20, 13, 5)

_FORM_SHARE = 0.05
_MOST_FORMS = 150
_ALONE_SHARE = 0.07
_SHARER_SHARE = 0.45
_POSTER_SHARE = 0.3
_VISITS_PER_JOIN = 0.8
"""Visits of people who look and go, for each one who joins."""
_HABITS: Final[tuple[tuple[Kind, float], ...]] = (
    ("again", 0.03),
    ("self_invite", 0.015),
    ("loop", 0.008),
    ("leave", 0.05),
    ("block", 0.004),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the demo; ``number`` from 0 in order of arrival."""

    number: int
    nickname: str
    locale: str
    inviter: int | None
    way: Way
    address: int
    """Which network address they come from."""
    phone: str = ""
    """For those who fill in the form: a number reserved for fiction."""
    known: bool = False
    """The merchant knew them before the campaign."""
    forged: bool = False
    """Comes with an invite link nobody gave out."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One thing a person does. ``at`` runs from 0 to 1; ``other``: whose invite is opened, if any."""

    at: float
    number: int
    kind: Kind = field(compare=False)
    who: int = field(compare=False)
    other: int | None = field(compare=False, default=None)


@dataclass(frozen=True, slots=True)
class Scenario:
    """People and steps in order of time; nobody does anything before those they depend on have arrived."""

    people: tuple[Person, ...]
    steps: tuple[Step, ...]
    velocity_limit: int
    """Invites a minute beyond which an inviter looks like a machine; one person here is one."""


def velocity_limit(people: int) -> int:
    """The limit the demo's own campaign is published with; no honest inviter of the demo reaches it."""
    return max(8, people // 25)


def scenario(people: int, seed: int, *, locale: str = "zh", addresses: int = 40) -> Scenario:
    """Play out a campaign among ``people``; the same arguments give the same demo."""
    # Demo traffic wants to be repeatable, not unguessable.
    rng = random.Random(f"{seed}:{people}:{locale}")  # noqa: S311
    crowd = _Crowd(rng, people, locale, addresses)
    crowd.gather()
    return Scenario(tuple(crowd.people), tuple(_steps(rng, crowd)), crowd.limit)


def arrivals(rng: random.Random, count: int) -> list[float]:
    """Moments of a campaign week, sorted: quiet nights, busy lunches and evenings, a rise and a decline."""
    hours = [day * 24 + hour for day in range(DAYS) for hour in range(24)]
    weights = [_BUSY_DAYS[hour // 24] * _BUSY_HOURS[hour % 24] for hour in hours]
    whole = DAYS * 24
    return sorted((hour + rng.random()) / whole for hour in rng.choices(hours, weights, k=count))


class _Crowd:
    """People arriving one after the other, most of them through somebody who has many friends already."""

    def __init__(self, rng: random.Random, count: int, locale: str, addresses: int) -> None:
        self.people: list[Person] = []
        self.at = arrivals(rng, count)
        self.limit = velocity_limit(count)
        self.children: list[list[int]] = [[] for _ in range(count)]
        self._rng = rng
        self._locale = locale
        self._addresses = addresses
        self._sharers: list[int] = []
        self._shares: list[int] = []
        """Each sharer once, and once more for each friend: whoever has brought many brings more."""
        forms = min(_MOST_FORMS, round(count * _FORM_SHARE))
        self._forms = set(rng.sample(range(count), forms))
        self._phones = iter(rng.sample(range(FICTION_NUMBERS), forms))
        # The machine: one inviter in the second half whose friends all come within moments.
        burst = self.limit + max(3, count // 100)
        self._burst_from = count // 2 if count > 2 * burst else count
        self._burst_to = min(count, self._burst_from + burst)
        self.machine: int | None = None

    def gather(self) -> None:
        for number in range(len(self.at)):
            person = self._arrive(number)
            self.people.append(person)
            if person.inviter is not None:
                self.children[person.inviter].append(number)
                self._shares.append(person.inviter)
            if self._rng.random() < _SHARER_SHARE or number < 3:
                self._sharers.append(number)
                self._shares.append(number)

    def _arrive(self, number: int) -> Person:
        rng = self._rng
        in_burst = self._burst_from <= number < self._burst_to
        inviter = self._machine(number) if in_burst else self._inviter(number)
        by_form = number in self._forms and not in_burst
        locale = "en" if by_form else self._speaks()
        oddity = rng.random()
        return Person(
            number,
            nickname(rng, locale),
            locale,
            inviter,
            "form" if by_form else "api",
            rng.randrange(self._addresses),
            phone=_phone(next(self._phones)) if by_form else "",
            known=not by_form and not in_burst and oddity < 0.03,
            forged=not by_form and inviter is None and oddity > 0.9,
        )

    def _speaks(self) -> str:
        other = "en" if self._locale == "zh" else "zh"
        return self._locale if self._rng.random() < 0.85 else other

    def _machine(self, number: int) -> int:
        if self.machine is None:
            self.machine = self._rng.randrange(number // 2, number)
            self._shares = [one for one in self._shares if one != self.machine]
            self._sharers = [one for one in self._sharers if one != self.machine] or [0]
        self.at[number] = self.at[self._burst_from]
        return self.machine

    def _inviter(self, number: int) -> int | None:
        rng = self._rng
        if number < 3 or rng.random() < _ALONE_SHARE:
            return None
        if rng.random() < 0.35:  # a newcomer, still eager
            found = rng.choice(self._sharers[-max(3, len(self._sharers) // 8) :])
        else:
            found = rng.choice(self._shares)
        return found if len(self.children[found]) < self.limit - 2 else rng.choice(self._sharers)


def _phone(number: int) -> str:
    area, line = divmod(number, 100)
    return f"+1{AREA_CODES[area]}55501{line:02}"


# -- what they do ------------------------------------------------------------------------------------


def _steps(rng: random.Random, crowd: _Crowd) -> list[Step]:
    numbers = itertools.count()
    return sorted(
        Step(at, next(numbers), kind, person.number, other)
        for person in crowd.people
        for at, kind, other in _life(rng, crowd, person)
    )


def _life(rng: random.Random, crowd: _Crowd, person: Person) -> Iterator[tuple[float, Kind, int | None]]:
    """(when, what, through whose invite) of one person: nothing before they arrived but being known."""
    at = crowd.at[person.number]
    brought_by_machine = crowd.machine is not None and person.inviter == crowd.machine
    if person.known:
        yield 0.0, "meet", None
    # Whoever fills in the form looks at the page first; machines look at nothing.
    looks = 0 if brought_by_machine else _poisson(rng, _VISITS_PER_JOIN) + (person.way == "api")
    yield from ((at, "visit", person.inviter) for _ in range(looks))
    yield at, "forged" if person.forged else "join", person.inviter
    if crowd.children[person.number] and person.way == "api" and rng.random() < _POSTER_SHARE:
        yield at, "poster", None
    if person.way == "api":
        yield from _habits(rng, crowd, person, at)
    if person.number == crowd.machine:
        yield 1.0, "block", None


def _habits(
    rng: random.Random, crowd: _Crowd, person: Person, arrived: float
) -> Iterator[tuple[float, Kind, int | None]]:
    def after(moment: float) -> float:
        return moment + (1.0 - moment) * rng.random()

    for kind, share in _HABITS:
        if rng.random() >= share:
            continue
        at = after(arrived)
        if kind == "loop":
            yield from ((1.0, kind, child) for child in crowd.children[person.number][:1])
            continue
        yield at, kind, person.number if kind == "self_invite" else None
        if kind == "leave" and rng.random() < 0.5:
            yield after(at), "back", None
        if kind == "block":
            yield 1.0, "retry", None


def _poisson(rng: random.Random, mean: float) -> int:
    """How many of something that happens ``mean`` times on average (Knuth's method)."""
    count, left, limit = 0, rng.random(), math.exp(-mean)
    while left > limit:
        count += 1
        left *= rng.random()
    return count
