"""Customer messages: how many, how long, after what; counted for all processes together (rule 8)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from growth_engine.channels.contract import Message, Reason, Refused, Subscription, Template, Text
from growth_engine.channels.windows import (
    GRANTS,
    MARGIN,
    Trigger,
    Window,
    Windows,
    best,
    messages_left,
    usable,
    why_not,
)
from growth_engine.kit.clock import FixedClock
from tests.conftest import START

OPENID = "oPerson-1"


@pytest.fixture
def windows(queue: Redis, clock: FixedClock) -> Windows:
    return Windows(queue, clock)


def take(windows: Windows, account: str) -> Trigger | Reason:
    taken = windows.take(account, OPENID)
    return taken.trigger if isinstance(taken, Window) else taken


@pytest.mark.parametrize(
    ("trigger", "count"),
    [(Trigger.MESSAGE, 5), (Trigger.MENU, 3), (Trigger.FOLLOW, 3), (Trigger.SCAN, 3)],
)
def test_each_act_allows_its_number(windows: Windows, account: str, trigger: Trigger, count: int) -> None:
    windows.open(account, OPENID, trigger, START)
    assert [take(windows, account) for _ in range(count + 1)] == [trigger] * count + [Reason.WINDOW_USED_UP]


def test_a_payment_allows_as_many_as_one_likes(windows: Windows, account: str) -> None:
    windows.open(account, OPENID, Trigger.PAYMENT, START)
    assert {take(windows, account) for _ in range(50)} == {Trigger.PAYMENT}


def test_nobody_is_written_to_who_did_nothing(windows: Windows, account: str) -> None:
    assert take(windows, account) is Reason.WINDOW_CLOSED


@pytest.mark.parametrize(
    ("trigger", "seconds"),
    [(Trigger.FOLLOW, 60), (Trigger.MENU, 60), (Trigger.SCAN, 60), (Trigger.MESSAGE, 48 * 3600)],
)
def test_windows_close_a_moment_early(
    windows: Windows, account: str, clock: FixedClock, trigger: Trigger, seconds: int
) -> None:
    windows.open(account, OPENID, trigger, START)
    clock.advance(timedelta(seconds=seconds) - MARGIN - timedelta(seconds=1))
    assert take(windows, account) is trigger
    clock.advance(timedelta(seconds=1))
    assert take(windows, account) is Reason.WINDOW_CLOSED


def test_the_window_that_would_be_lost_is_used_first(
    windows: Windows, account: str, clock: FixedClock
) -> None:
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    windows.open(account, OPENID, Trigger.SCAN, START)
    assert [take(windows, account) for _ in range(8)] == [Trigger.SCAN] * 3 + [Trigger.MESSAGE] * 5
    windows.open(account, OPENID, Trigger.PAYMENT, START)
    windows.open(account, OPENID, Trigger.MENU, START)
    assert take(windows, account) is Trigger.PAYMENT  # costs nothing


def test_another_message_of_the_person_allows_five_again(windows: Windows, account: str) -> None:
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    for _ in range(5):
        take(windows, account)
    assert windows.open(account, OPENID, Trigger.MESSAGE, START + timedelta(seconds=1))
    assert messages_left(windows.of(account, OPENID), START) == 5


def test_a_callback_delivered_three_times_opens_one_window(windows: Windows, account: str) -> None:
    assert windows.open(account, OPENID, Trigger.FOLLOW, START)
    take(windows, account)
    assert not windows.open(account, OPENID, Trigger.FOLLOW, START)
    assert not windows.open(account, OPENID, Trigger.FOLLOW, START - timedelta(seconds=5))  # late
    assert messages_left(windows.of(account, OPENID), START) == 2


def test_a_hundred_threads_send_three(windows: Windows, account: str) -> None:
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    with ThreadPoolExecutor(50) as pool:
        got = list(pool.map(lambda _: take(windows, account), range(100)))
    assert got.count(Trigger.FOLLOW) == 3
    assert got.count(Reason.WINDOW_USED_UP) == 97


def test_what_was_not_sent_comes_back_once_and_to_its_own_window(windows: Windows, account: str) -> None:
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    taken = windows.take(account, OPENID)
    assert isinstance(taken, Window)
    windows.give_back(account, OPENID, taken)
    windows.give_back(account, OPENID, taken)
    assert messages_left(windows.of(account, OPENID), START) == 3  # never more than granted
    windows.take(account, OPENID)
    windows.open(account, OPENID, Trigger.FOLLOW, START + timedelta(seconds=10))
    windows.take(account, OPENID)
    windows.give_back(account, OPENID, taken)  # of the earlier window
    assert messages_left(windows.of(account, OPENID), START) == 2


def test_the_platform_is_believed_rather_than_our_count(windows: Windows, account: str) -> None:
    windows.open(account, OPENID, Trigger.MESSAGE, START)
    taken = windows.take(account, OPENID)
    assert isinstance(taken, Window)
    windows.spend(account, OPENID, taken)
    assert take(windows, account) is Reason.WINDOW_USED_UP
    windows.close(account, OPENID)
    assert take(windows, account) is Reason.WINDOW_CLOSED


def test_keys_do_not_name_people_and_go_away(windows: Windows, queue: Redis, account: str) -> None:
    windows.open(account, OPENID, Trigger.FOLLOW, START)
    (key,) = queue.keys(f"*{account}*")  # type: ignore[misc]
    assert OPENID.encode() not in key
    assert 0 < queue.ttl(key) <= 48 * 3600  # type: ignore[operator]


# ── Rules ───────────────────────────────────────────────────────────────────────────────────────────────

some_windows = st.lists(
    st.builds(
        Window,
        trigger=st.sampled_from(Trigger),
        opened_at=st.integers(-200_000, 100).map(lambda s: START + timedelta(seconds=s)),
        left=st.none() | st.integers(0, 5),
    ),
    max_size=5,
    unique_by=lambda w: w.trigger,
)


@given(windows=some_windows)
def test_a_chosen_window_is_open_and_not_empty_and_none_means_none(windows: list[Window]) -> None:
    chosen = usable(windows, START)
    left = messages_left(windows, START)
    if chosen is None:
        assert left == 0
        assert all(w.left == 0 or w.closes_at <= START for w in windows)
    else:
        assert left is None or left > 0
        assert chosen.closes_at > START
        assert chosen.closes_at <= chosen.opened_at + GRANTS[chosen.trigger].lasts
        assert chosen.left != 0


CARD = Text("you have a friend")
GRANTED = Subscription("tpl", {"thing1": "x"})
SERVICE = Template("tpl", {"thing1": "x"})
OPEN = [Window(Trigger.FOLLOW, START, 1)]
SPENT = [Window(Trigger.FOLLOW, START, 0)]


@pytest.mark.parametrize(
    ("windows", "candidates", "granted", "expected"),
    [
        (OPEN, [CARD, GRANTED], True, CARD),
        (SPENT, [CARD, GRANTED], True, GRANTED),
        (SPENT, [CARD, GRANTED], False, Refused(Reason.WINDOW_USED_UP)),
        ([], [CARD], True, Refused(Reason.WINDOW_CLOSED)),
        ([], [GRANTED], False, Refused(Reason.NOT_GRANTED)),
        ([], [CARD, GRANTED, SERVICE], False, SERVICE),
        ([], [], True, Refused(Reason.WINDOW_CLOSED)),
    ],
)
def test_the_best_way_that_is_allowed(
    windows: list[Window], candidates: list[Message], granted: bool, expected: Message | Refused
) -> None:
    assert best(candidates, windows, START, granted=lambda _: granted) == expected


def test_a_closed_and_spent_window_counts_as_closed() -> None:
    old: datetime = START - timedelta(minutes=2)
    assert why_not([replace(SPENT[0], opened_at=old)], START) is Reason.WINDOW_CLOSED
