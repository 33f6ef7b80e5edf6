"""Words, times and amounts for people: English message ids, their translations, the workspace's zone.

Free of Flask, so that plays, workers and the command line speak with the same catalogue as the pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import dates, numbers
from babel.support import NullTranslations, Translations

LOCALES: Mapping[str, str] = {"zh": "中文", "en": "English"}
"""Languages there are, each named in itself."""
CATALOGUE = Path(__file__).parent.parent / "translations"

_locale: ContextVar[str] = ContextVar("growth_locale", default="en")


def N_(message: str) -> str:
    """Mark a message id for extraction; it is translated later, where somebody reads it."""
    return message


def current_locale() -> str:
    return _locale.get()


def set_locale(locale: str) -> None:
    """Speak ``locale`` for the rest of this context (a request); scopes use ``in_locale``."""
    _locale.set(locale if locale in LOCALES else "en")


@contextmanager
def in_locale(locale: str) -> Iterator[None]:
    """Speak ``locale`` inside the block: messages and posters made by a worker for one person."""
    token = _locale.set(locale if locale in LOCALES else "en")
    try:
        yield
    finally:
        _locale.reset(token)


@cache
def catalogue(locale: str) -> NullTranslations:
    """The compiled translations of one language; without any the English message ids stand."""
    return Translations.load(CATALOGUE, [locale])


def translate(message: str, params: Mapping[str, Any] | None = None, *, locale: str | None = None) -> str:
    """``message`` in ``locale`` (default: the one spoken now), with ``%(name)s`` filled from ``params``."""
    # gettext("") is the catalogue's header, never what was meant.
    words = catalogue(locale or current_locale()).gettext(message) if message else ""
    return words % dict(params) if params else words


def negotiate(wanted: str | None) -> str | None:
    """The language meant by a tag such as ``zh-Hans-CN`` or ``en_US``; ``None`` when we lack it."""
    tag = (wanted or "").strip().replace("_", "-").lower().split("-")[0]
    return tag if tag in LOCALES else None


def is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


def format_moment(at: datetime | None, zone: str, *, locale: str | None = None, seconds: bool = False) -> str:
    """A UTC moment in the workspace's zone: ``2026-11-22 13:05``, the form both languages read alike."""
    if at is None:
        return "–"
    pattern = "yyyy-MM-dd HH:mm:ss" if seconds else "yyyy-MM-dd HH:mm"
    return dates.format_datetime(at, pattern, tzinfo=ZoneInfo(zone), locale=locale or current_locale())


def format_day(day: date | datetime | None, zone: str = "UTC", *, locale: str | None = None) -> str:
    """A day in words: ``2026年11月22日``, ``Nov 22, 2026``. A moment is first moved into ``zone``."""
    if day is None:
        return "–"
    if isinstance(day, datetime):
        day = day.astimezone(ZoneInfo(zone)).date()
    return dates.format_date(day, "medium", locale=locale or current_locale())


def format_ago(at: datetime | None, now: datetime, *, locale: str | None = None) -> str:
    """How long ago: ``3 minutes ago``, ``3分钟前``."""
    if at is None:
        return "–"
    span = min(at - now, timedelta(0))
    return dates.format_timedelta(span, add_direction=True, threshold=1.2, locale=locale or current_locale())


def format_number(value: float | Decimal, *, locale: str | None = None) -> str:
    return numbers.format_decimal(value, locale=locale or current_locale())


def format_percent(value: float, *, locale: str | None = None) -> str:
    """A share, 0.1234 -> ``12.3%``."""
    return numbers.format_percent(value, "#,##0.#%", locale=locale or current_locale())


def format_amount(minor: int, currency: str, *, locale: str | None = None) -> str:
    """An amount in minor units (fen, cents) with its currency: ``¥12.30``."""
    digits = numbers.get_currency_precision(currency)
    value = Decimal(minor).scaleb(-digits)
    return numbers.format_currency(value, currency, locale=locale or current_locale())
