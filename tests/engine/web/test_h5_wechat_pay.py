"""Paying on phone pages: by WeChat's sheet inside it, by a code elsewhere; and asking how it went."""

from __future__ import annotations

import base64
import html
import io
import json
import re

import pytest
import zxingcpp
from flask import Flask
from PIL import Image

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.handle import Person
from growth_engine.web.h5.wechat_pay import code_picture
from tests.factories.inside_wechat import InsideWechat, sign_in
from tests.factories.phones import Phone
from tests.factories.tills import connect_sandbox


@pytest.fixture
def shop(product: Flask, sandbox: Sandbox) -> InsideWechat:
    sandbox.reset()
    made = InsideWechat(product, sandbox, template="book-fans")
    connect_sandbox(made.parts, made.workspace, sandbox)
    return made


def test_outside_wechat_an_order_is_paid_by_a_code(shop: InsideWechat) -> None:
    phone = shop.browser("Mozilla/5.0")
    page = f"/c/{shop.id}/shop"
    phone.get(page)
    fields = {"q-book": "1", "nickname": "Ann", "phone": "13900139002", "consent": "yes", **phone.hidden()}
    assert phone.post(page, fields).status_code == 303, phone.text()
    phone.follow()
    assert 'src="data:image/png;base64,' in phone.page
    assert "Scan this code with WeChat" in phone.text()
    assert "wechat.js" not in phone.page


def test_a_stranger_inside_wechat_orders_without_a_number_and_pays_with_its_sheet(shop: InsideWechat) -> None:
    who, phone = shop.sandbox.person("小安"), shop.browser()
    page = f"/c/{shop.id}/shop"
    sign_in(phone, page, who)
    phone.follow()
    assert 'name="phone"' not in phone.page
    fields = {"q-book": "1", "nickname": "An", "consent": "yes", **phone.hidden()}
    assert phone.post(page, fields).status_code == 303, phone.text()
    phone.follow()
    assert 'data-wechat-sheet="getBrandWCPayRequest"' in phone.page
    assert shop.owner(who) is not None


def test_what_the_page_says_of_a_payment_is_a_hint_and_wechat_pay_is_asked(shop: InsideWechat) -> None:
    """No notice ever arrives here: nobody listens where this product says it lives."""
    who, phone = shop.sandbox.person("小安", balance=10_000), shop.browser()
    sheet = order_inside(shop, phone, who)
    order_page = phone.answer.request.path
    assert ask(phone, order_page) == sheet["seen"], "saying so does not pay"
    opened = who.do("pay_sheet", request=json.loads(sheet["values"]))
    who.do("pay", prepay_id=opened["prepay_id"])
    assert ask(phone, order_page).startswith("paid."), "asked, WeChat Pay says so"
    phone.get(order_page)
    assert "h5-state-paid" in phone.page
    stranger = shop.browser("Mozilla/5.0", number=2)
    stranger.get(f"/c/{shop.id}/shop")
    token = stranger.hidden()["csrf_token"]
    assert stranger.post(f"{order_page}/ask", {"csrf_token": token}).status_code == 404


def order_inside(shop: InsideWechat, phone: Phone, who: Person) -> dict[str, str]:
    """Order a book inside WeChat; what the page hands to WeChat's sheet (values) and shows (seen)."""
    page = f"/c/{shop.id}/shop"
    sign_in(phone, page, who)
    phone.follow()
    fields = {"q-book": "1", "nickname": "An", "consent": "yes", **phone.hidden()}
    assert phone.post(page, fields).status_code == 303, phone.text()
    phone.follow()
    found = {name: re.search(rf'data-{name}="([^"]*)"', phone.page) for name in ("values", "seen")}
    return {name: html.unescape(match[1]) for name, match in found.items() if match}


def ask(phone: Phone, order_page: str) -> str:
    phone.get(order_page)
    answer = phone.post(f"{order_page}/ask", {"csrf_token": phone.hidden()["csrf_token"]})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return str(answer.get_json()["seen"])


def test_when_wechat_pay_is_busy_the_order_is_shown_and_says_so(shop: InsideWechat) -> None:
    shop.sandbox.fault("pay", "errcode", match="*/transactions/*", value="SYSTEM_ERROR", times=50)
    phone = shop.browser()
    order_inside(shop, phone, shop.sandbox.person("小安"))
    assert phone.answer.status_code == 200
    assert "nothing is paid twice" in phone.text()


def test_a_picture_of_a_code_reads_as_what_it_says() -> None:
    said = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz"
    content = base64.b64decode(code_picture(said).partition(",")[2])
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(content)).convert("L"))
    assert code.text == said
