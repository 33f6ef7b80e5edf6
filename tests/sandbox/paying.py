"""What the tests of Pay share: the merchant is ``wechatpayv3``, another hand than ours."""

from __future__ import annotations

import json
import time
from typing import Any

from wechatpayv3 import WeChatPay

from growth_engine.sandbox import Sandbox
from tests.sandbox.application import Application


def done(answer: Any) -> Any:
    status, text = answer
    assert status == 200, answer
    return json.loads(text)


def refused(answer: Any) -> tuple[int, str]:
    status, text = answer
    return status, json.loads(text)["code"]


def order(client: WeChatPay, person: Any, number: str = "order_0001", total: int = 100, **more: Any) -> Any:
    return client.pay(
        description="年度会员",
        out_trade_no=number,
        amount={"total": total, "currency": "CNY"},
        payer={"openid": person.openid()},
        **more,
    )


def page_request(client: WeChatPay, appid: str, prepay_id: str) -> dict[str, str]:
    stamp, package = str(int(time.time())), f"prepay_id={prepay_id}"
    return {
        "appId": appid,
        "timeStamp": stamp,
        "nonceStr": "n",
        "package": package,
        "signType": "RSA",
        "paySign": client.sign([appid, stamp, "n", package]),
    }


def paid(
    sandbox: Sandbox, client: WeChatPay, person: Any, number: str = "order_0001", total: int = 100
) -> None:
    prepay_id = done(order(client, person, number, total))["prepay_id"]
    request = page_request(client, sandbox.credentials["pay"]["appid"], prepay_id)
    person.do("pay", prepay_id=person.do("pay_sheet", request=request)["prepay_id"])


def heard(client: WeChatPay, application: Application, at: int = -1) -> Any:
    """What the peer makes of a notification, its signature verified."""
    got = application.received[at]
    return client.callback(got.headers, got.body)


def refund(client: WeChatPay, number: str, fen: int, total: int = 100, **more: Any) -> Any:
    amount = {"refund": fen, "total": total, "currency": "CNY"}
    return client.refund(out_refund_no=number, out_trade_no="order_0001", amount=amount, **more)
