"""What a marketer does with orders: found, taken along as CSV, marked paid, cancelled."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from tests.factories.console import Console
from tests.factories.selling import Shop
from tests.factories.shops import TIERS, base, hidden, order_of, text_of, three


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    parts.mirror.load_functions()
    return three(Shop(parts, workspace, {"promoter_tiers": TIERS}))


def test_orders_are_found_by_state_number_and_buyer(console: Console, shop: Shop) -> None:
    paid, placed = shop.buy("Cid"), shop.order("Bob", external_id="shop-77")
    numbers = dict(shop.rows("SELECT id, number FROM orders WHERE campaign_id = :campaign"))

    def found(query: str) -> set[str]:
        page = console.get(f"{base(shop)}/orders{query}")
        return {one for one in (paid, placed) if f"/orders/{one}" in page}

    assert found("") == {paid, placed}
    assert found("?state=paid") == {paid}
    assert found("?state=cancelled") == set()
    assert found("?q=cid") == {paid}
    assert found(f"?q={numbers[placed]}") == {placed}
    assert found("?q=shop-77") == {placed}
    assert found("?q=%25") == set()
    assert found("?state=nonsense") == {paid, placed}


def test_the_list_of_orders_goes_on_page_by_page(console: Console, shop: Shop, clock: FixedClock) -> None:
    made = []
    for _ in range(3):
        clock.advance(timedelta(minutes=1))
        made.append(shop.order("Cid"))
    page = console.get(f"{base(shop)}/orders?limit=2")
    assert [f"/orders/{one}" in page for one in made] == [False, True, True]
    following = re.search(r'href="([^"]+cursor=[^"]+)"', page)
    assert following
    assert f"/orders/{made[0]}" in console.get(unescape(following[1]))


def test_orders_are_taken_along_without_formulas(console: Console, shop: Shop, clock: FixedClock) -> None:
    order_id = shop.buy("Cid", 2)
    shop.refund(order_id, 1000)
    clock.advance(timedelta(minutes=1))
    shop.order("Bob", external_id="+1-2")
    shop.rows(
        "UPDATE contacts SET nickname = '=HYPERLINK(\"x\")' WHERE id = :id RETURNING id",
        id=shop.contacts["Cid"],
    )
    response = console.client.get(f"{base(shop)}/orders.csv")
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff"))))
    assert [row["state"] for row in rows] == ["placed", "paid"]
    assert rows[0]["external_id"] == "'+1-2"
    assert rows[1]["buyer"] == '\'=HYPERLINK("x")'
    assert rows[1]["products"] == "book x 2"
    assert [rows[1][name] for name in ("total", "paid", "refunded", "commission", "platform_fee")] == [
        "118.00", "118.00", "10.00", "27.00", "1.08",
    ]  # fmt: skip
    assert rows[1]["placed_at"] == "2026-06-01 10:00:00"
    only = console.client.get(f"{base(shop)}/orders.csv?state=placed").text
    assert len(only.splitlines()) == 2


def test_an_order_is_marked_paid_once_however_often_it_is_pressed(console: Console, shop: Shop) -> None:
    order_id = shop.order("Cid", 2)
    page = console.get(f"{base(shop)}/orders/{order_id}")
    assert 'id="f-paid" name="amount" value="118.00"' in page
    form = {"amount": "118.00", "key": hidden(page, "key"), "external_id": ""}
    console.post(f"{base(shop)}/orders/{order_id}/pay", form)
    console.post(f"{base(shop)}/orders/{order_id}/pay", form)
    assert tuple(order_of(shop, order_id)) == (11_800, 0, "paid")
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert "CN¥118.00 are marked as paid." in told
    assert "Money came for an order of Cid" in told
    assert "Bob earns CN¥23.60 (level 1)." in told
    assert "Mark as paid" not in told


def test_a_payment_in_parts_and_one_too_large(console: Console, shop: Shop) -> None:
    order_id = shop.order("Cid")
    pay = f"{base(shop)}/orders/{order_id}/pay"
    console.post(pay, {"amount": "20", "external_id": "till-1"})
    assert "Partly paid" in text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    console.post(pay, {"amount": "20", "external_id": "till-1"})
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert "This form was sent before." in told
    assert "are marked as paid" not in told
    console.post(pay, {"amount": "40", "external_id": "till-2"})
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert "More than is due: CN¥39.00 are still to be paid." in told
    console.post(pay, {"amount": "39", "external_id": "till-1"})
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert f"“till-1” is in the books already: CN¥20.00 for order {order_id}" in told
    for amount in ("0", "-3", "", "many", "1.234"):
        console.post(pay, {"amount": amount})
        assert "Give an amount above zero in CNY." in text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    console.post(pay, {"amount": "39", "external_id": "x" * 200})
    assert "128 printable characters" in text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert order_of(shop, order_id).paid == 2000


def test_an_unpaid_order_is_cancelled_and_a_paid_one_is_not(console: Console, shop: Shop) -> None:
    unpaid, paid = shop.order("Cid"), shop.buy("Cid")
    key = hidden(console.get(f"{base(shop)}/orders/{unpaid}"), "key")
    for _ in range(2):  # pressed twice
        console.post(f"{base(shop)}/orders/{unpaid}/cancel", {"key": key})
        assert "The order is cancelled" in text_of(console.get(f"{base(shop)}/orders/{unpaid}"))
    assert order_of(shop, unpaid).state == "cancelled"
    assert "Cancel the order" not in console.get(f"{base(shop)}/orders/{paid}")
    console.post(f"{base(shop)}/orders/{paid}/cancel")
    assert order_of(shop, paid).state == "paid"
    assert "so it cannot be cancelled. Refund it." in text_of(console.get(f"{base(shop)}/orders/{paid}"))
