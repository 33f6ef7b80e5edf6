"""The fold of a journal's ops, in plain Python: what the mirror must equal, computed without it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from growth_engine.ledger.digest import Digest, Money, Row, digest_rows

K = TypeVar("K")

_MAX_AMOUNT = 2**63 - 1
_MAX_EARNED = 2**53 - 1
"""As far as a Redis score is exact."""


class Fold:
    """State of one book after the Entries applied so far; index 0 of every column is unused."""

    def __init__(self) -> None:
        self.last_seq = 0
        self._parent = array("I", [0])
        self._level1 = array("I", [0])
        self._level2 = array("I", [0])
        self._active = bytearray([0])
        self._blocked = bytearray([0])
        self._score = array("q", [0])
        self._funnel: Counter[str] = Counter()
        self._cohort_members: Counter[str] = Counter()
        self._cohort_invites: Counter[str] = Counter()
        self.balances: Counter[tuple[str, str, str]] = Counter()
        """By (account, owner, currency), in minor units."""
        self.earned: Counter[int] = Counter()
        """Net commission by member, in minor units."""
        self.branch: Counter[int] = Counter()
        """Net sales to the two levels below a member, in minor units."""

    def apply(self, seq: int, ops: Sequence[Sequence[Any]]) -> None:
        """Raises ``ValueError`` when an op cannot be: a number out of order, an unknown kind."""
        if seq != self.last_seq + 1:
            raise ValueError(f"entry {seq} follows entry {self.last_seq}")
        for op in ops:
            self._op(op)
        self.last_seq = seq

    def _op(self, op: Sequence[Any]) -> None:
        match op:
            case ["m", number, parent, cohort]:
                self._join(number, parent, cohort)
            case ["l", number]:
                self._here(number, 0)
            case ["r", number]:
                self._here(number, 1)
            case ["s", number, delta, cohort]:
                self._score[number] += delta
                self._cohort_invites[cohort] += delta
            case ["b", number]:
                self._blocked[number] = 1
            case ["u", number]:
                self._blocked[number] = 0
            case ["f", step, delta]:
                self._funnel[step] += delta
            case ["a", account, owner, currency, amount]:
                _move(self.balances, (account, owner, currency), amount, _MAX_AMOUNT, -_MAX_AMOUNT)
            case ["e", number, delta]:
                _move(self.earned, self._known(number), delta, _MAX_EARNED, 0)
            case ["v", number, delta]:
                self._sell(number, delta)
            case _:
                raise ValueError(f"no such op: {op!r}")

    def _join(self, number: int, parent: int, cohort: str) -> None:
        if number != len(self._parent) or not 0 <= parent < number:
            raise ValueError(f"member {number} below {parent} does not follow {len(self._parent) - 1}")
        for column in (self._level1, self._level2):
            column.append(0)
        self._parent.append(parent)
        self._active.append(1)
        self._blocked.append(0)
        self._score.append(0)
        self._cohort_members[cohort] += 1
        self._count(number, 1)

    def _here(self, number: int, active: int) -> None:
        if self._active[number] == active:
            raise ValueError(f"member {number} is {'here' if active else 'gone'} already")
        self._active[number] = active
        self._count(number, 1 if active else -1)

    def _count(self, number: int, delta: int) -> None:
        if parent := self._parent[number]:
            self._level1[parent] += delta
            if grandparent := self._parent[parent]:
                self._level2[grandparent] += delta

    def _known(self, number: int) -> int:
        if not 1 <= number < len(self._parent):
            raise ValueError(f"there is no member {number}")
        return number

    def _sell(self, number: int, delta: int) -> None:
        parent = self._parent[self._known(number)]
        for above in (parent, self._parent[parent]):
            if above:
                _move(self.branch, above, delta, _MAX_AMOUNT, -_MAX_AMOUNT)

    def _rows(self) -> Iterator[Row]:
        columns = (self._parent, self._level1, self._level2, self._active, self._blocked, self._score)
        for number, row in enumerate(zip(*columns, strict=True)):
            if number:
                parent, level1, level2, active, blocked, score = row
                yield number, parent, level1, level2, bool(active), bool(blocked), score

    def digest(self) -> Digest:
        days = sorted(set(self._cohort_members) | set(self._cohort_invites))
        cohorts = [(day, self._cohort_members[day], self._cohort_invites[day]) for day in days]
        money = Money(self.balances, self.earned, self.branch)
        return digest_rows(self._rows(), self.last_seq, self._funnel, cohorts, money)


def _move(sums: Counter[K], key: K, delta: int, most: int, least: int) -> None:
    if type(delta) is not int:
        raise ValueError(f"{delta!r} is no whole number of minor units")
    if not least <= sums[key] + delta <= most:
        raise ValueError(f"{key} would stand at {sums[key] + delta}")
    sums[key] += delta
