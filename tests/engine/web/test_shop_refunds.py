"""Refunds at the console: previewed, then done as previewed, the way the money came."""

from __future__ import annotations

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer, RefundAnswer, providers
from tests.factories.console import Console
from tests.factories.selling import PRICE, Shop
from tests.factories.shops import TIERS, base, hidden, order_of, shares, text_of, three


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    parts.mirror.load_functions()
    return three(Shop(parts, workspace, {"promoter_tiers": TIERS}))


def test_a_refund_is_previewed_then_done_as_previewed(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid", 2)
    path = f"{base(shop)}/orders/{order_id}/refund"
    piece = console.get(f"{path}?amount=59.00&reason=torn", htmx=True)
    assert "<html" not in piece
    told = text_of(piece)
    assert "CN¥118.00 → CN¥59.00" in told
    assert "Bob level 1 CN¥23.60 → CN¥11.80 CN¥11.80 from what is on hold" in told
    assert "Ann level 2 CN¥5.90 → CN¥2.95 CN¥2.95 from what is on hold" in told
    assert "Platform fee that comes back to you CN¥0.59" in told
    assert tuple(order_of(shop, order_id)) == (11_800, 0, "paid")
    form = {name: hidden(piece, name) for name in ("amount", "reason", "key", "seen")}
    console.post(path, form)
    console.post(path, form)  # pressed twice
    assert tuple(order_of(shop, order_id)) == (11_800, 5900, "paid")
    assert [one.target for one in shares(shop, order_id)] == [1180, 295]
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert "CN¥59.00 are refunded." in told
    assert "torn" in told
    assert "Partly refunded" in told


def test_without_scripts_the_preview_is_a_page(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid")
    page = console.get(f"{base(shop)}/orders/{order_id}/refund?amount=59")
    assert "<html" in page
    assert "Refund CN¥59.00" in text_of(page)


def test_the_preview_says_what_is_withdrawn_already(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid")
    shop.mature_all()
    path = f"{base(shop)}/orders/{order_id}/refund?amount=59"
    assert "CN¥11.80 out of their wallet" in text_of(console.get(path))
    shop.rows(
        "UPDATE accounts SET balance = 0, debited = credited WHERE account = 'available' RETURNING owner"
    )
    told = text_of(console.get(path))
    assert "CN¥11.80 are withdrawn already: a debt that later commission makes up for" in told


def test_a_refund_that_cannot_be_is_told_so(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid")
    path = f"{base(shop)}/orders/{order_id}/refund"
    for amount in ("0", "-1", "", "abc", "59.01"):
        told = text_of(console.get(f"{path}?amount={amount}"))
        assert (
            "At most CN¥59.00 of this order" if amount == "59.01" else "Give an amount above zero"
        ) in told
        console.post(path, {"amount": amount, "seen": "5900-0"})
        assert order_of(shop, order_id).refunded == 0


def test_a_refund_waits_for_a_second_look_when_the_order_changed(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid", 2)
    path = f"{base(shop)}/orders/{order_id}/refund"
    piece = console.get(f"{path}?amount=59", htmx=True)
    shop.refund(order_id, 1000)
    form = {name: hidden(piece, name) for name in ("amount", "reason", "key", "seen")}
    answer = console.post(path, form)
    assert order_of(shop, order_id).refunded == 1000
    page = console.get(answer.headers["Location"])
    assert "The order has changed meanwhile." in page
    assert hidden(page, "key") == form["key"]


class Slow:
    """A provider that loses its first answer."""

    name = "slow"
    title = "Slow"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.states = ["unknown", "failed", "waiting", "done"]

    def checkout(self, parts: Parts, workspace_id: str, order: Order, payer: Payer) -> Checkout:
        raise NotImplementedError

    def refund(
        self,
        parts: Parts,
        workspace_id: str,
        order: Order,
        refund_id: str,
        amount: int,
        reason: str,
        *,
        restock: bool,
    ) -> RefundAnswer:
        self.asked.append(refund_id)
        return RefundAnswer(self.states.pop(0), f"slow-{refund_id}", "no funds")


def test_a_refund_goes_back_the_way_the_money_came(
    console: Console, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    assert providers["manual"]
    monkeypatch.setitem(providers._items, "slow", slow)
    order_id = shop.order("Cid")
    shop.submit(shop.event("payment", {
        "order_id": order_id, "provider": "slow", "external_id": "s1", "amount": PRICE, "currency": "CNY",
    }, "slow:s1", source="payment"))  # fmt: skip
    path = f"{base(shop)}/orders/{order_id}/refund"
    piece = console.get(f"{path}?amount=59", htmx=True)
    assert "The money goes back the way it came." in piece
    form = {name: hidden(piece, name) for name in ("amount", "reason", "key", "seen")}
    again = console.get(console.post(path, form).headers["Location"])
    assert "the number stays the same" in again
    assert hidden(again, "key") == form["key"]
    console.post(path, form)
    assert "no funds" in console.get(f"{base(shop)}/orders/{order_id}")
    console.post(path, form)
    assert "will tell us when it is done" in console.get(f"{base(shop)}/orders/{order_id}")
    assert order_of(shop, order_id).refunded == 0
    console.post(path, form)
    assert order_of(shop, order_id).refunded == PRICE
    assert set(slow.asked) == {form["key"]}
    assert shop.rows("SELECT provider, external_id FROM refunds WHERE order_id = :o", o=order_id) == [
        ("slow", f"slow-{form['key']}")
    ]


@pytest.mark.parametrize("ticked", [True, False])
def test_the_goods_go_back_into_stock_unless_the_tick_is_taken_away(
    console: Console, shop: Shop, ticked: bool
) -> None:
    shop.offer("pen", 900, 10)
    order_id = shop.buy("Cid", 3, sku="pen")
    path = f"{base(shop)}/orders/{order_id}/refund"
    assert "restock" not in console.get(f"{path}?amount=9"), "part of it went back, the goods did not"
    page = console.get(f"{path}?amount=27")
    assert 'name="restock" value="yes" checked' in page
    assert "3 pieces" in text_of(page)
    form = {"amount": "27", "key": hidden(page, "key"), "seen": hidden(page, "seen")}
    console.post(path, {**form, "restock": "yes"} if ticked else form)
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert ("The goods are back in stock: 3." in told) is ticked
    left = shop.rows("SELECT taken FROM stock WHERE campaign_id = :campaign")
    assert [row[0] for row in left] == [0 if ticked else 3]
