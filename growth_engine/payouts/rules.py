"""Pure rules of withdrawals: the policy, what is withheld, who must approve, which day it is, which state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from growth_engine.kit.i18n import N_

STATES: Final[Mapping[str, str]] = {
    "requested": N_("Waiting for approval"),
    "approved": N_("Approved"),
    "sending": N_("Being sent"),
    "unknown": N_("No answer yet"),
    "waiting": N_("On its way"),
    "paid": N_("Paid"),
    "failed": N_("Failed"),
    "rejected": N_("Rejected"),
    "cancelled": N_("Cancelled"),
}
"""Every state of a payout, with its name for people (message id)."""
IN_FLIGHT: Final = frozenset({"sending", "unknown", "waiting"})
"""The provider was or is being asked: only its word may end these."""
FINAL: Final = frozenset({"paid", "failed", "rejected", "cancelled"})
RETURNED: Final = frozenset({"failed", "rejected", "cancelled"})
"""The money went back to the wallet; such payouts count towards no limit."""
ENDS_FROM: Final[Mapping[str, frozenset[str]]] = {
    "rejected": frozenset({"requested", "approved"}),
    "cancelled": frozenset({"requested"}),
    "failed": IN_FLIGHT,
}
"""From which states a payout may end in each of the ways that give the money back."""

#: Basis points of the whole.
WHOLE_BP: Final = 10_000

#: An unanswered payout is asked about again after these waits, doubling; a person sees it meanwhile.
FIRST_WAIT: Final = timedelta(seconds=15)
LONGEST_WAIT: Final = timedelta(hours=1)
#: Nobody else touches a payout for so long after a worker has taken it; longer than any provider call.
LEASE: Final = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a workspace's rules for withdrawals; amounts in minor units of its currency.

    The defaults hold until a workspace sets its own: nothing leaves unseen, nothing is withheld.
    """

    version: int = 0
    """0: the defaults, nobody has set any."""
    minimum: int = 100
    daily_amount: int | None = None
    """Most a contact may ask for within a day of the workspace; ``None``: no limit."""
    daily_count: int | None = 3
    approve_above: int = 0
    """A person must approve payouts above this; 0: every one."""
    second_above: int | None = None
    """Two people must approve payouts above this; ``None``: never two."""
    tax_bp: int = 0
    fee_bp: int = 0
    fee_fixed: int = 0
    identity_check: str = "none"
    provider: str = "manual"


@dataclass(frozen=True, slots=True)
class Withheld:
    """How an amount is split; ``net`` is what the recipient gets and may come out at or below zero."""

    tax: int
    fee: int
    net: int


def withheld(amount: int, policy: Policy) -> Withheld:
    """Tax and fee of an amount: basis points of it, each rounded down, the fee plus its fixed part."""
    tax = amount * policy.tax_bp // WHOLE_BP
    fee = amount * policy.fee_bp // WHOLE_BP + policy.fee_fixed
    return Withheld(tax, fee, amount - tax - fee)


def approvals_needed(amount: int, policy: Policy) -> int:
    """How many different people must approve: 0, 1 or 2."""
    if policy.second_above is not None and amount > policy.second_above:
        return 2
    return 1 if amount > policy.approve_above else 0


def day_of(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """When the workspace's present day began and when the next one begins, as moments."""
    here = ZoneInfo(zone)
    today = now.astimezone(here).date()
    return datetime.combine(today, time(), here), datetime.combine(today + timedelta(days=1), time(), here)


def next_wait(attempts: int) -> timedelta:
    """How long to wait before the provider is asked again, after so many unanswered questions."""
    doublings: int = 2 ** min(attempts, 16)
    return min(FIRST_WAIT * doublings, LONGEST_WAIT)


def policy_problems(policy: Policy) -> dict[str, list[str]]:
    """What is wrong with a policy, by field (message ids)."""
    wrong: dict[str, list[str]] = {}
    if policy.minimum < 1:
        wrong["minimum"] = [N_("Give at least the smallest unit of the currency.")]
    for name in ("daily_amount", "daily_count"):
        limit = getattr(policy, name)
        if limit is not None and limit < 1:
            wrong[name] = [N_("Give at least 1, or leave it empty for no limit.")]
    if policy.daily_amount is not None and policy.daily_amount < policy.minimum:
        wrong.setdefault("daily_amount", [N_("Nobody could withdraw: this is below the minimum.")])
    if policy.approve_above < 0:
        wrong["approve_above"] = [N_("Give 0 or more.")]
    if policy.second_above is not None and policy.second_above < policy.approve_above:
        wrong["second_above"] = [N_("The second threshold cannot lie below the first.")]
    for name in ("tax_bp", "fee_bp", "fee_fixed"):
        if getattr(policy, name) < 0:
            wrong[name] = [N_("Give 0 or more.")]
    if policy.tax_bp + policy.fee_bp >= WHOLE_BP:
        wrong.setdefault("tax_bp", [N_("Tax and fee together would take everything.")])
    if not wrong and withheld(policy.minimum, policy).net <= 0:
        wrong["minimum"] = [N_("Nothing of the minimum would be left after tax and fee.")]
    return wrong
