"""An independent, naive model of a campaign book, and a source of random journals for it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from growth_engine.ledger.digest import Digest, Money, digest_rows
from growth_engine.ledger.mirror import BookKey, Mirror

DATES = [f"2026-05-{day:02}" for day in range(1, 29)]

Op = list[Any]


@dataclass
class Person:
    number: int
    parent: int
    cohort: str
    active: bool = True
    blocked: bool = False
    score: int = 0


@dataclass
class Model:
    """Keeps people in a list and recounts everything when asked."""

    people: list[Person] = field(default_factory=list)
    seq: int = 0
    funnel: Counter[str] = field(default_factory=Counter)
    invites: Counter[str] = field(default_factory=Counter)
    legs: list[tuple[str, str, str, int]] = field(default_factory=list)
    commissions: list[tuple[int, int]] = field(default_factory=list)
    sales: list[tuple[int, int]] = field(default_factory=list)

    def person(self, number: int) -> Person:
        return self.people[number - 1]

    def apply(self, ops: list[Op]) -> None:
        self.seq += 1
        for op in ops:
            match op:
                case ["m", number, parent, cohort]:
                    self.people.append(Person(number, parent, cohort))
                case ["l", number]:
                    self.person(number).active = False
                case ["r", number]:
                    self.person(number).active = True
                case ["s", number, delta, cohort]:
                    self.person(number).score += delta
                    self.invites[cohort] += delta
                case ["b", number]:
                    self.person(number).blocked = True
                case ["u", number]:
                    self.person(number).blocked = False
                case ["f", step, delta]:
                    self.funnel[step] += delta
                case ["a", account, owner, currency, amount]:
                    self.legs.append((account, owner, currency, amount))
                case ["e", number, delta]:
                    self.commissions.append((number, delta))
                case ["v", number, delta]:
                    self.sales.append((number, delta))
                case _:
                    raise AssertionError(op)

    def rows(self) -> list[tuple[int, int, int, int, bool, bool, int]]:
        level1, level2 = Counter[int](), Counter[int]()
        for person in self.people:
            if person.active and person.parent:
                level1[person.parent] += 1
                level2[self.person(person.parent).parent] += 1
        return [
            (p.number, p.parent, level1[p.number], level2[p.number], p.active, p.blocked, p.score)
            for p in self.people
        ]

    def cohorts(self) -> list[tuple[str, int, int]]:
        sizes = Counter(person.cohort for person in self.people)
        return [(date, sizes[date], self.invites[date]) for date in sorted(sizes)]

    def order(self) -> list[Person]:
        ranked = [p for p in self.people if p.score > 0 and not p.blocked]
        return sorted(ranked, key=lambda p: (-p.score, p.number))

    def balances(self) -> dict[tuple[str, str, str], int]:
        sums: dict[tuple[str, str, str], int] = {}
        for account, owner, currency, amount in self.legs:
            sums[account, owner, currency] = sums.get((account, owner, currency), 0) + amount
        return sums

    def earned(self) -> dict[int, int]:
        sums = Counter[int]()
        for number, delta in self.commissions:
            sums[number] += delta
        return sums

    def branch(self) -> dict[int, int]:
        sums = Counter[int]()
        for buyer, delta in self.sales:
            for above in self.ancestors(buyer)[:2]:
                sums[above] += delta
        return sums

    def digest(self) -> Digest:
        money = Money(self.balances(), self.earned(), self.branch())
        return digest_rows(self.rows(), self.seq, self.funnel, self.cohorts(), money)

    def children(self, number: int) -> list[int]:
        return [p.number for p in reversed(self.people) if p.parent == number]

    def ancestors(self, number: int) -> list[int]:
        found = []
        while number := self.person(number).parent:
            found.append(number)
        return found


class Traffic:
    """Random but possible entries for a model; the model is ahead of what was drawn by nothing."""

    def __init__(
        self, seed: int, model: Model, *, joins: float = 0.6, hot: float = 0.3, money: float = 0.3
    ) -> None:
        self.random = random.Random(seed)
        self.model = model
        self.joins, self.hot, self.money = joins, hot, money

    def entries(self, count: int) -> Iterator[tuple[int, list[Op]]]:
        for _ in range(count):
            ops = self._ops()
            self.model.apply(ops)
            yield self.model.seq, ops

    def _ops(self) -> list[Op]:
        people, rng = self.model.people, self.random
        if not people or rng.random() < self.joins:
            return self._join()
        person = rng.choice(people)
        if rng.random() < self.money:
            return self._sell(person)
        roll = rng.random()
        if roll < 0.1:
            return []
        if roll < 0.35:
            return self._leave_or_return(person)
        if roll < 0.55:
            return [["u" if person.blocked else "b", person.number]]
        return self._score(person)

    def _join(self) -> list[Op]:
        rng, number = self.random, len(self.model.people) + 1
        parent = 0
        if number > 1 and rng.random() > 0.05:
            parent = (
                rng.randint(1, min(number - 1, 5)) if rng.random() < self.hot else rng.randint(1, number - 1)
            )
        ops: list[Op] = [["m", number, parent, rng.choice(DATES)], ["f", "joined", 1]]
        if parent:
            ops.append(["s", parent, 1, self.model.person(parent).cohort])
        return ops

    def _leave_or_return(self, person: Person) -> list[Op]:
        if not person.active:
            return [["r", person.number], ["f", "left", -1]]
        ops: list[Op] = [["l", person.number], ["f", "left", 1]]
        if person.parent and (inviter := self.model.person(person.parent)).score:
            ops.append(["s", inviter.number, -1, inviter.cohort])
        return ops

    def _sell(self, person: Person) -> list[Op]:
        rng, model = self.random, self.model
        earned = sum(delta for number, delta in model.commissions if number == person.number)
        delta = rng.choice([rng.randint(-earned, 0), rng.randint(0, 5), rng.randint(0, 10**12)])
        huge = rng.choice([1, 99, 10**9, 10**9 - 1, 2**40, 2**56]) * rng.choice([1, -1])
        owner = f"con_{rng.randint(1, 30)}"
        return [
            ["a", "expense", "", "CNY", -delta],
            ["a", "pending", str(person.number), "CNY", delta],
            ["a", "available", owner, "CNY", huge],
            ["a", "clearing", "", "CNY", -huge],
            ["e", person.number, delta],
            ["v", person.number, rng.choice([delta, huge, 0])],
        ]

    def _score(self, person: Person) -> list[Op]:
        low = -person.score if self.random.random() < 0.5 else 0
        return [["s", person.number, self.random.randint(low, 3), person.cohort]]


def assert_equal(mirror: Mirror, book: BookKey, model: Model) -> None:
    """Everything the mirror can be asked says what the model says."""
    assert mirror.digest(book) == model.digest()
    totals = mirror.totals(book)
    assert (totals.last_seq, totals.members) == (model.seq, len(model.people))
    assert mirror.funnel(book) == {step: n for step, n in model.funnel.items() if n}
    assert mirror.cohorts(book) == model.cohorts()
    numbers = list(range(1, len(model.people) + 1))
    views = mirror.members(book, numbers)
    assert [
        (v.number, v.parent, v.level1, v.level2, v.active, v.blocked, v.score) for v in views
    ] == model.rows()
    assert_equal_money(mirror, book, model)
    order = model.order()
    assert mirror.leaderboard(book, 100) == [(p.number, p.score) for p in order[:100]]
    board = mirror.leaderboard(book, 1000)
    assert board == [(p.number, p.score) for p in order[: len(board)]]
    places = {p.number: place for place, p in enumerate(order, 1)}
    above = {score: sum(p.score > score for p in order) for score in {p.score for p in order}}
    for view in views:
        place = places.get(view.number)
        if place and place > len(board):
            place = max(len(board), above[view.score]) + 1
        assert view.rank == place


def assert_equal_money(mirror: Mirror, book: BookKey, model: Model) -> None:
    """Balances, earnings and branch values."""
    balances = model.balances()
    unknown = ("available", "con_nobody", "CNY")
    assert mirror.balances(book, [*balances, unknown]) == balances | {unknown: 0}
    numbers = list(range(1, len(model.people) + 1))
    branch = model.branch()
    assert mirror.branch(book, numbers) == {number: branch[number] for number in numbers}
    earned = model.earned()
    order = sorted((-amount, number) for number, amount in earned.items() if amount)
    assert mirror.earned(book, 1000) == [(number, -amount) for amount, number in order[:1000]]
    places = {number: place for place, (_, number) in enumerate(order, 1)}
    assert [(one.number, one.amount, one.rank) for one in mirror.earned_of(book, numbers)] == [
        (number, earned[number], places.get(number)) for number in numbers
    ]
