"""The console of money in a real browser: the queue by keyboard, the example that follows, a replay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from growth_engine.access import sessions
from growth_engine.context import Parts
from growth_engine.ledger import proofs
from tests.browser.watched import Watched, watched
from tests.engine.web.test_payout_pages import Fans
from tests.factories.console import Console
from tests.factories.selling import Shop

pytestmark = pytest.mark.drill


@dataclass
class Desk:
    """An administrator at a big screen."""

    seen: Watched
    shop: Shop
    fans: Fans

    @property
    def page(self) -> Page:
        return self.seen.page

    def press(self, keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def confirm(self) -> None:
        with self.page.expect_navigation():
            self.page.click("[data-confirm-yes]")
        self.seen.look()

    def current(self) -> str:
        return self.page.locator("tr.ge-current [data-queue-open]").inner_text()


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, browser: Browser, app: Flask, parts: Parts, workspace: str
) -> Iterator[Desk]:
    parts.mirror.load_functions()
    shop = Shop(parts, workspace)
    for who, inviter in (("Ann", None), ("Bob", "Ann"), ("Cid", "Bob")):
        shop.join(who, inviter)
    shop.buy("Cid", 2)
    console = Console(app, parts, workspace)
    cookie = console.client.get_cookie(sessions.cookie_name(parts))
    assert cookie is not None
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    base = f"http://127.0.0.1:{server.port}"
    size, language = getattr(request, "param", ("desk", "en-US"))
    with watched(browser, base, size, language) as seen:
        seen.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": base}])
        yield Desk(seen, shop, Fans(parts, workspace))
    server.shutdown()
    serving.join(10)
    server.server_close()


@pytest.mark.parametrize(
    "desk", [("phone", "zh-CN"), ("desk", "en-US")], indirect=True, ids=["phone", "desk"]
)
def test_every_page_fits_its_window(desk: Desk) -> None:
    fans, shop = desk.fans, desk.shop
    shop.mature_all()
    payout_id = fans.asks(shop.contacts["Bob"], 1_000, "a rather long account, number 6222 0210 0112 3456")
    campaign, wallet, bob = shop.campaign_id, shop.wallet, shop.contacts["Bob"]
    for path in (
        "payouts",
        f"payouts/{payout_id}?reveal=1",
        "payouts/results",
        "payouts/rules",
        "books",
        "books/balance",
        "books/heads",
        f"books/{wallet}",
        f"books/{campaign}?entry=5",
        f"books/{wallet}/accounts/available",
        f"books/{wallet}/accounts/available?owner={bob}",
        "alerts",
        f"campaigns/{campaign}/simulator",
    ):
        desk.seen.go(f"/console/{path}")


def test_the_queue_is_worked_off_by_keyboard(desk: Desk) -> None:
    fans = desk.fans
    first, second, third = (fans.asks(fans.fan(name), 1_000) for name in ("Dee", "Eve", "Fay"))
    desk.seen.go("/console/payouts?lang=en")
    desk.press("?")
    assert desk.page.locator("#queue-help").is_visible()
    desk.press("a")  # means nothing while the help is open
    desk.page.keyboard.press("Escape")
    desk.press("jjk")
    assert desk.current() == "Dee"
    desk.press("jx")
    assert desk.page.locator("[data-picked]").inner_text() == "1"
    desk.press("x")
    assert desk.page.locator("[data-picked]").inner_text() == "0"
    desk.press("a")
    assert "is approved and paid" in desk.page.locator("#confirm").inner_text()
    desk.confirm()
    assert [fans.state(one) for one in (first, second, third)] == ["requested", "approved", "requested"]
    desk.press("jjr")
    desk.page.keyboard.press("Enter")
    assert not desk.page.locator("#confirm").is_visible(), "a no needs a reason"
    desk.press("ajar")  # typed into the reason, no verbs
    desk.page.keyboard.press("Enter")
    assert "is rejected" in desk.page.locator("#confirm").inner_text()
    desk.confirm()
    assert [fans.state(one) for one in (first, second, third)] == ["requested", "approved", "rejected"]
    desk.press("j")
    with desk.page.expect_navigation():
        desk.press("o")
    desk.seen.look()
    assert desk.page.url.endswith(f"/console/payouts/{first}")


def test_the_example_follows_the_rules_as_they_are_typed(desk: Desk) -> None:
    desk.seen.go("/console/payouts/rules?lang=en")
    desk.page.fill("#f-tax_bp", "20")
    desk.page.wait_for_selector("#example >> text=CN¥80.00")
    desk.page.fill("#f-example", "50")
    desk.page.wait_for_selector("#example >> text=CN¥40.00")
    desk.page.fill("#f-minimum", "60")
    desk.page.wait_for_selector("#example >> text=the least is CN¥60.00")
    desk.seen.look()


def test_other_rates_are_tried_without_leaving_the_page(desk: Desk) -> None:
    desk.seen.go(f"/console/campaigns/{desk.shop.campaign_id}/simulator?lang=en")
    desk.page.fill("#f-rules-level1_value", "30")
    desk.page.click("text=Try it")
    desk.page.wait_for_selector("#result >> text=+CN¥11.80")
    desk.page.fill("#f-rules-level1_value", "300")
    desk.page.click("text=Try it")
    desk.page.wait_for_selector("#result >> text=These rules cannot be tried yet")
    with desk.page.expect_download() as download:
        desk.page.fill("#f-rules-level1_value", "30")
        desk.page.click("#editor >> text=CSV")
    assert download.value.suggested_filename.endswith(".csv")
    assert desk.seen.problems == []


def test_a_proof_shows_its_result_by_itself(desk: Desk, parts: Parts) -> None:
    desk.seen.go("/console/books?lang=en")
    desk.seen.click("text=Verify all now")
    assert desk.page.locator("text=waits for its turn").count() == 2
    while proofs.prove_next(parts, desk.shop.workspace_id):
        pass
    desk.page.wait_for_selector("#books:not([hx-get]) >> text=whole")
    desk.seen.look()
