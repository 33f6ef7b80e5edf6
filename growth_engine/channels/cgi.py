"""Calls in the style of /cgi-bin: errcode in JSON; a refused token is refreshed once, the call made again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
import structlog

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import (
    ChannelError,
    OutcomeUnknown,
    RetryLater,
    StopAndAlert,
    TokenRefused,
    error_for,
)
from growth_engine.channels.quota import Budget, Period, Quotas, begins_anew
from growth_engine.channels.tokens import Renewed
from growth_engine.channels.wire import Answer, Gear

log = structlog.get_logger(__name__)

# ``rid: 5f3ded7d-2f8b8f4c-0c0c0c0c`` at the end of errmsg; nothing else of that text is read (sheet §2.13).
_RID = re.compile(r"rid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})")
#: Sheet §3.1: WeCom's shortest block is 60 s; longer ones make themselves felt again.
WECOM_BLOCK = timedelta(seconds=60)
#: Sheet §2.5, §2.12, §3.1: what tokens and tickets live when the answer does not say.
TOKEN_SECONDS = 7200


class TokenSource(Protocol):
    def __call__(self, refused: str | None = None) -> str:
        """The access token; another one than ``refused``."""
        ...


@dataclass(frozen=True, slots=True)
class Platform:
    """What tells one /cgi-bin platform from the other."""

    name: str
    reasons: Mapping[int, Reason]
    quota_ends: Callable[[datetime], datetime]
    """When calls may begin again after 45009."""


def at_midnight(now: datetime) -> datetime:
    """Official Account: the daily quota begins anew at midnight in China (sheet §2.13)."""
    return begins_anew(Period.DAY, now)


def after_a_minute(now: datetime) -> datetime:
    return now + WECOM_BLOCK


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``safe``: doing it twice does no harm, so a lost answer may be repeated by the caller."""

    path: str
    safe: bool
    method: str = "POST"
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    files: Any = field(default=None, repr=False)
    budgets: Sequence[Budget] = ()
    meanings: Mapping[int, Reason] = field(default_factory=dict)
    """Codes that mean something else here than elsewhere."""


class Document(dict[str, Any]):
    """An answer. A field it should have and has not leaves open what was done, and says so."""

    def __init__(self, found: Mapping[str, Any], operation: str, *, safe: bool) -> None:
        super().__init__(found)
        self._operation, self._safe = operation, safe

    def __missing__(self, name: str) -> Any:
        kind = RetryLater if self._safe else OutcomeUnknown
        raise kind(Reason.OTHER, operation=self._operation, number=f"no {name}")


class Cgi:
    """One account's calls to one host."""

    def __init__(self, gear: Gear, platform: Platform, *, base: str, account: str) -> None:
        self._gear, self._platform, self._base, self._account = gear, platform, base.rstrip("/"), account
        self._quotas = Quotas(gear.queue, gear.clock)

    def with_token(self, token: TokenSource, call: Call) -> dict[str, Any]:
        """Call with an access token; one that is refused is refreshed once and the call repeated once."""
        first = token()
        try:
            return self.plain(call, {"access_token": first})
        except TokenRefused:
            pass  # certainly not done: to repeat is no second doing
        try:
            return self.plain(call, {"access_token": token(first)})
        except TokenRefused as error:
            raise StopAndAlert(
                Reason.TOKEN, operation=error.operation, number=error.number, trace=error.trace
            ) from None

    def plain(self, call: Call, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Call once; the answer without its errcode, or a ChannelError."""
        self._quotas.take(self._account, call.path, call.budgets)
        try:
            answer = self._gear.exchange(
                call.method,
                self._base + call.path,
                operation=call.path,
                safe=call.safe,
                params={**(secrets or {}), **call.params},
                # orjson leaves Chinese as it is; the platforms show \\u escapes to people.
                content=None if call.body is None else orjson.dumps(call.body),
                headers={} if call.body is None else {"Content-Type": "application/json"},
                files=call.files,
            )
            return self._read(call, answer)
        except ChannelError as error:
            self._tell(error)
            raise

    def _read(self, call: Call, answer: Answer) -> dict[str, Any]:
        try:
            found = orjson.loads(answer.body) if answer.status == 200 else None
        except orjson.JSONDecodeError:
            found = None
        number = found.get("errcode", 0) if isinstance(found, dict) else None
        if not isinstance(found, dict) or not isinstance(number, int):
            # A gateway's page: what stood behind it may have done the work.
            kind = RetryLater if call.safe else OutcomeUnknown
            raise kind(Reason.BUSY, operation=call.path, number=f"http {answer.status}")
        if number == 0:
            return Document(found, call.path, safe=call.safe)
        raise self._refusal(call, number, str(found.get("errmsg", "")))

    def _refusal(self, call: Call, number: int, errmsg: str) -> ChannelError:
        reason = call.meanings.get(number) or self._platform.reasons.get(number, Reason.OTHER)
        rid = _RID.search(errmsg)
        retry_at = None
        if reason is Reason.QUOTA:
            retry_at = self._platform.quota_ends(self._gear.clock.now())
            self._quotas.block(self._account, call.path, retry_at)
        trace = rid[1] if rid else ""
        return error_for(reason, operation=call.path, number=str(number), trace=trace, retry_at=retry_at)

    def _tell(self, error: ChannelError) -> None:
        log.warning(
            "channel.failed",
            platform=self._platform.name,
            account=self._account,
            operation=error.operation,
            kind=type(error).__name__,
            reason=error.reason.value,
            number=error.number,
            rid=error.trace,
        )


def text_of(operation: str, found: Mapping[str, Any], name: str, *, safe: bool) -> str:
    """A field an answer must have; without it, it is not known whether anything was done."""
    value = found.get(name)
    if isinstance(value, str) and value:
        return value
    kind = RetryLater if safe else OutcomeUnknown
    raise kind(Reason.OTHER, operation=operation, number=f"no {name}")


def renewed(operation: str, found: Mapping[str, Any], name: str) -> Renewed:
    """A token or ticket out of an answer, and how long it lives."""
    seconds = found.get("expires_in")
    return Renewed(
        text_of(operation, found, name, safe=True), seconds if isinstance(seconds, int) else TOKEN_SECONDS
    )
