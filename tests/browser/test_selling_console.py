"""The console of a shop in a browser: a preview before a refund, actions on what is ticked."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_pages_in_both_languages import post
from tests.browser.watched import Watched, watched
from tests.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.drill, pytest.mark.xdist_group("live")]


@pytest.fixture(scope="module")
def sold(live: Live) -> dict[str, Any]:
    """Ann brought Bob, Bob bought two books and paid."""
    token = live.cli("token", "create", "--workspace", "demo", "--scopes", "*")
    campaign = post(live, token, "/campaigns", {"template": "book-fans", "locale": "en"})["id"]
    post(live, token, f"/campaigns/{campaign}/publish", {"accept_warnings": True})
    ann = {"contact": {"external_id": f"ann-{campaign}", "nickname": "Ann"}, "consent": True}
    invite = post(live, token, f"/campaigns/{campaign}/participants", ann)["invite_token"]
    order = post(
        live,
        token,
        "/orders",
        {
            "campaign_id": campaign,
            "buyer": {"external_id": f"bob-{campaign}", "nickname": "Bob"},
            "consent": True,
            "invite_token": invite,
            "lines": [{"sku": "book", "quantity": 2}],
        },
    )["id"]
    post(live, token, f"/orders/{order}/payments", {"external_id": f"till-{campaign}", "amount": 11_800})
    return {"base": f"/console/campaigns/{campaign}", "order": order}


def sign_in(live: Live, staff: Watched) -> None:
    staff.go(live.cli("staff", "link", "--email", "admin@demo.example"))
    staff.click("main form button[type=submit]")


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_every_page_of_the_shop_is_whole(
    browser: Browser, live: Live, sold: dict[str, Any], size: str
) -> None:
    with watched(browser, live.url, size, "zh-CN") as staff:
        sign_in(live, staff)
        for page in ("", "/edit", "/products", "/products/new", "/orders", "/commissions", "/promoters"):
            staff.go(f"{sold['base']}{page}")
        staff.go(f"{sold['base']}/orders/{sold['order']}")
        staff.click("a[href*='/commissions/com_']")
        staff.click("a[href*='/promoters/']")


def test_commissions_are_held_and_money_goes_back(browser: Browser, live: Live, sold: dict[str, Any]) -> None:
    with watched(browser, live.url, "desk", "en-US") as staff:
        sign_in(live, staff)
        page = staff.page
        staff.go(f"{sold['base']}/commissions")
        hold = page.get_by_role("button", name="Hold")
        expect(hold).to_be_disabled()
        page.locator("input[data-pick]").first.check()
        page.fill("#f-act-reason", "A closer look")
        hold.click()
        with page.expect_navigation():
            page.click("#confirm [data-confirm-yes]")
        staff.look()
        expect(page.get_by_text("1 commission is held.")).to_be_visible()

        staff.go(f"{sold['base']}/orders/{sold['order']}")
        page.get_by_role("button", name="See what it takes back").click()
        expect(page.locator("#refund-preview")).to_contain_text("CN¥23.60 → CN¥0.00")
        page.fill("#f-back", "59")
        expect(page.locator("#refund-preview")).to_be_empty()
        page.get_by_role("button", name="See what it takes back").click()
        expect(page.locator("#refund-preview")).to_contain_text("CN¥23.60 → CN¥11.80")
        with page.expect_navigation():
            page.get_by_role("button", name="Refund CN¥59.00").click()
        staff.look()
        expect(page.get_by_text("CN¥59.00 are refunded.")).to_be_visible()
        expect(page.get_by_text("Ann loses CN¥11.80 again")).to_be_visible()


def test_rates_say_what_they_are_counted_in(browser: Browser, live: Live, sold: dict[str, Any]) -> None:
    with watched(browser, live.url, "desk", "en-US") as staff:
        sign_in(live, staff)
        staff.go(f"{sold['base']}/edit")
        unit = staff.page.locator("[data-follows='f-rules-level1_unit']")
        expect(unit).to_have_text("%")
        staff.page.select_option("#f-rules-level1_unit", "fixed")
        expect(unit).to_have_text("CNY")
