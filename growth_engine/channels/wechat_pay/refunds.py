"""Refunds: asked for under a number that never changes, asked about until it is known (sheet §4.6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from growth_engine.channels import quota
from growth_engine.channels.errors import GoneForGood, OutcomeUnknown, RetryLater, StopAndAlert
from growth_engine.channels.wechat_pay import forms
from growth_engine.channels.wechat_pay.client import WechatPay
from growth_engine.channels.wechat_pay.shapes import Refund, refund_of

_PATH = "/v3/refund/domestic/refunds"
#: Sheet §4.6: a year after the payment, 50 refunds of one order, a minute apart. The platform counts.
LATEST = timedelta(days=365)
MOST_OF_ONE_ORDER = 50
APART = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewRefund:
    out_refund_no: str
    """Ours; on any doubt the same number is sent again, never another."""
    out_trade_no: str
    refund: int
    """In fen."""
    total: int
    """What the order cost, in fen."""
    reason: str = ""
    notify_url: str = ""
    currency: str = "CNY"


class Refunds:
    def __init__(self, pay: WechatPay) -> None:
        self._pay = pay

    def ask(self, refund: NewRefund) -> Refund:
        """Ask for a refund; it goes on for minutes or days, so look at ``state``.

        Only GoneForGood says, signed, that there is no refund with this number. After any other error
        (OutcomeUnknown, RetryLater, StopAndAlert) ``find`` it, then ask again, unchanged.
        """
        try:
            found = self._pay.post(_PATH, _fields(refund), operation=_PATH, budgets=(quota.REFUND_SECOND,))
        except GoneForGood as refused:
            return self._there_already(refund, refused)
        made = forms.understood(found, refund_of, _PATH, safe=False)
        forms.require_same(_PATH, safe=False, out_refund_no=(made.out_refund_no, refund.out_refund_no))
        return made

    def find(self, out_refund_no: str) -> Refund | None:
        """How a refund stands; ``None`` when WeChat Pay knows no such number."""
        forms.require(forms.REFUND_NUMBER.fullmatch(out_refund_no), "out_refund_no")
        found = self._pay.find(f"{_PATH}/{quote(out_refund_no, safe='')}", operation=f"{_PATH}/find")
        if found is None:
            return None
        refund = forms.understood(found, refund_of, f"{_PATH}/find", safe=True)
        forms.require_same(f"{_PATH}/find", out_refund_no=(refund.out_refund_no, out_refund_no))
        return refund

    def _there_already(self, refund: NewRefund, refused: GoneForGood) -> Refund:
        """A refusal may be of the second request only: is there one of the first?"""
        try:
            found = self.find(refund.out_refund_no)
        except (RetryLater, StopAndAlert) as error:
            raise OutcomeUnknown(refused.reason, operation=_PATH, number=error.number) from None
        if found is None:
            raise refused
        return found


def _fields(refund: NewRefund) -> dict[str, Any]:
    forms.require(forms.REFUND_NUMBER.fullmatch(refund.out_refund_no), "out_refund_no")
    forms.require(0 < refund.refund <= refund.total, "amount")
    forms.require(len(refund.reason) <= forms.LONGEST_REFUND_REASON, "reason")
    body: dict[str, Any] = {
        "out_trade_no": refund.out_trade_no,
        "out_refund_no": refund.out_refund_no,
        "amount": {"refund": refund.refund, "total": refund.total, "currency": refund.currency},
    }
    if refund.reason:
        body["reason"] = refund.reason
    if refund.notify_url:
        forms.require_notify_url(refund.notify_url)
        body["notify_url"] = refund.notify_url
    return body
