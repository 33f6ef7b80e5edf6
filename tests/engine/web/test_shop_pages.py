"""The console's pages about selling: every page in both languages, who may see them, what they say."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.plays import queries
from growth_engine.plays.models import CampaignVersion
from tests.factories.campaigns import make_campaign
from tests.factories.console import Console, form_of
from tests.factories.selling import PRICE, Shop
from tests.factories.shops import TIERS, text_of, three
from tests.factories.workspaces import make_workspace


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """Ann brought Bob, Bob brought Cid; Cid bought two books for 118.00."""
    parts.mirror.load_functions()
    return three(Shop(parts, workspace, {"promoter_tiers": TIERS}, stock=10))


def ids(shop: Shop) -> dict[str, Any]:
    """An order of Cid, paid; its shares; the product."""
    order_id = shop.buy("Cid", 2)
    shares = shop.rows("SELECT id FROM commissions WHERE order_id = :order ORDER BY level", order=order_id)
    product = shop.rows("SELECT id FROM products WHERE campaign_id = :campaign")
    return {
        "id": shop.campaign_id,
        "order": order_id,
        "commission": shares[0][0],
        "second": shares[1][0],
        "product": product[0][0],
        "bob": shop.numbers["Bob"],
    }


PAGES = [
    "/console/campaigns/{id}",
    "/console/campaigns/{id}/edit",
    "/console/campaigns/{id}/entries",
    "/console/campaigns/{id}/entries?kind=payment",
    "/console/campaigns/{id}/products",
    "/console/campaigns/{id}/products/new",
    "/console/campaigns/{id}/products/{product}",
    "/console/campaigns/{id}/orders",
    "/console/campaigns/{id}/orders?state=paid&q=cid",
    "/console/campaigns/{id}/orders?q=nobody",
    "/console/campaigns/{id}/orders.csv",
    "/console/campaigns/{id}/orders/{order}",
    "/console/campaigns/{id}/orders/{order}/refund?amount=59",
    "/console/campaigns/{id}/commissions",
    "/console/campaigns/{id}/commissions?state=pending&member={bob}",
    "/console/campaigns/{id}/commissions?state=void",
    "/console/campaigns/{id}/commissions/{commission}",
    "/console/campaigns/{id}/promoters",
    "/console/campaigns/{id}/promoters?order=sales&tier=gold",
    "/console/campaigns/{id}/promoters?q=bo",
    "/console/campaigns/{id}/promoters?state=applied",
    "/console/campaigns/{id}/promoters/{bob}",
]
ACTIONS = [
    "products/new",
    "products/{product}",
    "products/{product}/hide",
    "products/{product}/up",
    "orders/{order}/pay",
    "orders/{order}/refund",
    "orders/{order}/cancel",
    "commissions/act",
    "promoters/decide",
]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(console: Console, shop: Shop, lang: str) -> None:
    names = ids(shop)
    for path in PAGES:
        page = console.get(path.format(**names), lang=lang)
        assert "<style" not in page, path
        assert " style=" not in re.sub(r'srcdoc="[^"]*"', "", page), path
        assert not re.search(r"<script(?![^>]* src=)", page), path
        assert "%(" not in text_of(page), path


def test_sales_staff_are_kept_out(app: Flask, parts: Parts, workspace: str, shop: Shop) -> None:
    names = ids(shop)
    seller = Console(app, parts, workspace, "sales")
    for path in PAGES:
        seller.get(path.format(**names), status=403)
    for action in ACTIONS:
        seller.post(f"/console/campaigns/{shop.campaign_id}/{action.format(**names)}", status=403)


def test_another_workspaces_shop_is_not_there(app: Flask, parts: Parts, workspace: str, shop: Shop) -> None:
    names = ids(shop)
    stranger = Console(app, parts, make_workspace(parts))
    for path in PAGES:
        stranger.get(path.format(**names), status=404)
    for action in ACTIONS:
        stranger.post(f"/console/campaigns/{shop.campaign_id}/{action.format(**names)}", status=404)


def test_things_of_another_campaign_are_not_found_under_this_one(
    console: Console, parts: Parts, workspace: str, shop: Shop
) -> None:
    names = {**ids(shop), "id": Shop(parts, workspace).campaign_id}
    for path in ("products/{product}", "orders/{order}", "orders/{order}/refund", "commissions/{commission}"):
        console.get(f"/console/campaigns/{names['id']}/{path.format(**names)}", status=404)
    for path in (
        "products/{product}",
        "products/{product}/show",
        "orders/{order}/pay",
        "orders/{order}/cancel",
    ):
        console.post(f"/console/campaigns/{names['id']}/{path.format(**names)}", status=404)
    console.get(f"/console/campaigns/{names['id']}/promoters/99", status=404)


def test_a_campaign_that_sells_nothing_has_none_of_these_tabs(
    console: Console, parts: Parts, workspace: str
) -> None:
    campaign_id = make_campaign(parts, workspace)
    assert f"/console/campaigns/{campaign_id}/orders" not in console.get(f"/console/campaigns/{campaign_id}")
    for page in ("products", "orders", "orders.csv", "commissions", "promoters"):
        console.get(f"/console/campaigns/{campaign_id}/{page}", status=409)


def test_every_page_has_an_empty_state(console: Console, parts: Parts, workspace: str) -> None:
    campaign_id = make_campaign(parts, workspace, slug="distribution")
    base = f"/console/campaigns/{campaign_id}"
    assert "Nothing to buy yet" in console.get(f"{base}/products")
    assert "No orders yet" in console.get(f"{base}/orders")
    assert "No commissions yet" in console.get(f"{base}/commissions")
    assert "No promoters yet" in console.get(f"{base}/promoters")
    assert "Everybody you know" not in console.get(base)


def test_the_overview_tells_what_selling_came_to(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid", 2)
    shop.refund(order_id, PRICE)
    page = text_of(console.get(f"/console/campaigns/{shop.campaign_id}"))
    assert "Paid orders 1 1 placed" in page
    assert "Paid CN¥118.00 CN¥59.00 refunded" in page
    # 20 % of 59.00 to Bob and 5 % to Ann; 1 % of it to the platform.
    assert "Commission CN¥14.75" in page
    assert "Cost per paid order CN¥15.34" in page
    assert "On hold CN¥14.75 2" in page
    assert "Bob earns CN¥23.60 (level 1)." in page
    assert "Bob loses CN¥11.80 again (level 1)." in page
    chart = re.search(r'data-chart="([^"]+)"', console.get(f"/console/campaigns/{shop.campaign_id}"))
    assert chart
    assert "Ordered" in unescape(chart[1])


def test_a_draft_without_products_says_so_and_leads_there(
    console: Console, parts: Parts, workspace: str
) -> None:
    campaign_id = make_campaign(parts, workspace, slug="distribution", state="draft")
    shop = Shop.__new__(Shop)
    shop.parts, shop.workspace_id, shop.campaign_id = parts, workspace, campaign_id
    shop.rows("UPDATE campaigns SET rule_version = 0 WHERE id = :campaign RETURNING id")
    page = console.get(f"/console/campaigns/{campaign_id}")
    assert "There is nothing to buy yet." in text_of(page)
    assert f'href="/console/campaigns/{campaign_id}/products"' in page
    console.post(
        f"/console/campaigns/{campaign_id}/products/new", {"name": "Book", "sku": "book", "price": "59"}
    )
    assert "There is nothing to buy yet." not in console.get(f"/console/campaigns/{campaign_id}")
    assert "Products are in place" in console.get(f"/console/campaigns/{campaign_id}/products")


def test_the_editor_shows_the_rules_of_selling_as_people_write_them(console: Console, shop: Shop) -> None:
    page = console.get(f"/console/campaigns/{shop.campaign_id}/edit")
    assert 'id="part-selling"' in page
    assert 'id="part-commission"' in page
    level1 = re.search(r'<input[^>]*name="rules-level1_value"[^>]*value="([^"]*)"', page)
    assert level1
    assert level1[1] == "20"
    assert 'data-follows="f-rules-level1_unit" data-currency="CNY">%</span>' in page
    assert 'id="part-reward"' not in page


def test_rates_are_saved_as_typed(console: Console, parts: Parts, workspace: str, shop: Shop) -> None:
    path = f"/console/campaigns/{shop.campaign_id}/edit"
    form = form_of(console.get(path))
    form |= {
        "rules-level1_value": "12.5",
        "rules-level2_unit": "fixed",
        "rules-level2_value": "3.50",
        "rules-order_cap": "100",
        "rules-overrides-0-sku": "book",
        "rules-overrides-0-level": "1",
        "rules-overrides-0-unit": "bp",
        "rules-overrides-0-value": "0",
        "ends_at": "2027-06-01T10:00",
    }
    console.post(path, form)
    with parts.open(workspace) as ctx:
        config = queries.campaign(ctx, shop.campaign_id).config
    assert (config["level1_value"], config["level2_value"], config["order_cap"]) == (1250, 350, 10_000)
    assert config["overrides"] == [{"sku": "book", "tier": "", "level": 1, "unit": "bp", "value": 0}]
    console.post(path, {**form, "rules-level1_value": "120"}, status=422)


def test_versions_tell_amounts_and_rates_as_people_write_them(
    console: Console, parts: Parts, workspace: str, shop: Shop
) -> None:
    with parts.open(workspace) as ctx:
        first = ctx.session.get(CampaignVersion, (shop.campaign_id, 1))
        assert first is not None
        overrides = [{"sku": "book", "tier": "", "level": 1, "unit": "fixed", "value": 350}]
        config = {**first.config, "level1_value": 1250, "order_cap": 10_000, "overrides": overrides}
        ctx.session.add(
            CampaignVersion(
                workspace_id=workspace,
                campaign_id=shop.campaign_id,
                version=2,
                config=config,
                content={},
                created_by="test",
                created_at=ctx.now(),
            )
        )
    told = text_of(console.get(f"/console/campaigns/{shop.campaign_id}/versions"))
    assert re.search(r"Rate of level 1 20% .*12\.5%", told)
    assert "CN¥100.00" in told
    assert "Rate CN¥3.50" in told


def test_long_lists_take_as_many_statements_as_short_ones(
    console: Console, parts: Parts, shop: Shop, statements: list[str]
) -> None:
    pages = (
        "orders",
        "orders.csv",
        "commissions",
        "promoters",
        "products",
        f"promoters/{shop.numbers['Bob']}",
    )

    def taken() -> list[int]:
        found = []
        for page in pages:
            console.get(f"/console/campaigns/{shop.campaign_id}/{page}")  # what is remembered, is now
            statements.clear()
            console.get(f"/console/campaigns/{shop.campaign_id}/{page}")
            found.append(len(statements))
        return found

    shop.buy("Cid")
    short = taken()
    for who in ("Dan", "Eve", "Fay"):
        shop.join(who, "Bob")
        shop.buy(who, 2)
        shop.buy(who)
    assert taken() == short
