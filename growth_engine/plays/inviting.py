"""What plays in which people bring friends have in common."""

from __future__ import annotations

from growth_engine.plays.contract import (
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Joined,
    PlayEvent,
    SendMessage,
)


def scope(event: PlayEvent) -> str:
    """State is kept for each inviter; whoever comes alone is one without friends yet."""
    match event:
        case HelpCounted() | HelpRestored() | HelpWithdrawn():
            return scope_of(event.inviter)
        case Joined():
            return scope_of(event.member)
    raise TypeError(f"no play of inviting knows {type(event).__name__}")


def scope_of(inviter: int) -> str:
    return f"inviter:{inviter}"


def friend_came(event: HelpCounted, days: int = 0) -> SendMessage:
    """Word to the inviter that a friend came, and the days it brought them."""
    key = f"came:{event.helper}:{event.inviter}"
    return SendMessage(
        key, event.inviter, "friend_came", {"days": days, "valid_invites": event.valid_invites}
    )
