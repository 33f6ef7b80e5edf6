"""WeChat Pay with ``wechatpayv3`` as the merchant: orders, refunds, transfers, bills, notifications."""

from __future__ import annotations

import datetime as dt
import hashlib
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
from tests.sandbox.conftest import AT

INFOS = [
    {"info_type": "活动名称", "info_content": "老带新"},
    {"info_type": "奖励说明", "info_content": "邀请奖励"},
]


def _done(answer: Any) -> Any:
    status, text = answer
    assert status == 200, answer
    return json.loads(text)


def _refused(answer: Any) -> tuple[int, str]:
    status, text = answer
    return status, json.loads(text)["code"]


def _order(client: WeChatPay, person: Any, number: str = "order_0001", total: int = 100, **more: Any) -> Any:
    return client.pay(
        description="年度会员",
        out_trade_no=number,
        amount={"total": total, "currency": "CNY"},
        payer={"openid": person.openid()},
        **more,
    )


def _request(client: WeChatPay, appid: str, prepay_id: str) -> dict[str, str]:
    stamp, package = str(int(time.time())), f"prepay_id={prepay_id}"
    return {
        "appId": appid,
        "timeStamp": stamp,
        "nonceStr": "n",
        "package": package,
        "signType": "RSA",
        "paySign": client.sign([appid, stamp, "n", package]),
    }


def _paid(
    sandbox: Sandbox, client: WeChatPay, person: Any, number: str = "order_0001", total: int = 100
) -> None:
    prepay_id = _done(_order(client, person, number, total))["prepay_id"]
    request = _request(client, sandbox.credentials["pay"]["appid"], prepay_id)
    person.do("pay", prepay_id=person.do("pay_sheet", request=request)["prepay_id"])


def _heard(client: WeChatPay, application: Application, at: int = -1) -> Any:
    """What the peer makes of a notification, its signature verified."""
    got = application.received[at]
    return client.callback(got.headers, got.body)


# -- orders --------------------------------------------------------------------------------------------


def test_an_order_is_paid_told_and_queried(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li", balance=150)
    _paid(sandbox, client, li)
    told = _heard(client, application)
    assert (told["event_type"], len(json.loads(application.received[0].body)["resource"]["nonce"])) == (
        "TRANSACTION.SUCCESS",
        12,
    )
    resource = told["resource"]
    assert (resource["out_trade_no"], resource["trade_state"]) == ("order_0001", "SUCCESS")
    assert resource["amount"] == {
        "total": 100, "currency": "CNY", "payer_total": 100, "payer_currency": "CNY",
    }  # fmt: skip
    assert _done(client.query(out_trade_no="order_0001")) == resource
    assert _done(client.query(transaction_id=resource["transaction_id"])) == resource
    assert li.balance == 50
    assert li.chat("wxpay")[-1]["kind"] == "receipt"


def test_the_wallet_pays_when_it_can_else_the_card(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li", balance=99)
    _paid(sandbox, client, li)
    assert li.balance == 99


def test_an_unpaid_order_is_closed_and_then_not_payable(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    prepay_id = _done(_order(client, li))["prepay_id"]
    assert client.close(out_trade_no="order_0001") == (204, b"")
    assert _done(client.query(out_trade_no="order_0001"))["trade_state"] == "CLOSED"
    with pytest.raises(CannotDo, match="closed"):
        li.do("pay", prepay_id=prepay_id)
    assert _refused(_order(client, li)) == (400, "ORDER_CLOSED")


def test_the_same_number_again_is_the_same_order_or_refused(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    first, second = _done(_order(client, li)), _done(_order(client, li))
    assert first == second
    assert _refused(_order(client, li, total=101)) == (400, "INVALID_REQUEST")
    _paid(sandbox, client, li)
    assert _refused(_order(client, li)) == (400, "ORDERPAID")
    assert _refused(client.close(out_trade_no="order_0001")) == (400, "ORDERPAID")
    with pytest.raises(CannotDo, match="paid"):
        li.do("pay", prepay_id=first["prepay_id"])


def test_a_prepay_id_lives_two_hours_and_an_order_seven_days(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    first = _done(_order(client, li))["prepay_id"]
    sandbox.advance(7200)
    with pytest.raises(CannotDo, match="run out"):
        li.do("pay", prepay_id=first)
    assert _done(_order(client, li))["prepay_id"] != first
    sandbox.advance(7 * 86400)
    assert _done(client.query(out_trade_no="order_0001"))["trade_state"] == "CLOSED"


def test_the_phone_checks_what_the_page_signed(sandbox: Sandbox, client: WeChatPay) -> None:
    li, other = sandbox.person("Li"), sandbox.person("Mei")
    prepay_id = _done(_order(client, li))["prepay_id"]
    request = _request(client, sandbox.credentials["pay"]["appid"], prepay_id)
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
    code = _done(
        client.pay(
            description="课", out_trade_no="native_01", amount={"total": 9}, pay_type=WeChatPayType.NATIVE
        )
    )["code_url"]
    li = sandbox.person("Li")
    found = li.do("scan", text=code)
    assert (found["kind"], found["sheet"]["total"]) == ("pay", 9)
    li.do("pay", prepay_id=found["sheet"]["prepay_id"])
    assert _heard(client, application)["resource"]["payer"]["openid"] == li.openid()


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
    assert _refused(_order(client, sandbox.person("Li"), **more)) == (400, "PARAM_ERROR")


@pytest.mark.parametrize(
    ("number", "total"), [("short", 1), ("x" * 33, 1), ("order 0001", 1), ("order_0001", 0)]
)
def test_wrong_numbers_and_amounts_are_refused(
    sandbox: Sandbox, client: WeChatPay, number: str, total: int
) -> None:
    assert _refused(_order(client, sandbox.person("Li"), number, total)) == (400, "PARAM_ERROR")


def test_orders_of_others_are_refused(sandbox: Sandbox, client: WeChatPay) -> None:
    nobody = client.pay(
        description="x", out_trade_no="order_0001", amount={"total": 1}, payer={"openid": "oNobody"}
    )
    assert _refused(nobody) == (400, "PARAM_ERROR")
    assert _refused(_order(client, sandbox.person("Li"), appid="wx0")) == (400, "PARAM_ERROR")
    assert _refused(client.query(out_trade_no="order_none")) == (404, "ORDER_NOT_EXIST")


# -- notifications -------------------------------------------------------------------------------------


def test_a_refused_notification_comes_again_by_the_plan(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    application.answer = lambda _: (500, b'{"code":"FAIL","message":"no"}')
    _paid(sandbox, client, sandbox.person("Li"))
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
    _paid(sandbox, client, sandbox.person("Li"))
    sandbox.advance(86_640)
    assert len(application.received) == 1


def test_a_probe_with_a_false_signature_comes_before_the_real_one(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    sandbox.fault("pay", "signtest", on="callback")
    _paid(sandbox, client, sandbox.person("Li"))
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
    _paid(sandbox, client, sandbox.person("Li"))
    assert _heard(client, application) is None
    sandbox.advance(15)
    assert _heard(client, application)["event_type"] == "TRANSACTION.SUCCESS"


def test_an_old_or_unknown_signature_can_be_planned(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    sandbox.fault("pay", "old_timestamp", on="callback")
    _paid(sandbox, client, sandbox.person("Li"))
    old = int(application.received[0].headers["Wechatpay-Timestamp"])
    assert time.time() - old >= 300
    sandbox.fault("pay", "bad_serial", on="callback")
    _paid(sandbox, client, sandbox.person("Mei"), "order_0002")
    serial = application.received[1].headers["Wechatpay-Serial"]
    assert serial != sandbox.credentials["pay"]["public_key_id"]


def test_without_a_key_nothing_is_sent(sandbox: Sandbox, application: Application, client: WeChatPay) -> None:
    sandbox.merchant(api_v3_key="")
    _paid(sandbox, client, sandbox.person("Li"))
    assert application.received == []


def test_between_certificate_and_public_key_both_sign(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    known = sandbox.credentials["pay"]
    sandbox.merchant(mode="both", public_key_share=50)
    for number in range(12):
        _paid(sandbox, client, sandbox.person("Li"), f"order_{number:04}")
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
    _paid(sandbox, made, sandbox.person("Li"))
    assert application.received[0].headers["Wechatpay-Serial"] == known["platform_serial"]
    assert _heard(made, application)["event_type"] == "TRANSACTION.SUCCESS"


def test_who_has_the_public_key_gets_no_certificate(client: WeChatPay) -> None:
    assert _refused(client._core.request("/v3/certificates")) == (404, "RESOURCE_NOT_EXISTS")


# -- refunds -------------------------------------------------------------------------------------------


def _refund(client: WeChatPay, number: str, fen: int, total: int = 100, **more: Any) -> Any:
    amount = {"refund": fen, "total": total, "currency": "CNY"}
    return client.refund(out_refund_no=number, out_trade_no="order_0001", amount=amount, **more)


def test_refunds_come_back_later_and_are_told(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li", balance=100)
    _paid(sandbox, client, li)
    assert _done(_refund(client, "r1", 40, notify_url=application.url + "/refund"))["status"] == "PROCESSING"
    assert li.balance == 0
    sandbox.advance(3)
    assert li.balance == 40
    told = _heard(client, application)
    assert (told["event_type"], told["resource"]["refund_status"]) == ("REFUND.SUCCESS", "SUCCESS")
    assert _done(client.query_refund(out_refund_no="r1"))["status"] == "SUCCESS"
    assert _done(client.query(out_trade_no="order_0001"))["trade_state"] == "REFUND"


def test_refunds_have_limits(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    assert _refused(_refund(client, "r0", 1)) == (404, "ORDER_NOT_EXIST")
    _done(_order(client, li))
    assert _refused(_refund(client, "r0", 1)) == (400, "INVALID_REQUEST")
    _paid(sandbox, client, li)
    assert _refused(_refund(client, "r1", 101)) == (400, "INVALID_REQUEST")
    assert _refused(_refund(client, "r1", 1, total=99)) == (400, "INVALID_REQUEST")
    first = _done(_refund(client, "r1", 1))
    assert _done(_refund(client, "r1", 1)) == first, "the same number is the same refund"
    assert _refused(_refund(client, "r1", 2)) == (400, "INVALID_REQUEST")
    assert _refused(_refund(client, "r2", 1)) == (429, "FREQUENCY_LIMITED")
    for number in range(2, 51):
        sandbox.advance(60)
        assert _done(_refund(client, f"r{number}", 1))["status"] == "PROCESSING"
    sandbox.advance(60)
    assert _refused(_refund(client, "r51", 1)) == (400, "INVALID_REQUEST")
    assert _refused(client.query_refund(out_refund_no="none")) == (404, "RESOURCE_NOT_EXISTS")


def test_a_refund_after_a_year_or_without_money_is_refused(sandbox: Sandbox, client: WeChatPay) -> None:
    _paid(sandbox, client, sandbox.person("Li"))
    sandbox.merchant(balance=0)
    assert _refused(_refund(client, "r1", 1)) == (403, "NOT_ENOUGH")
    sandbox.merchant(balance=1000)
    sandbox.advance(365 * 86400 + 1)
    assert _refused(_refund(client, "r1", 1)) == (400, "INVALID_REQUEST")


def test_a_refund_to_a_closed_account_is_abnormal(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    _paid(sandbox, client, sandbox.person("Li", real_named=False))
    _done(_refund(client, "r1", 1, notify_url=application.url + "/refund"))
    sandbox.advance(3)
    assert _heard(client, application)["event_type"] == "REFUND.ABNORMAL"


# -- transfers -----------------------------------------------------------------------------------------


def _transfer(client: WeChatPay, person: Any, number: str = "T1", fen: int = 100, **more: Any) -> Any:
    given = {
        "transfer_scene_id": "1000",
        "openid": person.openid(),
        "transfer_amount": fen,
        "transfer_remark": "邀请奖励",
        "transfer_scene_report_infos": INFOS,
    } | more
    return client.mch_transfer_bills(out_bill_no=number, **given)


def _state(client: WeChatPay, number: str = "T1") -> Any:
    return _done(client.mch_transfer_bills_query(out_bill_no=number))["state"]


def test_a_transfer_arrives_when_the_person_takes_it(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li", balance=0)
    made = _done(_transfer(client, li, notify_url=application.url + "/transfer"))
    assert (made["state"], _state(client)) == ("WAIT_USER_CONFIRM", "WAIT_USER_CONFIRM")
    known = sandbox.credentials["pay"]
    request = {"mchId": known["mchid"], "appId": known["appid"], "package": made["package_info"]}
    assert li.do("transfer_sheet", request=request)["fen"] == 100
    with pytest.raises(CannotDo, match="somebody else"):
        sandbox.person("Mei").do("transfer_sheet", request=request)
    with pytest.raises(CannotDo, match="no such"):
        li.do("transfer_sheet", request=request | {"appId": "wx0"})
    li.do("confirm_transfer", package=made["package_info"])
    assert _state(client) == "TRANSFERING"
    sandbox.advance(1)
    assert (li.balance, _state(client)) == (100, "SUCCESS")
    told = _heard(client, application)
    assert (told["event_type"], told["resource"]["state"]) == ("MCHTRANSFER.BILL.FINISHED", "SUCCESS")
    with pytest.raises(CannotDo, match="SUCCESS"):
        li.do("confirm_transfer", package=made["package_info"])
    assert _refused(client.mch_transfer_bills_cancel(out_bill_no="T1")) == (400, "INVALID_REQUEST")


def test_money_nobody_takes_goes_back_after_a_day(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li")
    before = _balance(sandbox)
    made = _done(_transfer(client, li, notify_url=application.url + "/transfer"))
    assert _balance(sandbox) == before - 100
    sandbox.advance(86399)
    assert _state(client) == "WAIT_USER_CONFIRM"
    sandbox.advance(1)
    bill = _done(client.mch_transfer_bills_query(out_bill_no="T1"))
    assert (bill["state"], bill["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")
    assert _balance(sandbox) == before
    assert _heard(client, application)["resource"]["state"] == "FAIL"
    with pytest.raises(CannotDo, match="FAIL"):
        li.do("confirm_transfer", package=made["package_info"])


def _balance(sandbox: Sandbox) -> int:
    merchant = sandbox.world.store.get("pay.merchants", sandbox.credentials["pay"]["mchid"])
    assert merchant is not None
    return int(merchant["balance"])


def test_expiry_may_end_otherwise(sandbox: Sandbox, client: WeChatPay) -> None:
    sandbox.options(transfer_expiry_state="CANCELLED", transfer_expiry_reason="")
    _done(_transfer(client, sandbox.person("Li")))
    sandbox.advance(86400)
    assert _state(client) == "CANCELLED"


def test_a_transfer_is_cancelled_before_it_is_taken(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li")
    made = _done(_transfer(client, li, notify_url=application.url + "/transfer"))
    assert _done(client.mch_transfer_bills_cancel(out_bill_no="T1"))["state"] == "CANCELING"
    with pytest.raises(CannotDo, match="CANCELING"):
        li.do("confirm_transfer", package=made["package_info"])
    sandbox.advance(1)
    assert _state(client) == "CANCELLED"
    assert _heard(client, application)["resource"]["state"] == "CANCELLED"
    assert _refused(client.mch_transfer_bills_cancel(out_bill_no="none")) == (404, "NOT_FOUND")


def test_the_same_number_never_pays_twice(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    before = _balance(sandbox)
    first = _done(_transfer(client, li))
    assert _done(_transfer(client, li)) == first
    assert _refused(_transfer(client, li, fen=101)) == (400, "INVALID_REQUEST")
    assert _balance(sandbox) == before - 100


def test_an_answer_lost_after_the_money_moved_is_found_by_its_number(
    sandbox: Sandbox, client: WeChatPay
) -> None:
    li = sandbox.person("Li")
    before = _balance(sandbox)
    sandbox.fault("pay", "lose_answer", match="*/transfer-bills")
    with pytest.raises(Exception, match=r"[Cc]onnection|Remote"):
        _transfer(client, li)
    assert _state(client) == "WAIT_USER_CONFIRM"
    assert _done(_transfer(client, li))["state"] == "WAIT_USER_CONFIRM"
    assert _balance(sandbox) == before - 100


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"fen": 9}, 400, "INVALID_REQUEST"),
        ({"fen": 20_001}, 400, "INVALID_REQUEST"),
        ({"number": "T-1"}, 400, "PARAM_ERROR"),
        ({"number": "T" * 33}, 400, "PARAM_ERROR"),
        ({"transfer_scene_id": "1002"}, 403, "NO_AUTH"),
        ({"transfer_remark": "x" * 33}, 400, "PARAM_ERROR"),
        ({"transfer_scene_report_infos": []}, 400, "PARAM_ERROR"),
        ({"transfer_scene_report_infos": INFOS[:1]}, 400, "INVALID_REQUEST"),
        ({"transfer_scene_id": "1005"}, 400, "INVALID_REQUEST"),
        ({"user_recv_perception": "天降横财"}, 400, "PARAM_ERROR"),
        ({"openid": "oNobody"}, 400, "PARAM_ERROR"),
        ({"notify_url": "https://a.example/?x=1"}, 400, "PARAM_ERROR"),
    ],
)
def test_wrong_transfers_are_refused(
    sandbox: Sandbox, client: WeChatPay, changes: dict[str, Any], status: int, code: str
) -> None:
    assert _refused(_transfer(client, sandbox.person("Li"), **changes)) == (status, code)


def test_without_money_or_beyond_the_day_nothing_is_sent(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    sandbox.merchant(balance=99)
    assert _refused(_transfer(client, li)) == (403, "NOT_ENOUGH")
    sandbox.merchant(balance=10_000, transfer_person_daily=150)
    _done(_transfer(client, li))
    assert _refused(_transfer(client, li, "T2")) == (403, "RULE_LIMIT")
    sandbox.advance(86400)
    _done(_transfer(client, li, "T2"))


@pytest.mark.parametrize(
    ("person", "name", "why"),
    [
        ({"real_named": False}, None, "PAYEE_ACCOUNT_ABNORMAL"),
        ({"real_name": "韩梅梅"}, "李雷", "NAME_NOT_CORRECT"),
    ],
)
def test_a_transfer_to_the_wrong_person_fails_and_comes_back(
    sandbox: Sandbox, client: WeChatPay, person: dict[str, Any], name: str | None, why: str
) -> None:
    li = sandbox.person("Li", **person)
    before = _balance(sandbox)
    made = _done(_transfer(client, li, **({"user_name": name} if name else {})))
    li.do("confirm_transfer", package=made["package_info"])
    sandbox.advance(1)
    bill = _done(client.mch_transfer_bills_query(out_bill_no="T1"))
    assert (bill["state"], bill["fail_reason"]) == ("FAIL", why)
    assert _balance(sandbox) == before


def test_a_bill_can_be_asked_for_thirty_days(sandbox: Sandbox, client: WeChatPay) -> None:
    made = _done(_transfer(client, sandbox.person("Li")))
    by_number = client.mch_transfer_bills_query(transfer_bill_no=made["transfer_bill_no"])
    assert _done(by_number)["out_bill_no"] == "T1"
    sandbox.advance(30 * 86400 + 1)
    assert _refused(client.mch_transfer_bills_query(out_bill_no="T1")) == (404, "NOT_FOUND")


# -- bills ---------------------------------------------------------------------------------------------


def test_the_days_bill_is_ready_at_ten_the_next_morning(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li", balance=0)
    _paid(sandbox, client, li, total=1990)
    _done(_refund(client, "r1", 990, total=1990))
    made = _done(_transfer(client, li))
    day = dt.datetime.fromtimestamp(AT, dt.timezone(dt.timedelta(hours=8))).date().isoformat()
    assert _refused(client.trade_bill(bill_date=day)) == (400, "INVALID_REQUEST")
    sandbox.advance(16 * 3600)
    trade = _done(client.trade_bill(bill_date=day))
    _, content = client.download_bill(trade["download_url"])
    raw = content if isinstance(content, bytes) else content.encode()
    assert hashlib.sha1(raw).hexdigest() == trade["hash_value"]
    lines = raw.decode().split("\r\n")
    assert len(lines[1].split(",")) == len(lines[0].split(","))
    assert "`19.90" in lines[1]
    assert "`9.90" in lines[2]
    assert lines[4].split(",")[:3] == ["`2", "`19.90", "`9.90"]
    funds = _done(client.fundflow_bill(bill_date=day))
    _, content = client.download_bill(funds["download_url"])
    text = content.decode() if isinstance(content, bytes) else content
    assert made["out_bill_no"] in text
    assert _refused(client.trade_bill(bill_date="2026-01-32")) == (400, "PARAM_ERROR")
    assert _refused(client.trade_bill(bill_date="2026-11-10")) == (400, "NO_STATEMENT_EXIST")
