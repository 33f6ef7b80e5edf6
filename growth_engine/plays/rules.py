"""The rules all plays share (``shared/plays.md``), as pure functions over facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from growth_engine.ledger.contract import Reason
from growth_engine.plays.posting.facts import Campaign, Member

#: Registrations from one address are counted over this long.
ADDRESS_WINDOW = timedelta(minutes=10)


def closed(campaign: Campaign, now: datetime) -> Reason | None:
    """Why the campaign takes nobody now, or ``None`` when it is open."""
    if campaign.state in ("draft", "scheduled") or (campaign.starts_at and now < campaign.starts_at):
        return Reason("not_started")
    if campaign.state == "ended" or (campaign.ends_at and now >= campaign.ends_at):
        return Reason("ended")
    if campaign.state == "paused":
        return Reason("paused")
    return None


def full(campaign: Campaign) -> Reason | None:
    most = campaign.config["max_participants"]
    return Reason("full", {"most": most}) if most is not None and campaign.members >= most else None


def inviter_refusal(inviter: Member) -> Reason | None:
    """Why nobody's invite can count for this inviter."""
    if inviter.state == "blocked":
        return Reason("inviter_blocked")
    if inviter.state == "left":
        return Reason("inviter_left")
    return None


def too_fast(inviter: Member, config: Mapping[str, Any], now: datetime) -> bool:
    """Whether one more help would exceed the velocity limit (fixed windows)."""
    started = inviter.helps_window_at
    if started is None or now - started >= timedelta(seconds=config["velocity_seconds"]):
        return False
    limit: int = config["velocity_limit"]
    return inviter.helps_in_window >= limit


def count_help(inviter: Member, config: Mapping[str, Any], now: datetime) -> None:
    """Enter one help into the inviter's velocity window."""
    started = inviter.helps_window_at
    if started is None or now - started >= timedelta(seconds=config["velocity_seconds"]):
        inviter.helps_window_at = now
        inviter.helps_in_window = 0
    inviter.helps_in_window += 1


def not_new(policy: str, *, seen_in_workspace: bool, seen_in_campaign: bool) -> Reason | None:
    """Whether the helper is too well known to count; ``everyone`` counts."""
    if policy == "workspace" and seen_in_workspace:
        return Reason("not_new")
    if policy == "campaign" and seen_in_campaign:
        return Reason("not_new_here")
    return None
