"""What Pay checks in every request and signs in every answer, with a merchant who signs by hand."""

from __future__ import annotations

from typing import Any

import pytest

from growth_engine.sandbox import Sandbox
from tests.sandbox.merchant import Merchant

QUERY = "/v3/pay/transactions/out-trade-no/order_0001?mchid="
TRANSFERS = "/v3/fund-app/mch-transfer/transfer-bills"


@pytest.fixture
def merchant(sandbox: Sandbox) -> Merchant:
    return Merchant(sandbox)


def _query(merchant: Merchant, **changes: Any) -> Any:
    return merchant.call("GET", QUERY + merchant.known["mchid"], **changes)


def _order(merchant: Merchant, openid: str, **changes: Any) -> dict[str, Any]:
    return {
        "appid": merchant.known["appid"],
        "mchid": merchant.known["mchid"],
        "description": "会员",
        "out_trade_no": "order_0001",
        "notify_url": "https://a.example/pay",
        "amount": {"total": 100, "currency": "CNY"},
        "payer": {"openid": openid},
    } | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"mchid": "1600000009"},
        {"serial_no": "0" * 40},
        {"signature": "AAAA"},
        {"signature": "no base64!"},
        {"timestamp": "1"},
        {"timestamp": "soon"},
        {"signed_path": "/v3/pay/transactions/out-trade-no/order_0001"},
    ],
)
def test_a_request_signed_wrongly_gets_a_signed_401(merchant: Merchant, changes: dict[str, str]) -> None:
    answer = _query(merchant, **changes)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert answer.headers["Request-Id"].endswith("-268443699")
    merchant.verified(answer)


@pytest.mark.parametrize("header", ["", "Basic abc", 'WECHATPAY2-SHA256-RSA2048 mchid="1"'])
def test_without_a_whole_authorization_nothing_is_answered(merchant: Merchant, header: str) -> None:
    assert _query(merchant, headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(300, 404), (301, 401), (-300, 404), (-301, 401)])
def test_a_request_may_be_five_minutes_off(merchant: Merchant, seconds: int, status: int) -> None:
    stamp = str(merchant.sandbox.world.transport_now() + seconds)
    assert _query(merchant, timestamp=stamp).status_code == status


def test_a_body_written_anew_is_another_body(sandbox: Sandbox, merchant: Merchant) -> None:
    path, openid = "/v3/pay/transactions/jsapi", sandbox.person("Li").openid()
    compact = b'{"a":1}'
    signed = merchant.authorization("POST", path, compact)
    answer = merchant.call("POST", path, _order(merchant, openid), headers={"Authorization": signed})
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["Accept", "User-Agent"])
def test_accept_and_user_agent_are_needed(merchant: Merchant, name: str) -> None:
    answer = _query(merchant, headers={name: ""})
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


def test_an_address_not_on_the_list_is_refused(sandbox: Sandbox, merchant: Merchant) -> None:
    sandbox.merchant(ip_whitelist=["10.0.0.1"])
    answer = _query(merchant)
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_AUTH")


def test_every_answer_is_signed_also_errors_and_empty_ones(sandbox: Sandbox, merchant: Merchant) -> None:
    openid = sandbox.person("Li").openid()
    made = merchant.call("POST", "/v3/pay/transactions/jsapi", _order(merchant, openid))
    path = "/v3/pay/transactions/out-trade-no/order_0001/close"
    closed = merchant.call("POST", path, {"mchid": merchant.known["mchid"]})
    missing = merchant.call(
        "GET", f"/v3/pay/transactions/out-trade-no/none_00?mchid={merchant.known['mchid']}"
    )
    unknown = merchant.call("GET", "/v3/nothing")
    wrong = merchant.call("GET", "/v3/pay/transactions/jsapi")
    statuses = [one.status_code for one in (made, closed, missing, unknown, wrong)]
    assert statuses == [200, 204, 404, 404, 405]
    assert closed.content == b""
    for answer in (made, closed, missing, unknown, wrong):
        assert merchant.verified(answer) == merchant.known["public_key_id"]
        assert answer.headers["Request-Id"]
    assert missing.headers["Request-Id"].endswith("-268512771")


def test_the_caller_chooses_the_key_while_both_are_good(sandbox: Sandbox, merchant: Merchant) -> None:
    certificate, key = merchant.known["platform_serial"], merchant.known["public_key_id"]

    def signed(wanted: str) -> str:
        return merchant.verified(_query(merchant, headers={"Wechatpay-Serial": wanted} if wanted else None))

    sandbox.merchant(mode="both")
    assert [signed(one) for one in ("", certificate, key)] == [certificate, certificate, key]
    sandbox.merchant(mode="certificate")
    assert signed("") == certificate
    sandbox.merchant(mode="public_key")
    assert signed("") == key
    gone = _query(merchant, headers={"Wechatpay-Serial": certificate})
    assert gone.json()["code"] == "PARAM_ERROR"
    unknown = _query(merchant, headers={"Wechatpay-Serial": "PUB_KEY_ID_00"})
    assert unknown.json()["code"] == "PARAM_ERROR"


def test_a_planned_error_is_signed_too(sandbox: Sandbox, merchant: Merchant) -> None:
    sandbox.fault("pay", "errcode", value="SYSTEM_ERROR")
    answer = _query(merchant)
    assert (answer.status_code, answer.json()["code"]) == (500, "SYSTEM_ERROR")
    merchant.verified(answer)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
        ({"mchid": "1"}, "PARAM_ERROR"),
        ({"description": ""}, "PARAM_ERROR"),
        ({"description": "x" * 128}, "PARAM_ERROR"),
        ({"amount": {"total": "100"}}, "PARAM_ERROR"),
        ({"amount": {"total": True}}, "PARAM_ERROR"),
        ({"amount": {"total": 1.5}}, "PARAM_ERROR"),
        ({"amount": {"total": 1, "currency": "USD"}}, "PARAM_ERROR"),
        ({"amount": None}, "PARAM_ERROR"),
        ({"payer": None}, "PARAM_ERROR"),
    ],
)
def test_wrong_fields_of_an_order_are_named(
    sandbox: Sandbox, merchant: Merchant, changes: dict[str, Any], code: str
) -> None:
    li = sandbox.person("Li")
    openids = {"wx0000000000000000": li.openid("wx0000000000000000")}
    openid = openids.get(str(changes.get("appid")), li.openid())
    answer = merchant.call("POST", "/v3/pay/transactions/jsapi", _order(merchant, openid, **changes))
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_body_that_is_no_json_is_refused(merchant: Merchant) -> None:
    answer = merchant.call("POST", "/v3/pay/transactions/jsapi", ["list"])
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


def _transfer(merchant: Merchant, openid: str, fen: int, **changes: Any) -> dict[str, Any]:
    infos = {"岗位类型": "推广员", "报酬说明": "佣金"}
    return {
        "appid": merchant.known["appid"],
        "out_bill_no": "T1",
        "transfer_scene_id": "1005",
        "openid": openid,
        "transfer_amount": fen,
        "transfer_remark": "佣金",
        "transfer_scene_report_infos": [{"info_type": a, "info_content": b} for a, b in infos.items()],
    } | changes


def test_the_payees_name_is_opened_and_needed_from_2000_yuan(sandbox: Sandbox, merchant: Merchant) -> None:
    li = sandbox.person("Li", real_name="李雷")
    key = {"Wechatpay-Serial": merchant.known["public_key_id"]}
    name = merchant.sealed("李雷")

    def code(fen: int, headers: dict[str, str] | None = None, **changes: Any) -> tuple[int, str]:
        answer = merchant.call("POST", TRANSFERS, _transfer(merchant, li.openid(), fen, **changes), headers)
        return answer.status_code, answer.json().get("code", answer.json().get("state"))

    refused, taken = (400, "PARAM_ERROR"), (200, "WAIT_USER_CONFIRM")
    assert code(29, key, user_name=name) == refused
    assert code(200_000) == refused
    assert code(200_000, None, user_name=name) == refused, "the header names the key"
    assert code(200_000, key, user_name="not sealed") == refused
    assert code(200_000, key, user_name=name) == taken
    assert code(200_000, key, user_name=merchant.sealed("李雷")) == taken, (
        "sealed anew it is the same request"
    )
    assert code(200_000, key, user_name=name, out_bill_no="T2", transfer_scene_id="1000")[0] == 400


@pytest.mark.parametrize(
    ("fen", "kind", "status"),
    [
        (20_000, "RED_PACKET", 200),
        (20_001, "RED_PACKET", 400),
        (20_001, "CONFIRM_PAGE", 200),
        (100, "LETTER", 400),
    ],
)
def test_a_red_packet_holds_at_most_200_yuan(
    sandbox: Sandbox, merchant: Merchant, fen: int, kind: str, status: int
) -> None:
    body = _transfer(merchant, sandbox.person("Li").openid(), fen, user_recv_style={"type": kind})
    assert merchant.call("POST", TRANSFERS, body).status_code == status


def test_the_echo_gives_back_what_came(merchant: Merchant) -> None:
    answer = merchant.call("POST", "/v3/security/echo", {"a": "中"})
    assert answer.json() == {"a": "中"}
    merchant.verified(answer)
