"""Somebody wants to take part: who it is, whether the campaign takes them, whether the invite counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from growth_engine.ledger.contract import Reason
from growth_engine.plays import rules
from growth_engine.plays.contract import HelpCounted, Joined
from growth_engine.plays.posting import returning
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.facts import Consent, Contact, Facts, Member
from growth_engine.plays.posting.selling import promoters

Identities = Sequence[tuple[str, str]]


class Joining:
    """Decides registrations; makes ids and tokens for people and participants it enrols."""

    def __init__(self, new_id: Callable[[str], str], new_token: Callable[[], str]) -> None:
        self._new_id = new_id
        self._new_token = new_token

    def join(self, case: Case) -> None:
        identities = [(kind, value) for kind, value in (case.event.person or {}).get("identities", ())]
        contact, refusal = _known(case, identities)
        if refusal:
            case.refuse(refusal)
            return
        member = case.facts.by_contact.get((case.campaign.id, contact.id)) if contact else None
        if member is not None:
            returning.join_again(case, member)
            return
        refusal = _admission(case, contact, identities)
        if refusal:
            case.refuse(refusal)
            case.op("f", "refused", 1)
            return
        seen = contact is not None or any(one in case.facts.erased for one in identities)
        self._enrol(case, contact or self._new_contact(case, identities), seen)

    def _new_contact(self, case: Case, identities: Identities) -> Contact:
        person = case.event.person or {}
        contact = Contact(
            id=self._new_id("con"),
            nickname=person.get("nickname", ""),
            avatar_key=person.get("avatar_key"),
            locale=person.get("locale"),
            source=case.event.source,
            is_new=True,
        )
        case.facts.contacts[contact.id] = contact
        _note_identities(case.facts, contact, identities)
        return contact

    def _enrol(self, case: Case, contact: Contact, seen: bool) -> None:
        inviter = case.inviter()
        refusal = _help_refusal(case, inviter, seen) if case.event.facts.get("invite_token") else None
        member = self._new_member(case, contact, inviter)
        case.about(member, enrolled=True)
        case.op("m", member.number, member.inviter_number, member.cohort.isoformat())
        case.op("f", "joined", 1)
        if case.campaign.sells:
            promoters.touch(case, member)
        if refusal:
            case.refuse(refusal)
            if inviter is not None:
                case.new_edge(member, inviter, "refused", refusal.code)
                _slow_down(case, inviter, refusal)
        if refusal or inviter is None:
            case.play(Joined(member.number))
            return
        case.new_edge(member, inviter, "valid")
        rules.count_help(inviter, case.campaign.config, case.now)
        case.score(inviter, 1)
        case.play(HelpCounted(inviter.number, member.number, inviter.valid_invites))

    def _new_member(self, case: Case, contact: Contact, inviter: Member | None) -> Member:
        facts, campaign = case.facts, case.campaign
        # Nobody hangs below a blocked participant: their branch is void.
        parent = inviter.number if inviter and inviter.state != "blocked" else 0
        member = Member(
            id=self._new_id("par"),
            campaign_id=campaign.id,
            number=facts.next_number(campaign),
            contact_id=contact.id,
            inviter_number=parent,
            token=self._new_token(),
            state="active",
            valid_invites=0,
            helps_window_at=None,
            helps_in_window=0,
            device=case.event.facts.get("device"),
            address=case.event.facts.get("address"),
            cohort=case.now.astimezone(campaign.zone).date(),
            joined_at=case.now,
            is_new=True,
        )
        facts.add_member(member)
        if consent := (case.event.person or {}).get("consent"):
            facts.new_consents.append(
                Consent(contact.id, consent["purpose"], consent["wording_version"], case.event.source)
            )
        return member


def _known(case: Case, identities: Identities) -> tuple[Contact | None, Reason | None]:
    """The contact the Event names, by id or by any identity, or why that cannot be said."""
    facts = case.facts
    named = case.event.facts.get("contact_id")
    if named and named not in facts.contacts:
        return None, Reason("unknown_contact")
    found = {facts.identities[one] for one in identities if one in facts.identities}
    if named:
        found.add(facts.contacts[named].id)
    if len(found) > 1:
        return None, Reason("identity_conflict")
    if found:
        contact = facts.contacts[found.pop()]
        _note_identities(facts, contact, identities)
        return contact, None
    # A person erased while their registration waited: nobody is left to enrol.
    return None, None if identities else Reason("unknown_contact")


def _note_identities(facts: Facts, contact: Contact, identities: Identities) -> None:
    for kind, value in identities:
        if (kind, value) not in facts.identities:
            facts.identities[kind, value] = contact.id
            facts.new_identities.append((kind, value, contact.id))


def _admission(case: Case, contact: Contact | None, identities: Identities) -> Reason | None:
    """Why the campaign does not take this newcomer, or ``None``."""
    blocked = contact.blocked if contact else any(case.facts.erased.get(one, False) for one in identities)
    if blocked:
        return Reason("blocked")
    return rules.closed(case.campaign, case.now) or rules.full(case.campaign)


def _help_refusal(case: Case, inviter: Member | None, seen: bool) -> Reason | None:
    """Why this newcomer's invite does not count, or ``None``."""
    if inviter is None:
        return Reason("unknown_invite")
    config, told = case.campaign.config, case.event.facts
    refusal = rules.inviter_refusal(inviter) or rules.not_new(
        config["new_only"], seen_in_workspace=seen, seen_in_campaign=False
    )
    if refusal:
        return refusal
    if told.get("virtual_number") and config["refuse_virtual_numbers"]:
        return Reason("virtual_number")
    facts, campaign_id = case.facts, case.campaign.id
    device, address = told.get("device"), told.get("address")
    if device and config["same_device"] and (campaign_id, device) in facts.devices:
        return Reason("same_device")
    if address and facts.addresses.get((campaign_id, address), 0) >= config["address_limit"]:
        return Reason("address_burst")
    return Reason("too_fast") if rules.too_fast(inviter, config, case.now) else None


def _slow_down(case: Case, inviter: Member, refusal: Reason) -> None:
    """Block an inviter who is too fast, where the campaign says so."""
    if refusal.code == "too_fast" and case.campaign.config["velocity_action"] == "block":
        inviter.state, inviter.changed = "blocked", True
        case.op("b", inviter.number)
