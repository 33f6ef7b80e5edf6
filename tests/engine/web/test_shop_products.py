"""What a marketer does with products: added, changed, hidden, put in order; what is wrong said beside it."""

from __future__ import annotations

import io
from html import unescape
from typing import Any

import pytest
from flask import Flask
from PIL import Image

from growth_engine.context import Parts
from tests.factories.console import Console
from tests.factories.selling import Shop
from tests.factories.shops import TIERS, base, text_of, three


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    parts.mirror.load_functions()
    return three(Shop(parts, workspace, {"promoter_tiers": TIERS}))


def picture(colour: str = "#4a56d2", size: tuple[int, int] = (1600, 800)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


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
