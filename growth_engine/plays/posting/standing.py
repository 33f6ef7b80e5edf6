"""Participants who leave, are blocked, or are let in again."""

from __future__ import annotations

from growth_engine.ledger.contract import Reason
from growth_engine.plays.contract import HelpWithdrawn
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.facts import Member


def leave(case: Case) -> None:
    member = _member(case)
    if member is None:
        return
    if member.state != "active":
        case.refuse(Reason("blocked" if member.state == "blocked" else "left"))
        return
    member.state, member.left_at, member.changed = "left", case.now, True
    case.op("l", member.number)
    case.op("f", "left", 1)
    case.draft.reasons.append(Reason("left"))
    if case.campaign.config["leaving"] == "stops_counting":
        case.withdraw(member, "left")


def block(case: Case) -> None:
    member = _member(case)
    if member is None:
        return
    if member.state == "blocked" and not any(
        edge.state in ("valid", "left") for edge in case.edges_of(member)
    ):
        case.refuse(Reason("blocked"))
        return
    if member.state == "left":
        # Blocked people are outside either way; only one of the two may be undone later.
        case.op("r", member.number)
    if member.state != "blocked":
        # Whoever was blocked for being too fast is so in name only: the helps they gave still count.
        member.state, member.changed = "blocked", True
        case.op("b", member.number)
    case.draft.reasons.append(Reason(case.event.facts.get("reason", "by_hand")))
    case.withdraw(member, "void")


def unblock(case: Case) -> None:
    member = _member(case)
    if member is None:
        return
    if member.state != "blocked":
        case.refuse(Reason("already_joined"))
        return
    member.state, member.left_at, member.changed = "active", None, True
    case.op("u", member.number)
    case.draft.reasons.append(Reason("unblocked"))
    for edge in case.edges_of(member):
        if edge.state == "void":
            case.restore(edge)


def known(case: Case) -> None:
    """The person turned out to have been known before they took part (two contacts, one person): where only
    newcomers count, they did not. Rewards already earned stay."""
    member = _member(case)
    if member is None:
        return
    edges = [edge for edge in case.edges_of(member) if edge.state in ("valid", "left")]
    if not edges or case.campaign.config["new_only"] != "workspace":
        case.refuse(Reason("already_counted"))
        return
    case.draft.reasons.append(Reason("not_new"))
    for edge in edges:
        counted = edge.state == "valid"
        case.set_edge(edge, "refused", "not_new")
        if counted:
            inviter = case.member(edge.inviter)
            case.draft.other = inviter.number
            case.score(inviter, -1)
            case.play(HelpWithdrawn(inviter.number, member.number, inviter.valid_invites))


def mark(case: Case) -> None:
    """A step of the funnel (a visit, a poster made); the Event's key makes it count once."""
    case.op("f", case.event.facts["step"], 1)


def _member(case: Case) -> Member | None:
    """The participation of the contact the Event names."""
    member = case.participant()
    if member is not None:
        case.about(member)
    return member
