"""Words, times, amounts and cursors."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from growth_engine.kit import i18n, pages
from growth_engine.kit.errors import Invalid

AT = datetime(2026, 12, 31, 17, 5, tzinfo=UTC)


def test_words_fall_back_to_english_and_fill_their_parameters() -> None:
    assert i18n.translate("No such words %(n)s", {"n": 3}, locale="zh") == "No such words 3"
    assert i18n.translate("Must be at least %(least)s.", {"least": 3}, locale="zh") == "不能小于 3。"
    assert i18n.translate("", locale="zh") == ""


def test_a_language_is_spoken_inside_its_block_only() -> None:
    before = i18n.current_locale()
    with i18n.in_locale("zh"):
        assert i18n.current_locale() == "zh"
    assert i18n.current_locale() == before


@pytest.mark.parametrize(
    ("tag", "found"),
    [("zh-Hans-CN", "zh"), ("en_US", "en"), ("ZH", "zh"), ("fr", None), ("", None), (None, None)],
)
def test_language_tags_are_understood(tag: str | None, found: str | None) -> None:
    assert i18n.negotiate(tag) == found


def test_times_are_shown_in_the_zone_of_the_workspace() -> None:
    assert i18n.format_moment(AT, "Asia/Shanghai", locale="en") == "2027-01-01 01:05"
    assert i18n.format_day(AT, "Asia/Shanghai", locale="zh") == "2027年1月1日"
    assert i18n.format_day(date(2026, 5, 4), locale="en") == "May 4, 2026"
    assert i18n.format_moment(None, "UTC") == "–"
    assert i18n.format_ago(AT - timedelta(minutes=3), AT, locale="en") == "3 minutes ago"
    assert i18n.format_ago(AT - timedelta(minutes=3), AT, locale="zh") == "3分钟前"


def test_amounts_are_shown_with_their_currency() -> None:
    assert i18n.format_amount(123456, "CNY", locale="zh") == "¥1,234.56"
    assert i18n.format_amount(1999, "USD", locale="en") == "$19.99"
    assert i18n.format_amount(500, "JPY", locale="en") == "¥500"
    assert i18n.format_percent(0.1234, locale="en") == "12.3%"


def test_time_zones_are_checked() -> None:
    assert i18n.is_timezone("Asia/Shanghai")
    assert not any(map(i18n.is_timezone, ("", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "\0")))


def test_a_page_is_cut_after_its_limit_and_its_cursor_leads_on() -> None:
    rows = list(range(1, 8))
    first = pages.page_of(rows[:4], 3, lambda row: (row,))
    assert list(first.items) == [1, 2, 3]
    assert pages.ask(None, first.next_cursor).after == (3,)
    last = pages.page_of(rows[4:], 3, lambda row: (row,))
    assert last.next_cursor is None


@pytest.mark.parametrize(
    "cursor", ["!", "e30", "W10", "W251bGxd", "WzEuNV0", "WyIAIl0", "é", "a" * 5000, "WzFd" * 400]
)
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        pages.read_cursor(cursor)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "1.5", "9" * 5000])
def test_a_page_has_between_one_and_a_hundred_rows(limit: str) -> None:
    with pytest.raises(Invalid):
        pages.ask(limit, None)
