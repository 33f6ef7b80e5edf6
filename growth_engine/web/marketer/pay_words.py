"""How pages about WeChat Pay say states, errors and what a bill found (message ids)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.plays.reasons import REASONS

#: Of payments and refunds alike.
_DISPUTED = (
    "bad",
    N_("Does not agree"),
    N_("WeChat Pay says something else than what was asked for. Nothing of it is in the books."),
)
#: State of an attempt: (kind of badge, in a word, in a sentence).
ATTEMPTS: Mapping[str, tuple[str, str, str]] = {
    "placing": ("info", N_("Being placed"), N_("WeChat Pay is being asked to take this payment.")),
    "open": ("info", N_("Can be paid"), N_("The buyer has not paid yet.")),
    "closing": ("quiet", N_("Being closed"), N_("It is being closed, so that nobody can pay it any more.")),
    "told": (
        "info",
        N_("Paid, being booked"),
        N_("WeChat Pay says it is paid; the books take it in a moment."),
    ),
    "paid": ("good", N_("Paid"), N_("The money came and is in the books.")),
    "closed": ("quiet", N_("Not paid"), N_("It was not paid and can no longer be.")),
    "refused": ("quiet", N_("Not taken"), N_("WeChat Pay did not take it; nobody could pay it.")),
    "disputed": _DISPUTED,
    "surplus": (
        "bad",
        N_("Paid, not in the books"),
        N_("The money came, and the order could not take it. Give it back, or agree with the buyer."),
    ),
}
#: State of a refund.
REFUNDS: Mapping[str, tuple[str, str, str]] = {
    "asked": ("info", N_("Being asked for"), N_("WeChat Pay is asked again until it answers.")),
    "processing": ("info", N_("On its way"), N_("WeChat Pay is giving the money back.")),
    "told": ("info", N_("Back, being booked"), N_("The money is back; the books take it in a moment.")),
    "done": ("good", N_("Given back"), N_("The money is back with the buyer and in the books.")),
    "failed": ("quiet", N_("Not given back"), N_("WeChat Pay closed it: no money has moved.")),
    "abnormal": (
        "bad",
        N_("The buyer's account takes nothing"),
        N_("Give the money back in another way on the merchant platform, then say here how it was done."),
    ),
    "disputed": _DISPUTED,
    "surplus": (
        "bad",
        N_("Back, not in the books"),
        N_("The money went back, and the books could not take it: more than was left of the order."),
    ),
}
BILLS: Mapping[str, tuple[str, str]] = {
    "waiting": ("info", N_("Waiting for the bill")),
    "compared": ("good", N_("Compared")),
    "failed": ("bad", N_("Could not be read")),
}
_STILL_DISPUTED = N_("WeChat Pay still says something else than what was asked for.")
_NO_ANSWER = N_("WeChat Pay did not answer. Please try again in a moment.")
_NOT_KNOWN = N_("WeChat Pay does not know it.")
#: What a person asked for was answered with (``paying.settling``).
ANSWERS: Mapping[str, str] = {
    "paid": N_("WeChat Pay says it is paid, and the books have it."),
    "told": ATTEMPTS["told"][2],
    "surplus": N_("WeChat Pay says it is paid, but the order cannot take it."),
    "disputed": _STILL_DISPUTED,
    "closed": N_("WeChat Pay says it was not paid and can no longer be."),
    "open": N_("WeChat Pay says it has not been paid yet."),
    "absent": _NOT_KNOWN,
    "unknown": _NO_ANSWER,
}
REFUND_ANSWERS: Mapping[str, str] = {
    **{state: sentence for state, (_kind, _word, sentence) in REFUNDS.items()},
    "asked": N_("WeChat Pay has not taken it yet; it is asked again by itself."),
    "abnormal": N_("The buyer's account still takes nothing."),
    "disputed": _STILL_DISPUTED,
    "unknown": _NO_ANSWER,
}
#: What a comparison of a daily bill found.
FINDINGS: Mapping[str, str] = {
    "payment_not_in_books": N_("Paid on the bill, missing in the books"),
    "payment_disputed": N_("A payment that does not agree"),
    "payment_surplus": N_("A payment the order could not take"),
    "payment_foreign": N_("A payment of an order we do not know"),
    "payment_not_in_bill": N_("In our books, missing on the bill"),
    "refund_amount": N_("A refund of another amount"),
    "refund_failed": N_("A refund on the bill that failed here"),
    "refund_disputed": N_("A refund that does not agree"),
    "refund_surplus": N_("A refund the books could not take"),
    "refund_not_in_bill": N_("A refund of ours, missing on the bill"),
    "unknown_transfer": N_("A transfer of a withdrawal we do not know"),
    "transfer_amount": N_("A transfer of another amount"),
    "refused_but_sent": N_("A transfer that was refused to us, and sent all the same"),
    "paid_but_returned": N_("A withdrawal marked paid whose money came back"),
    "transfer_not_in_bill": N_("A transfer of ours, missing on the bill"),
}
TAKEN_IN: Mapping[str, str] = {"payment": N_("Payment"), "refund": N_("Refund")}

#: What else stands in ``error`` as a code.
_OTHER: Mapping[str, str] = {
    "overpaid": N_("More than is due for the order."),
    "refund_too_large": N_("More than can go back of the order."),
    "already_recorded": N_("The number is in the books already, for something else."),
    "absent": _NOT_KNOWN,
    "closed": N_("WeChat Pay closed it."),
    "not found": _NOT_KNOWN,
}


_DIFFERS = re.compile(r"(?P<name>\w+) is (?P<told>.*), not (?P<asked>.*)")
_FEN = re.compile(r"(-?\d+) fen")
#: What may differ, as ``paying.rules.differences`` names it.
_FIELDS: Mapping[str, str] = {
    "amount": N_("Amount"),
    "currency": N_("Currency"),
    "mchid": N_("Merchant number"),
    "appid": N_("App id"),
    "out_trade_no": N_("Our number"),
    "out_refund_no": N_("Our number"),
    "transaction_id": N_("WeChat Pay number"),
}


def trouble(error: str, currency: str) -> str:
    """The ``error`` of an attempt or refund for people: what differs, or reasons of the books, in words."""
    differences = [_DIFFERS.fullmatch(part) for part in error.split("; ")]
    if all(differences):
        return " ".join(_difference(one, currency) for one in differences if one)
    codes = [part.strip() for part in error.split(",") if part.strip()]
    if all(code in REASONS and "%" not in REASONS[code] for code in codes):
        return " ".join(translate(REASONS[code]) for code in codes)
    return translate(_OTHER[error]) if error in _OTHER else error


def _difference(found: re.Match[str], currency: str) -> str:
    params = found.groupdict()
    if params["name"] == "amount":
        for side in ("told", "asked"):
            if params[side].isdecimal():
                params[side] = format_amount(int(params[side]), currency)
    params["name"] = translate(_FIELDS[params["name"]]) if params["name"] in _FIELDS else params["name"]
    return translate(N_("%(name)s: WeChat Pay says %(told)s, we asked for %(asked)s."), params)


def detail(found: str) -> str:
    """The detail of a finding, amounts as people write them."""
    return _FEN.sub(lambda match: format_amount(int(match[1]), "CNY"), found)
