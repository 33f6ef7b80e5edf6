"""The digest both sides of the ledger compute: a book's whole readable content as a few sums and one hash."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Any

import orjson

Row = tuple[int, int, int, int, bool, bool, int]
"""number, parent (0: none), level 1, level 2, active, blocked, score."""
Cohort = tuple[str, int, int]
"""ISO date of joining, members, valid invites they brought."""
Place = tuple[int, int]
"""number, score."""

BATCH = 585
"""Members hashed at a time; the mirror's bucket, so that its side needs no regrouping."""
SHOWN = 100
"""First places of the leaderboard that are part of the content."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Two books with equal digests read the same everywhere; the counts say where unequal ones differ."""

    last_seq: int
    members: int
    active: int
    blocked: int
    level1_sum: int
    level2_sum: int
    score_sum: int
    ranked: int
    """Members that are not blocked and have a score above zero."""
    accounts: int
    """Accounts with a balance."""
    balance_sum: int
    """Of all accounts, whatever their currency; 0 in every book that is whole."""
    earned_sum: int
    branch_sum: int
    content_sha256: str


@dataclass(slots=True)
class Money:
    """The money side of a book; amounts in minor units. What stands at zero does not count."""

    balances: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """By (account, owner, currency)."""
    earned: Mapping[int, int] = field(default_factory=dict)
    """Net commission by member."""
    branch: Mapping[int, int] = field(default_factory=dict)
    """Net sales to the two levels below a member."""


@dataclass(slots=True)
class Columns:
    """Up to ``BATCH`` members, one column per field."""

    parent: Sequence[int]
    level1: Sequence[int]
    level2: Sequence[int]
    active: bytes
    """0 or 1 each."""
    blocked: bytes
    """0 or 1 each."""
    score: Sequence[int]
    sibling: Sequence[int]
    """The next older child of the same parent, 0 for the oldest."""


class Content:
    """Hashes a book column by column: whole columns move at the speed of C, single fields would not.

    ``add`` takes the members in order, every batch but the last of ``BATCH``; ``digest`` ends it.
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._members = self._active = self._blocked = 0
        self._sums = [0, 0, 0]

    def add(self, columns: Columns) -> None:
        self._members += len(columns.parent)
        self._active += columns.active.count(1)
        self._blocked += columns.blocked.count(1)
        for i, column in enumerate((columns.level1, columns.level2, columns.score)):
            self._sums[i] += sum(column)
        for numbers in (columns.parent, columns.level1, columns.level2, columns.score, columns.sibling):
            self._sha.update(_little_endian(numbers))
        self._sha.update(columns.active)
        self._sha.update(columns.blocked)

    def digest(
        self,
        last_seq: int,
        newest_child: Sequence[int],
        histogram: Mapping[int, int],
        leaders: Sequence[Place],
        funnel: Mapping[str, int],
        cohorts: Iterable[Cohort],
        money: Money,
    ) -> Digest:
        """``newest_child`` per member; ``histogram``: members by ranked score; ``leaders``: first places."""
        self._sha.update(_little_endian(newest_child))
        rest = [
            sorted((score, count) for score, count in histogram.items() if count),
            leaders,
            sorted((step, count) for step, count in funnel.items() if count),
            sorted(cohorts),
        ]
        self._sha.update(orjson.dumps(rest))
        for amounts in (money.balances, money.earned, money.branch):
            self._add_amounts(amounts)
        return Digest(
            last_seq=last_seq,
            members=self._members,
            active=self._active,
            blocked=self._blocked,
            level1_sum=self._sums[0],
            level2_sum=self._sums[1],
            score_sum=self._sums[2],
            ranked=sum(histogram.values()),
            accounts=sum(map(bool, money.balances.values())),
            balance_sum=sum(money.balances.values()),
            earned_sum=sum(money.earned.values()),
            branch_sum=sum(money.branch.values()),
            content_sha256=self._sha.hexdigest(),
        )

    def _add_amounts(self, amounts: Mapping[Any, int]) -> None:
        rows = sorted(row for row in amounts.items() if row[1])
        self._sha.update(b"%d" % len(rows))
        for start in range(0, len(rows), BATCH):
            self._sha.update(orjson.dumps(rows[start : start + BATCH]))


def digest_rows(
    rows: Iterable[Row],
    last_seq: int,
    funnel: Mapping[str, int],
    cohorts: Iterable[Cohort],
    money: Money | None = None,
) -> Digest:
    """The digest of a book kept as rows, in order of their numbers 1, 2, 3 …

    Funnel steps at zero do not count. Raises ValueError when the numbers are not dense,
    or a parent does not come before its child.
    """
    content, family, ranks = Content(), _Family(), _Ranks()
    source, done = iter(rows), 0
    while batch := list(islice(source, BATCH)):
        number, parent, level1, level2, active, blocked, score = zip(*batch, strict=True)
        if number != tuple(range(done + 1, done + len(batch) + 1)):
            raise ValueError(f"the numbers after {done} are not dense")
        flags = bytes(blocked)
        sibling = family.siblings(parent)
        content.add(Columns(parent, level1, level2, bytes(active), flags, score, sibling))
        ranks.add(done, score, flags)
        done += len(batch)
    return content.digest(
        last_seq,
        family.newest_child[1:],
        ranks.histogram,
        ranks.leaders(),
        funnel,
        cohorts,
        money or Money(),
    )


def _little_endian(numbers: Sequence[int]) -> bytes:
    column = numbers if isinstance(numbers, array) else array("I", numbers)
    if sys.byteorder == "big":
        column = array("I", column)
        column.byteswap()
    return column.tobytes()


class _Family:
    """Derives the mirror's child lists (newest first) from the parents alone."""

    def __init__(self) -> None:
        self.newest_child = array("I", [0])

    def siblings(self, parents: Iterable[int]) -> array[int]:
        newest, siblings = self.newest_child, array("I")
        for parent in parents:
            number = len(newest)
            if not 0 <= parent < number:
                raise ValueError(f"member {number} has parent {parent}")
            newest.append(0)
            siblings.append(newest[parent] if parent else 0)
            if parent:
                newest[parent] = number
        return siblings


class _Ranks:
    """Histogram of the ranked scores and the first places, without keeping the rows."""

    def __init__(self) -> None:
        self.histogram: Counter[int] = Counter()
        self._best: list[tuple[int, int]] = []
        self._least = 1

    def add(self, before: int, scores: Sequence[int], blocked: bytes) -> None:
        """``before``: how many members came earlier."""
        self.histogram.update(scores)
        if 1 in blocked:
            self.histogram.subtract(compress(scores, blocked))
        del self.histogram[0]
        if max(scores) < self._least:
            return
        numbers = range(before + 1, before + len(scores) + 1)
        self._best += [
            (-score, number)
            for number, score, off in zip(numbers, scores, blocked, strict=True)
            if score >= self._least and not off
        ]
        if len(self._best) >= SHOWN:
            self._best = sorted(self._best)[:SHOWN]
            # A later member needs more than the last place's score: of equals the earlier stands first.
            self._least = 1 - self._best[-1][0] if len(self._best) == SHOWN else 1

    def leaders(self) -> list[Place]:
        return [(number, -score) for score, number in sorted(self._best)]
