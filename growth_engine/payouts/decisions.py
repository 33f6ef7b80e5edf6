"""Decisions about wallet Events: pure functions over the facts and balances of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from growth_engine.ledger.contract import EntryDraft, Event, Reason
from growth_engine.ledger.money import (
    AVAILABLE,
    CLEARING,
    PAYOUT_FEE,
    RESERVED,
    TAX,
    WRITTEN_OFF,
    Balances,
    Leg,
)
from growth_engine.payouts import rules, texts
from growth_engine.payouts.facts import Facts, Move, Owner, PayoutRow, Rejection, Told
from growth_engine.payouts.rules import IN_FLIGHT

NewId = Callable[[str], str]


@dataclass(slots=True)
class Case:
    """One decision under way."""

    facts: Facts
    balances: Balances
    event: Event
    now: datetime
    new_id: NewId
    draft: EntryDraft

    @property
    def told(self) -> Mapping[str, Any]:
        return self.event.facts

    def balance(self, account: str, contact_id: str, currency: str) -> int:
        return self.balances.of(self.event.book_id, account, contact_id, currency)

    def refuse(self, code: str, **params: Any) -> None:
        self.draft.accepted = False
        self.draft.reasons.append(Reason(code, params))

    def post(self, currency: str, *legs: Leg) -> None:
        """The legs that move something."""
        self.draft.currency = currency
        self.draft.legs = [leg for leg in legs if leg.amount]

    def about(self, payout: PayoutRow) -> None:
        self.draft.result = {"payout_id": payout.id, "contact_id": payout.contact_id}

    def tell(self, payout: PayoutRow, template: str, amount: int) -> None:
        owner = self.facts.owners.get(payout.contact_id)
        if owner is None or owner.erased:
            return
        params = {"amount": amount, "currency": payout.currency}
        self.facts.messages.append(Told(owner.id, template, params, f"{template}:{payout.id}"))


# -- reserve -----------------------------------------------------------------------------------------


def reserve(case: Case) -> None:
    """Somebody wants their money: it is set aside, or they are told why not."""
    told = case.told
    owner = case.facts.owners.get(told["contact_id"])
    amount, currency = told["amount"], told["currency"]
    if owner is None or owner.erased:
        case.refuse("no_wallet_owner")
        return
    refusal = standing_refusal(case.facts, owner, amount, currency)
    available = case.balance(AVAILABLE, owner.id, currency)
    if refusal is None and available < amount:
        refusal = Reason("not_enough", {"available": max(available, 0), "currency": currency})
    if refusal is not None:
        case.refuse(refusal.code, **refusal.params)
        return
    payout = _new_payout(case, owner, amount, currency)
    case.facts.payouts[payout.id] = payout
    owner.asked_today += amount
    owner.count_today += 1
    case.about(payout)
    case.post(
        currency,
        Leg(AVAILABLE, owner.id, -amount, payout.id),
        Leg(RESERVED, owner.id, amount, payout.id),
    )


def _new_payout(case: Case, owner: Owner, amount: int, currency: str) -> PayoutRow:
    """The row, after the rules in force: what is withheld, whether it waits for people."""
    policy = case.facts.policy
    split, needed = rules.withheld(amount, policy), rules.approvals_needed(amount, policy)
    return PayoutRow(
        id=case.new_id("pay"),
        contact_id=owner.id,
        currency=currency,
        amount=amount,
        tax=split.tax,
        fee=split.fee,
        net=split.net,
        state="requested" if needed else "approved",
        provider=policy.provider,
        policy_version=policy.version,
        approvals_needed=needed,
        recipient=(case.event.person or {}).get("recipient", {}),
        requested_at=case.now,
        decided_at=None if needed else case.now,
        next_at=None if needed else case.now,
        is_new=True,
    )


def standing_refusal(facts: Facts, owner: Owner, amount: int, currency: str) -> Reason | None:
    """Why the policy lets this person not have this amount today, whatever they own."""
    policy = facts.policy
    if owner.blocked:
        return Reason("withdrawals_blocked")
    if currency != facts.currency:
        return Reason("currency_not_paid_out", {"currency": currency, "paid_out": facts.currency})
    if amount < policy.minimum:
        return Reason("below_minimum", {"minimum": policy.minimum, "currency": currency})
    if rules.withheld(amount, policy).net <= 0:
        return Reason("nothing_left")
    if policy.daily_count is not None and owner.count_today >= policy.daily_count:
        return Reason("daily_count", {"most": policy.daily_count})
    if policy.daily_amount is not None and owner.asked_today + amount > policy.daily_amount:
        left = max(policy.daily_amount - owner.asked_today, 0)
        return Reason("daily_amount", {"limit": policy.daily_amount, "left": left, "currency": currency})
    return None


# -- how payouts end ---------------------------------------------------------------------------------


def confirm(case: Case) -> None:
    """The provider has paid."""
    payout = _ending(case, IN_FLIGHT)
    if payout is None:
        return
    _end(case, payout, "paid")
    payout.provider_ref = case.told.get("ref") or payout.provider_ref
    case.post(
        payout.currency,
        Leg(RESERVED, payout.contact_id, -payout.amount, payout.id),
        Leg(CLEARING, "", payout.net, payout.id),
        Leg(TAX, "", payout.tax, payout.id),
        Leg(PAYOUT_FEE, "", payout.fee, payout.id),
    )
    case.tell(payout, texts.PAID, payout.net)


def void(case: Case) -> None:
    """A payout was rejected, cancelled or has failed: the money goes back."""
    told = case.told
    payout = _ending(case, rules.ENDS_FROM[told["state"]])
    if payout is None:
        return
    _end(case, payout, told["state"])
    payout.error = told.get("note", "")
    case.post(
        payout.currency,
        Leg(RESERVED, payout.contact_id, -payout.amount, payout.id),
        Leg(AVAILABLE, payout.contact_id, payout.amount, payout.id),
    )
    owner = case.facts.owners.get(payout.contact_id)
    begins, ends = rules.day_of(case.now, case.facts.zone)
    if owner is not None and begins <= payout.requested_at < ends:
        owner.asked_today -= payout.amount
        owner.count_today -= 1
    if told["state"] == "rejected":
        case.facts.rejections.append(Rejection(payout.id, told["by"], payout.error))
        case.tell(payout, texts.REJECTED, payout.amount)
    elif told["state"] == "failed":
        case.tell(payout, texts.FAILED, payout.amount)


def _ending(case: Case, allowed: frozenset[str]) -> PayoutRow | None:
    """The payout of the Event when it may end now; otherwise the Event is refused."""
    payout = case.facts.payouts.get(case.told["payout_id"])
    if payout is None:
        case.refuse("no_payout")
        return None
    case.about(payout)
    if payout.state in allowed:
        return payout
    if payout.state in rules.FINAL:
        case.refuse("payout_ended", state=payout.state)
    elif payout.state in IN_FLIGHT:
        case.refuse("payout_under_way", state=payout.state)
    else:
        case.refuse("payout_not_sent" if allowed == IN_FLIGHT else "payout_under_way", state=payout.state)
    return None


def _end(case: Case, payout: PayoutRow, state: str) -> None:
    payout.state, payout.finished_at, payout.next_at, payout.changed = state, case.now, None, True


# -- debts and people --------------------------------------------------------------------------------


def write_off(case: Case) -> None:
    """A person lets go of a debt, or of a part of it."""
    told = case.told
    owner = case.facts.owners.get(told["contact_id"])
    if owner is None:
        case.refuse("no_wallet_owner")
        return
    amount, currency = told["amount"], told["currency"]
    debt = -case.balance(AVAILABLE, owner.id, currency)
    case.draft.result = {"contact_id": owner.id}
    if debt <= 0:
        case.refuse("no_debt")
    elif amount > debt:
        case.refuse("more_than_debt", debt=debt, currency=currency)
    else:
        case.post(currency, Leg(AVAILABLE, owner.id, amount), Leg(WRITTEN_OFF, "", -amount))


def merge(case: Case) -> None:
    """Two contacts are one person: what the one had or was being paid is the other's, in one currency."""
    merged_id, currency = case.told["merged_id"], case.told["currency"]
    kept = case.facts.owners.get(merged_id)
    if kept is None or kept.id == merged_id:
        case.refuse("not_merged")
        return
    case.draft.result = {"contact_id": kept.id}
    legs = []
    for account in (AVAILABLE, RESERVED):
        held = case.balance(account, merged_id, currency)
        legs += [Leg(account, merged_id, -held), Leg(account, kept.id, held)]
    case.post(currency, *legs)
    case.facts.moves.append(Move(merged_id, kept.id, currency))
    for payout in case.facts.payouts.values():
        if (payout.contact_id, payout.currency) == (merged_id, currency):
            payout.contact_id = kept.id


KINDS: Mapping[str, Callable[[Case], None]] = {
    "payout_reserve": reserve,
    "payout_confirm": confirm,
    "payout_void": void,
    "write_off": write_off,
    "wallet_merge": merge,
}
"""Every kind of Event a wallet book takes."""
