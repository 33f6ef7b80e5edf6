"""What the mirror is asked about and what it answers."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Op = Sequence[Any]
"""One change: ``["m", number, parent, cohort]`` joined · ``["l", n]`` left · ``["r", n]`` returned ·
``["s", n, delta, cohort]`` score · ``["b", n]`` blocked · ``["u", n]`` unblocked · ``["f", step, delta]``
funnel · ``["a", account, owner, currency, amount]`` an account moved · ``["e", n, delta]`` earned ·
``["v", n, delta]`` net sales to ``n``, who count for the two levels above. A cohort is the ISO date on which
the member joined."""
Entry = tuple[int, Sequence[Op]]
"""Sequence number in the book (1, 2, 3 … without gaps) and the changes, of which there may be none."""

AccountName = tuple[str, str, str]
"""(account, owner, currency)."""

_VIEW = struct.Struct("<7I")
_EARNER = struct.Struct("<Id")
_EARNED = struct.Struct("<dI")
_LEFT, _BLOCKED = 1, 2


@dataclass(frozen=True, slots=True)
class BookKey:
    """A campaign's book, or a workspace's wallet book."""

    workspace_id: str
    campaign_id: str
    """Of the book; a campaign's is the campaign's own id."""

    def __post_init__(self) -> None:
        if (
            not self.workspace_id
            or not self.campaign_id
            or set("{}.:") & set(self.workspace_id + self.campaign_id)
        ):
            raise ValueError("a book's ids are not empty and hold none of { } . :")

    @property
    def redis_key(self) -> str:
        """The book's pointer; the functions derive every other key from it (``functions/records.lua``)."""
        return f"ge:{{{self.workspace_id}.{self.campaign_id}}}:0:book:0"


@dataclass(frozen=True, slots=True)
class Applied:
    """What an ``apply`` came to."""

    last_seq: int
    gap: bool
    """An entry between ``last_seq`` and the next one given is missing: replay from ``last_seq`` + 1."""


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member of a campaign as the mirror knows them."""

    number: int
    parent: int
    """0 for one who came without an inviter."""
    level1: int
    """Invited by this member and still here."""
    level2: int
    """Invited by those, and still here."""
    active: bool
    blocked: bool
    score: int
    """Valid invites."""
    rank: int | None
    """Place, from 1; None when blocked or without a score. Exact on the board (at least the first 100);
    behind it the best place the score could have, so equals share it."""


@dataclass(frozen=True, slots=True)
class Earned:
    """What a member has earned."""

    number: int
    amount: int
    """Net commission in minor units."""
    rank: int | None
    """Place among all who have earned something, from 1, always exact; of equals the one who joined first."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a book."""

    last_seq: int
    members: int
    active: int
    blocked: int
    score_sum: int
    ranked: int
    """Not blocked, score above zero."""
    epoch: int
    """0: the mirror does not hold this book."""
    building: int
    """The epoch a rebuild is filling, or 0."""


def members_in(packed: bytes) -> Iterator[MemberView]:
    for number, parent, level1, level2, score, flags, rank in _VIEW.iter_unpack(packed):
        yield MemberView(
            number,
            parent,
            level1,
            level2,
            active=not flags & _LEFT,
            blocked=bool(flags & _BLOCKED),
            score=score,
            rank=rank or None,
        )


def numbers_in(packed: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(packed) // 4}I", packed))


def places_in(packed: bytes) -> list[tuple[int, int]]:
    numbers = numbers_in(packed)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def earners_in(packed: bytes) -> list[tuple[int, int]]:
    return [(number, int(amount)) for number, amount in _EARNER.iter_unpack(packed)]


def earned_in(numbers: Sequence[int], packed: bytes) -> Iterator[Earned]:
    for number, (amount, rank) in zip(numbers, _EARNED.iter_unpack(packed), strict=True):
        yield Earned(number, int(amount), rank or None)


def counters_in(flat: Any) -> dict[str, int]:
    """A hash of counters: a flat list in RESP 2, a map in RESP 3."""
    pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): int(value) for name, value in pairs}
