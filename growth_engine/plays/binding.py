"""Whom a buyer belongs to: a pure function of the policy, what stood before, and the link followed now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from growth_engine.ledger.contract import Reason


@dataclass(frozen=True, slots=True)
class Bound:
    """A buyer belongs to ``promoter`` since ``at``; ``None`` for a date: for ever."""

    promoter: int
    at: datetime
    protected_until: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is entitled now (``None``: nobody), whether that is news, and what there is to say about it."""

    bound: Bound | None
    changed: bool = False
    reasons: tuple[Reason, ...] = ()


def bind(
    config: Mapping[str, Any],
    current: Bound | None,
    *,
    inviter: int,
    joined_at: datetime,
    touch: int | None,
    now: datetime,
) -> Verdict:
    """Apply a campaign's binding rule (``SellingConfig``).

    ``inviter`` is who brought the buyer into the campaign (0: nobody) and ``touch`` whose link was followed
    now, if that promoter is entitled to buyers at all. Protection and validity are counted from the touch.
    """
    policy = config["binding"]
    if policy == "registration":
        return Verdict(Bound(inviter, joined_at, None, None) if inviter else None)
    if current is None and inviter:
        current = _bound(config, inviter, joined_at)
        return _again(config, current, touch, now, fresh=True)
    if current is None:
        return Verdict(_bound(config, touch, now), changed=True) if touch else Verdict(None)
    return _again(config, current, touch, now)


def _again(
    config: Mapping[str, Any], current: Bound, touch: int | None, now: datetime, *, fresh: bool = False
) -> Verdict:
    policy = config["binding"]
    if policy == "permanent":
        return Verdict(current, changed=fresh)
    expired = current.valid_until is not None and now >= current.valid_until
    if touch is None:
        return _lapsed(current, fresh) if expired else Verdict(current, changed=fresh)
    other = touch != current.promoter
    protected = current.protected_until is None or now < current.protected_until
    if expired or policy == "last_touch" or (other and not protected):
        return Verdict(_bound(config, touch, now), changed=True)
    if other:
        until = _moment(current.protected_until)
        return Verdict(current, fresh, (Reason("binding_protected", {"until": until}),))
    return Verdict(current, changed=fresh)


def _lapsed(current: Bound, fresh: bool) -> Verdict:
    del fresh  # a binding that has run out already is not worth a row
    until = _moment(current.valid_until)
    return Verdict(None, reasons=(Reason("binding_expired", {"until": until}),))


def _moment(at: datetime | None) -> str:
    """The same text whether the date was read back in the database's zone or counted just now."""
    return at.astimezone(UTC).isoformat() if at else ""


def _bound(config: Mapping[str, Any], promoter: int, at: datetime) -> Bound:
    if config["binding"] == "permanent":
        return Bound(promoter, at, None, None)
    protection, validity = timedelta(days=config["protection_days"]), timedelta(days=config["validity_days"])
    return Bound(promoter, at, at + protection, at + validity)
