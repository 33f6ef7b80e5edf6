"""Cursor pagination: a list is cut after ``limit`` rows, and the cursor remembers the last row's key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_LONGEST_CURSOR = 512


@dataclass(frozen=True, slots=True)
class PageAsk:
    """What a caller wants to see: at most ``limit`` rows after ``after`` (the last row's key)."""

    limit: int = DEFAULT_LIMIT
    after: tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: Sequence[T]
    next_cursor: str | None = None

    def map(self, change: Callable[[T], U]) -> Page[U]:
        return Page([change(item) for item in self.items], self.next_cursor)


def ask(limit: str | int | None, cursor: str | None) -> PageAsk:
    """Read ``limit`` and ``cursor`` as they came in; raises Invalid naming the field."""
    try:
        wanted = DEFAULT_LIMIT if limit in (None, "") else int(str(limit))
    except ValueError:
        wanted = 0
    if not 1 <= wanted <= MAX_LIMIT:
        raise Invalid(
            N_("A page has between 1 and %(most)s rows."),
            params={"most": MAX_LIMIT},
            fields={"limit": [f"1–{MAX_LIMIT}"]},
        )
    return PageAsk(wanted, read_cursor(cursor) if cursor else None)


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], tuple[str | int, ...]]) -> Page[T]:
    """A page from a query that asked for ``limit + 1`` rows."""
    if len(rows) <= limit:
        return Page(rows)
    kept = rows[:limit]
    return Page(kept, write_cursor(key(kept[-1])))


def write_cursor(key: tuple[str | int, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).rstrip(b"=").decode()


def read_cursor(cursor: str) -> tuple[str | int, ...]:
    """The key inside a cursor; raises Invalid for one we cannot have written."""
    cursor = cursor[:_LONGEST_CURSOR]
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        values: Any = orjson.loads(raw)
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list) or not values or not all(_plain(value) for value in values):
        raise Invalid(
            N_("This cursor is not one of ours. Start the list again without it."), fields={"cursor": ["?"]}
        )
    return tuple(values)


def _plain(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
