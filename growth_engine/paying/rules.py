"""Numbers, waits, and what a word of WeChat Pay means for a row of ours: pure decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from growth_engine.channels.wechat_pay.shapes import Refund, Transaction, Transfer
from growth_engine.channels.wechat_pay.transfers import CONFIRM_WITHIN
from growth_engine.kit.i18n import N_
from growth_engine.payouts.providers import Failed, Paid, Waiting

PROVIDER: Final = "wechat_pay"
#: WeChat Pay pays in this currency alone (sheet §4.4).
CURRENCY: Final = "CNY"

LIVE: Final = frozenset({"placing", "open", "closing"})
"""Attempts that may still bring money: there is at most one of an order."""
PAID: Final = frozenset({"told", "paid", "surplus"})
"""Attempts whose money has come."""
KNOWN: Final = PAID | {"disputed"}
"""Attempts of which we know what became of their money."""
REFUND_ENDED: Final = frozenset({"done", "failed", "surplus"})
#: A prepay_id is good for two hours (sheet §4.4); handed out a little less long, for the person needs time.
TOKEN_LIFE: Final = timedelta(hours=2) - timedelta(minutes=5)
#: While it may still be on its way, another one may not take an attempt's place: longer than a call takes.
PLACING: Final = timedelta(seconds=20)
#: A job's hand on a row; whoever dies leaves it to be found after that.
LEASE: Final = timedelta(seconds=60)
#: After the last moment an order can be paid: the platform's clock may be a little behind.
GRACE: Final = timedelta(seconds=5)
#: Sheet §4.6: refunds of one payment a minute apart; a second more for the way.
REFUNDS_APART: Final = timedelta(seconds=61)
#: Sheet §4.7: a transfer can be asked about for 30 days. Later "not found" says nothing.
KNOWN_FOR: Final = timedelta(days=29)

#: Often at first, then every ten minutes for the two hours in which somebody can pay, then now and then.
_WAITS: Final = (30, 60, 120, 300, *(600,) * 12, 3600, 3 * 3600, 6 * 3600)
_TRADE = re.compile(r"([0-9a-hjkmnp-tv-z]{26})-([0-9]{1,5})")
_BILL = re.compile(r"pay([0-9a-hjkmnp-tv-z]{26})")


def trade_number(order_id: str, turn: int) -> str:
    """``out_trade_no`` of an attempt: at most 32 of the letters WeChat Pay takes (sheet §4.4)."""
    return f"{order_id.removeprefix('ord_')}-{turn}"


def bill_number(payout_id: str) -> str:
    """``out_bill_no`` of a withdrawal: letters and digits, at most 32 (sheet §4.7); one for one."""
    return payout_id.replace("_", "")


def is_trade_number(number: str) -> bool:
    return _TRADE.fullmatch(number) is not None


def payout_of(number: str) -> str | None:
    """The withdrawal a transfer's number speaks of, if it is one of ours."""
    found = _BILL.fullmatch(number)
    return f"pay_{found[1]}" if found else None


def wait(tries: int) -> timedelta:
    """How long until a row is looked at again, after so many looks that found nothing new."""
    return timedelta(seconds=_WAITS[min(tries, len(_WAITS) - 1)])


def next_look(now: datetime, tries: int, ends_at: datetime | None) -> datetime:
    """The same as a moment; not later than just after ``ends_at`` while that is to come."""
    due = now + wait(tries)
    return min(due, ends_at + GRACE) if ends_at is not None and ends_at > now else due


def confirm_until(made_at: datetime) -> datetime:
    return made_at + CONFIRM_WITHIN


# ── Is it what we asked for? (rule 18) ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Asked:
    """What a payment must say to be believed."""

    number: str
    mch_id: str
    app_id: str
    amount: int
    currency: str


def differences(told: Mapping[str, object], asked: Mapping[str, object]) -> list[str]:
    """``amount is 1, not 5900`` for every field that was told and is another one than asked for."""
    return [
        f"{name} is {told[name]}, not {value}"
        for name, value in asked.items()
        if name in told and told[name] != value
    ]


def wrong_with_payment(told: Transaction, asked: Asked) -> list[str]:
    """Why a payment is not the one that was asked for; nothing: it is."""
    return differences(
        {
            "out_trade_no": told.out_trade_no,
            "mchid": told.mch_id,
            "appid": told.app_id,
            "amount": told.total,
            "currency": told.currency,
        },
        {
            "out_trade_no": asked.number,
            "mchid": asked.mch_id,
            "appid": asked.app_id,
            "amount": asked.amount,
            "currency": asked.currency,
        },
    )


def wrong_with_refund(told: Refund, number: str, refund_id: str, amount: int) -> list[str]:
    said = {
        "out_refund_no": told.out_refund_no,
        "amount": told.refund,
        **({"out_trade_no": told.out_trade_no} if told.out_trade_no else {}),
    }
    return differences(said, {"out_refund_no": refund_id, "out_trade_no": number, "amount": amount})


# ── Transfers ───────────────────────────────────────────────────────────────────────────────────────────

WAITS_FOR_PERSON: Final = "WAIT_USER_CONFIRM"
#: The fact sheet's §4.7, §9: the documents disagree on the word, so time counts too.
_EXPIRED_WORDS = ("OVERDUE", "EXPIRE")


def end_of(transfer: Transfer, *, cancel_asked: bool) -> Paid | Failed | None:
    """What a transfer's state means for its withdrawal; ``None``: it is not over."""
    if transfer.arrived:
        return Paid(transfer.bill_no)
    if transfer.failed:
        return Failed(_why(transfer, cancel_asked=cancel_asked))
    return None


def _why(transfer: Transfer, *, cancel_asked: bool) -> str:
    reason = transfer.fail_reason
    if any(word in reason.upper() for word in _EXPIRED_WORDS):
        return "expired"
    if cancel_asked:
        return "cancelled"
    made, ended = transfer.created_at, transfer.updated_at
    if not reason and made and ended and ended - made >= CONFIRM_WITHIN - timedelta(minutes=5):
        return "expired"
    return reason or transfer.state.lower()


def waiting(transfer: Transfer, now: datetime, until: datetime | None) -> Waiting:
    """The platform has it: asked again in half a minute, while the person takes their time every ten."""
    if transfer.state != WAITS_FOR_PERSON:
        return Waiting(transfer.bill_no, timedelta(seconds=30))
    again = timedelta(minutes=10)
    if until is not None and until > now:
        again = min(again, until - now + GRACE)
    return Waiting(transfer.bill_no, again)


#: What a withdrawal that failed is told with (message ids); others are WeChat Pay's own words.
FAILURES: Final[Mapping[str, str]] = {
    "expired": N_("Not confirmed within a day."),
    "cancelled": N_("Taken back before it was confirmed."),
    "wechat_pay_currency": N_("WeChat Pay takes CNY only."),
    "below_least_transfer": N_("Less than WeChat Pay carries."),
    "real_name_needed": N_("From 2000 yuan on WeChat Pay needs the recipient's real name."),
    "not_known_in_wechat": N_("The recipient is not known in your Official Account."),
    "PAYEE_ACCOUNT_ABNORMAL": N_("The recipient's WeChat account cannot receive money."),
    "NAME_NOT_CORRECT": N_("The real name is another one than WeChat knows."),
}


# ── Words ───────────────────────────────────────────────────────────────────────────────────────────────

#: ``description`` and refund reasons are counted in characters (sheet §4.4, §4.6).
LONGEST_DESCRIPTION: Final = 127
LONGEST_REASON: Final = 80


def description(lines: Sequence[tuple[str, int]]) -> str:
    """What the buyer reads on the sheet they pay on: names and quantities, as many as fit."""
    words = ", ".join(name if quantity == 1 else f"{name} ×{quantity}" for name, quantity in lines)
    return words if len(words) <= LONGEST_DESCRIPTION else f"{words[: LONGEST_DESCRIPTION - 1]}…"
