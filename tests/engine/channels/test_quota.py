"""Budgets are taken whole or not at all, by all processes together, and begin anew in China's time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from growth_engine.channels import quota
from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import RetryLater
from growth_engine.channels.quota import Budget, Period, Quotas, begins_anew
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.redis import queue_client

THREE = Budget("three", "Three", 3, Period.DAY)
FIVE = Budget("five", "Five", 5, Period.HOUR)
EACH = Budget("each", "Each", 2, Period.MINUTE, each_operation=True)


@pytest.fixture
def quotas(queue: Redis, clock: FixedClock) -> Quotas:
    return Quotas(queue, clock)


def test_what_is_used_up_is_refused_until_it_begins_anew(
    quotas: Quotas, account: str, clock: FixedClock
) -> None:
    for _ in range(3):
        quotas.take(account, "send", (THREE,))
    with pytest.raises(RetryLater) as caught:
        quotas.take(account, "send", (THREE,))
    assert caught.value.reason is Reason.QUOTA
    assert caught.value.number == "three"
    # 10:00 in Shanghai: the next day begins in 14 hours.
    assert caught.value.retry_at == clock.now() + timedelta(hours=14)
    clock.advance(timedelta(hours=14))
    quotas.take(account, "send", (THREE,))


def test_all_budgets_are_taken_or_none(quotas: Quotas, account: str) -> None:
    for _ in range(3):
        quotas.take(account, "send", (FIVE, THREE))
    for _ in range(4):
        with pytest.raises(RetryLater):
            quotas.take(account, "send", (FIVE, THREE))
    assert [item.left for item in quotas.left(account, (FIVE, THREE))] == [2, 0]


def test_what_is_left_can_be_read(quotas: Quotas, account: str, clock: FixedClock) -> None:
    quotas.take(account, "b", (EACH,))
    quotas.take(account, "a", (EACH, THREE))
    quotas.take(account, "a", (EACH,))
    each, three, five = quotas.left(account, (EACH, THREE, FIVE))
    assert (each.left, each.operation) == (0, "a")  # the one nearest its end
    assert (three.left, three.operation) == (2, "")
    assert five.left == 5
    assert each.begins_anew == clock.now() + timedelta(minutes=1)


def test_each_operation_has_its_own_count(quotas: Quotas, account: str) -> None:
    for operation in ("a", "b", "a", "b"):
        quotas.take(account, operation, (EACH,))
    with pytest.raises(RetryLater):
        quotas.take(account, "a", (EACH,))


def test_accounts_do_not_share(quotas: Quotas, account: str) -> None:
    for number in range(5):
        quotas.take(f"{account}{number}", "send", (THREE,))


def test_two_hundred_threads_take_exactly_what_there_is(quotas: Quotas, account: str) -> None:
    fifty = Budget("fifty", "Fifty", 50, Period.DAY)

    def one(_: int) -> bool:
        try:
            quotas.take(account, "send", (fifty, FIVE, THREE) if _ % 2 else (fifty,))
        except RetryLater:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        won = sum(pool.map(one, range(200)))
    assert won == 50
    assert [item.left for item in quotas.left(account, (fifty,))] == [0]


def test_what_the_platform_stopped_stays_stopped_until_then(
    quotas: Quotas, account: str, clock: FixedClock
) -> None:
    until = clock.now() + timedelta(hours=2)
    quotas.block(account, "send", until)
    with pytest.raises(RetryLater) as caught:
        quotas.take(account, "send")
    assert caught.value.retry_at == until
    quotas.take(account, "other")
    assert quotas.blocked(account) == {"send": until}
    clock.advance(timedelta(hours=2))
    quotas.take(account, "send")
    assert quotas.blocked(account) == {}


def test_one_passes_and_the_others_wait(quotas: Quotas, account: str) -> None:
    quotas.spaced(account, "force", 30)
    with pytest.raises(RetryLater) as caught:
        quotas.spaced(account, "force", 30)
    assert caught.value.reason is Reason.QUOTA


def test_without_redis_nothing_is_counted_and_nothing_sent(clock: FixedClock, account: str) -> None:
    with pytest.raises(RetryLater) as caught:
        Quotas(queue_client("redis://127.0.0.1:1/0"), clock).take(account, "send", (THREE,))
    assert caught.value.reason is Reason.BUSY


@pytest.mark.parametrize(
    ("period", "now", "then"),
    [
        (Period.SECOND, "2026-06-01T02:00:00.5+00:00", "2026-06-01T02:00:01+00:00"),
        (Period.MINUTE, "2026-06-01T02:00:59+00:00", "2026-06-01T02:01:00+00:00"),
        (Period.HOUR, "2026-06-01T02:00:00+00:00", "2026-06-01T03:00:00+00:00"),
        # Midnight in China is 16:00 UTC.
        (Period.DAY, "2026-06-01T15:59:59+00:00", "2026-06-01T16:00:00+00:00"),
        (Period.DAY, "2026-06-01T16:00:00+00:00", "2026-06-02T16:00:00+00:00"),
        (Period.MONTH, "2026-01-31T15:00:00+00:00", "2026-01-31T16:00:00+00:00"),
        (Period.MONTH, "2026-01-31T17:00:00+00:00", "2026-02-28T16:00:00+00:00"),
        (Period.MONTH, "2026-12-15T00:00:00+00:00", "2026-12-31T16:00:00+00:00"),
    ],
)
def test_periods_end_when_china_says(period: Period, now: str, then: str) -> None:
    assert begins_anew(period, datetime.fromisoformat(now)) == datetime.fromisoformat(then)


@given(
    period=st.sampled_from(list(Period)),
    at=st.integers(1_577_836_800, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
)
def test_a_period_ends_later_and_is_the_same_until_then(period: Period, at: datetime) -> None:
    end = begins_anew(period, at)
    assert at < end
    assert begins_anew(period, end - timedelta(microseconds=1)) == end
    assert begins_anew(period, end) > end


def test_names_of_budgets_are_their_own() -> None:
    names = [b.name for b in (*quota.OFFICIAL_ACCOUNT, *quota.WECOM, *quota.WECHAT_PAY)]
    assert len(names) == len(set(names))
