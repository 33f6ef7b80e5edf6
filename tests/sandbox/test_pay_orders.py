"""WeChat Pay with ``wechatpayv3`` as the merchant: orders, notifications, refunds."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core

from growth_engine.sandbox import Sandbox, start
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.pay.notify import RETRY_SECONDS
from tests.sandbox.application import Application
from tests.sandbox.paying import done, heard, order, page_request, paid, refund, refused

# -- orders --------------------------------------------------------------------------------------------


def test_an_order_is_paid_told_and_queried(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li", balance=150)
    paid(sandbox, client, li)
    told = heard(client, application)
    assert (told["event_type"], len(json.loads(application.received[0].body)["resource"]["nonce"])) == (
        "TRANSACTION.SUCCESS",
        12,
    )
    resource = told["resource"]
    assert (resource["out_trade_no"], resource["trade_state"]) == ("order_0001", "SUCCESS")
    assert resource["amount"] == {
        "total": 100, "currency": "CNY", "payer_total": 100, "payer_currency": "CNY",
    }  # fmt: skip
    assert done(client.query(out_trade_no="order_0001")) == resource
    assert done(client.query(transaction_id=resource["transaction_id"])) == resource
    assert li.balance == 50
    assert li.chat("wxpay")[-1]["kind"] == "receipt"


def test_the_wallet_pays_when_it_can_else_the_card(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li", balance=99)
    paid(sandbox, client, li)
    assert li.balance == 99


def test_an_unpaid_order_is_closed_and_then_not_payable(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    prepay_id = done(order(client, li))["prepay_id"]
    assert client.close(out_trade_no="order_0001") == (204, b"")
    assert done(client.query(out_trade_no="order_0001"))["trade_state"] == "CLOSED"
    with pytest.raises(CannotDo, match="closed"):
        li.do("pay", prepay_id=prepay_id)
    assert refused(order(client, li)) == (400, "ORDER_CLOSED")


def test_the_same_number_again_is_the_same_order_or_refused(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    first, second = done(order(client, li)), done(order(client, li))
    assert first == second
    assert refused(order(client, li, total=101)) == (400, "INVALID_REQUEST")
    paid(sandbox, client, li)
    assert refused(order(client, li)) == (400, "ORDERPAID")
    assert refused(client.close(out_trade_no="order_0001")) == (400, "ORDERPAID")
    with pytest.raises(CannotDo, match="paid"):
        li.do("pay", prepay_id=first["prepay_id"])


def test_a_prepay_id_lives_two_hours_and_an_order_seven_days(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    first = done(order(client, li))["prepay_id"]
    sandbox.advance(7200)
    with pytest.raises(CannotDo, match="run out"):
        li.do("pay", prepay_id=first)
    assert done(order(client, li))["prepay_id"] != first
    sandbox.advance(7 * 86400)
    assert done(client.query(out_trade_no="order_0001"))["trade_state"] == "CLOSED"


def test_the_phone_checks_what_the_page_signed(sandbox: Sandbox, client: WeChatPay) -> None:
    li, other = sandbox.person("Li"), sandbox.person("Mei")
    prepay_id = done(order(client, li))["prepay_id"]
    request = page_request(client, sandbox.credentials["pay"]["appid"], prepay_id)
    for change in ({"paySign": "x"}, {"signType": "MD5"}, {"nonceStr": "m"}, {"timeStamp": "1"}):
        with pytest.raises(CannotDo, match="paySign"):
            li.do("pay_sheet", request=request | change)
    with pytest.raises(CannotDo, match="somebody else"):
        other.do("pay_sheet", request=request)
    with pytest.raises(CannotDo, match="no such prepay_id"):
        li.do("pay_sheet", request=request | {"package": "prepay_id=wx0"})


def test_a_native_order_is_paid_by_scanning(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    code = done(
        client.pay(
            description="课", out_trade_no="native_01", amount={"total": 9}, pay_type=WeChatPayType.NATIVE
        )
    )["code_url"]
    li = sandbox.person("Li")
    found = li.do("scan", text=code)
    assert (found["kind"], found["sheet"]["total"]) == ("pay", 9)
    li.do("pay", prepay_id=found["sheet"]["prepay_id"])
    assert heard(client, application)["resource"]["payer"]["openid"] == li.openid()


@pytest.mark.parametrize(
    "more",
    [
        {"notify_url": "https://a.example/pay?x=1"},
        {"notify_url": "http://a.example/pay"},
        {"notify_url": "ftp://a.example/pay"},
        {"time_expire": "2020-01-01T00:00:00+08:00"},
        {"time_expire": "tomorrow"},
        {"attach": "x" * 129},
    ],
)
def test_wrong_orders_are_refused(sandbox: Sandbox, client: WeChatPay, more: dict[str, str]) -> None:
    assert refused(order(client, sandbox.person("Li"), **more)) == (400, "PARAM_ERROR")


@pytest.mark.parametrize(
    ("number", "total"), [("short", 1), ("x" * 33, 1), ("order 0001", 1), ("order_0001", 0)]
)
def test_wrong_numbers_and_amounts_are_refused(
    sandbox: Sandbox, client: WeChatPay, number: str, total: int
) -> None:
    assert refused(order(client, sandbox.person("Li"), number, total)) == (400, "PARAM_ERROR")


def test_orders_of_others_are_refused(sandbox: Sandbox, client: WeChatPay) -> None:
    nobody = client.pay(
        description="x", out_trade_no="order_0001", amount={"total": 1}, payer={"openid": "oNobody"}
    )
    assert refused(nobody) == (400, "PARAM_ERROR")
    assert refused(order(client, sandbox.person("Li"), appid="wx0")) == (400, "PARAM_ERROR")
    assert refused(client.query(out_trade_no="order_none")) == (404, "ORDER_NOT_EXIST")


# -- notifications -------------------------------------------------------------------------------------


def test_a_refused_notification_comes_again_by_the_plan(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    application.answer = lambda _: (500, b'{"code":"FAIL","message":"no"}')
    paid(sandbox, client, sandbox.person("Li"))
    assert len(application.received) == 1
    for number, seconds in enumerate(RETRY_SECONDS, 2):
        sandbox.advance(seconds - 1)
        assert len(application.received) == number - 1
        sandbox.advance(1)
        assert len(application.received) == number
    sandbox.advance(86400)
    assert len(application.received) == 16
    assert len({got.body for got in application.received}) == 1
    assert len({got.headers["Wechatpay-Nonce"] for got in application.received}) == 16
    assert sum(RETRY_SECONDS) == 86_640


@pytest.mark.parametrize("status", [200, 204])
def test_a_good_answer_ends_it(
    sandbox: Sandbox, application: Application, client: WeChatPay, status: int
) -> None:
    application.answer = lambda _: (status, b"")
    paid(sandbox, client, sandbox.person("Li"))
    sandbox.advance(86_640)
    assert len(application.received) == 1


def test_a_probe_with_a_false_signature_comes_before_the_real_one(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    sandbox.fault("pay", "signtest", on="callback")
    paid(sandbox, client, sandbox.person("Li"))
    sandbox.advance(2)
    probe, real = application.received
    assert probe.headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
    assert client.callback(probe.headers, probe.body) is None
    assert client.callback(real.headers, real.body)["event_type"] == "TRANSACTION.SUCCESS"


@pytest.mark.parametrize("action", ["bad_signature", "tampered"])
def test_a_forged_notification_is_none_to_the_peer(
    sandbox: Sandbox, application: Application, client: WeChatPay, action: str
) -> None:
    sandbox.fault("pay", action, on="callback")
    application.answer = lambda _: (500, b"")
    paid(sandbox, client, sandbox.person("Li"))
    assert heard(client, application) is None
    sandbox.advance(15)
    assert heard(client, application)["event_type"] == "TRANSACTION.SUCCESS"


def test_an_old_or_unknown_signature_can_be_planned(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    sandbox.fault("pay", "old_timestamp", on="callback")
    paid(sandbox, client, sandbox.person("Li"))
    old = int(application.received[0].headers["Wechatpay-Timestamp"])
    assert time.time() - old >= 300
    sandbox.fault("pay", "bad_serial", on="callback")
    paid(sandbox, client, sandbox.person("Mei"), "order_0002")
    serial = application.received[1].headers["Wechatpay-Serial"]
    assert serial != sandbox.credentials["pay"]["public_key_id"]


def test_without_a_key_nothing_is_sent(sandbox: Sandbox, application: Application, client: WeChatPay) -> None:
    sandbox.merchant(api_v3_key="")
    paid(sandbox, client, sandbox.person("Li"))
    assert application.received == []


def test_between_certificate_and_public_key_both_sign(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    known = sandbox.credentials["pay"]
    sandbox.merchant(mode="both", public_key_share=50)
    for number in range(12):
        paid(sandbox, client, sandbox.person("Li"), f"order_{number:04}")
    serials = {got.headers["Wechatpay-Serial"] for got in application.received}
    assert serials == {known["public_key_id"], known["platform_serial"]}


def test_the_peer_works_with_certificates_too(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start() as sandbox:  # by the wall's clock, as the peer looks at the certificate's dates
        _with_certificates(sandbox, application, monkeypatch)


def _with_certificates(sandbox: Sandbox, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.merchant(mode="certificate")
    known = sandbox.credentials["pay"]
    init = Core._init_certificates

    def turned(core: Any) -> None:
        core._gate_way = sandbox.pay_url
        init(core)

    monkeypatch.setattr(Core, "_init_certificates", turned)
    made = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=known["mchid"],
        private_key=known["merchant_private_key"],
        cert_serial_no=known["merchant_serial"],
        apiv3_key=known["api_v3_key"],
        appid=known["appid"],
        notify_url=application.url + "/pay",
    )
    paid(sandbox, made, sandbox.person("Li"))
    assert application.received[0].headers["Wechatpay-Serial"] == known["platform_serial"]
    assert heard(made, application)["event_type"] == "TRANSACTION.SUCCESS"


def test_who_has_the_public_key_gets_no_certificate(client: WeChatPay) -> None:
    assert refused(client._core.request("/v3/certificates")) == (404, "RESOURCE_NOT_EXISTS")


# -- refunds -------------------------------------------------------------------------------------------


def test_refunds_come_back_later_and_are_told(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li", balance=100)
    paid(sandbox, client, li)
    assert done(refund(client, "r1", 40, notify_url=application.url + "/refund"))["status"] == "PROCESSING"
    assert li.balance == 0
    sandbox.advance(3)
    assert li.balance == 40
    told = heard(client, application)
    assert (told["event_type"], told["resource"]["refund_status"]) == ("REFUND.SUCCESS", "SUCCESS")
    assert done(client.query_refund(out_refund_no="r1"))["status"] == "SUCCESS"
    assert done(client.query(out_trade_no="order_0001"))["trade_state"] == "REFUND"


def test_refunds_have_limits(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    assert refused(refund(client, "r0", 1)) == (404, "ORDER_NOT_EXIST")
    done(order(client, li))
    assert refused(refund(client, "r0", 1)) == (400, "INVALID_REQUEST")
    paid(sandbox, client, li)
    assert refused(refund(client, "r1", 101)) == (400, "INVALID_REQUEST")
    assert refused(refund(client, "r1", 1, total=99)) == (400, "INVALID_REQUEST")
    first = done(refund(client, "r1", 1))
    assert done(refund(client, "r1", 1)) == first, "the same number is the same refund"
    assert refused(refund(client, "r1", 2)) == (400, "INVALID_REQUEST")
    assert refused(refund(client, "r2", 1)) == (429, "FREQUENCY_LIMITED")
    for number in range(2, 51):
        sandbox.advance(60)
        assert done(refund(client, f"r{number}", 1))["status"] == "PROCESSING"
    sandbox.advance(60)
    assert refused(refund(client, "r51", 1)) == (400, "INVALID_REQUEST")
    assert refused(client.query_refund(out_refund_no="none")) == (404, "RESOURCE_NOT_EXISTS")


def test_a_refund_after_a_year_or_without_money_is_refused(sandbox: Sandbox, client: WeChatPay) -> None:
    paid(sandbox, client, sandbox.person("Li"))
    sandbox.merchant(balance=0)
    assert refused(refund(client, "r1", 1)) == (403, "NOT_ENOUGH")
    sandbox.merchant(balance=1000)
    sandbox.advance(365 * 86400 + 1)
    assert refused(refund(client, "r1", 1)) == (400, "INVALID_REQUEST")


def test_a_refund_to_a_closed_account_is_abnormal(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    paid(sandbox, client, sandbox.person("Li", real_named=False))
    done(refund(client, "r1", 1, notify_url=application.url + "/refund"))
    sandbox.advance(3)
    assert heard(client, application)["event_type"] == "REFUND.ABNORMAL"
