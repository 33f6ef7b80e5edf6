"""Selling over REST: products, orders with payments and refunds, commissions, promoters."""

from __future__ import annotations

from typing import Any

import pytest

from growth_engine.context import Parts
from tests.engine.api.conftest import Caller
from tests.factories.selling import PRICE, Shop


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    made = Shop(parts, workspace)
    made.join("ann")
    made.join("bob", "ann")
    return made


def order_body(shop: Shop, **more: Any) -> dict[str, Any]:
    return {
        "campaign_id": shop.campaign_id,
        "buyer": {"external_id": "cid", "nickname": "Cid"},
        "consent": True,
        "invite_token": shop.tokens["bob"],
        "lines": [{"sku": "book", "quantity": 2}],
        **more,
    }


def test_a_shop_reports_an_order_its_payment_and_a_refund(call: Caller, shop: Shop) -> None:
    placed = call.post("/orders", json=order_body(shop, external_id="A-1"))
    assert placed.status_code == 201, placed.text
    order = placed.json["id"]
    shown = placed.json
    assert (shown["total"], shown["state"], shown["promoter_no"]) == (2 * PRICE, "placed", 2)
    again = call.post("/orders", json=order_body(shop, external_id="A-1"))
    assert (again.status_code, again.json["id"]) == (200, order)
    paid = call.post(f"/orders/{order}/payments", json={"external_id": "p1", "amount": 2 * PRICE})
    assert (paid.status_code, paid.json["state"], paid.json["fee"]) == (200, "paid", 118)
    assert call.post(f"/orders/{order}/payments", json={"external_id": "p1", "amount": 2 * PRICE}).json == {
        **paid.json
    }
    other = call.post(f"/orders/{order}/payments", json={"external_id": "p1", "amount": PRICE})
    assert (other.status_code, other.json["code"]) == (409, "already_recorded")
    assert other.json["recorded"]["amount"] == 2 * PRICE
    assert "¥118.00" in other.json["detail"]
    seen = call.get(f"/orders/{order}/refund-preview?amount={PRICE}").json
    assert [(one["member_no"], one["from_hold"], one["debt"]) for one in seen["taken"]] == [
        (2, 1180, 0),
        (1, 295, 0),
    ]
    back = call.post(f"/orders/{order}/refunds", json={"external_id": "r1", "amount": PRICE})
    assert (back.status_code, back.json["refunded"]) == (200, PRICE)
    shares = call.get(f"/orders/{order}").json["commissions"]
    assert [(one["level"], one["amount"], one["state"]) for one in shares] == [
        (1, 1180, "pending"),
        (2, 295, "pending"),
    ]
    because = call.get(f"/commissions/{shares[0]['id']}").json["because"]
    assert any("11.80" in step for step in because), because


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("payments", {"external_id": "p", "amount": 3 * PRICE}, "overpaid"),
        ("refunds", {"external_id": "r", "amount": 3 * PRICE}, "refund_too_large"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    call: Caller, shop: Shop, path: str, body: dict[str, Any], code: str
) -> None:
    order = call.post("/orders", json=order_body(shop)).json["id"]
    refused = call.post(f"/orders/{order}/{path}", json=body)
    assert (refused.status_code, refused.json["code"]) == (409, "order_refused")
    assert [reason["code"] for reason in refused.json["decision"]["reasons"]] == [code]


@pytest.mark.parametrize("path", ["payments", "refunds"])
def test_what_was_refused_is_sent_again_correctly_under_its_own_id(
    call: Caller, shop: Shop, path: str
) -> None:
    order = call.post("/orders", json=order_body(shop)).json["id"]

    def tell(amount: int) -> tuple[int, str]:
        body = {"external_id": "x-1", "amount": amount}
        told = call.post(f"/orders/{order}/{path}", json=body)
        return told.status_code, told.json.get("code", "")

    foreign = call.post(
        f"/orders/{order}/{path}", json={"external_id": "x-1", "amount": 1, "currency": "USD"}
    )
    assert (foreign.status_code, foreign.json["code"]) == (422, "invalid")
    assert "CNY" in foreign.json["errors"]["currency"][0]
    assert tell(9 * PRICE) == (409, "order_refused")
    assert tell(8 * PRICE) == (409, "order_refused")
    assert tell(2 * PRICE) == (200, "")
    assert tell(2 * PRICE) == (200, "")
    assert tell(9 * PRICE) == (409, "order_refused"), "the same content again has the same answer"
    assert tell(PRICE) == (409, "already_recorded")
    shown = call.get(f"/orders/{order}").json
    assert (shown["paid"], shown["refunded"])[path == "refunds"] == 2 * PRICE


def test_goods_come_back_into_stock_with_the_refund_that_says_so(call: Caller, shop: Shop) -> None:
    path = f"/campaigns/{shop.campaign_id}/products"
    call.post(path, json={"sku": "pen", "name": "Pen", "price": 900, "stock": 5})
    order = call.post("/orders", json=order_body(shop, lines=[{"sku": "pen", "quantity": 3}])).json["id"]
    call.post(f"/orders/{order}/payments", json={"external_id": "p1", "amount": 2700})
    assert call.get(f"/orders/{order}/refund-preview?amount=900").json["restockable"] == 0
    assert call.get(f"/orders/{order}/refund-preview?amount=2700").json["restockable"] == 3
    back = call.post(f"/orders/{order}/refunds", json={"external_id": "r1", "amount": 2700, "restock": True})
    assert "restocked" in [reason["code"] for reason in back.json["decision"]["reasons"]]
    assert [one["taken"] for one in call.get(path).json["items"] if one["sku"] == "pen"] == [0]


def test_an_order_that_was_not_placed_has_no_name_yet(call: Caller, shop: Shop) -> None:
    body = order_body(shop, external_id="A-9", lines=[{"sku": "pen", "quantity": 1}])
    for _ in range(3):
        assert call.post("/orders", json=body).json["code"] == "cannot_order"
    call.post(f"/campaigns/{shop.campaign_id}/products", json={"sku": "pen", "name": "Pen", "price": 900})
    placed = call.post("/orders", json=body)
    assert placed.status_code == 201, placed.text
    again = call.post("/orders", json=body)
    assert (again.status_code, again.json["id"]) == (200, placed.json["id"])
    other = call.post("/orders", json=order_body(shop, external_id="A-9"))
    assert (other.status_code, other.json["code"]) == (409, "already_recorded")
    assert other.json["recorded"]["order_id"] == placed.json["id"]


def test_an_order_for_what_is_not_there_is_refused(call: Caller, shop: Shop) -> None:
    refused = call.post("/orders", json=order_body(shop, lines=[{"sku": "none"}]))
    assert (refused.status_code, refused.json["code"]) == (409, "cannot_order")
    assert [reason["code"] for reason in refused.json["decision"]["reasons"]] == ["unknown_product"]


def test_products_are_added_changed_and_limited(call: Caller, shop: Shop) -> None:
    path = f"/campaigns/{shop.campaign_id}/products"
    pen = call.post(path, json={"sku": "pen", "name": "Pen", "price": 900, "stock": 5})
    assert (pen.status_code, pen.json["stock"], pen.json["currency"]) == (201, 5, "CNY")
    assert call.post(path, json={"sku": "pen", "name": "Pen", "price": 900}).json["code"] == "sku_taken"
    order = call.post("/orders", json=order_body(shop, lines=[{"sku": "pen", "quantity": 3}]))
    assert order.json["total"] == 2700
    less = call.patch(f"/products/{pen.json['id']}", json={"stock": 2})
    assert (less.status_code, less.json["code"]) == (422, "invalid")
    assert call.patch(f"/products/{pen.json['id']}", json={"stock": None, "price": 800}).json["stock"] is None
    assert [one["price"] for one in call.get(path).json["items"]] == [PRICE, 800]


def test_commissions_are_held_and_promoters_decided_about(call: Caller, shop: Shop) -> None:
    order = call.post("/orders", json=order_body(shop)).json["id"]
    call.post(f"/orders/{order}/payments", json={"external_id": "p1", "amount": 2 * PRICE})
    (share, _) = call.get(f"/orders/{order}").json["commissions"]
    acted = call.post(
        "/commissions/act",
        json={
            "campaign_id": shop.campaign_id,
            "ids": [share["id"]],
            "action": "hold",
            "reason": "Under review",
        },
    )
    assert acted.json["done"] == [share["id"]]
    held = call.get(f"/commissions?campaign_id={shop.campaign_id}&state=held").json["items"]
    assert [one["id"] for one in held] == [share["id"]]
    people = call.get(f"/campaigns/{shop.campaign_id}/participants").json["items"]
    blocked = call.post(f"/participants/{people[1]['id']}/promoter", json={"action": "block", "note": "spam"})
    assert (blocked.status_code, blocked.json["promoter"]["state"]) == (200, "blocked")
    listed = call.get(f"/campaigns/{shop.campaign_id}/promoters?state=blocked").json["items"]
    assert [(one["member_no"], one["earned"]) for one in listed] == [(2, 2360)]
