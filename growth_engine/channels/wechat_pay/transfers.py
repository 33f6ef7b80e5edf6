"""Transfers to people (商家转账), confirmed by them within 24 h; the number never changes (sheet §4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from growth_engine.channels import quota
from growth_engine.channels.errors import GoneForGood, OutcomeUnknown, RetryLater, StopAndAlert
from growth_engine.channels.wechat_pay import forms
from growth_engine.channels.wechat_pay.client import WechatPay
from growth_engine.channels.wechat_pay.shapes import Transfer, transfer_of

_PATH = "/v3/fund-app/mch-transfer/transfer-bills"
#: Sheet §4.7: below 0.3 yuan the name is forbidden, from 2000 yuan on it is required (fen).
NAME_FORBIDDEN_BELOW = 30
NAME_REQUIRED_FROM = 200_000
#: Sheet §4.7: 0.1 to 200 yuan for scene 1000; other scenes' limits are shown in the merchant platform.
SMALLEST = 10
#: Sheet §4.7: the person has a day to confirm; a bill can be asked about for 30 days.
CONFIRM_WITHIN = timedelta(hours=24)
KNOWN_FOR = timedelta(days=30)
#: Sheet §4.7: what each scene asks to be reported.
SCENE_MARKETING = "1000"
SCENE_COMMISSION = "1005"
REPORTS: Mapping[str, tuple[str, ...]] = {
    SCENE_MARKETING: ("活动名称", "奖励说明"),
    SCENE_COMMISSION: ("岗位类型", "报酬说明"),
}


@dataclass(frozen=True, slots=True)
class NewTransfer:
    out_bill_no: str
    """Ours, for ever: another one only after ``Transfer.failed``."""
    openid: str = field(repr=False)
    amount: int
    """In fen."""
    scene_id: str
    reports: tuple[tuple[str, str], ...]
    """(info_type, info_content) as the scene asks."""
    remark: str
    name: str = field(default="", repr=False)
    """The payee's real name; sealed before it leaves us."""
    notify_url: str = ""
    perception: str = ""
    """``user_recv_perception``: one of the texts the scene allows."""


class Transfers:
    def __init__(self, pay: WechatPay) -> None:
        self._pay = pay

    def make(self, transfer: NewTransfer) -> Transfer:
        """Make a transfer, or make sure of it: the same number with the same fields is the same transfer.

        Only GoneForGood says, signed, that there is no transfer with this number. After any other error
        (OutcomeUnknown, RetryLater, StopAndAlert) ``find`` it, then ``make`` it again unchanged.
        """
        body, serial = self._fields(transfer)
        try:
            found = self._pay.post(
                _PATH, body, operation=_PATH, sealed_for=serial, budgets=(quota.TRANSFER_SECOND,)
            )
        except GoneForGood as refused:
            return self._there_already(transfer, refused)
        made = forms.understood(found, transfer_of, _PATH, safe=False)
        forms.require_same(_PATH, safe=False, out_bill_no=(made.out_bill_no, transfer.out_bill_no))
        return made

    def find(self, out_bill_no: str) -> Transfer | None:
        """How a transfer stands; ``None`` when WeChat Pay knows no such number (or for 30 days no more)."""
        forms.require(forms.BILL_NUMBER.fullmatch(out_bill_no), "out_bill_no")
        found = self._found(f"out-bill-no/{out_bill_no}")
        if found is not None:
            forms.require_same(f"{_PATH}/find", out_bill_no=(found.out_bill_no, out_bill_no))
        return found

    def find_by_bill(self, bill_no: str) -> Transfer | None:
        """The same by WeChat Pay's number."""
        found = self._found(f"transfer-bill-no/{quote(bill_no, safe='')}")
        if found is not None:
            forms.require_same(f"{_PATH}/find", transfer_bill_no=(found.bill_no, bill_no))
        return found

    def cancel(self, out_bill_no: str) -> Transfer:
        """Ask to take it back before the person confirms. Only ``state`` CANCELLED says that it worked."""
        forms.require(forms.BILL_NUMBER.fullmatch(out_bill_no), "out_bill_no")
        operation = f"{_PATH}/cancel"
        found = self._pay.post(
            f"{_PATH}/out-bill-no/{out_bill_no}/cancel",
            {},
            operation=operation,
            budgets=(quota.TRANSFER_CANCEL_SECOND,),
        )
        return forms.understood(found, transfer_of, operation, safe=False)

    def page_call(self, package: str) -> dict[str, str]:
        """Arguments of ``requestMerchantTransfer``, with which the person confirms."""
        credentials = self._pay.credentials
        return {"mchId": credentials.mch_id, "appId": credentials.app_id, "package": package}

    def _found(self, path: str) -> Transfer | None:
        operation = f"{_PATH}/find"
        found = self._pay.find(f"{_PATH}/{path}", operation=operation, budgets=(quota.TRANSFER_QUERY_SECOND,))
        if found is None:
            return None
        transfer = forms.understood(found, transfer_of, operation, safe=True)
        forms.require_same(operation, mch_id=(transfer.mch_id, self._pay.credentials.mch_id))
        return transfer

    def _there_already(self, transfer: NewTransfer, refused: GoneForGood) -> Transfer:
        """A refusal may be of the second request only, while the first one's money is on its way."""
        try:
            found = self.find(transfer.out_bill_no)
        except (RetryLater, StopAndAlert) as error:
            raise OutcomeUnknown(refused.reason, operation=_PATH, number=error.number) from None
        if found is None:
            raise refused
        forms.require_same(
            _PATH, amount=(found.amount, transfer.amount), openid=(found.openid, transfer.openid)
        )
        return found

    def _fields(self, transfer: NewTransfer) -> tuple[dict[str, Any], str]:
        _require_fields(transfer)
        body: dict[str, Any] = {
            "appid": self._pay.credentials.app_id,
            "out_bill_no": transfer.out_bill_no,
            "transfer_scene_id": transfer.scene_id,
            "openid": transfer.openid,
            "transfer_amount": transfer.amount,
            "transfer_remark": transfer.remark,
            "transfer_scene_report_infos": [
                {"info_type": kind, "info_content": words} for kind, words in transfer.reports
            ],
        }
        if transfer.notify_url:
            forms.require_notify_url(transfer.notify_url)
            body["notify_url"] = transfer.notify_url
        if transfer.perception:
            body["user_recv_perception"] = transfer.perception
        serial = ""
        if transfer.name and transfer.amount >= NAME_FORBIDDEN_BELOW:
            body["user_name"], serial = self._pay.sealed(transfer.name)
        return body, serial


def _require_fields(transfer: NewTransfer) -> None:
    forms.require(forms.BILL_NUMBER.fullmatch(transfer.out_bill_no), "out_bill_no")
    forms.require(transfer.amount >= SMALLEST, "amount")
    forms.require(0 < len(transfer.remark) <= forms.LONGEST_TRANSFER_REMARK, "remark")
    forms.require(transfer.name or transfer.amount < NAME_REQUIRED_FROM, "user_name")
    asked = REPORTS.get(transfer.scene_id, ())
    told = {kind for kind, words in transfer.reports if words}
    forms.require(told.issuperset(asked), "transfer_scene_report_infos")
