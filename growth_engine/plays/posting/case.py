"""One Event being decided: what it is about, and the few things a decision may do to the facts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from growth_engine.ledger.contract import EntryDraft, Event, Reason
from growth_engine.ledger.money import AVAILABLE, Balances, Leg, wallet_book
from growth_engine.plays.contract import (
    Effect,
    Given,
    GrantDays,
    HelpRestored,
    HelpWithdrawn,
    PlayEvent,
    Remember,
    ReserveStock,
    SendMessage,
    TagContact,
)
from growth_engine.plays.posting.facts import Campaign, Edge, Facts, Grant, Member, Message
from growth_engine.plays.posting.selling.facts import item_of


@dataclass(slots=True)
class Case:
    """A decision under way: changes ``facts`` in memory and writes down in ``draft`` what and why."""

    facts: Facts
    campaign: Campaign
    event: Event
    seq: int
    now: datetime
    draft: EntryDraft
    balances: Balances

    # -- looking -------------------------------------------------------------------------------------

    def inviter(self) -> Member | None:
        """The participant whose token the Event carries, if it is one of this campaign."""
        member = self.facts.by_token.get(self.event.facts.get("invite_token") or "")
        return member if member and member.campaign_id == self.campaign.id else None

    def edges_of(self, member: Member) -> list[Edge]:
        """The helps a participant gave."""
        return self.facts.by_invitee.get((self.campaign.id, member.number), [])

    def member(self, number: int) -> Member:
        return self.facts.members[self.campaign.id, number]

    def participant(self) -> Member | None:
        """The participation of the contact the Event names; without one the Event is refused."""
        named = self.event.facts["contact_id"]
        known = self.facts.contacts.get(named)
        # A contact merged into another keeps the participation the other had already.
        member = self.facts.by_contact.get((self.campaign.id, named))
        if member is None and known is not None:
            member = self.facts.by_contact.get((self.campaign.id, known.id))
        if member is None:
            self.refuse(Reason("not_taking_part"))
        return member

    # -- writing down --------------------------------------------------------------------------------

    def refuse(self, *reasons: Reason) -> None:
        self.draft.accepted = False
        self.draft.reasons += reasons

    def about(self, member: Member, **result: bool) -> None:
        self.draft.member = member.number
        self.draft.result = {"participant_id": member.id, "contact_id": member.contact_id, **result}

    def op(self, *op: object) -> None:
        """A change for the mirror (``ledger/functions``)."""
        self.draft.ops.append(list(op))

    # -- helps ---------------------------------------------------------------------------------------

    def new_edge(self, member: Member, inviter: Member, state: str, reason: str = "") -> Edge:
        edge = Edge(self.campaign.id, member.number, inviter.number, state, reason, self.seq, is_new=True)
        self.facts.add_edge(edge)
        self.draft.other = inviter.number
        return edge

    def set_edge(self, edge: Edge, state: str, reason: str = "") -> None:
        edge.state, edge.reason, edge.seq, edge.changed = state, reason, self.seq, True

    def score(self, inviter: Member, delta: int) -> None:
        """Valid invites of ``inviter`` change."""
        before = inviter.valid_invites
        inviter.valid_invites += delta
        inviter.changed = True
        self.op("s", inviter.number, delta, inviter.cohort.isoformat())
        self.op("f", "helped", delta)
        if min(before, inviter.valid_invites) == 0:
            self.op("f", "inviters", delta)

    def restore(self, edge: Edge) -> None:
        """A help counts (again); it was rewarded once and is not rewarded again."""
        inviter = self.member(edge.inviter)
        self.draft.other = inviter.number
        self.set_edge(edge, "valid")
        self.score(inviter, 1)
        # Nothing is earned while blocked; a rung reached meanwhile is given with the next help after it.
        if inviter.state != "blocked":
            self.play(HelpRestored(inviter.number, edge.invitee, inviter.valid_invites))

    def withdraw(self, member: Member, state: str) -> None:
        """The helps this participant gave stop counting: ``left`` may come back, ``void`` is a block's."""
        for edge in self.edges_of(member):
            if edge.state == "left" and state == "void":
                self.set_edge(edge, "void")
            elif edge.state == "valid":
                self.set_edge(edge, state)
                inviter = self.member(edge.inviter)
                self.draft.other = inviter.number
                self.score(inviter, -1)
                self.play(HelpWithdrawn(inviter.number, member.number, inviter.valid_invites))

    # -- plays and effects ---------------------------------------------------------------------------

    def play(self, event: PlayEvent) -> None:
        """Let the play decide, keep its state, do its effects."""
        campaign, facts = self.campaign, self.facts
        scope = campaign.play.scope(event, campaign.config)
        state = facts.states.get((campaign.id, scope), {})
        decision = campaign.play.decide(event, state, campaign.config, self._given())
        if decision.state != state:
            facts.states[campaign.id, scope] = dict(decision.state)
            facts.changed_states.add((campaign.id, scope))
        self.draft.reasons += decision.reasons
        for effect in decision.effects:
            self.do(effect)

    def ask(self, event: PlayEvent) -> Sequence[Effect]:
        """Let the play decide about an order: all it needs stands in the event, it keeps no state of it."""
        campaign = self.campaign
        decision = campaign.play.decide(event, {}, campaign.config, self._given())
        self.draft.reasons += decision.reasons
        return decision.effects

    def _given(self) -> Given:
        # The seed comes from the journal's own order, so that a replay draws the same.
        return Given(self.now, random.Random(f"{self.campaign.id}:{self.seq}"))  # noqa: S311 - repeatable

    def do(self, effect: Effect) -> None:
        match effect:
            case GrantDays():
                self._grant(effect)
            case SendMessage():
                self._send(effect)
            case ReserveStock():
                self._reserve(effect)
            case TagContact():
                contact_id = self.member(effect.member).contact_id
                self.facts.new_tags.append((contact_id, effect.tag))
            case Remember():
                self._remember(effect)
            case _:
                raise TypeError(f"no such effect: {type(effect).__name__}")

    def _grant(self, effect: GrantDays) -> None:
        campaign = self.campaign
        self.facts.grants.append(
            Grant(
                campaign_id=campaign.id,
                contact_id=self.member(effect.member).contact_id,
                plan_id=campaign.plan_id,
                member=effect.member,
                seq=self.seq,
                side=effect.side,
                days=effect.days,
                key=f"{campaign.id}:{effect.key}",
            )
        )

    def _send(self, effect: SendMessage) -> None:
        contact_id = self.member(effect.member).contact_id
        key = f"{self.campaign.id}:{effect.key}"
        self.facts.messages.append(Message(self.campaign.id, contact_id, effect.template, effect.params, key))

    def _reserve(self, effect: ReserveStock) -> None:
        stock = self.facts.stock.get((self.campaign.id, effect.item))
        if stock is not None and stock.taken < stock.total:
            stock.taken += 1
            stock.changed = True
            effects = effect.won
        else:
            self.draft.reasons.append(Reason("sold_out", {"item": effect.item}))
            effects = effect.sold_out
        for one in effects:
            self.do(one)

    def _remember(self, effect: Remember) -> None:
        place = (self.campaign.id, effect.scope)
        state = self.facts.states.get(place, {})
        known = state.get(effect.name, [])
        if effect.value not in known:
            self.facts.states[place] = {**state, effect.name: sorted([*known, effect.value])}
            self.facts.changed_states.add(place)

    # -- stock of products ---------------------------------------------------------------------------

    def left(self, product_id: str) -> int | None:
        """How many of a product are left; ``None``: without limit."""
        stock = self.facts.stock.get((self.campaign.id, item_of(product_id)))
        return None if stock is None else stock.total - stock.taken

    def take(self, product_id: str, quantity: int) -> None:
        """Take products from stock, or give them back (negative)."""
        stock = self.facts.stock.get((self.campaign.id, item_of(product_id)))
        if stock is not None:
            stock.taken = max(0, stock.taken + quantity)
            stock.changed = True

    # -- money ---------------------------------------------------------------------------------------

    def legs(self, currency: str, *legs: Leg) -> None:
        """Move money between accounts of the campaign's book."""
        self.draft.currency = currency
        self.draft.legs += legs

    def wallet_legs(self, currency: str, *legs: Leg) -> None:
        """Move money between accounts of the wallet book, in an Entry of its own."""
        book = wallet_book(self.event.workspace_id)
        side = self.draft.elsewhere.get(book)
        if side is None:
            side = EntryDraft(True, self.draft.rule_version, reasons=self.draft.reasons, currency=currency)
            self.draft.elsewhere[book] = side
        side.legs += legs

    def available(self, contact_id: str, currency: str) -> int:
        """What a contact has in their wallet, with what this decision moved so far."""
        book = wallet_book(self.event.workspace_id)
        side = self.draft.elsewhere.get(book)
        moved = sum(
            leg.amount
            for leg in (side.legs if side else ())
            if leg.account == AVAILABLE and leg.owner == contact_id
        )
        return self.balances.of(book, AVAILABLE, contact_id, currency) + moved
