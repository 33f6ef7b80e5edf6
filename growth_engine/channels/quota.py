"""What an account may still ask of a platform: budgets counted for all processes in the queue Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import RetryLater
from growth_engine.kit.clock import Clock
from growth_engine.kit.i18n import N_

log = structlog.get_logger(__name__)

#: The platforms' days and months are China's; China has had one offset and no summer time since 1991.
CHINA = timezone(timedelta(hours=8))


class Period(StrEnum):
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


_FIXED = {Period.SECOND: 1, Period.MINUTE: 60, Period.HOUR: 3600}


@dataclass(frozen=True, slots=True)
class Budget:
    """So many calls in a period; for the whole account, or for each operation of it."""

    name: str
    """Part of the counter's key: never renamed."""
    title: str
    limit: int
    period: Period
    each_operation: bool = False


# ── Numbers of the platforms: change them here when the platforms do (docs/channels.md) ────────────────

#: Sheet §2.5, stable_token: 10,000 a minute and 500,000 a day.
STABLE_TOKEN_MINUTE = Budget("stable_token.minute", N_("Access tokens fetched"), 10_000, Period.MINUTE)
STABLE_TOKEN_DAY = Budget("stable_token.day", N_("Access tokens fetched"), 500_000, Period.DAY)
#: Sheet §2.5, force_refresh=true: 20 a day, 30 s apart (spacing below).
FORCE_REFRESH_DAY = Budget("force_refresh.day", N_("Access tokens renewed by force"), 20, Period.DAY)
FORCE_REFRESH_APART_SECONDS = 30
#: Sheet §2.7: 100,000 template messages a day; more above 100,000 fans, which we do not count on.
TEMPLATE_DAY = Budget("template.day", N_("Template messages"), 100_000, Period.DAY)
#: Sheet §2.11: 50,000 calls a minute.
OAUTH_MINUTE = Budget("oauth.minute", N_("Web authorisations"), 50_000, Period.MINUTE)
OFFICIAL_ACCOUNT = (STABLE_TOKEN_MINUTE, STABLE_TOKEN_DAY, FORCE_REFRESH_DAY, TEMPLATE_DAY, OAUTH_MINUTE)

#: Sheet §3.1 (90312): per corp and API 10,000 a minute, 150,000 an hour.
WECOM_MINUTE = Budget("wecom.minute", N_("WeCom calls of one kind"), 10_000, Period.MINUTE, True)
WECOM_HOUR = Budget("wecom.hour", N_("WeCom calls of one kind"), 150_000, Period.HOUR, True)
#: Sheet §3.1: jsapi_ticket 100 an hour and application (400 an hour and corp).
WECOM_TICKET_HOUR = Budget("wecom_ticket.hour", N_("WeCom page tickets"), 100, Period.HOUR)
#: Sheet §3.10 (95094): 100,000 moments a month, 10 a minute.
MOMENT_MINUTE = Budget("moment.minute", N_("Moments"), 10, Period.MINUTE)
MOMENT_MONTH = Budget("moment.month", N_("Moments"), 100_000, Period.MONTH)
WECOM = (WECOM_MINUTE, WECOM_HOUR, WECOM_TICKET_HOUR, MOMENT_MINUTE, MOMENT_MONTH)

#: Sheet §4.6: 150 refunds a second. §4.7: 100 transfers, 20 cancellations, 100 queries a second.
REFUND_SECOND = Budget("refund.second", N_("Refunds"), 150, Period.SECOND)
TRANSFER_SECOND = Budget("transfer.second", N_("Transfers"), 100, Period.SECOND)
TRANSFER_CANCEL_SECOND = Budget("transfer_cancel.second", N_("Transfers cancelled"), 20, Period.SECOND)
TRANSFER_QUERY_SECOND = Budget("transfer_query.second", N_("Transfers looked up"), 100, Period.SECOND)
WECHAT_PAY = (REFUND_SECOND, TRANSFER_SECOND, TRANSFER_CANCEL_SECOND, TRANSFER_QUERY_SECOND)

# All or nothing: KEYS = counters, then the block list. ARGV = field of the block list, now,
# then for each counter: field, limit, seconds it is kept.
_TAKE = """
local blocked = redis.call('HGET', KEYS[#KEYS], ARGV[1])
if blocked and tonumber(blocked) > tonumber(ARGV[2]) then return {0, blocked} end
for i = 1, #KEYS - 1 do
  local used = tonumber(redis.call('HGET', KEYS[i], ARGV[i * 3]) or '0')
  if used >= tonumber(ARGV[i * 3 + 1]) then return {i, '0'} end
end
for i = 1, #KEYS - 1 do
  if redis.call('HINCRBY', KEYS[i], ARGV[i * 3], 1) == 1 then
    redis.call('EXPIRE', KEYS[i], ARGV[i * 3 + 2])
  end
end
return {-1, '0'}
"""


@dataclass(frozen=True, slots=True)
class Left:
    """Where a budget stands; for one counted for each operation, the one that is nearest its end."""

    budget: Budget
    left: int
    begins_anew: datetime
    operation: str = ""


class Quotas:
    """Budgets of all accounts, counted together by all processes."""

    def __init__(self, queue: Redis, clock: Clock) -> None:
        self._queue, self._clock = queue, clock
        self._take = queue.register_script(_TAKE)

    def take(self, account: str, operation: str, budgets: Sequence[Budget] = ()) -> None:
        """Count one call of ``operation`` on all of ``budgets``, or on none and raise RetryLater."""
        now = self._clock.now()
        keys, args = [], [operation, str(now.timestamp())]
        for budget in budgets:
            keys.append(_counter(account, budget, now))
            length = begins_anew(budget.period, now) - now
            args += [_field(budget, operation), str(budget.limit), str(int(length.total_seconds()) + 60)]
        with explained(operation):
            verdict, until = self._take(keys=[*keys, _blocks(account)], args=args)
        if verdict == 0:
            self._refuse(account, operation, "blocked", datetime.fromtimestamp(float(until), UTC))
        if verdict > 0:
            budget = budgets[verdict - 1]
            self._refuse(account, operation, budget.name, begins_anew(budget.period, now))

    def spaced(self, account: str, name: str, seconds: int) -> None:
        """Let one pass every ``seconds``; raises RetryLater for the others."""
        with explained(name):
            first = self._queue.set(f"ge:channel:{{{account}}}:apart:{name}", 1, nx=True, ex=seconds)
        if not first:
            again = self._clock.now() + timedelta(seconds=seconds)
            self._refuse(account, name, f"{seconds} s apart", again)

    def block(self, account: str, operation: str, until: datetime) -> None:
        """Nothing more of ``operation`` before ``until``: the platform says that its quota is used up."""
        with explained(operation):
            self._queue.hset(_blocks(account), operation, str(until.timestamp()))
            self._queue.expire(_blocks(account), 32 * 24 * 3600)

    def blocked(self, account: str) -> dict[str, datetime]:
        """Operations the platform has stopped, and until when."""
        with explained("quotas"):
            found: Any = self._queue.hgetall(_blocks(account))
        now = self._clock.now()
        ends = {name.decode(): datetime.fromtimestamp(float(at), UTC) for name, at in found.items()}
        return {name: at for name, at in ends.items() if at > now}

    def left(self, account: str, budgets: Sequence[Budget]) -> list[Left]:
        """What is left of each budget now, for the settings page."""
        now = self._clock.now()
        standing = []
        with explained("quotas"):
            for budget in budgets:
                used: Any = self._queue.hgetall(_counter(account, budget, now))
                field, most = max(used.items(), key=lambda item: int(item[1]), default=(b"", b"0"))
                standing.append(
                    Left(
                        budget,
                        max(0, budget.limit - int(most)),
                        begins_anew(budget.period, now),
                        field.decode() if budget.each_operation else "",
                    )
                )
        return standing

    def _refuse(self, account: str, operation: str, number: str, retry_at: datetime) -> None:
        log.warning("quota.used_up", account=account, operation=operation, budget=number)
        raise RetryLater(Reason.QUOTA, operation=operation, number=number, retry_at=retry_at)


def begins_anew(period: Period, now: datetime) -> datetime:
    """When the present period of ``period`` ends; days and months are China's."""
    if period in _FIXED:
        length = _FIXED[period]
        return datetime.fromtimestamp((int(now.timestamp()) // length + 1) * length, UTC)
    midnight = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    if period is Period.DAY:
        return (midnight + timedelta(days=1)).astimezone(UTC)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1).astimezone(UTC)


def _counter(account: str, budget: Budget, now: datetime) -> str:
    # Named by the period's end: as good as its beginning, and computed anyway.
    end = int(begins_anew(budget.period, now).timestamp())
    return f"ge:channel:{{{account}}}:quota:{budget.name}:{end}"


def _blocks(account: str) -> str:
    return f"ge:channel:{{{account}}}:quota:blocked"


def _field(budget: Budget, operation: str) -> str:
    return operation if budget.each_operation else "*"


@contextmanager
def explained(operation: str) -> Iterator[None]:
    """Without the queue Redis nothing can be counted: RetryLater."""
    try:
        yield
    except RedisError as error:
        log.warning("quota.unavailable", error=type(error).__name__)
        raise RetryLater(Reason.BUSY, operation=operation, number="queue Redis") from None
