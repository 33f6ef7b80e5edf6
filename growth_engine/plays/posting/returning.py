"""Somebody who takes part already registers again: the same answer, a second help, or a return."""

from __future__ import annotations

from collections.abc import Sequence

from growth_engine.ledger.contract import Reason
from growth_engine.plays import rules
from growth_engine.plays.contract import HelpRestored
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.facts import Edge, Member
from growth_engine.plays.posting.selling import promoters


def join_again(case: Case, member: Member) -> None:
    case.about(member)
    closed = rules.closed(case.campaign, case.now)
    if member.state == "blocked":
        case.refuse(Reason("blocked"))
    elif closed:
        case.refuse(Reason("already_joined"), closed)
    elif member.state == "left":
        _come_back(case, member)
    elif case.event.facts.get("invite_token"):
        if case.campaign.sells:
            promoters.touch(case, member)
        refusal = _second_help(case, member)
        if refusal:
            more = [refusal] if refusal.code != "already_joined" else []
            case.refuse(Reason("already_joined"), *more)
    else:
        case.refuse(Reason("already_joined"))


def _second_help(case: Case, member: Member) -> Reason | None:
    """Somebody here already opens another invite: counts only where the policy says so."""
    inviter = case.inviter()
    refusal = _refuse_pair(case, member, inviter)
    if refusal or inviter is None:
        return refusal
    config = case.campaign.config
    known_pair = (case.campaign.id, member.number, inviter.number) in case.facts.edges
    if known_pair or config["helps"] != "once_per_inviter":
        return Reason("already_joined")
    refusal = rules.inviter_refusal(inviter) or rules.not_new(
        config["new_only"], seen_in_workspace=True, seen_in_campaign=True
    )
    if refusal is None and rules.too_fast(inviter, config, case.now):
        refusal = Reason("too_fast")
    if refusal:
        return refusal
    case.new_edge(member, inviter, "valid")
    rules.count_help(inviter, config, case.now)
    case.score(inviter, 1)
    # Not HelpCounted: the helper's own days were given when they joined.
    case.play(HelpRestored(inviter.number, member.number, inviter.valid_invites))
    return None


def _refuse_pair(case: Case, member: Member, inviter: Member | None) -> Reason | None:
    """Why these two cannot be helper and inviter, whatever the policy."""
    if inviter is None:
        return Reason("unknown_invite")
    if inviter.number == member.number:
        return Reason("self_invite")
    if member.number in case.facts.ancestors.get((case.campaign.id, inviter.number), ()):
        return Reason("loop")
    return None


def _come_back(case: Case, member: Member) -> None:
    member.state, member.left_at, member.changed = "active", None, True
    case.op("r", member.number)
    case.op("f", "returned", 1)
    case.draft.reasons.append(Reason("came_back"))
    waiting = [edge for edge in case.edges_of(member) if edge.state == "left"]
    inviter = case.inviter()
    if inviter is not None and _moves_to(case, member, inviter, waiting):
        for edge in waiting:
            case.set_edge(edge, "moved", "last_scanner")
        known = case.facts.edges.get((case.campaign.id, member.number, inviter.number))
        waiting = [known or case.new_edge(member, inviter, "left")]
    for edge in waiting:
        case.restore(edge)


def _moves_to(case: Case, member: Member, inviter: Member, waiting: Sequence[Edge]) -> bool:
    """Whether the help of somebody who comes back goes over to the inviter they came back through."""
    known = case.facts.edges.get((case.campaign.id, member.number, inviter.number))
    return (
        case.campaign.config["refollow"] == "last_scanner"
        and _refuse_pair(case, member, inviter) is None
        and rules.inviter_refusal(inviter) is None
        and any(edge.inviter != inviter.number for edge in waiting)
        # Leaving and coming back does not turn a refused help into one that counts.
        and (known is None or known.state in ("left", "moved"))
    )
