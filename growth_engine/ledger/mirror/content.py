"""Reading a book's whole content for its digest."""

from __future__ import annotations

import sys
from array import array
from typing import Any, Protocol

from growth_engine.kit.errors import Unavailable
from growth_engine.ledger.digest import BATCH, Columns, Content, Digest, Money
from growth_engine.ledger.mirror.views import counters_in, earners_in, places_in

PAGE = 32
"""Buckets (of 16 KB) read in one call."""
EARNERS_PAGE = 5_000
HASHES_PAGE = 256
ATTEMPTS = 5
_FIELDS = 7
_ACTIVE = bytes(0 if flags & 1 else 1 for flags in range(256))
_BLOCKED = bytes(1 if flags & 2 else 0 for flags in range(256))


class BookMoved(Unavailable):
    """Entries were applied while the book was read, again and again; hold its lock and try again."""

    code = "mirror_book_moved"


class Read(Protocol):
    """Calls one read function of the library on the book."""

    def __call__(self, name: str, *arguments: int | str) -> Any: ...


def digest(read: Read) -> Digest:
    """The digest of the book ``read`` reads, all at one sequence number."""
    for _ in range(ATTEMPTS):
        epoch, seq, members, funnel, cohorts, invites, histogram, leaders, *used = read("outline")
        content, newest_child = Content(), array("I")
        if not _add_members(read, (epoch, seq), members, content, newest_child):
            continue
        money = _money(read, (epoch, seq), *used)
        if money is None:
            continue
        joined, brought = counters_in(cohorts), counters_in(invites)
        return content.digest(
            seq,
            newest_child,
            {int(score): count for score, count in counters_in(histogram).items()},
            places_in(leaders),
            counters_in(funnel),
            [(date, joined.get(date, 0), brought.get(date, 0)) for date in joined | brought],
            money,
        )
    raise BookMoved


def _add_members(
    read: Read, at: tuple[int, int], members: int, content: Content, newest_child: array[int]
) -> bool:
    """False when the book is not ``at`` this (epoch, seq) any more."""
    for first in range(0, -(-members // BATCH), PAGE):
        epoch, seq, *buckets = read("buckets", first, PAGE)
        if (epoch, seq) != at:
            return False
        for bucket, raw in enumerate(buckets, first):
            count = min(members - bucket * BATCH, BATCH)
            if count > 0:
                newest_child += _add_bucket(raw, count, content)
    return True


def _add_bucket(raw: bytes, count: int, content: Content) -> array[int]:
    """A bucket's records as columns (``functions/records.lua``); gives back the newest children."""
    numbers = array("I")
    numbers.frombytes(raw[: count * _FIELDS * 4])
    if sys.byteorder == "big":
        numbers.byteswap()
    parent, level1, level2, score, flags, sibling, newest_child = (
        numbers[i::_FIELDS] for i in range(_FIELDS)
    )
    low = bytes(flags.tolist())
    content.add(
        Columns(parent, level1, level2, low.translate(_ACTIVE), low.translate(_BLOCKED), score, sibling)
    )
    return newest_child


def _money(read: Read, at: tuple[int, int], balances: bytes, branches: bytes, earners: int) -> Money | None:
    """The money side; ``balances`` and ``branches``: bitmaps of the buckets in use. None: it has moved."""
    fields = _sums(read, at, "balance", balances)
    sold = None if fields is None else _sums(read, at, "branch", branches)
    earned: dict[int, int] = {}
    for first in range(0, earners, EARNERS_PAGE):
        epoch, seq, packed = read("earners", first, EARNERS_PAGE)
        if (epoch, seq) != at:
            return None
        earned |= earners_in(packed)
    if fields is None or sold is None:
        return None
    accounts = {}
    for name, balance in fields.items():
        account, currency, owner = name.split(":", 2)
        accounts[account, owner, currency] = balance
    return Money(accounts, earned, {int(number): value for number, value in sold.items()})


def _sums(read: Read, at: tuple[int, int], kind: str, used: bytes) -> dict[str, int] | None:
    """All fields of all hashes of a kind; None: the book has moved."""
    buckets = [byte * 8 + bit for byte, bits in enumerate(used) for bit in range(8) if bits & 128 >> bit]
    found: dict[str, int] = {}
    for first in range(0, len(buckets), HASHES_PAGE):
        epoch, seq, *hashes = read("hashes", kind, *buckets[first : first + HASHES_PAGE])
        if (epoch, seq) != at:
            return None
        for one in hashes:
            found |= counters_in(one)
    return found
