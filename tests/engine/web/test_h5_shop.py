"""Buying on the phone: the landing page, the order sheet, the order's page, everything that is refused."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, render_template
from PIL import Image

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Event, Received
from growth_engine.orders import service as orders_service
from growth_engine.people import service as people_service
from growth_engine.plays import participation, service, templates
from growth_engine.plays.ordering import Wanted, place_order
from growth_engine.plays.participation import JoinAsk
from growth_engine.plays.registry import play
from growth_engine.posters import uploads
from growth_engine.web.h5 import visit
from growth_engine.web.h5.landing_view import landing_view, selling_view
from tests.factories.phones import Phone, publish_campaign
from tests.factories.store import PRICE, A, B, C, Store

RunJobs = Callable[..., int]


@pytest.fixture
def store(app: Flask, parts: Parts, workspace: str) -> Store:
    return Store(app, parts, workspace)


# -- landing -----------------------------------------------------------------------------------------


def test_the_landing_page_shows_what_is_sold_and_speaks_of_no_membership(store: Store) -> None:
    store.limit(7)
    visitor = store.phone(1)
    visitor.get(f"/c/{store.id}")
    words = visitor.text()
    for part in (
        "Slow Down and Finish",
        "CN¥59.00",
        "Only 7 left",
        "Order now",
        "20%",
        "No income is promised",
    ):
        assert part in words
    for part in ("membership", "days arrive", "Both are rewarded"):
        assert part not in words
    assert f'href="/c/{store.id}/shop"' in visitor.page


def test_a_sold_out_campaign_says_so_and_offers_nothing_to_order(store: Store) -> None:
    buyer = store.phone(1)
    store.limit(1)
    store.introduce(buyer, A, "Ann")
    other = store.phone(2)
    other.get(f"/c/{store.id}")
    assert "Sold out" in other.text()
    assert "Order now" not in other.text()
    other.get(f"/c/{store.id}/shop")
    assert "Everything is sold out" in other.text()


def test_a_product_shows_its_picture_and_nobody_elses(store: Store, parts: Parts, workspace: str) -> None:
    packed = io.BytesIO()
    Image.new("RGB", (40, 40), "#8c4a2f").save(packed, "PNG")
    with parts.open(workspace) as ctx:
        key = uploads.product_from_upload(parts.storage, packed.getvalue())
        orders_service.change_product(ctx, store.product_id(), {"picture_key": key})
    visitor = store.phone(1)
    visitor.get(f"/c/{store.id}")
    found = re.search(r'<img class="h5-offer-picture" src="([^"]+)"', visitor.page)
    assert found
    answer = visitor.get(found[1])
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert "immutable" in answer.headers["Cache-Control"]
    other = publish_campaign(parts, workspace, template="book-fans")
    assert visitor.get(found[1].replace(store.id, other)).status_code == 404
    assert visitor.get(found[1][:-1] + ("0" if found[1][-1] != "0" else "1")).status_code == 404


def test_pages_of_selling_are_none_of_a_campaign_that_sells_nothing(
    app: Flask, parts: Parts, workspace: str, store: Store
) -> None:
    referral = publish_campaign(parts, workspace)
    visitor = store.phone(1)
    for page in ("shop", "orders", "wallet", "promote", "wallet/withdraw", "wallet/withdrawals"):
        assert visitor.get(f"/c/{referral}/{page}").status_code == 409, page
        assert "does not sell anything" in visitor.text()


def test_a_draft_that_sells_can_be_previewed_before_it_has_products(app: Flask, parts: Parts) -> None:
    ready = templates.template("book-fans")
    draft = SimpleNamespace(title="T", locale="en", content=ready.content("en"), starts_at=None, ends_at=None)
    promise = play("distribution").promise(play("distribution").Config().load(ready.config("en")))
    view = landing_view(draft, promise, now=parts.clock.now(), brand="B", selling=selling_view(promise, "en"))
    with app.test_request_context("/"):
        page = render_template("h5/landing.html", campaign_id="", **visit.landing_values(view))
    assert "20%" in page
    assert "No income is promised" in page
    assert "days arrive by themselves" not in page


# -- the sheet ---------------------------------------------------------------------------------------


def test_a_stranger_orders_with_name_number_and_consent_and_is_known_from_then_on(store: Store) -> None:
    buyer = store.phone(1)
    order_id = store.introduce(buyer, A, "Ann")
    buyer.follow()
    words = buyer.text()
    for part in (
        "To be paid",
        "CN¥59.00",
        "Pay the merchant as agreed",
        "Time left to pay",
        "Cancel the order",
    ):
        assert part in words
    again = store.buy(buyer, 2)
    assert again != order_id
    assert store.orders() == [(PRICE, 0), (2 * PRICE, 0)]
    store.open_sheet(buyer)
    assert "You order as Ann" in buyer.text()
    assert 'name="phone"' not in buyer.page


def test_whoever_opened_a_friends_link_is_the_friends_buyer(store: Store) -> None:
    ann, buyer = store.phone(1), store.phone(2)
    token = ann.join(store.id, A, "Ann")
    buyer.get(f"/i/{token}")
    assert f'href="/c/{store.id}/shop?i={token}"' in buyer.page
    store.introduce(buyer, B, "Bob", token)
    assert store.orders() == [(PRICE, 1)]


def test_the_same_form_twice_even_at_once_is_one_order(store: Store) -> None:
    store.limit(1)
    buyer = store.phone(1)
    path = store.open_sheet(buyer)
    fields = {**buyer.hidden(), "q-book": "1", "phone": A, "nickname": "Ann", "consent": "yes"}

    def send(phone: Phone) -> str:
        answer = phone.post(path, fields)
        return f"{answer.status_code} {answer.headers.get('Location', '')}"

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(send, [buyer.twin() for _ in range(4)]))
    assert len(answers) == 1, answers
    assert answers.pop().startswith(f"303 /c/{store.id}/orders/")
    assert len(store.orders()) == 1
    assert send(buyer).startswith("303"), "also after the last piece went to its own first copy"
    assert len(store.orders()) == 1


def test_several_products_are_one_order_with_one_total(store: Store) -> None:
    store.offer("set", 12800, None)
    buyer = store.phone(1)
    store.introduce(buyer, A, "Ann")
    order_id = store.buy(buyer, 2, **{"q-set": "1"})
    assert store.orders()[-1] == (2 * PRICE + 12800, 0)
    buyer.get(f"/c/{store.id}/orders/{order_id}")
    assert "CN¥246.00" in buyer.text()


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ("", "Choose at least one thing"),
        ("0", "Choose at least one thing"),
        ("-1", "Order 1 to 9999"),
        ("1.5", "Order 1 to 9999"),
        ("99999", "Order 1 to 9999"),
        ("two", "Order 1 to 9999"),
        ("8001", "only 8000 are left"),
    ],
)
def test_quantities_that_cannot_be_are_refused_in_plain_words(store: Store, quantity: str, said: str) -> None:
    buyer = store.phone(1)
    answer = store.send(buyer, quantity, phone=A, nickname="Ann", consent="yes")
    assert answer.status_code == 422
    assert said in buyer.text()
    assert store.orders() == []
    assert store.rows("SELECT 1 FROM participants WHERE campaign_id = :id") == []


def test_a_price_that_changed_meanwhile_is_shown_before_anything_is_ordered(
    store: Store, parts: Parts, workspace: str
) -> None:
    buyer = store.phone(1)
    store.introduce(buyer, A, "Ann")
    path = store.open_sheet(buyer)
    fields = {**buyer.hidden(), "q-book": "1"}
    with parts.open(workspace) as ctx:
        orders_service.change_product(ctx, store.product_id(), {"price": 6900})
    assert buyer.post(path, fields).status_code == 422
    assert "The price has changed to CN¥69.00" in buyer.text()
    assert buyer.post(path, {**buyer.hidden(), "q-book": "1"}).status_code == 303
    assert store.orders() == [(PRICE, 0), (6900, 0)]


def test_missing_name_number_or_consent_is_asked_for_and_what_was_typed_stays(store: Store) -> None:
    buyer = store.phone(1)
    assert store.send(buyer, 3, nickname="Ann", phone="nonsense").status_code == 422
    assert "This is not a phone number" in buyer.text()
    assert "Please agree to the rules" in buyer.text()
    assert 'value="3"' in buyer.page
    assert 'value="Ann"' in buyer.page


def test_a_number_that_is_somebodys_must_be_proved_before_it_orders(store: Store, parts: Parts) -> None:
    store.introduce(store.phone(1), A, "Ann")
    thief = store.phone(2)
    answer = store.send(thief, 2, phone=A, nickname="Eve", consent="yes")
    assert answer.headers["Location"].endswith("/code")
    assert len(store.orders()) == 1
    thief.follow()
    assert f"/c/{store.id}/shop?q-book=2" in thief.page  # back to the sheet as it was
    code = {**thief.hidden(), "code": parts.sms.last_code(f"+86{A}")}
    assert "/orders/" in thief.post(f"/c/{store.id}/code", code).headers["Location"]
    assert store.orders() == [(PRICE, 0), (2 * PRICE, 0)]
    assert store.rows("SELECT count(*) FROM participants WHERE campaign_id = :id")[0][0] == 1


def test_an_order_the_busy_books_only_noted_is_placed_once_by_the_page_that_waits(
    store: Store, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = store.phone(1)
    store.introduce(buyer, A, "Ann")
    submit = parts.ledger.submit

    def busy(event: Event) -> Any:
        submit(event)
        return Received("evt_x", False)

    monkeypatch.setattr(parts.ledger, "submit", busy)
    answer = store.send(buyer, 2)
    assert answer.headers["Location"] == f"/c/{store.id}/wait"
    monkeypatch.undo()
    assert "/orders/" in buyer.get(f"/c/{store.id}/wait").headers["Location"]
    assert store.orders() == [(PRICE, 0), (2 * PRICE, 0)]


def test_an_invite_of_another_campaign_is_no_invite_here(store: Store, parts: Parts, workspace: str) -> None:
    other = publish_campaign(parts, workspace)
    token = store.phone(1).join(other, A, "Ann")
    visitor = store.phone(2)
    assert visitor.get(f"/c/{store.id}/shop?i={token}").status_code == 404


def test_paused_ended_and_blocked_are_told_on_the_sheet_and_when_it_is_sent(
    store: Store, parts: Parts, workspace: str
) -> None:
    buyer = store.phone(1)
    store.introduce(buyer, A, "Ann")
    path = store.open_sheet(buyer)
    fields = {**buyer.hidden(), "q-book": "1"}
    with parts.open(workspace) as ctx:
        service.pause(ctx, store.id)
    assert buyer.get(path).status_code == 200
    assert "A short break" in buyer.text()
    assert buyer.post(path, fields).status_code == 409
    assert "A short break" in buyer.text()
    with parts.open(workspace) as ctx:
        service.resume(ctx, store.id)
    contact = store.rows("SELECT contact_id FROM participants WHERE campaign_id = :id")[0][0]
    with parts.open(workspace) as ctx:
        people_service.block(ctx, contact, "test")
    participation.block(parts, workspace, contact, reason="test", key="block")
    assert buyer.get(path).status_code == 403
    assert buyer.post(path, {**fields}).status_code == 403
    assert len(store.orders()) == 1


def test_somebody_known_from_another_campaign_only_agrees_to_this_one(
    store: Store, parts: Parts, workspace: str
) -> None:
    buyer = store.phone(1)
    buyer.join(publish_campaign(parts, workspace), A, "Ann")
    assert store.send(buyer, 1).status_code == 422
    assert "Please agree to the rules" in buyer.text()
    assert 'name="phone"' not in buyer.page
    store.buy(buyer, 1, consent="yes")
    assert store.orders() == [(PRICE, 0)]
    assert store.rows("SELECT 1 FROM consents WHERE wording_version = :wording", wording=f"h5-1:{store.id}:1")


# -- the order ---------------------------------------------------------------------------------------


def test_the_order_page_notices_its_payment_and_its_refund(store: Store) -> None:
    buyer = store.phone(1)
    order_id = store.introduce(buyer, A, "Ann")
    page = f"/c/{store.id}/orders/{order_id}"
    buyer.get(page)
    found = re.search(r'hx-get="([^"]+)" hx-trigger="every 3s"', buyer.page)
    assert found
    look = found[1].replace("&amp;", "&")
    assert "HX-Refresh" not in buyer.get(look).headers
    assert 'hx-trigger="every 4s"' in buyer.page
    store.pay(order_id, PRICE)
    assert buyer.get(look).headers["HX-Refresh"] == "true"
    buyer.get(page)
    assert "Your payment has arrived" in buyer.text()
    assert "How to pay" not in buyer.text()
    assert "hx-get" not in buyer.page
    store.refund(order_id, 1900)
    buyer.get(page)
    assert "CN¥19.00 went back to you" in buyer.text()
    store.refund(order_id, 4000)
    buyer.get(page)
    assert "What you paid went back to you" in buyer.text()


def test_an_unpaid_order_is_cancelled_once_and_a_paid_one_is_not(store: Store) -> None:
    store.limit(1)
    buyer = store.phone(1)
    order_id = store.introduce(buyer, A, "Ann")
    page = f"/c/{store.id}/orders/{order_id}"
    buyer.get(page)
    fields = buyer.hidden()
    for _ in range(2):
        assert buyer.post(f"{page}/cancel", fields).status_code == 303
    buyer.follow()
    assert "This order was cancelled" in buyer.text()
    second = store.buy(buyer)
    store.pay(second, PRICE)
    buyer.post(f"/c/{store.id}/orders/{second}/cancel", fields)
    buyer.follow()
    assert "cannot be cancelled" in buyer.text()
    assert "Thank you! Your payment has arrived" in buyer.text()


def test_an_order_not_paid_in_time_says_so(store: Store, clock: FixedClock, run_jobs: RunJobs) -> None:
    buyer = store.phone(1)
    order_id = store.introduce(buyer, A, "Ann")
    clock.advance(timedelta(minutes=61))
    buyer.get(f"/c/{store.id}/orders/{order_id}")
    assert "The time to pay is over" in buyer.text()
    run_jobs(store.workspace_id, "orders.expire")
    buyer.get(f"/c/{store.id}/orders/{order_id}")
    assert "It was not paid in time" in buyer.text()


def test_orders_are_their_buyers_alone(store: Store) -> None:
    buyer, other, stranger = store.phone(1), store.phone(2), store.phone(3)
    order_id = store.introduce(buyer, A, "Ann")
    store.introduce(other, B, "Bob")
    page = f"/c/{store.id}/orders/{order_id}"
    assert other.get(page).status_code == 404
    assert other.get(f"{page}/look").status_code == 404
    other.get(f"/c/{store.id}/orders")
    other.get(f"/c/{store.id}/shop")  # any form of theirs
    assert other.post(f"{page}/cancel", other.hidden()).status_code == 404
    assert stranger.get(page).headers["Location"].endswith("/enter")
    buyer.get(f"/c/{store.id}/orders")
    assert buyer.page.count('h5-order"') == 1


def test_my_orders_go_on_page_by_page(app: Flask, parts: Parts, workspace: str) -> None:
    store = Store(app, parts, workspace, unpaid_orders=0)
    buyer = store.phone(1)
    store.introduce(buyer, C, "Cid")
    contact = store.rows("SELECT contact_id FROM participants WHERE campaign_id = :id")[0][0]
    for number in range(24):
        placed = place_order(
            parts, store.workspace_id, store.id, JoinAsk(contact_id=contact), [Wanted("book", 1)],
            currency="CNY", source="test", key=f"k{number}",
        )  # fmt: skip
        assert placed.accepted
    buyer.get(f"/c/{store.id}/orders")
    assert buyer.page.count('class="h5-card h5-order"') == 20
    found = re.search(r'href="([^"]*before=[^"]*)"', buyer.page)
    assert found
    buyer.get(found[1].replace("&amp;", "&"))
    assert buyer.page.count('class="h5-card h5-order"') == 5
