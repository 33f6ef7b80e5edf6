"""Windows in which a person may be sent customer messages: rules, and how many are left of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from redis import Redis

from growth_engine.channels.contract import Message, Reason, Refused, Way
from growth_engine.channels.errors import RetryLater
from growth_engine.channels.quota import explained
from growth_engine.kit.clock import Clock


class Trigger(StrEnum):
    """What a person did that opens a window (sheet §2.6, rule 8)."""

    MESSAGE = "message"
    MENU = "menu"
    """Tapping a push item of the menu, or an item of a menu message; a redirect opens nothing."""
    FOLLOW = "follow"
    SCAN = "scan"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Grant:
    messages: int | None
    """``None``: as many as one likes."""
    lasts: timedelta


#: Sheet §2.6. Many tutorials still state 20 messages in 48 h: that is the old rule.
GRANTS: dict[Trigger, Grant] = {
    Trigger.MESSAGE: Grant(5, timedelta(hours=48)),
    Trigger.MENU: Grant(3, timedelta(minutes=1)),
    Trigger.FOLLOW: Grant(3, timedelta(minutes=1)),
    Trigger.SCAN: Grant(3, timedelta(minutes=1)),
    Trigger.PAYMENT: Grant(None, timedelta(hours=48)),
}
LONGEST = max(grant.lasts for grant in GRANTS.values())
#: A message is on its way for a moment, and two clocks never agree: windows count as closed so much earlier.
MARGIN = timedelta(seconds=2)

_UNLIMITED = -1
_TRIES = 20

_SWAP = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""
#: ARGV: seconds to keep, then for each key a window's name, when it opened, how many messages it holds.
_OPEN = """
local opened = {}
for i, key in ipairs(KEYS) do
  local name, at, left = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  local old = redis.call('HGET', key, name)
  if old and tonumber(string.match(old, '^[^:]+')) >= tonumber(at) then
    opened[i] = 0
  else
    redis.call('HSET', key, name, at .. ':' .. left)
    redis.call('EXPIRE', key, ARGV[1])
    opened[i] = 1
  end
end
return opened
"""


@dataclass(frozen=True, slots=True)
class Window:
    trigger: Trigger
    opened_at: datetime
    left: int | None

    @property
    def closes_at(self) -> datetime:
        return self.opened_at + GRANTS[self.trigger].lasts - MARGIN


# ── Rules ───────────────────────────────────────────────────────────────────────────────────────────────


def usable(windows: Iterable[Window], now: datetime) -> Window | None:
    """The window to send through: an unlimited one, else the one that would be lost soonest."""
    open_ = [window for window in windows if now < window.closes_at and window.left != 0]
    return min(open_, key=lambda window: (window.left is not None, window.closes_at), default=None)


def why_not(windows: Iterable[Window], now: datetime) -> Reason:
    """Why ``usable`` found none: a window is open and spent, or none is open."""
    spent = any(now < window.closes_at and window.left == 0 for window in windows)
    return Reason.WINDOW_USED_UP if spent else Reason.WINDOW_CLOSED


def messages_left(windows: Iterable[Window], now: datetime) -> int | None:
    """How many customer messages may be sent now; ``None``: as many as one likes."""
    lefts = [window.left for window in windows if now < window.closes_at]
    return None if None in lefts else sum(left for left in lefts if left is not None)


def best(
    candidates: Sequence[Message],
    windows: Iterable[Window],
    now: datetime,
    *,
    granted: Callable[[Message], bool],
) -> Message | Refused:
    """The first of ``candidates`` (in order of preference) that may be sent now.

    Customer messages need a window, subscription messages need ``granted`` to say yes; template messages
    may always be sent (they are for service notices only: whoever offers one answers for its content).
    Refused says what to wait for: nothing is dropped.
    """
    windows = list(windows)
    refused: Refused | None = None
    for message in candidates:
        if message.way is Way.CUSTOMER:
            if usable(windows, now) is not None:
                return message
            refused = refused or Refused(why_not(windows, now))
        elif message.way in (Way.SUBSCRIPTION, Way.ONE_TIME):
            if granted(message):
                return message
            refused = refused or Refused(Reason.NOT_GRANTED)
        else:
            return message
    return refused or Refused(Reason.WINDOW_CLOSED)


# ── Kept for all processes ──────────────────────────────────────────────────────────────────────────────


class Windows:
    """The windows of each person, in the queue Redis. Lost ones are closed: the next interaction opens one.

    Keys hold a hash of the openid and go away by themselves after 48 hours.
    """

    def __init__(self, queue: Redis, clock: Clock) -> None:
        self._queue, self._clock = queue, clock
        self._swap = queue.register_script(_SWAP)
        self._open = queue.register_script(_OPEN)

    def open(self, account: str, openid: str, trigger: Trigger, at: datetime) -> bool:
        """The person did something at ``at`` (CreateTime); False when this or a later one is known already.

        So a callback that arrives three times opens one window.
        """
        return self.open_many(account, [(openid, trigger, at)])[0]

    def open_many(self, account: str, several: Sequence[tuple[str, Trigger, datetime]]) -> list[bool]:
        """The same for (person, what they did, when) of one account, in order and in one call."""
        args: list[Any] = [int(LONGEST.total_seconds())]
        for _, trigger, at in several:
            limit = GRANTS[trigger].messages
            args += [trigger.value, repr(at.timestamp()), _UNLIMITED if limit is None else limit]
        with explained("windows"):
            opened: Any = self._open(keys=[_key(account, openid) for openid, _, _ in several], args=args)
        return [bool(one) for one in opened]

    def of(self, account: str, openid: str) -> list[Window]:
        """All windows of a person that are still kept, open or not."""
        return [window for window, _ in self._read(account, openid)]

    def take(self, account: str, openid: str) -> Window | Reason:
        """Use up one message of the best window; or say why there is none."""
        for _ in range(_TRIES):
            kept = self._read(account, openid)
            window = usable((window for window, _ in kept), self._clock.now())
            if window is None:
                return why_not((window for window, _ in kept), self._clock.now())
            if window.left is None:
                return window
            raw = next(raw for other, raw in kept if other is window)
            fewer = replace(window, left=window.left - 1)
            if self._swapped(account, openid, window.trigger, raw, fewer):
                return fewer
        raise RetryLater(Reason.BUSY, operation="windows", number="contention")

    def give_back(self, account: str, openid: str, taken: Window) -> None:
        """The message taken for was certainly not sent."""
        for _ in range(_TRIES):
            found = [item for item in self._read(account, openid) if item[0].trigger is taken.trigger]
            if not found or found[0][0].opened_at != taken.opened_at or found[0][0].left is None:
                return  # unlimited, or another window has been opened since
            window, raw = found[0]
            assert window.left is not None
            more = replace(window, left=min(window.left + 1, GRANTS[window.trigger].messages or 0))
            if self._swapped(account, openid, window.trigger, raw, more):
                return

    def spend(self, account: str, openid: str, taken: Window) -> None:
        """The platform says that no message is left (45047): believe it rather than our count."""
        field = taken.trigger.value
        with explained("windows"):
            raw: Any = self._queue.hget(_key(account, openid), field)
        if raw is not None and _window(field, raw).opened_at == taken.opened_at:
            self._swapped(account, openid, taken.trigger, raw, replace(taken, left=0))

    def close(self, account: str, openid: str) -> None:
        """The person unfollowed, was erased, or the platform says that no window is open (45015)."""
        with explained("windows"):
            self._queue.delete(_key(account, openid))

    def _read(self, account: str, openid: str) -> list[tuple[Window, bytes]]:
        with explained("windows"):
            kept: Any = self._queue.hgetall(_key(account, openid))
        return [(_window(name.decode(), raw), raw) for name, raw in kept.items()]

    def _swapped(self, account: str, openid: str, trigger: Trigger, raw: bytes, new: Window) -> bool:
        args = [trigger.value, raw, f"{new.opened_at.timestamp()!r}:{new.left}"]
        with explained("windows"):
            return bool(self._swap(keys=[_key(account, openid)], args=args))


def _window(name: str, raw: bytes) -> Window:
    at, _, left = raw.decode().partition(":")
    number = int(left)
    return Window(
        Trigger(name),
        datetime.fromtimestamp(float(at), UTC),
        None if number == _UNLIMITED else number,
    )


def _key(account: str, openid: str) -> str:
    person = hashlib.blake2b(openid.encode(), digest_size=12).hexdigest()
    return f"ge:channel:{{{account}}}:windows:{person}"
