"""Reason codes of decisions about wallets, in plain words, for the owner and for the merchant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from growth_engine.kit.i18n import N_, translate
from growth_engine.ledger.contract import Reason
from growth_engine.payouts.texts import written_out

REASONS: Mapping[str, str] = {
    "no_wallet_owner": N_("There is no such person."),
    "withdrawals_blocked": N_("This account cannot withdraw. Please ask the merchant."),
    "currency_not_paid_out": N_("Withdrawals are made in %(paid_out)s, not in %(currency)s."),
    "below_minimum": N_("At least %(minimum)s can be withdrawn at once."),
    "nothing_left": N_("Nothing would be left after tax and fee."),
    "daily_count": N_("%(most)s withdrawals a day are possible. Please come back tomorrow."),
    "daily_amount": N_("%(limit)s a day can be withdrawn; today %(left)s are left."),
    "not_enough": N_("%(available)s are available, less than was asked for."),
    "no_payout": N_("There is no such withdrawal."),
    "payout_not_sent": N_("This withdrawal has not been sent yet."),
    "payout_under_way": N_("This withdrawal is on its way and can no longer be stopped."),
    "payout_ended": N_("This withdrawal has ended already."),
    "no_debt": N_("There is no debt to let go."),
    "more_than_debt": N_("The debt is only %(debt)s."),
    "not_merged": N_("These are still two people."),
}


def reason_text(reason: Reason) -> str:
    """A reason in the language spoken now, amounts written out."""
    return translate(REASONS[reason.code], written_out(reason.params))


def in_words(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Reasons with their message in the language spoken now."""
    return [{"code": one.code, "message": reason_text(one), "params": dict(one.params)} for one in reasons]
