"""Orders: placed for a page in WeChat (JSAPI) or as a code to scan (native), asked about, closed (§4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from growth_engine.channels.cgi import text_of
from growth_engine.channels.wechat_pay import forms
from growth_engine.channels.wechat_pay.client import WechatPay
from growth_engine.channels.wechat_pay.shapes import Transaction, transaction_of

_PATH = "/v3/pay/transactions"


@dataclass(frozen=True, slots=True)
class NewOrder:
    out_trade_no: str
    """Ours; the same number with the same fields may be sent again, with others it is refused."""
    description: str
    total: int
    """In fen."""
    notify_url: str
    expires_at: datetime | None = None
    attach: str = ""
    currency: str = "CNY"


class Orders:
    def __init__(self, pay: WechatPay) -> None:
        self._pay = pay

    def place_jsapi(self, order: NewOrder, openid: str) -> str:
        """A prepay_id, good for 2 hours: ``page_call`` makes of it what the page needs."""
        operation = f"{_PATH}/jsapi"
        body = {**self._fields(order), "payer": {"openid": openid}}
        found = self._pay.post(operation, body, operation=operation)
        return text_of(operation, found, "prepay_id", safe=False)

    def place_native(self, order: NewOrder) -> str:
        """The text of a code to scan (``weixin://…``)."""
        operation = f"{_PATH}/native"
        found = self._pay.post(operation, self._fields(order), operation=operation)
        return text_of(operation, found, "code_url", safe=False)

    def page_call(self, prepay_id: str) -> dict[str, str]:
        """Arguments of ``getBrandWCPayRequest``, signed."""
        return self._pay.signed_for_page(prepay_id)

    def by_number(self, out_trade_no: str) -> Transaction | None:
        """How our order stands; ``None`` when WeChat Pay knows no such order of ours."""
        number = forms.ORDER_NUMBER.fullmatch(out_trade_no)
        forms.require(number, "out_trade_no")
        found = self._found(f"out-trade-no/{quote(out_trade_no, safe='')}", f"{_PATH}/out-trade-no")
        if found is not None:
            forms.require_same(f"{_PATH}/out-trade-no", out_trade_no=(found.out_trade_no, out_trade_no))
        return found

    def by_transaction(self, transaction_id: str) -> Transaction | None:
        """The same by WeChat Pay's number."""
        found = self._found(f"id/{quote(transaction_id, safe='')}", f"{_PATH}/id")
        if found is not None:
            forms.require_same(f"{_PATH}/id", transaction_id=(found.transaction_id, transaction_id))
        return found

    def close(self, out_trade_no: str) -> None:
        """Nobody can pay it any more. GoneForGood (ALREADY_DONE) when somebody has."""
        forms.require(forms.ORDER_NUMBER.fullmatch(out_trade_no), "out_trade_no")
        path = f"{_PATH}/out-trade-no/{quote(out_trade_no, safe='')}/close"
        self._pay.post(path, {"mchid": self._pay.credentials.mch_id}, operation=f"{_PATH}/close")

    def _found(self, path: str, operation: str) -> Transaction | None:
        mch_id = quote(self._pay.credentials.mch_id, safe="")
        found = self._pay.find(f"{_PATH}/{path}?mchid={mch_id}", operation=operation)
        if found is None:
            return None
        transaction = forms.understood(found, transaction_of, operation, safe=True)
        forms.require_same(operation, mchid=(transaction.mch_id, self._pay.credentials.mch_id))
        return transaction

    def _fields(self, order: NewOrder) -> dict[str, Any]:
        forms.require(forms.ORDER_NUMBER.fullmatch(order.out_trade_no), "out_trade_no")
        forms.require(0 < len(order.description) <= forms.LONGEST_DESCRIPTION, "description")
        forms.require(len(order.attach) <= forms.LONGEST_ATTACH, "attach")
        forms.require(order.total > 0, "amount")
        forms.require_notify_url(order.notify_url)
        body: dict[str, Any] = {
            "appid": self._pay.credentials.app_id,
            "mchid": self._pay.credentials.mch_id,
            "description": order.description,
            "out_trade_no": order.out_trade_no,
            "notify_url": order.notify_url,
            "amount": {"total": order.total, "currency": order.currency},
        }
        if order.expires_at is not None:
            body["time_expire"] = order.expires_at.isoformat(timespec="seconds")
        if order.attach:
            body["attach"] = order.attach
        return body
