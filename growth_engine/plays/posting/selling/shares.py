"""Moving commissions: to what they are worth now, from hold to the wallet, away by a person's hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from growth_engine.ledger.contract import Reason
from growth_engine.ledger.money import ABSORBED, AVAILABLE, CAMPAIGN, EXPENSE, PENDING, WALLET, Leg
from growth_engine.plays.contract import Effect
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.selling.facts import Commission, Promoter
from growth_engine.plays.selling import SetCommission

#: Months and days of ``Promoter.usage`` that are kept, besides ``all``.
_KEPT: Final = 2


def periods(case: Case) -> list[str]:
    """The periods a payment counts for now, in the workspace's zone: all, its month, its day."""
    today = case.now.astimezone(case.campaign.zone).date()
    return ["all", f"{today:%Y-%m}", today.isoformat()]


def counted_in(case: Case, commissions: Sequence[Commission]) -> list[str]:
    """The periods an order counts for: those of its first credit, for good.

    A limit asked about another period than the one its commissions are counted in would let any number of
    orders through that were begun in one month and paid up in the next.
    """
    for commission in commissions:
        if "periods" in commission.terms:
            return list(commission.terms["periods"])
    return periods(case)


def settle(
    case: Case, by_level: Mapping[int, Commission], effects: Sequence[Effect], counted: Sequence[str]
) -> None:
    """Do what the play decided about an order's shares; ``counted``: the periods the order counts for."""
    for effect in effects:
        if isinstance(effect, SetCommission):
            commission = by_level[effect.level]
            commission.terms = {**commission.terms, **effect.terms}
            if effect.target and "periods" not in commission.terms:
                commission.terms["periods"] = list(counted)
            move(case, commission, effect.target)
        else:
            case.do(effect)


def move(case: Case, commission: Commission, target: int) -> None:
    """Post the difference between what a commission is worth now and what was posted."""
    delta = target - commission.target
    commission.changed = True
    commission.seq = case.seq
    if delta > 0:
        _earn(case, commission, delta)
    elif delta < 0:
        _take_back(case, commission, -delta)
    if delta:
        commission.target = target
        _count(case, commission, delta)
    _state(commission)


def _earn(case: Case, commission: Commission, amount: int) -> None:
    commission.pending += amount
    commission.hold_until = case.now + timedelta(days=commission.terms["hold_days"])
    case.legs(
        commission.currency,
        Leg(EXPENSE, "", -amount, commission.id),
        Leg(PENDING, str(commission.member), amount, commission.id),
    )
    _say(case, "earned", commission, amount)


def _take_back(case: Case, commission: Commission, amount: int) -> None:
    """From what is on hold first, then from the wallet."""
    held = min(amount, commission.pending)
    rest = amount - held
    if held:
        commission.pending -= held
        case.legs(
            commission.currency,
            Leg(PENDING, str(commission.member), -held, commission.id),
            Leg(EXPENSE, "", held, commission.id),
        )
    if rest:
        commission.matured -= rest
        case.legs(
            commission.currency,
            Leg(WALLET, "", -rest, commission.id),
            Leg(EXPENSE, "", rest, commission.id),
        )
        _claw_back(case, commission, rest)
    _say(case, "taken_back", commission, amount)


def _claw_back(case: Case, commission: Commission, amount: int) -> None:
    """Take from the wallet; what is not there any more is carried as a debt or borne by the merchant."""
    contact, currency, campaign = commission.contact_id, commission.currency, commission.campaign_id
    short = amount - max(0, min(amount, case.available(contact, currency)))
    case.wallet_legs(
        currency,
        Leg(AVAILABLE, contact, -amount, commission.id),
        Leg(CAMPAIGN, campaign, amount, commission.id),
    )
    if short and commission.terms["clawback"] == "absorb":
        case.wallet_legs(
            currency,
            Leg(AVAILABLE, contact, short, commission.id),
            Leg(ABSORBED, campaign, -short, commission.id),
        )
        _say(case, "absorbed", commission, short)


def _state(commission: Commission) -> None:
    """What is void stays so, and held while anything is on hold; otherwise the amounts say it."""
    if commission.state == "void" or (commission.state == "held" and commission.pending):
        return
    if commission.pending:
        commission.state = "pending"
    elif commission.matured:
        commission.state = "matured"
    elif commission.state != "waiting":
        commission.state = "reversed"


def _say(case: Case, code: str, commission: Commission, amount: int) -> None:
    params = {
        "member": commission.member,
        "level": commission.level,
        "amount": amount,
        "currency": commission.currency,
    }
    case.draft.reasons.append(Reason(code, params))


def _count(case: Case, commission: Commission, delta: int) -> None:
    """What the promoter earned, in all and within the periods the commission counts for."""
    campaign_id, member = commission.campaign_id, commission.member
    case.op("e", member, delta)
    row = case.facts.sales.promoter(campaign_id, member, commission.contact_id)
    row.earned += delta
    for period in commission.terms["periods"]:
        _use(row, period, delta)


def _use(row: Promoter, period: str, delta: int) -> None:
    if period in row.usage:
        row.usage[period] += delta
        return
    same = sorted(key for key in row.usage if len(key) == len(period))
    if len(same) >= _KEPT and period < same[0]:
        return  # older than what is kept: no limit asks about it any more
    row.usage[period] = delta
    for old in sorted({*same, period})[:-_KEPT]:
        if old != "all":
            del row.usage[old]


# -- hold to wallet --------------------------------------------------------------------------------------


def mature(case: Case) -> None:
    """What has been on hold long enough by the Event's cutoff goes over to the wallets."""
    cutoff = datetime.fromisoformat(case.event.facts["cutoff"])
    line = case.facts.sales.due.get(case.campaign.id, [])
    due: list[Commission] = []
    while line and len(due) < case.event.facts["limit"]:
        commission = line[0]
        if commission.hold_until is not None and commission.hold_until > cutoff:
            break
        line.pop(0)
        if commission.state == "pending":
            due.append(commission)
    _go_over(case, due)


def _go_over(case: Case, due: Sequence[Commission]) -> None:
    if not due:
        case.refuse(Reason("nothing_due"))
        return
    total = 0
    for commission in due:
        amount = commission.pending
        case.legs(commission.currency, Leg(PENDING, str(commission.member), -amount, commission.id))
        case.wallet_legs(commission.currency, Leg(AVAILABLE, commission.contact_id, amount, commission.id))
        commission.pending, commission.matured = 0, commission.matured + amount
        commission.state, commission.reason = "matured", ""
        commission.seq, commission.changed = case.seq, True
        total += amount
    case.legs(due[0].currency, Leg(WALLET, "", total))
    case.wallet_legs(due[0].currency, Leg(CAMPAIGN, case.campaign.id, -total))
    params = {"count": len(due), "amount": total, "currency": due[0].currency}
    case.draft.reasons.append(Reason("matured", params))
    case.draft.result = {"matured": len(due)}


# -- by a person's hand ----------------------------------------------------------------------------------


def act(case: Case) -> None:
    """A person holds, releases, voids or pays out commissions before their time."""
    told = case.event.facts
    fitting = {
        "void": ("waiting", "pending", "held", "matured"),
        "hold": ("pending",),
        "release": ("held",),
        "mature": ("pending", "held"),
    }[told["action"]]
    known = case.facts.sales.commissions
    named = [commission for one in dict.fromkeys(told["ids"]) if (commission := known.get(one))]
    chosen = [c for c in named if c.campaign_id == case.campaign.id and c.state in fitting]
    if not chosen:
        case.refuse(Reason("nothing_to_do"))
        return
    if told["action"] == "mature":
        _go_over(case, chosen)
    for commission in chosen:
        if told["action"] == "void":
            commission.state = "void"
            move(case, commission, 0)
        elif told["action"] in ("hold", "release"):
            commission.state = "held" if told["action"] == "hold" else "pending"
            commission.seq, commission.changed = case.seq, True
        commission.reason = told["reason"] if told["action"] in ("void", "hold") else ""
    case.draft.result = {"done": [commission.id for commission in chosen]}
    said = {"reason": told["reason"], "by": told["by"]}
    case.draft.reasons.append(Reason(f"{told['action']}_by_hand", said))
