"""The states of a campaign and who may move between them; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, cast

from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_

State = Literal["draft", "scheduled", "live", "paused", "ended"]

#: What may be done in which state, and where it leads; ``publish`` depends on the starting time.
_MOVES: dict[tuple[str, str], State] = {
    ("scheduled", "pause"): "paused",
    ("live", "pause"): "paused",
    ("paused", "resume"): "live",
    ("scheduled", "end"): "ended",
    ("live", "end"): "ended",
    ("paused", "end"): "ended",
}


#: One sentence each, since languages bend the name of a state differently.
_WRONG: Mapping[str, str] = {
    "draft": N_("This cannot be done while the campaign is a draft."),
    "scheduled": N_("This cannot be done while the campaign is scheduled."),
    "live": N_("This cannot be done while the campaign is live."),
    "paused": N_("This cannot be done while the campaign is paused."),
    "ended": N_("This cannot be done: the campaign has ended."),
}


class WrongState(Conflict):
    code = "wrong_state"

    def __init__(self, state: str) -> None:
        super().__init__(_WRONG[state])


def after(
    state: str, action: str, *, starts_at: datetime | None, ends_at: datetime | None, now: datetime
) -> State:
    """The state after ``publish``, ``pause``, ``resume`` or ``end``; ``WrongState`` when it cannot be."""
    if action == "publish":
        if state == "ended":
            raise WrongState(state)
        if ends_at is not None and ends_at <= now:
            raise Conflict(
                N_("The end of the campaign lies in the past. Choose a later end."), code="end_in_past"
            )
        if state == "paused":
            return "paused"
        return "scheduled" if starts_at is not None and starts_at > now else "live"
    target = _MOVES.get((state, action))
    if target is None:
        raise WrongState(state)
    if action == "resume" and starts_at is not None and starts_at > now:
        return "scheduled"
    return target


def advanced(state: str, *, starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> State:
    """The state time alone brings about."""
    if state in ("scheduled", "live", "paused") and ends_at is not None and ends_at <= now:
        return "ended"
    if state == "scheduled" and (starts_at is None or starts_at <= now):
        return "live"
    return cast(State, state)


def actions(state: str) -> list[str]:
    """What a marketer may do now, for buttons."""
    first = [] if state == "ended" else ["publish"]
    return first + [action for (from_, action) in _MOVES if from_ == state]
