"""Entries of the books in plain words, as the participant concerned reads them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason


class EntryLike(Protocol):
    """``ledger.models.JournalEntry`` fits."""

    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def accepted(self) -> bool: ...
    @property
    def member(self) -> int | None: ...
    @property
    def other(self) -> int | None: ...
    @property
    def at(self) -> datetime: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: message ids, with ``name`` (masked, may be empty) as parameter."""

    at: datetime
    icon: str
    text: str
    name: str
    good: bool
    reasons: tuple[Reason, ...]


#: (icon, message id, whether it is good news) by what happened; ``%(name)s`` is the other person.
_MINE = {
    "joined": ("user-plus", N_("You joined."), True),
    "joined_by": ("user-plus", N_("You joined through %(name)s."), True),
    "not_counted": ("user-plus", N_("You joined; the invite does not count."), True),
    "came_back": ("repeat", N_("You came back."), True),
    "again": ("repeat", N_("You registered again."), False),
    "helped": ("heart", N_("You helped %(name)s."), True),
    "refused": ("circle-x", N_("You could not join."), False),
    "leave": ("logout", N_("You left."), False),
    "block": ("hand-stop", N_("Your part was stopped."), False),
    "unblock": ("circle-check", N_("Your part goes on."), True),
}
_THEIRS = {
    "counted": ("circle-check", N_("%(name)s came through you. It counts."), True),
    "not_counted": ("circle-x", N_("%(name)s came through you. It does not count."), False),
    "came_back": ("repeat", N_("%(name)s came back and counts again."), True),
    "leave": ("user-minus", N_("%(name)s left and no longer counts."), False),
    "block": ("hand-stop", N_("%(name)s was blocked and no longer counts."), False),
    "unblock": ("circle-check", N_("%(name)s was unblocked and counts again."), True),
}
#: Said by the line itself.
_SILENT = frozenset({"came_back", "left", "unblocked", "by_hand"})


def lines(entries: Iterable[EntryLike], me: int, names: Mapping[int, str]) -> list[Line]:
    """The entries participant number ``me`` is on either side of, in the order given."""
    found = []
    for entry in entries:
        reasons = [Reason.from_json(one) for one in entry.body.get("reasons", ())]
        codes = {reason.code for reason in reasons}
        mine = entry.member == me
        icon, text, good = _MINE[_my_part(entry, codes)] if mine else _THEIRS[_their_part(entry, codes)]
        other = (entry.other if mine else entry.member) or 0
        kept = tuple(reason for reason in reasons if reason.code not in _SILENT)
        found.append(Line(entry.at, icon, text, names.get(other, ""), good, kept))
    return found


def others(entries: Iterable[EntryLike]) -> set[int]:
    """Numbers of everybody on either side."""
    return {number for entry in entries for number in (entry.member, entry.other) if number}


def _my_part(entry: EntryLike, codes: set[str]) -> str:
    if entry.kind != "join":
        return entry.kind
    enrolled = bool(entry.body.get("result", {}).get("enrolled"))
    if enrolled and entry.accepted:
        return "joined_by" if entry.other else "joined"
    if enrolled:
        return "not_counted"
    if "came_back" in codes:
        return "came_back"
    if entry.accepted and entry.other:
        return "helped"
    return "again" if "already_joined" in codes else "refused"


def _their_part(entry: EntryLike, codes: set[str]) -> str:
    if entry.kind != "join":
        return entry.kind
    if "came_back" in codes:
        return "came_back"
    return "counted" if entry.accepted else "not_counted"
