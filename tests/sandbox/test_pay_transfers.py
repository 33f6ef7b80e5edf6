"""WeChat Pay with ``wechatpayv3`` as the merchant: transfers to people, the daily bills."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest
from wechatpayv3 import WeChatPay

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.oa.actions import CannotDo
from tests.sandbox.application import Application
from tests.sandbox.conftest import AT
from tests.sandbox.paying import done, heard, paid, refund, refused

INFOS = [
    {"info_type": "活动名称", "info_content": "老带新"},
    {"info_type": "奖励说明", "info_content": "邀请奖励"},
]


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
    return done(client.mch_transfer_bills_query(out_bill_no=number))["state"]


def test_a_transfer_arrives_when_the_person_takes_it(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li", balance=0)
    made = done(_transfer(client, li, notify_url=application.url + "/transfer"))
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
    told = heard(client, application)
    assert (told["event_type"], told["resource"]["state"]) == ("MCHTRANSFER.BILL.FINISHED", "SUCCESS")
    with pytest.raises(CannotDo, match="SUCCESS"):
        li.do("confirm_transfer", package=made["package_info"])
    assert refused(client.mch_transfer_bills_cancel(out_bill_no="T1")) == (400, "INVALID_REQUEST")


def test_money_nobody_takes_goes_back_after_a_day(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li")
    before = _balance(sandbox)
    made = done(_transfer(client, li, notify_url=application.url + "/transfer"))
    assert _balance(sandbox) == before - 100
    sandbox.advance(86399)
    assert _state(client) == "WAIT_USER_CONFIRM"
    sandbox.advance(1)
    bill = done(client.mch_transfer_bills_query(out_bill_no="T1"))
    assert (bill["state"], bill["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")
    assert _balance(sandbox) == before
    assert heard(client, application)["resource"]["state"] == "FAIL"
    with pytest.raises(CannotDo, match="FAIL"):
        li.do("confirm_transfer", package=made["package_info"])


def _balance(sandbox: Sandbox) -> int:
    merchant = sandbox.world.store.get("pay.merchants", sandbox.credentials["pay"]["mchid"])
    assert merchant is not None
    return int(merchant["balance"])


def test_expiry_may_end_otherwise(sandbox: Sandbox, client: WeChatPay) -> None:
    sandbox.options(transfer_expiry_state="CANCELLED", transfer_expiry_reason="")
    done(_transfer(client, sandbox.person("Li")))
    sandbox.advance(86400)
    assert _state(client) == "CANCELLED"


def test_a_transfer_is_cancelled_before_it_is_taken(
    sandbox: Sandbox, application: Application, client: WeChatPay
) -> None:
    li = sandbox.person("Li")
    made = done(_transfer(client, li, notify_url=application.url + "/transfer"))
    assert done(client.mch_transfer_bills_cancel(out_bill_no="T1"))["state"] == "CANCELING"
    with pytest.raises(CannotDo, match="CANCELING"):
        li.do("confirm_transfer", package=made["package_info"])
    sandbox.advance(1)
    assert _state(client) == "CANCELLED"
    assert heard(client, application)["resource"]["state"] == "CANCELLED"
    assert refused(client.mch_transfer_bills_cancel(out_bill_no="none")) == (404, "NOT_FOUND")


def test_the_same_number_never_pays_twice(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    before = _balance(sandbox)
    first = done(_transfer(client, li))
    assert done(_transfer(client, li)) == first
    assert refused(_transfer(client, li, fen=101)) == (400, "INVALID_REQUEST")
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
    assert done(_transfer(client, li))["state"] == "WAIT_USER_CONFIRM"
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
    assert refused(_transfer(client, sandbox.person("Li"), **changes)) == (status, code)


def test_without_money_or_beyond_the_day_nothing_is_sent(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li")
    sandbox.merchant(balance=99)
    assert refused(_transfer(client, li)) == (403, "NOT_ENOUGH")
    sandbox.merchant(balance=10_000, transfer_person_daily=150)
    done(_transfer(client, li))
    assert refused(_transfer(client, li, "T2")) == (403, "RULE_LIMIT")
    sandbox.advance(86400)
    done(_transfer(client, li, "T2"))


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
    made = done(_transfer(client, li, **({"user_name": name} if name else {})))
    li.do("confirm_transfer", package=made["package_info"])
    sandbox.advance(1)
    bill = done(client.mch_transfer_bills_query(out_bill_no="T1"))
    assert (bill["state"], bill["fail_reason"]) == ("FAIL", why)
    assert _balance(sandbox) == before


def test_a_bill_can_be_asked_for_thirty_days(sandbox: Sandbox, client: WeChatPay) -> None:
    made = done(_transfer(client, sandbox.person("Li")))
    by_number = client.mch_transfer_bills_query(transfer_bill_no=made["transfer_bill_no"])
    assert done(by_number)["out_bill_no"] == "T1"
    sandbox.advance(30 * 86400 + 1)
    assert refused(client.mch_transfer_bills_query(out_bill_no="T1")) == (404, "NOT_FOUND")


# -- bills ---------------------------------------------------------------------------------------------


def test_the_days_bill_is_ready_at_ten_the_next_morning(sandbox: Sandbox, client: WeChatPay) -> None:
    li = sandbox.person("Li", balance=0)
    paid(sandbox, client, li, total=1990)
    done(refund(client, "r1", 990, total=1990))
    made = done(_transfer(client, li))
    day = dt.datetime.fromtimestamp(AT, dt.timezone(dt.timedelta(hours=8))).date().isoformat()
    assert refused(client.trade_bill(bill_date=day)) == (400, "INVALID_REQUEST")
    sandbox.advance(16 * 3600)
    trade = done(client.trade_bill(bill_date=day))
    _, content = client.download_bill(trade["download_url"])
    raw = content if isinstance(content, bytes) else content.encode()
    assert hashlib.sha1(raw).hexdigest() == trade["hash_value"]
    lines = raw.decode().split("\r\n")
    assert len(lines[1].split(",")) == len(lines[0].split(","))
    assert "`19.90" in lines[1]
    assert "`9.90" in lines[2]
    assert lines[4].split(",")[:3] == ["`2", "`19.90", "`9.90"]
    funds = done(client.fundflow_bill(bill_date=day))
    _, content = client.download_bill(funds["download_url"])
    text = content.decode() if isinstance(content, bytes) else content
    assert made["out_bill_no"] in text
    assert refused(client.trade_bill(bill_date="2026-01-32")) == (400, "PARAM_ERROR")
    assert refused(client.trade_bill(bill_date="2026-11-10")) == (400, "NO_STATEMENT_EXIST")
