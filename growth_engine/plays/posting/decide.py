"""Decisions about campaign Events: pure functions over the facts of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from growth_engine.kit.ids import Ids
from growth_engine.ledger.contract import EntryDraft, Event
from growth_engine.ledger.money import Balances
from growth_engine.plays.posting import standing
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.facts import Facts, Member
from growth_engine.plays.posting.joining import Joining
from growth_engine.plays.posting.selling import orders, promoters, shares
from growth_engine.plays.posting.selling.load import KINDS as SELLING
from growth_engine.plays.posting.selling.orders import Ordering


class Decider:
    """Decides Events one after the other; every decision sees what the earlier ones changed."""

    def __init__(
        self, facts: Facts, now: datetime, ids: Ids, balances: Balances, fees: Mapping[str, int]
    ) -> None:
        self._facts = facts
        self._now = now
        self._balances = balances
        self._kinds: Mapping[str, Callable[[Case], None]] = {
            "join": Joining(ids.new, ids.token).join,
            "leave": standing.leave,
            "block": standing.block,
            "unblock": standing.unblock,
            "known": standing.known,
            "mark": standing.mark,
            "order": Ordering(ids.new, fees).place,
            "payment": orders.pay,
            "refund": orders.refund,
            "cancel": orders.cancel,
            "mature": shares.mature,
            "commission": shares.act,
            "promoter": promoters.manage,
        }

    def decide(self, event: Event, seq: int) -> EntryDraft:
        campaign = self._facts.campaigns[event.book_id]
        draft = EntryDraft(accepted=True, rule_version=campaign.version)
        self._kinds[event.kind](Case(self._facts, campaign, event, seq, self._now, draft, self._balances))
        if draft.member is not None and event.kind not in SELLING:
            draft.answer = self._answer(self._facts.members[campaign.id, draft.member])
        return draft

    def _answer(self, member: Member) -> dict[str, Any]:
        inviter = self._facts.members.get((member.campaign_id, member.inviter_number))
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
