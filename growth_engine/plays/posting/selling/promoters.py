"""Who may promote, and whom a buyer belongs to."""

from __future__ import annotations

from growth_engine.ledger.contract import Reason
from growth_engine.plays.binding import Bound, bind
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.facts import Member
from growth_engine.plays.posting.selling.facts import Binding, Promoter
from growth_engine.plays.promoting import may_promote
from growth_engine.plays.selling import Seller


def as_seller(case: Case, member: Member) -> Seller:
    """A participant the way plays see promoters, with the right to promote worked out."""
    sales, name = case.facts.sales, (member.campaign_id, member.number)
    row = sales.promoters.get(name)
    if row is None and name not in sales.looked_up and not member.is_new:
        raise LookupError(f"the promoter row of {member.number} was not loaded")
    return Seller(
        member=member.number,
        qualified=member.state == "active"
        and may_promote(case.campaign.config, row.state if row else "none", row.spent if row else 0),
        why=_why(member, row),
        tier=row.tier if row else "",
        used=dict(row.usage) if row else {},
    )


def as_earner(case: Case, number: int) -> Seller:
    """Somebody whose share was pinned earlier: whether they could still promote changes nothing."""
    row = case.facts.sales.promoters.get((case.campaign.id, number))
    return Seller(number, qualified=True, tier=row.tier if row else "", used=dict(row.usage) if row else {})


def _why(member: Member, row: Promoter | None) -> str:
    """Reason code, should this participant have no right to promote."""
    if member.state == "blocked" or (row and row.state == "blocked"):
        return "promoter_blocked"
    return "promoter_left" if member.state == "left" else "not_a_promoter"


def touch(case: Case, member: Member) -> Member | None:
    """Follow the link the Event came by, if any; whom the buyer belongs to now, written down if new."""
    sales, campaign_id = case.facts.sales, case.campaign.id
    known = sales.bindings.get((campaign_id, member.number))
    link = case.inviter()
    if link and member.number in case.facts.ancestors.get((campaign_id, link.number), ()):
        # Whoever one brought does not earn from what one buys: the loop would be a rebate on own purchases.
        link = None
        if case.event.kind == "order":
            case.draft.reasons.append(Reason("loop"))
    touched = link.number if link and link is not member and as_seller(case, link).qualified else None
    inviter = case.facts.members.get((campaign_id, member.inviter_number))
    # Whoever may not promote does not keep a buyer from those who may.
    if inviter and case.campaign.config["binding"] != "registration":
        inviter = inviter if as_seller(case, inviter).qualified else None
    current = (
        Bound(known.promoter, known.bound_at, known.protected_until, known.valid_until) if known else None
    )
    verdict = bind(
        case.campaign.config,
        current,
        inviter=inviter.number if inviter else 0,
        joined_at=member.joined_at,
        touch=touched,
        now=case.now,
    )
    case.draft.reasons += verdict.reasons
    bound = verdict.bound
    if bound is None:
        return None
    if verdict.changed:
        sales.bindings[campaign_id, member.number] = Binding(
            campaign_id,
            member.number,
            bound.promoter,
            bound.at,
            bound.protected_until,
            bound.valid_until,
            case.seq,
            changed=True,
        )
    return case.facts.members.get((campaign_id, bound.promoter))


def manage(case: Case) -> None:
    """Somebody applies, or a person decides about a promoter."""
    member = case.participant()
    if member is None:
        return
    case.about(member)
    told = case.event.facts
    row = case.facts.sales.promoter(case.campaign.id, member.number, member.contact_id)
    refusal = _refused(case, told["action"], row)
    if refusal:
        case.refuse(refusal)
        return
    match told["action"]:
        case "apply":
            row.state, row.applied_at, row.note = "applied", case.now, told.get("note", "")
        case "approve" | "unblock":
            row.state = "approved"
        case "reject":
            row.state = "rejected"
        case "block":
            row.state = "blocked"
        case "tier":
            row.tier = told["tier"]
    if told["action"] != "apply":
        row.decided_at, row.decided_by = case.now, told["by"]
        row.note = told.get("note", row.note)
    if told.get("tier") is not None and told["action"] == "approve":
        row.tier = told["tier"]
    case.draft.reasons.append(Reason(f"promoter_{told['action']}", {"tier": row.tier, "note": row.note}))


def _refused(case: Case, action: str, row: Promoter) -> Reason | None:
    if action == "apply":
        if case.campaign.config["who_promotes"] != "approved":
            return Reason("no_application_needed")
        if row.state != "none":
            return Reason(f"promoter_is_{row.state}")
    if action == "unblock" and row.state != "blocked":
        return Reason("promoter_not_blocked")
    if action in ("approve", "reject") and row.state == "blocked":
        return Reason("promoter_is_blocked")
    return None
