"""The second engine's decisions about wallets: money set aside, paid, given back, let go, merged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.engine.money.straight_line import Draft, Engine, Facts, Made
from tests.engine.money.straight_orders import Decision

GIVEN_BACK = {"failed", "rejected", "cancelled"}
ON_ITS_WAY = {"sending", "unknown", "waiting"}


def _post(draft: Draft, currency: str, *legs: list[Any]) -> None:
    draft.currency = currency
    draft.legs = [leg for leg in legs if leg[2]]


def _owner(e: Engine, facts: Facts) -> str:
    named: str = facts["contact_id"]
    return e.merged.get(named, named)


def reserve(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    owner = _owner(e, facts)
    amount, currency, policy = facts["amount"], facts["currency"], e.world.policy
    tax = amount * policy["tax_bp"] // 10_000
    fee = amount * policy["fee_bp"] // 10_000 + policy["fee_fixed"]
    mine = [
        one["amount"]
        for one in e.payouts.values()
        # Limits are a person's: of somebody merged a moment ago, too, whose wallet is still to follow.
        if e.merged.get(one["owner"], one["owner"]) == owner
        and one["state"] not in GIVEN_BACK
        and e.today(one["at"]) == e.today(at)
    ]
    available, most = e.balance("available", owner, currency), policy["daily_amount"]
    if owner in e.blocked:
        draft.refuse("withdrawals_blocked")
    elif currency != "CNY":
        draft.refuse("currency_not_paid_out", currency=currency, paid_out="CNY")
    elif amount < policy["minimum"]:
        draft.refuse("below_minimum", minimum=policy["minimum"], currency=currency)
    elif amount - tax - fee <= 0:
        draft.refuse("nothing_left")
    elif policy["daily_count"] is not None and len(mine) >= policy["daily_count"]:
        draft.refuse("daily_count", most=policy["daily_count"])
    elif most is not None and sum(mine) + amount > most:
        draft.refuse("daily_amount", limit=most, left=max(most - sum(mine), 0), currency=currency)
    elif available < amount:
        draft.refuse("not_enough", available=max(available, 0), currency=currency)
    else:
        state = "requested" if amount > policy["approve_above"] else "approved"
        e.payouts[made.payout] = {
            "id": made.payout, "owner": owner, "amount": amount, "tax": tax, "fee": fee, "state": state,
            "at": at, "currency": currency,
        }  # fmt: skip
        draft.result = {"payout_id": made.payout, "contact_id": owner}
        ref = made.payout
        _post(draft, currency, ["available", owner, -amount, ref], ["reserved", owner, amount, ref])


def _ending(e: Engine, facts: Facts, allowed: set[str], draft: Draft) -> dict[str, Any] | None:
    payout = e.payouts.get(facts["payout_id"])
    if payout is None:
        draft.refuse("no_payout")
        return None
    draft.result = {"payout_id": payout["id"], "contact_id": payout["owner"]}
    state = payout["state"]
    if state in allowed:
        return payout
    if state in GIVEN_BACK or state == "paid":
        draft.refuse("payout_ended", state=state)
    elif state not in ON_ITS_WAY and allowed == ON_ITS_WAY:
        draft.refuse("payout_not_sent", state=state)
    else:
        draft.refuse("payout_under_way", state=state)
    return None


def confirm(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    if payout := _ending(e, facts, ON_ITS_WAY, draft):
        payout["state"] = "paid"
        amount, tax, fee, ref = payout["amount"], payout["tax"], payout["fee"], payout["id"]
        _post(
            draft,
            payout["currency"],
            ["reserved", payout["owner"], -amount, ref],
            ["clearing", "", amount - tax - fee, ref],
            ["tax", "", tax, ref],
            ["payout_fee", "", fee, ref],
        )


def void(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    allowed = {"rejected": {"requested", "approved"}, "cancelled": {"requested"}, "failed": ON_ITS_WAY}
    if payout := _ending(e, facts, allowed[facts["state"]], draft):
        payout["state"] = facts["state"]
        amount, owner, ref = payout["amount"], payout["owner"], payout["id"]
        _post(draft, payout["currency"], ["reserved", owner, -amount, ref], ["available", owner, amount, ref])


def write_off(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    owner = _owner(e, facts)
    currency = facts["currency"]
    debt = -e.balance("available", owner, currency)
    draft.result = {"contact_id": owner}
    if debt <= 0:
        draft.refuse("no_debt")
    elif facts["amount"] > debt:
        draft.refuse("more_than_debt", debt=debt, currency=currency)
    else:
        _post(
            draft,
            currency,
            ["available", owner, facts["amount"], ""],
            ["written_off", "", -facts["amount"], ""],
        )


def merge(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    merged, currency = facts["merged_id"], facts["currency"]
    kept = e.merged.get(merged)
    if kept is None:
        draft.refuse("not_merged")
        return
    draft.result = {"contact_id": kept}
    legs: list[list[Any]] = []
    for account in ("available", "reserved"):
        held = e.balance(account, merged, currency)
        legs += [[account, merged, -held, ""], [account, kept, held, ""]]
    _post(draft, currency, *legs)
    for payout in e.payouts.values():
        if payout["owner"] == merged:
            payout["owner"] = kept


KINDS: Mapping[str, Decision] = {
    "payout_reserve": reserve,
    "payout_confirm": confirm,
    "payout_void": void,
    "write_off": write_off,
    "wallet_merge": merge,
}
