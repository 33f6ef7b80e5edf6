"""Who may promote in a campaign that sells: a pure function of its rules and what is known of a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def may_promote(config: Mapping[str, Any], state: str, spent: int) -> bool:
    """``state`` as on the promoter's row (none, applied, approved, rejected, blocked); ``spent`` on own
    purchases, paid less refunded, minor units. A person's decision stands above the campaign's rule."""
    if state in ("rejected", "blocked"):
        return False
    if state == "approved":
        return True
    match config["who_promotes"]:
        case "everyone":
            return True
        case "buyers":
            return spent > 0
        case "spenders":
            return bool(spent >= config["spend_threshold"] > 0)
    return False
