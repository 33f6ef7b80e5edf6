"""Decisions about campaign Events: pure functions over the facts of a batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from growth_engine.ledger.contract import EntryDraft, Event, Reason
from growth_engine.plays import rules
from growth_engine.plays.contract import (
    Effect,
    Given,
    GrantDays,
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Joined,
    PlayEvent,
    ReserveStock,
    SendMessage,
    TagContact,
)
from growth_engine.plays.posting.facts import (
    Campaign,
    Consent,
    Contact,
    Edge,
    Facts,
    Grant,
    Member,
    Message,
)

NewIds = Callable[[str], str]


class Decider:
    """Decides Events one after the other; every decision sees what the earlier ones changed."""

    def __init__(self, facts: Facts, now: datetime, new_id: NewIds, new_token: Callable[[], str]) -> None:
        self._facts = facts
        self._now = now
        self._new_id = new_id
        self._new_token = new_token

    def decide(self, event: Event, seq: int) -> EntryDraft:
        campaign = self._facts.campaigns[event.book_id]
        decide_kind = {
            "join": self._join,
            "leave": self._leave,
            "block": self._block,
            "unblock": self._unblock,
            "mark": self._mark,
        }[event.kind]
        draft = EntryDraft(accepted=True, rule_version=campaign.version)
        decide_kind(campaign, event, seq, draft)
        if draft.member is not None:
            member = self._facts.members[campaign.id, draft.member]
            draft.answer = _answer(member, self._facts.members.get((campaign.id, member.inviter_number)))
        return draft

    # -- join ----------------------------------------------------------------------------------------

    def _join(self, campaign: Campaign, event: Event, seq: int, draft: EntryDraft) -> None:
        contact = self._known_contact(event, draft)
        if draft.reasons:
            draft.accepted = False
            return
        member = self._facts.by_contact.get((campaign.id, contact.id)) if contact else None
        inviter = self._inviter(campaign, event)
        if member is not None:
            self._join_again(campaign, event, seq, draft, member, inviter)
            return
        refusal = rules.closed(campaign, self._now) or rules.full(campaign)
        if (contact is not None and contact.blocked) or (contact is None and self._erased_blocked(event)):
            refusal = Reason("blocked")
        if refusal:
            draft.accepted = False
            draft.reasons.append(refusal)
            draft.ops.append(["f", "refused", 1])
            return
        if contact is None and not (event.person or {}).get("identities"):
            # A person erased while their registration waited: nobody is left to enrol.
            draft.accepted = False
            draft.reasons.append(Reason("unknown_contact"))
            return
        seen = contact is not None
        contact = contact or self._new_contact(event)
        seen = seen or contact.erased_before
        self._enrol(campaign, event, seq, draft, contact, inviter, seen)

    def _known_contact(self, event: Event, draft: EntryDraft) -> Contact | None:
        """The contact the Event names, by id or by any identity; a conflict is a reason to refuse."""
        facts = self._facts
        found: set[str] = set()
        if named := event.facts.get("contact_id"):
            if named not in facts.contacts:
                draft.reasons.append(Reason("unknown_contact"))
                return None
            found.add(facts.contacts[named].id)
        identities = [(kind, value) for kind, value in (event.person or {}).get("identities", ())]
        found |= {facts.identities[identity] for identity in identities if identity in facts.identities}
        if len(found) > 1:
            draft.reasons.append(Reason("identity_conflict"))
            return None
        if not found:
            return None
        contact = facts.contacts[found.pop()]
        self._note_identities(contact, identities)
        return contact

    def _erased_blocked(self, event: Event) -> bool:
        """Whether this is somebody who was blocked and then had themselves erased."""
        identities = (event.person or {}).get("identities", ())
        return any(self._facts.erased.get((kind, value), False) for kind, value in identities)

    def _note_identities(self, contact: Contact, identities: Sequence[tuple[str, str]]) -> None:
        for kind, value in identities:
            if (kind, value) not in self._facts.identities:
                self._facts.identities[kind, value] = contact.id
                self._facts.new_identities.append((kind, value, contact.id))

    def _new_contact(self, event: Event) -> Contact:
        person = event.person or {}
        identities = [(kind, value) for kind, value in person.get("identities", ())]
        contact = Contact(
            id=self._new_id("con"),
            nickname=person.get("nickname", ""),
            avatar_key=person.get("avatar_key"),
            locale=person.get("locale"),
            source=event.source,
            is_new=True,
            erased_before=any(identity in self._facts.erased for identity in identities),
        )
        self._facts.contacts[contact.id] = contact
        self._note_identities(contact, identities)
        return contact

    def _inviter(self, campaign: Campaign, event: Event) -> Member | None:
        """The participant whose token the Event carries, if it is one of this campaign."""
        member = self._facts.by_token.get(event.facts.get("invite_token") or "")
        return member if member and member.campaign_id == campaign.id else None

    def _enrol(
        self,
        campaign: Campaign,
        event: Event,
        seq: int,
        draft: EntryDraft,
        contact: Contact,
        inviter: Member | None,
        seen: bool,
    ) -> None:
        refusal = (
            self._help_refusal(campaign, event, inviter, seen) if event.facts.get("invite_token") else None
        )
        member = self._new_member(campaign, event, contact, inviter)
        draft.member = member.number
        draft.ops.append(["m", member.number, member.inviter_number, member.cohort.isoformat()])
        draft.ops.append(["f", "joined", 1])
        draft.result = {"participant_id": member.id, "contact_id": contact.id, "enrolled": True}
        if inviter is None or refusal:
            if refusal:
                draft.accepted = False
                draft.reasons.append(refusal)
            if inviter is not None and refusal:
                draft.other = inviter.number
                self._new_edge(campaign, member, inviter, "refused", refusal.code, seq)
                self._slow_down(campaign, inviter, refusal, draft)
            self._play(campaign, Joined(member.number), seq, draft)
            return
        draft.other = inviter.number
        self._new_edge(campaign, member, inviter, "valid", "", seq)
        rules.count_help(inviter, campaign.config, self._now)
        self._score(inviter, 1, draft)
        self._play(campaign, HelpCounted(inviter.number, member.number, inviter.valid_invites), seq, draft)

    def _help_refusal(
        self, campaign: Campaign, event: Event, inviter: Member | None, seen: bool
    ) -> Reason | None:
        """Why this new participant's invite does not count, or ``None``."""
        if inviter is None:
            return Reason("unknown_invite")
        config = campaign.config
        refusal = rules.inviter_refusal(inviter) or rules.not_new(
            config["new_only"], seen_in_workspace=seen, seen_in_campaign=False
        )
        if refusal:
            return refusal
        if event.facts.get("virtual_number") and config["refuse_virtual_numbers"]:
            return Reason("virtual_number")
        device, address = event.facts.get("device"), event.facts.get("address")
        if device and config["same_device"] and (campaign.id, device) in self._facts.devices:
            return Reason("same_device")
        if address and self._facts.addresses.get((campaign.id, address), 0) >= config["address_limit"]:
            return Reason("address_burst")
        if rules.too_fast(inviter, config, self._now):
            return Reason("too_fast")
        return None

    def _new_member(
        self, campaign: Campaign, event: Event, contact: Contact, inviter: Member | None
    ) -> Member:
        # Nobody hangs below a blocked participant: their branch is void.
        parent = inviter.number if inviter and inviter.state != "blocked" else 0
        member = Member(
            id=self._new_id("par"),
            campaign_id=campaign.id,
            number=self._facts.next_number(campaign),
            contact_id=contact.id,
            inviter_number=parent,
            token=self._new_token(),
            state="active",
            valid_invites=0,
            helps_window_at=None,
            helps_in_window=0,
            device=event.facts.get("device"),
            address=event.facts.get("address"),
            cohort=self._now.astimezone(campaign.zone).date(),
            joined_at=self._now,
            is_new=True,
        )
        self._facts.add_member(member)
        if member.device:
            self._facts.devices.setdefault((campaign.id, member.device), member.number)
        if member.address:
            key = (campaign.id, member.address)
            self._facts.addresses[key] = self._facts.addresses.get(key, 0) + 1
        if consent := (event.person or {}).get("consent"):
            self._facts.new_consents.append(
                Consent(contact.id, consent["purpose"], consent["wording_version"], event.source)
            )
        return member

    def _slow_down(self, campaign: Campaign, inviter: Member, refusal: Reason, draft: EntryDraft) -> None:
        if refusal.code == "too_fast" and campaign.config["velocity_action"] == "block":
            inviter.state = "blocked"
            inviter.changed = True
            draft.ops.append(["b", inviter.number])

    # -- join again ----------------------------------------------------------------------------------

    def _join_again(
        self,
        campaign: Campaign,
        event: Event,
        seq: int,
        draft: EntryDraft,
        member: Member,
        inviter: Member | None,
    ) -> None:
        draft.member = member.number
        draft.result = {"participant_id": member.id, "contact_id": member.contact_id}
        closed = rules.closed(campaign, self._now)
        if member.state == "blocked":
            refusals = [Reason("blocked")]
        elif member.state == "left" and closed is None:
            self._come_back(campaign, event, seq, draft, member, inviter)
            return
        else:
            refusals = [Reason("already_joined"), *([closed] if closed else [])]
            if closed is None and event.facts.get("invite_token"):
                refusal = self._second_help(campaign, seq, draft, member, inviter)
                if refusal is None:
                    return
                if refusal.code != "already_joined":
                    refusals.append(refusal)
        draft.accepted = False
        draft.reasons += refusals

    def _second_help(
        self, campaign: Campaign, seq: int, draft: EntryDraft, member: Member, inviter: Member | None
    ) -> Reason | None:
        """Someone who takes part already opens another invite: counts only where the policy says so."""
        refusal = self._refuse_pair(campaign, member, inviter)
        if refusal or inviter is None:
            return refusal
        config = campaign.config
        if (campaign.id, member.number, inviter.number) in self._facts.edges:
            return Reason("already_joined")
        if config["helps"] != "once_per_inviter":
            return Reason("already_joined")
        refusal = rules.inviter_refusal(inviter) or rules.not_new(
            config["new_only"], seen_in_workspace=True, seen_in_campaign=True
        )
        if refusal is None and rules.too_fast(inviter, config, self._now):
            refusal = Reason("too_fast")
        if refusal:
            return refusal
        draft.other = inviter.number
        self._new_edge(campaign, member, inviter, "valid", "", seq)
        rules.count_help(inviter, config, self._now)
        self._score(inviter, 1, draft)
        self._play(campaign, HelpRestored(inviter.number, member.number, inviter.valid_invites), seq, draft)
        return None

    def _refuse_pair(self, campaign: Campaign, member: Member, inviter: Member | None) -> Reason | None:
        if inviter is None:
            return Reason("unknown_invite")
        if inviter.number == member.number:
            return Reason("self_invite")
        if member.number in self._facts.ancestors.get((campaign.id, inviter.number), ()):
            return Reason("loop")
        return None

    def _come_back(
        self,
        campaign: Campaign,
        event: Event,
        seq: int,
        draft: EntryDraft,
        member: Member,
        inviter: Member | None,
    ) -> None:
        member.state, member.left_at, member.changed = "active", None, True
        draft.ops += [["r", member.number], ["f", "returned", 1]]
        draft.reasons.append(Reason("came_back"))
        edges = self._facts.by_invitee.get((campaign.id, member.number), [])
        waiting = [edge for edge in edges if edge.state == "left"]
        moves = (
            campaign.config["refollow"] == "last_scanner"
            and inviter is not None
            and self._refuse_pair(campaign, member, inviter) is None
            and rules.inviter_refusal(inviter) is None
            and any(edge.inviter != inviter.number for edge in waiting)
        )
        if moves and inviter is not None:
            self._move(campaign, seq, draft, member, inviter, waiting)
            return
        for edge in waiting:
            self._restore(campaign, seq, draft, edge)

    def _move(
        self,
        campaign: Campaign,
        seq: int,
        draft: EntryDraft,
        member: Member,
        inviter: Member,
        waiting: Sequence[Edge],
    ) -> None:
        """The help goes to the latest inviter; it was rewarded once and is not rewarded again."""
        for edge in waiting:
            _set_edge(edge, "moved", "last_scanner", seq)
        edge_or_none = self._facts.edges.get((campaign.id, member.number, inviter.number))
        if edge_or_none is None:
            self._new_edge(campaign, member, inviter, "left", "", seq)
            edge_or_none = self._facts.edges[campaign.id, member.number, inviter.number]
        self._restore(campaign, seq, draft, edge_or_none)

    def _restore(self, campaign: Campaign, seq: int, draft: EntryDraft, edge: Edge) -> None:
        inviter = self._facts.members[campaign.id, edge.inviter]
        draft.other = inviter.number
        _set_edge(edge, "valid", "", seq)
        self._score(inviter, 1, draft)
        self._play(campaign, HelpRestored(inviter.number, edge.invitee, inviter.valid_invites), seq, draft)

    # -- leave, block, unblock -----------------------------------------------------------------------

    def _leave(self, campaign: Campaign, event: Event, seq: int, draft: EntryDraft) -> None:
        member = self._member_of(campaign, event, draft)
        if member is None:
            return
        if member.state != "active":
            draft.accepted = False
            draft.reasons.append(Reason("blocked" if member.state == "blocked" else "left"))
            return
        member.state, member.left_at, member.changed = "left", self._now, True
        draft.ops += [["l", member.number], ["f", "left", 1]]
        draft.reasons.append(Reason("left"))
        if campaign.config["leaving"] == "stops_counting":
            self._withdraw(campaign, seq, draft, member, "left")

    def _block(self, campaign: Campaign, event: Event, seq: int, draft: EntryDraft) -> None:
        member = self._member_of(campaign, event, draft)
        if member is None:
            return
        if member.state == "blocked":
            draft.accepted = False
            draft.reasons.append(Reason("blocked"))
            return
        reason = event.facts.get("reason", "by_hand")
        if member.state == "left":
            # Blocked people are outside either way; only one of the two may be undone later.
            draft.ops.append(["r", member.number])
        member.state, member.changed = "blocked", True
        draft.ops.append(["b", member.number])
        draft.reasons.append(Reason(reason))
        self._withdraw(campaign, seq, draft, member, "void")

    def _unblock(self, campaign: Campaign, event: Event, seq: int, draft: EntryDraft) -> None:
        member = self._member_of(campaign, event, draft)
        if member is None:
            return
        if member.state != "blocked":
            draft.accepted = False
            draft.reasons.append(Reason("already_joined"))
            return
        member.state, member.left_at, member.changed = "active", None, True
        draft.ops.append(["u", member.number])
        draft.reasons.append(Reason("unblocked"))
        for edge in self._facts.by_invitee.get((campaign.id, member.number), []):
            if edge.state == "void":
                self._restore(campaign, seq, draft, edge)

    def _member_of(self, campaign: Campaign, event: Event, draft: EntryDraft) -> Member | None:
        named = self._facts.contacts.get(event.facts["contact_id"])
        contact_id = named.id if named else event.facts["contact_id"]
        # A contact merged into another keeps the participation the other had already.
        member = self._facts.by_contact.get((campaign.id, event.facts["contact_id"]))
        member = member or self._facts.by_contact.get((campaign.id, contact_id))
        if member is None:
            draft.accepted = False
            draft.reasons.append(Reason("not_taking_part"))
            return None
        draft.member = member.number
        draft.result = {"participant_id": member.id, "contact_id": member.contact_id}
        return member

    def _withdraw(
        self, campaign: Campaign, seq: int, draft: EntryDraft, member: Member, edge_state: str
    ) -> None:
        """The helps this participant gave stop counting."""
        for edge in self._facts.by_invitee.get((campaign.id, member.number), []):
            if edge.state == "left" and edge_state == "void":
                _set_edge(edge, "void", "", seq)
            elif edge.state == "valid":
                _set_edge(edge, edge_state, "", seq)
                inviter = self._facts.members[campaign.id, edge.inviter]
                draft.other = inviter.number
                self._score(inviter, -1, draft)
                withdrawn = HelpWithdrawn(inviter.number, member.number, inviter.valid_invites)
                self._play(campaign, withdrawn, seq, draft)

    # -- funnel marks --------------------------------------------------------------------------------

    def _mark(self, campaign: Campaign, event: Event, seq: int, draft: EntryDraft) -> None:
        """A step of the funnel (a visit, a poster made); the Event's key makes it count once."""
        del campaign, seq
        draft.ops.append(["f", event.facts["step"], 1])

    # -- plays and effects ---------------------------------------------------------------------------

    def _play(self, campaign: Campaign, event: PlayEvent, seq: int, draft: EntryDraft) -> None:
        """Let the play decide, keep its state, do its effects."""
        scope = campaign.play.scope(event, campaign.config)
        state = self._facts.states.get((campaign.id, scope), {})
        # The seed comes from the journal's own order, so that a replay draws the same.
        given = Given(self._now, random.Random(f"{campaign.id}:{seq}"))  # noqa: S311 - must be repeatable
        decision = campaign.play.decide(event, state, campaign.config, given)
        if decision.state != state:
            self._facts.states[campaign.id, scope] = dict(decision.state)
            self._facts.changed_states.add((campaign.id, scope))
        draft.reasons += decision.reasons
        self._do(campaign, decision.effects, seq, draft)

    def _do(self, campaign: Campaign, effects: Sequence[Effect], seq: int, draft: EntryDraft) -> None:
        for effect in effects:
            match effect:
                case GrantDays():
                    member = self._facts.members[campaign.id, effect.member]
                    self._facts.grants.append(
                        Grant(
                            campaign.id, member.contact_id, campaign.plan_id, effect.member, seq,
                            effect.side, effect.days, f"{campaign.id}:{effect.key}",
                        )
                    )  # fmt: skip
                case SendMessage():
                    member = self._facts.members[campaign.id, effect.member]
                    key = f"{campaign.id}:{effect.key}"
                    self._facts.messages.append(
                        Message(campaign.id, member.contact_id, effect.template, effect.params, key)
                    )
                case ReserveStock():
                    self._reserve(campaign, effect, seq, draft)
                case TagContact():
                    member = self._facts.members[campaign.id, effect.member]
                    self._facts.contacts[member.contact_id].tags.append(effect.tag)
                case _:
                    raise TypeError(f"no such effect: {type(effect).__name__}")

    def _reserve(self, campaign: Campaign, effect: ReserveStock, seq: int, draft: EntryDraft) -> None:
        item = self._facts.stock.get((campaign.id, effect.item))
        if item is not None and item.taken < item.total:
            item.taken += 1
            item.changed = True
            self._do(campaign, effect.won, seq, draft)
            return
        draft.reasons.append(Reason("sold_out", {"item": effect.item}))
        self._do(campaign, effect.sold_out, seq, draft)

    def _new_edge(
        self, campaign: Campaign, member: Member, inviter: Member, state: str, reason: str, seq: int
    ) -> None:
        self._facts.add_edge(
            Edge(campaign.id, member.number, inviter.number, state, reason, seq, is_new=True)
        )

    def _score(self, inviter: Member, delta: int, draft: EntryDraft) -> None:
        before = inviter.valid_invites
        inviter.valid_invites += delta
        inviter.changed = True
        draft.ops.append(["s", inviter.number, delta, inviter.cohort.isoformat()])
        draft.ops.append(["f", "helped", delta])
        if min(before, inviter.valid_invites) == 0:
            draft.ops.append(["f", "inviters", delta])


def _set_edge(edge: Edge, state: str, reason: str, seq: int) -> None:
    edge.state, edge.reason, edge.seq, edge.changed = state, reason, seq, True


def _answer(member: Member, inviter: Member | None) -> dict[str, Any]:
    return {
        "id": member.id,
        "campaign_id": member.campaign_id,
        "contact_id": member.contact_id,
        "member_no": member.number,
        "invite_token": member.token,
        "inviter_id": inviter.id if inviter else None,
        "state": member.state,
        "joined_at": member.joined_at,
        "valid_invites": member.valid_invites,
    }
