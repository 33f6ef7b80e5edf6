"""WeChat Pay over REST: have an order paid, give money back, follow a withdrawal, read the bills."""

from __future__ import annotations

from datetime import timedelta

import pytest

from growth_engine.access import service as access
from growth_engine.app import create_app
from growth_engine.context import Parts
from tests.engine.api.conftest import Caller
from tests.engine.paying.test_bills import compared, to_next_morning
from tests.factories.selling import PRICE
from tests.factories.tills import Till
from tests.factories.workspaces import make_workspace


@pytest.fixture
def call(parts: Parts, till: Till) -> Caller:
    return Caller(create_app(parts), access.create_token(parts, till.workspace, ["*"], "tests"))


def test_a_shop_has_its_order_paid_by_code_and_on_a_page(call: Caller, till: Till) -> None:
    order = till.shop.order("ben")
    path = f"/orders/{order}/payment-attempts"
    code = call.post(path, json={})
    assert (code.status_code, code.json["kind"]) == (200, "native")
    assert code.json["data"]["code_url"].startswith("weixin://")
    page = call.post(path, json={"openid": till.phones["ben"].openid()})
    assert page.json["kind"] == "jsapi"
    till.enter_pin("ben", page.json["data"])
    till.work()
    items = call.get(path).json["items"]
    assert [(one["state"], one["kind"]) for one in items] == [("closed", "native"), ("paid", "jsapi")]
    again = call.post(path, json={})
    assert (again.status_code, again.json["code"]) == (409, "order_not_payable")
    assert call.get("/orders/ord_nothing/payment-attempts").status_code == 404
    till.check()


def test_a_refund_is_asked_for_once_however_often_it_is_sent(call: Caller, till: Till) -> None:
    order = till.bought()
    path = f"/orders/{order}/refund-requests"
    first = call.post(path, json={"amount": 900, "reason": "broken"}, key="once")
    assert (first.status_code, first.json["state"]) == (202, "processing")
    assert (
        call.post(path, json={"amount": 900, "reason": "broken"}, key="once").json["id"] == first.json["id"]
    )
    assert len(call.get(path).json["items"]) == 1
    too_much = call.post(path, json={"amount": PRICE})
    assert (too_much.status_code, too_much.json["code"]) == (409, "nothing_to_refund")
    till.advance(seconds=5)
    till.work()
    shown = call.get(f"/refund-requests/{first.json['id']}").json
    assert (shown["state"], shown["amount"]) == ("done", 900)
    assert till.order(order).refunded == 900
    assert call.get("/refund-requests/rfd_none").status_code == 404
    assert call.post(path, json={"amount": 0}).status_code == 422
    till.check()


def test_a_withdrawal_is_followed_and_taken_back(call: Caller, till: Till) -> None:
    till.earn("ann", 2_000)
    payout = till.withdraw("ann", 1_000)
    assert call.get(f"/payouts/{payout}/transfer").status_code == 404
    till.work()
    shown = call.get(f"/payouts/{payout}/transfer").json
    assert (shown["state"], shown["amount"]) == ("WAIT_USER_CONFIRM", 1_000)
    assert "package" not in shown
    taken = call.post(f"/payouts/{payout}/transfer/cancel")
    assert (taken.status_code, taken.json["state"]) == (200, "CANCELING")
    till.advance(seconds=6)
    till.work()
    assert call.get(f"/payouts/{payout}").json["state"] == "failed"
    again = call.post(f"/payouts/{payout}/transfer/cancel")
    assert (again.status_code, again.json["code"]) == (409, "transfer_not_cancellable")


def test_bills_are_read_page_by_page_and_compared_again(call: Caller, till: Till) -> None:
    till.bought()
    till.advance(days=2)
    to_next_morning(till)
    compared(till)
    items = call.items("/wechat-pay/bills", limit=1)
    assert len(items) == 3
    assert [one["payments"] for one in items] == [0, 0, 1]
    day = (till.today() - timedelta(days=1)).isoformat()
    asked = call.post("/wechat-pay/bills", json={"account_id": till.account, "day": day})
    assert (asked.status_code, asked.json["state"]) == (202, "waiting")
    wrong = call.post("/wechat-pay/bills", json={"account_id": till.account, "day": till.today().isoformat()})
    assert (wrong.status_code, wrong.json["code"]) == (422, "bill_day")
    assert call.post("/wechat-pay/bills", json={"account_id": "chn_0", "day": day}).status_code == 404
    assert call.get("/wechat-pay/bills?cursor=nonsense").status_code == 422


def test_nothing_of_it_is_seen_from_another_workspace(parts: Parts, till: Till) -> None:
    order = till.bought()
    till.refund(order, 100, "refund-seen")
    till.shop.mature_all()
    payout = till.withdraw("ann", 500)
    till.work()
    other = make_workspace(parts)
    call = Caller(create_app(parts), access.create_token(parts, other, ["*"], "tests"))
    for path in (
        f"/orders/{order}/payment-attempts", f"/orders/{order}/refund-requests",
        "/refund-requests/refund-seen", f"/payouts/{payout}/transfer",
    ):  # fmt: skip
        assert call.get(path).status_code == 404, path
    assert call.post(f"/orders/{order}/payment-attempts", json={}).status_code == 404
    assert call.post(f"/orders/{order}/refund-requests", json={"amount": 1}).status_code == 404
    assert call.post(f"/payouts/{payout}/transfer/cancel").status_code == 404
    assert call.get("/wechat-pay/bills").json["items"] == []
    assert call.post(
        "/wechat-pay/bills", json={"account_id": till.account, "day": "2026-05-30"}
    ).status_code == 404  # fmt: skip


def test_scopes_are_needed(parts: Parts, till: Till) -> None:
    call = Caller(create_app(parts), access.create_token(parts, till.workspace, ["orders:read"], "tests"))
    assert call.post("/orders/ord_x/refund-requests", json={"amount": 1}).status_code == 403
    assert call.get("/payouts/pay_x/transfer").status_code == 403
