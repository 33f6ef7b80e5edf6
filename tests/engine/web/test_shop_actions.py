"""What a marketer does on the selling pages: products, payments, refunds, commissions, promoters."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from PIL import Image

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer, RefundAnswer, providers
from tests.factories.console import Console
from tests.factories.selling import PRICE, Shop

TIERS = [{"name": "gold", "label": "Gold sellers"}]


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """Ann brought Bob, Bob brought Cid; 20 % and 5 % of a book for 59.00."""
    parts.mirror.load_functions()
    made = Shop(parts, workspace, {"promoter_tiers": TIERS})
    for who, inviter in (("Ann", None), ("Bob", "Ann"), ("Cid", "Bob")):
        made.join(who, inviter)
    return made


def base(shop: Shop) -> str:
    return f"/console/campaigns/{shop.campaign_id}"


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return unescape(found[1])


def shares(shop: Shop, order_id: str) -> list[Any]:
    return shop.rows(
        "SELECT id, target, state, reason FROM commissions WHERE order_id = :order ORDER BY level",
        order=order_id,
    )


def order_of(shop: Shop, order_id: str) -> Any:
    return shop.rows("SELECT paid, refunded, state FROM orders WHERE id = :order", order=order_id)[0]


def picture(colour: str = "#4a56d2", size: tuple[int, int] = (1600, 800)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


# -- products ----------------------------------------------------------------------------------------


def products(shop: Shop) -> list[Any]:
    return shop.rows(
        "SELECT p.id, p.sku, p.name, p.price, p.state, p.picture_key, s.total FROM products p"
        " LEFT JOIN stock s ON s.campaign_id = p.campaign_id AND s.item = 'product:' || p.id"
        " WHERE p.campaign_id = :campaign ORDER BY p.position, p.id"
    )


def test_a_product_is_added_with_picture_price_and_stock(console: Console, shop: Shop) -> None:
    form = {"name": "Mug", "sku": "mug-1", "price": "39.90", "stock": "12", "description": "Blue"}
    console.post(f"{base(shop)}/products/new", {**form, "picture": (io.BytesIO(picture()), "mug.png")})
    mug = products(shop)[1]
    assert (mug.sku, mug.name, mug.price, mug.state, mug.total) == ("mug-1", "Mug", 3990, "on_sale", 12)
    page = console.get(f"{base(shop)}/products")
    assert "12 of 12 left" in text_of(page)
    assert "CN¥39.90" in page
    shown = console.client.get(f"{base(shop)}/products/{mug.id}/picture")
    assert shown.mimetype == "image/jpeg"
    with Image.open(io.BytesIO(shown.data)) as kept:
        assert kept.size == (1000, 500)
    console.get(f"{base(shop)}/products/{products(shop)[0].id}/picture", status=404)


WRONG_PRODUCTS = [
    ({"price": "12.345"}, "Write a number with at most 2 decimals."),
    ({"price": "0.00"}, "Must be between 0.01"),
    ({"price": ""}, "This is needed."),
    ({"name": " "}, "This is needed."),
    ({"sku": "no spaces"}, "Use 1 to 64 letters, digits"),
    ({"sku": "book"}, "There is a product with this SKU already."),
    ({"stock": "-1"}, "Must be between 0"),
]


def test_what_is_wrong_with_a_product_stands_beside_its_field(console: Console, shop: Shop) -> None:
    for wrong, said in WRONG_PRODUCTS:
        form = {"name": "Mug", "sku": "mug", "price": "10", "stock": ""} | wrong
        page = console.post(f"{base(shop)}/products/new", form, status=422).text
        assert said in unescape(page)
        for name, value in wrong.items():
            assert f'name="{name}" value="{value.strip()}"' in page
    assert len(products(shop)) == 1


def test_a_file_that_is_no_picture_is_refused_beside_its_field(console: Console, shop: Shop) -> None:
    form = {"name": "Mug", "sku": "mug", "price": "10", "picture": (io.BytesIO(b"no"), "mug.png")}
    page = console.post(f"{base(shop)}/products/new", form, status=422).text
    assert "This file is no JPEG, PNG, WebP or GIF picture" in page
    assert len(products(shop)) == 1


def test_a_product_is_changed_but_its_sku_stays(console: Console, shop: Shop) -> None:
    book = products(shop)[0]
    shop.buy("Cid", 3)
    form = {"name": "Book, 2nd edition", "sku": "other", "price": "61", "stock": "5"}
    path = f"{base(shop)}/products/{book.id}"
    console.post(path, {**form, "picture": (io.BytesIO(picture()), "b.png")})
    changed = products(shop)[0]
    assert (changed.sku, changed.name, changed.price, changed.total) == ("book", "Book, 2nd edition", 6100, 5)
    assert "2 of 5 left" in text_of(console.get(f"{base(shop)}/products"))
    assert "3 CN¥177.00" in text_of(console.get(f"{base(shop)}/products"))
    page = console.post(path, {**form, "stock": "2"}, status=422).text
    assert "More than that are sold or reserved already." in page
    console.post(path, {**form, "stock": "", "picture_away": "1"})
    assert (products(shop)[0].total, products(shop)[0].picture_key) == (None, None)


def test_products_are_hidden_shown_and_put_in_order(console: Console, shop: Shop) -> None:
    shop.offer("pen", 500)
    shop.offer("mug", 900)
    first, second, third = (one.id for one in products(shop))
    console.post(f"{base(shop)}/products/{first}/down")
    assert [one.id for one in products(shop)] == [second, first, third]
    console.post(f"{base(shop)}/products/{third}/up")
    console.post(f"{base(shop)}/products/{third}/up")
    console.post(f"{base(shop)}/products/{third}/up")
    assert [one.id for one in products(shop)] == [third, second, first]
    console.post(f"{base(shop)}/products/{second}/hide")
    assert [one.state for one in products(shop)] == ["on_sale", "hidden", "on_sale"]
    assert "Hidden" in text_of(console.get(f"{base(shop)}/products"))
    console.post(f"{base(shop)}/products/{second}/show")
    assert products(shop)[1].state == "on_sale"


# -- orders ------------------------------------------------------------------------------------------


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
    console.post(pay, {"amount": "40", "external_id": "till-2"})
    told = text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert "More than is due: CN¥39.00 are still to be paid." in told
    console.post(pay, {"amount": "39", "external_id": "till-1"})
    assert "used before with other content" in text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    for amount in ("0", "-3", "", "many", "1.234"):
        console.post(pay, {"amount": amount})
        assert "Give an amount above zero in CNY." in text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    console.post(pay, {"amount": "39", "external_id": "x" * 200})
    assert "128 printable characters" in text_of(console.get(f"{base(shop)}/orders/{order_id}"))
    assert order_of(shop, order_id).paid == 2000


def test_an_unpaid_order_is_cancelled_and_a_paid_one_is_not(console: Console, shop: Shop) -> None:
    unpaid, paid = shop.order("Cid"), shop.buy("Cid")
    console.post(f"{base(shop)}/orders/{unpaid}/cancel")
    assert order_of(shop, unpaid).state == "cancelled"
    assert "Cancel the order" not in console.get(f"{base(shop)}/orders/{paid}")
    console.post(f"{base(shop)}/orders/{paid}/cancel")
    assert order_of(shop, paid).state == "paid"
    assert "so it cannot be cancelled. Refund it." in text_of(console.get(f"{base(shop)}/orders/{paid}"))


# -- refunds -----------------------------------------------------------------------------------------


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
        self, parts: Parts, workspace_id: str, order: Order, refund_id: str, amount: int, reason: str
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


# -- commissions -------------------------------------------------------------------------------------


def act(console: Console, shop: Shop, action: str, *ids: str, **more: Any) -> str:
    form = {"action": action, "ids": list(ids), "reason": "A closer look", **more}
    answer = console.post(f"{base(shop)}/commissions/act", form)
    return text_of(console.get(answer.headers["Location"]))


def test_commissions_are_held_released_paid_out_and_voided(console: Console, shop: Shop) -> None:
    first, second = shares(shop, shop.buy("Cid"))
    told = act(console, shop, "hold", first.id, second.id)
    assert "2 commissions are held." in told
    assert "Held by hand CN¥14.75 2" in told
    assert "A closer look" in told
    assert "1 commission is released." in act(console, shop, "release", first.id)
    told = act(console, shop, "mature", first.id, second.id)
    assert "2 commissions went over to the wallets." in told
    assert shop.available("Bob") == 1180
    told = act(console, shop, "void", first.id, second.id)
    assert "2 commissions are void." in told
    assert (shop.available("Bob"), shop.unbalanced()) == (0, [])
    told = act(console, shop, "hold", first.id)
    assert "1 was left alone, because this does not fit its state." in told


def test_what_fits_is_done_and_the_rest_is_told(console: Console, shop: Shop) -> None:
    first, second = shares(shop, shop.buy("Cid"))
    act(console, shop, "hold", first.id)
    told = act(console, shop, "hold", first.id, second.id)
    assert "1 commission is held." in told
    assert "1 was left alone" in told


WRONG_ACTIONS: list[tuple[dict[str, Any], str]] = [
    ({"reason": " "}, "Say why, in at most 200 characters"),
    ({"reason": "x" * 201}, "Say why, in at most 200 characters"),
    ({"action": "burn"}, "Choose void, hold, release or mature."),
    ({"ids": []}, "Choose 1 to 500 commissions."),
]


def test_an_action_without_what_it_needs_is_refused(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid")
    first, _second = shares(shop, order_id)
    for wrong, said in WRONG_ACTIONS:
        form = {"action": "hold", "ids": [first.id], "reason": "A closer look"} | wrong
        answer = console.post(f"{base(shop)}/commissions/act", form)
        assert said in text_of(console.get(answer.headers["Location"]))
    assert shares(shop, order_id)[0].state == "pending"


def test_the_same_form_sent_twice_is_one_wish(console: Console, shop: Shop) -> None:
    first, second = shares(shop, shop.buy("Cid"))
    key = hidden(console.get(f"{base(shop)}/commissions"), "key")
    act(console, shop, "hold", first.id, key=key)
    assert "1 commission is held." in act(console, shop, "hold", first.id, key=key)
    # Another wish from the same page is another wish.
    assert "1 commission is held." in act(console, shop, "hold", second.id, key=key)
    assert len(shop.rows("SELECT 1 FROM entries WHERE book_id = :campaign AND kind = 'commission'")) == 2


def test_a_commission_of_another_shop_cannot_be_touched(
    console: Console, shop: Shop, parts: Parts, workspace: str
) -> None:
    other = Shop(parts, workspace)
    for who, inviter in (("Eve", None), ("Fay", "Eve")):
        other.join(who, inviter)
    order_id = other.buy("Fay")
    assert "1 was left alone" in act(console, shop, "void", shares(other, order_id)[0].id)
    assert shares(other, order_id)[0].state == "pending"


def test_the_list_is_led_back_to_only_on_this_site(console: Console, shop: Shop) -> None:
    first, _second = shares(shop, shop.buy("Cid"))
    form = {"action": "hold", "ids": first.id, "reason": "x"}
    for target in ("https://evil.example/", "//evil.example"):
        answer = console.post(f"{base(shop)}/commissions/act", {**form, "next": target})
        assert answer.headers["Location"] == f"{base(shop)}/commissions"


def test_why_this_amount_tells_every_step_and_every_movement(
    console: Console, shop: Shop, clock: FixedClock
) -> None:
    order_id = shop.buy("Cid", 2)
    shop.refund(order_id, PRICE)
    clock.advance(timedelta(days=8))
    shop.mature()
    first, _second = shares(shop, order_id)
    told = text_of(console.get(f"{base(shop)}/commissions/{first.id}"))
    assert "Why this amount by the rules of version 1" in told
    assert "CN¥59.00 of the order's CN¥118.00 was paid and kept." in told
    assert "book × 2: CN¥59.00 at 20% (the campaign's rate), rounded down: CN¥11.80." in told
    assert "Commission of level 1: CN¥11.80." in told
    for movement in (
        "Payment book of the campaign Commission expense -CN¥23.60",
        "Payment book of the campaign Commissions on hold +CN¥23.60",
        "Refund book of the campaign Commissions on hold -CN¥11.80",
        "Became payable book of the campaign Commissions on hold -CN¥11.80",
        "Became payable book of the wallets Available to promoters +CN¥11.80",
    ):
        assert movement in told, movement
    assert "In the wallet" in told


def test_a_void_commission_says_who_decided_what(console: Console, shop: Shop) -> None:
    first, _second = shares(shop, shop.buy("Cid"))
    path = f"{base(shop)}/commissions/{first.id}"
    assert 'value="mature"' in console.get(path)
    act(console, shop, "void", first.id, next=path)
    told = console.get(path)
    assert "It was taken away by hand, so it is worth nothing: A closer look" in text_of(told)
    assert 'name="action"' not in told


# -- promoters ---------------------------------------------------------------------------------------


def decide(console: Console, shop: Shop, action: str, *who: str, **more: Any) -> str:
    form = {"action": action, "numbers": [str(shop.numbers[one]) for one in who], **more}
    answer = console.post(f"{base(shop)}/promoters/decide", form)
    return text_of(console.get(answer.headers["Location"]))


def standing(shop: Shop, who: str) -> tuple[str, str, str]:
    found = shop.rows(
        "SELECT state, tier, note FROM promoters WHERE campaign_id = :campaign AND number = :number",
        number=shop.numbers[who],
    )
    return tuple(found[0]) if found else ("", "", "")


def test_applicants_are_approved_grouped_blocked_and_let_in_again(
    console: Console, parts: Parts, workspace: str
) -> None:
    shop = Shop(parts, workspace, {"who_promotes": "approved", "promoter_tiers": TIERS})
    for who in ("Ann", "Bob", "Cid"):
        shop.join(who)
    for who in ("Ann", "Bob"):
        shop.promote("apply", who, note=f"I am {who}")
    listed = text_of(console.get(f"{base(shop)}/promoters?state=applied"))
    assert "“I am Ann”" in listed
    assert "Cid" not in listed
    assert "2 promoters are approved." in decide(console, shop, "approve", "Ann", "Bob")
    assert standing(shop, "Ann") == ("approved", "", "I am Ann")
    assert "1 promoter is in the group." in decide(console, shop, "tier", "Ann", tier="gold")
    assert standing(shop, "Ann")[1] == "gold"
    assert "Gold sellers" in text_of(console.get(f"{base(shop)}/promoters?tier=gold"))
    assert "There is no such group." in decide(console, shop, "tier", "Ann", tier="silver")
    assert "1 promoter is blocked." in decide(console, shop, "block", "Bob", note="Spam")
    assert standing(shop, "Bob") == ("blocked", "", "Spam")
    told = decide(console, shop, "approve", "Ann", "Bob")
    assert "1 promoter is approved." in told
    assert "Bob: May not promote any more. Unblock first." in told
    assert "1 promoter may go on." in decide(console, shop, "unblock", "Bob")
    assert "1 application is turned down." in decide(console, shop, "reject", "Ann")
    assert "1 promoter is in the group." in decide(console, shop, "tier", "Ann", tier="")
    assert standing(shop, "Ann")[:2] == ("rejected", "")


def test_somebody_who_never_sold_is_found_and_approved(console: Console, shop: Shop) -> None:
    shop.join("Dan")
    path = f"{base(shop)}/promoters?q=dan"
    assert f'value="{shop.numbers["Dan"]}" data-pick' in console.get(path)
    assert "1 promoter is approved." in decide(console, shop, "approve", "Dan", next=path)
    assert standing(shop, "Dan")[0] == "approved"


def test_a_decision_about_nobody_or_nothing_is_refused(console: Console, shop: Shop) -> None:
    wrong: list[dict[str, Any]] = [{"action": "promote"}, {"numbers": []}, {"numbers": ["x", "9" * 30]}]
    for one in wrong:
        sent = {"action": "approve", "numbers": [str(shop.numbers["Bob"])]} | one
        answer = console.post(f"{base(shop)}/promoters/decide", sent)
        assert re.search(r"Choose (1 to 100 people|approve, reject)", console.get(answer.headers["Location"]))
    assert standing(shop, "Bob") == ("", "", "")


def test_a_promoters_page_tells_what_they_sold_and_who_belongs_to_them(console: Console, shop: Shop) -> None:
    shop.buy("Cid", 2)
    shop.buy("Bob")
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Bob']}"))
    assert "Earned CN¥23.60 rank 1" in told
    assert "Sales CN¥118.00 1 paid order" in told
    assert "Value of the branch CN¥118.00 bought by 1 + 0 people" in told
    assert "Own purchases CN¥59.00" in told
    assert "Buyers who belong to them 1" in told
    assert "Cid CN¥118.00 Jun 1, 2026" in told
    assert "Belongs to Ann" in told
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Ann']}"))
    assert "Value of the branch CN¥177.00 bought by 1 + 1 people" in told
    decide(console, shop, "block", "Ann", note="Bought likes")
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Ann']}"))
    assert "Bought likes" in told
    assert "Last decided 2026-06-01 10:00 by Mia." in told
    assert "May not promote any more." in told


def test_a_promoters_page_stands_without_the_mirror(console: Console, shop: Shop, parts: Parts) -> None:
    from growth_engine.ledger.mirror import BookKey

    shop.buy("Cid")
    parts.mirror.forget(BookKey(shop.workspace_id, shop.campaign_id))
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Bob']}"))
    assert "Value of the branch – cannot be read right now" in told
    assert "Sales CN¥59.00" in told


def test_the_best_earners_come_first(console: Console, shop: Shop) -> None:
    shop.buy("Cid")
    page = console.get(f"{base(shop)}/promoters")
    places = [page.index(f'value="{shop.numbers[who]}" data-pick') for who in ("Bob", "Ann", "Cid")]
    assert places == sorted(places)
    first = console.get(f"{base(shop)}/promoters?limit=1")
    following = re.search(r'href="([^"]+cursor=[^"]+)"', first)
    assert following
    assert f'value="{shop.numbers["Ann"]}" data-pick' in console.get(unescape(following[1]))
