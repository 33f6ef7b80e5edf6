"""The console's page to try other rates on real orders."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from typing import Any

import pytest
from flask import Flask

from growth_engine.context import Parts
from tests.factories.campaigns import make_campaign
from tests.factories.console import Console, form_of
from tests.factories.selling import PRICE, Shop
from tests.factories.workspaces import make_workspace


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """Ann brought Bob, Bob brought Cid; Cid bought three books one by one and gave one back."""
    parts.mirror.load_functions()
    made = Shop(parts, workspace)
    for who, inviter in (("Ann", None), ("Bob", "Ann"), ("Cid", "Bob")):
        made.join(who, inviter)
    orders = [made.buy("Cid") for _ in range(3)]
    made.refund(orders[0], PRICE)
    return made


def address(shop: Shop) -> str:
    return f"/console/campaigns/{shop.campaign_id}/simulator"


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def tried(console: Console, shop: Shop, *, htmx: bool = True, path: str = "", **changes: str) -> str:
    form = {"csrf_token": console.csrf(), **form_of(console.get(address(shop))), **changes}
    headers = {"HX-Request": "true"} if htmx else {}
    return console.client.post(address(shop) + path, data=form, headers=headers).text


def everything(shop: Shop) -> list[Any]:
    """What could change if something were posted after all."""
    return shop.rows(
        "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM legs), (SELECT count(*) FROM events),"
        " (SELECT sum(target) FROM commissions), (SELECT config::text FROM campaigns WHERE id = :campaign)"
    )


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_renders_in_both_languages(console: Console, shop: Shop, lang: str) -> None:
    page = console.get(address(shop), lang=lang)
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert "%(" not in text_of(page)
    assert f'href="{address(shop)}"' in console.get(f"/console/campaigns/{shop.campaign_id}/orders")


def test_the_draft_begins_as_today_and_says_so(console: Console, shop: Shop) -> None:
    page = text_of(console.get(address(shop)))
    assert "Nothing is posted, nobody is told" in page
    assert "Today: 20 %" in page
    assert "Today: Everyone who takes part" in page
    result = text_of(tried(console, shop))
    assert "Commission CN¥29.50 CN¥29.50 –" in result
    assert "0 win · 0 lose" in result


def test_both_rules_stand_side_by_side_and_nothing_is_posted(console: Console, shop: Shop) -> None:
    before = everything(shop)
    page = tried(console, shop, **{"rules-level1_value": "30", "rules-level2_value": "0"})
    assert "<html" not in page
    result = text_of(page)
    assert "3 orders · sold for CN¥118.00" in result
    # 30 % of 118.00 to Bob instead of 20 %, nothing to Ann instead of 5 %.
    assert "Commission CN¥29.50 CN¥35.40 +CN¥5.90" in result
    assert "Of what was sold 25% 30%" in result
    assert "Commission per paid order CN¥14.75 CN¥17.70 +CN¥2.95" in result
    assert "Level 2 CN¥5.90 CN¥0.00 -CN¥5.90" in result
    assert "Promoters who earn 2 1 -1" in result
    assert "1 wins · 1 loses" in result
    assert "Bob CN¥23.60 CN¥35.40 +CN¥11.80" in result
    assert "Ann CN¥5.90 CN¥0.00 -CN¥5.90" in result
    assert everything(shop) == before


def test_limits_that_are_hit_are_counted(console: Console, shop: Shop) -> None:
    result = text_of(tried(console, shop, **{"rules-order_cap": "5"}))
    assert re.search(r"Times a limit was hit 0 \d+ \+", result)
    assert "Not paid because of limits CN¥0.00 CN¥" in result


def test_amounts_for_each_piece_and_other_rates_are_tried(console: Console, shop: Shop) -> None:
    changes = {"rules-level1_unit": "fixed", "rules-level1_value": "4.50"}
    assert "Bob CN¥23.60 CN¥9.00 -CN¥14.60" in text_of(tried(console, shop, **changes))
    row = {"sku": "book", "tier": "", "level": "1", "unit": "bp", "value": "50"}
    changes = {f"rules-overrides-0-{name}": value for name, value in row.items()}
    assert "Bob CN¥23.60 CN¥59.00 +CN¥35.40" in text_of(tried(console, shop, **changes))


def test_the_page_works_without_scripts(console: Console, shop: Shop) -> None:
    page = tried(console, shop, htmx=False, **{"rules-level1_value": "30"}, days="7")
    assert "<html" in page
    assert "Bob CN¥23.60 CN¥35.40 +CN¥11.80" in text_of(page)
    assert form_of(page)["rules-level1_value"] == "30"
    assert form_of(page)["days"] == "7"


def test_rules_that_cannot_be_are_marked(console: Console, shop: Shop) -> None:
    said = text_of(tried(console, shop, **{"rules-level1_value": "120"}))
    assert "These rules cannot be tried yet" in said
    assert "Rate of level 1" in said
    page = tried(console, shop, htmx=False, **{"rules-level1_value": "abc"})
    assert 'value="abc"' in page
    assert "at most 2 decimals" in page
    assert "at most 2 decimals" in tried(console, shop, path=".csv", **{"rules-level1_value": "abc"})


def test_everybody_is_in_the_file(console: Console, shop: Shop) -> None:
    shop.rows("UPDATE contacts SET nickname = '=1+1' WHERE id = :id RETURNING id", id=shop.contacts["Bob"])
    written = tried(console, shop, path=".csv", **{"rules-level1_value": "30"}).removeprefix("\ufeff")
    rows = {row["number"]: row for row in csv.DictReader(io.StringIO(written))}
    bob, ann = rows[str(shop.numbers["Bob"])], rows[str(shop.numbers["Ann"])]
    assert (bob["name"], bob["today"], bob["draft"], bob["change"]) == ("'=1+1", "23.60", "35.40", "11.80")
    assert (ann["change"], ann["currency"]) == ("0.00", "CNY")


def test_empty_states(console: Console, shop: Shop, parts: Parts, workspace: str) -> None:
    other = make_campaign(parts, workspace, slug="distribution")
    assert "Nothing to try it on yet" in console.get(f"/console/campaigns/{other}/simulator")
    shop.rows("UPDATE orders SET placed_at = placed_at - interval '40 days' RETURNING id")
    assert "No orders in these days" in tried(console, shop)


def test_who_may_try_and_where(
    app: Flask, parts: Parts, workspace: str, console: Console, shop: Shop
) -> None:
    referral = make_campaign(parts, workspace)
    console.get(f"/console/campaigns/{referral}/simulator", status=409)
    seller = Console(app, parts, workspace, "sales")
    stranger = Console(app, parts, make_workspace(parts))
    for who, status in ((seller, 403), (stranger, 404)):
        who.get(address(shop), status=status)
        who.post(address(shop), {}, status=status)
        who.post(f"{address(shop)}.csv", {}, status=status)
