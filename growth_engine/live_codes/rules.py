"""Which target a live code shows, why it shows none, and what to warn about; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from growth_engine.kit.i18n import N_

#: A WeChat group's QR code ends seven days after it was made; the app says so below the picture.
GROUP_CODE_LIFE = timedelta(days=7)
#: Platforms let 200 people into a WeChat group by code.
GROUP_CAPACITY = 200
#: Before a code ends, and when a target is nearly full, people want to be told.
WARN_BEFORE = timedelta(days=2)
WARN_FULL = 0.8

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)

KINDS: Mapping[str, str] = {
    "group": N_("WeChat group"),
    "wecom_group": N_("WeCom group"),
    "staff": N_("Member of staff"),
}
SPREADS: Mapping[str, str] = {
    "fill": N_("One after the other: the next when one is full"),
    "even": N_("Newcomers over all that have room, by weight"),
}

#: Why nothing is shown, for the person who scanned.
REASONS: Mapping[str, str] = {
    "paused": N_("This code is not in use at the moment."),
    "empty": N_("Nothing stands behind this code yet."),
    "closed": N_("Nobody is there at this hour. Come back during working hours."),
    "full": N_("All groups are full. A new one is on its way: please scan again later."),
    "expired": N_("The group's code has ended and is being renewed. Please scan again later."),
}
#: What the reasons weigh when targets have different ones: the one that passes soonest is told.
_ORDER = ("closed", "full", "expired", "paused")


class TargetLike(Protocol):
    """What the rules look at."""

    id: Any
    name: Any
    state: Any
    fallback: Any
    capacity: Any
    taken: Any
    opens: Any
    closes: Any
    weekdays: Any
    expires_at: Any
    position: Any
    weight: Any


T = TypeVar("T", bound=TargetLike)


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """The target to show, or the reason why there is none."""

    target: T | None
    reason: str = ""


def hinders(target: TargetLike, now: datetime, zone: ZoneInfo) -> str:
    """Why newcomers are not led to a target: paused, expired, closed or full; empty when they are."""
    if target.state != "active":
        return "paused"
    if target.expires_at is not None and target.expires_at <= now:
        return "expired"
    if not is_open(target, now.astimezone(zone)):
        return "closed"
    if target.capacity is not None and target.taken >= target.capacity:
        return "full"
    return ""


def keeps(target: TargetLike, now: datetime, zone: ZoneInfo) -> bool:
    """Whether somebody led here before is led here again; that a group is full now is no hindrance."""
    return hinders(target, now, zone) in ("", "full")


def is_open(target: TargetLike, local: datetime) -> bool:
    """Whether ``local`` lies in the working hours; those past midnight belong to the day they began."""
    if not (target.opens and target.closes) or target.opens == target.closes:
        return local.isoweekday() in target.weekdays
    clock = local.strftime("%H:%M")
    if target.opens < target.closes:
        return local.isoweekday() in target.weekdays and target.opens <= clock < target.closes
    if clock >= target.opens:
        return local.isoweekday() in target.weekdays
    return clock < target.closes and (local - timedelta(days=1)).isoweekday() in target.weekdays


def choose(targets: Sequence[T], now: datetime, zone: ZoneInfo, spread: str) -> Choice[T]:
    """Where a newcomer is led."""
    regular = sorted((one for one in targets if not one.fallback), key=_place)
    fit = [one for one in regular if not hinders(one, now, zone)]
    if fit:
        return Choice(min(fit, key=_load) if spread == "even" else fit[0])
    for one in sorted((one for one in targets if one.fallback), key=_place):
        if keeps(one, now, zone):
            return Choice(one)
    why = {hinders(one, now, zone) for one in targets}
    return Choice(None, next((reason for reason in _ORDER if reason in why), "empty"))


def _place(target: TargetLike) -> tuple[int, str]:
    return target.position, target.id


def _load(target: TargetLike) -> tuple[float, int, str]:
    """How full a target is for its share of newcomers, this one included."""
    return (target.taken + 1) / target.weight, target.position, target.id


@dataclass(frozen=True, slots=True)
class Warning:
    """Something to see to; ``message`` is a message id, ``severity`` bad (nothing is shown) or warning."""

    code: str
    severity: str
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    target_id: str = ""


_ENDS = N_("The code of “%(name)s” ends on %(day)s. Upload a fresh one.")
_ENDED = N_("The code of “%(name)s” has ended. Upload a fresh one.")
_NEARLY = N_("“%(name)s” is nearly full: %(taken)s of %(capacity)s.")
_NO_ROOM = N_("No target has room or is valid: newcomers see nothing. Add one now.")
_ONLY_FALLBACK = N_("Only the fallback is left for newcomers. Add a group.")
_NO_TARGET = N_("Nothing stands behind the code yet: add a group or a member of staff.")


def warnings(targets: Sequence[TargetLike], now: datetime, zone: ZoneInfo) -> list[Warning]:
    """What somebody should see to, the worst first. Hours in which nobody works are no fault."""
    active = [one for one in targets if one.state == "active"]
    if not active:
        return [Warning("no_target", "bad", _NO_TARGET)]
    found: list[Warning] = []
    usable = [one for one in active if hinders(one, now, zone) in ("", "closed")]
    if not any(not one.fallback for one in usable):
        alive = [one for one in active if one.fallback and hinders(one, now, zone) != "expired"]
        found.append(
            Warning("only_fallback", "warning", _ONLY_FALLBACK)
            if alive
            else Warning("no_room", "bad", _NO_ROOM)
        )
    for one in sorted(active, key=_place):
        told = {"name": one.name, "taken": one.taken, "capacity": one.capacity}
        if one.expires_at is not None and one.expires_at <= now:
            found.append(Warning("expired", "warning", _ENDED, told, one.id))
        elif one.expires_at is not None and one.expires_at - now <= WARN_BEFORE:
            told["day"] = one.expires_at
            found.append(Warning("expiring", "warning", _ENDS, told, one.id))
        if one.capacity and not one.fallback and WARN_FULL * one.capacity <= one.taken < one.capacity:
            found.append(Warning("nearly_full", "warning", _NEARLY, told, one.id))
    return sorted(found, key=lambda warning: warning.severity != "bad")
