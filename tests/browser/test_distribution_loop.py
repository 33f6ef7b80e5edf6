"""Selling in real browsers: A brings B, B brings C, C buys, one comes back, A and B withdraw; one story."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.watched import Watched, watched
from tests.live import Live, until

pytestmark = [pytest.mark.browser, pytest.mark.drill, pytest.mark.xdist_group("live")]

#: Reserved for fiction, like those of the other loop.
NUMBERS = {"A": "+1 202 555 0151", "B": "+1 415 555 0152", "C": "+1 303 555 0153"}
NAMES = {"A": "林小满", "B": "Bea O’Hara", "C": "Carla"}
#: 59 yuan each; 20 % to whoever brought the buyer, 5 % above.
RULES = {"levels": 2, "level1_value": 2000, "level2_value": 500}


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=20_000)


@dataclass
class Merchant:
    """The merchant's own system: everything through the REST API."""

    live: Live
    token: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.live.url}/api/v1{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            raw = answer.read().decode("utf-8-sig")
            return json.loads(raw) if "json" in answer.headers["Content-Type"] else raw

    def publish(self) -> str:
        draft = {"template": "book-fans", "locale": "en", "config": RULES}
        campaign = str(self.call("POST", "/campaigns", draft)["id"])
        self.call("POST", f"/campaigns/{campaign}/publish", {"accept_warnings": True})
        return campaign

    def move(self, order_id: str, what: str, amount: int) -> None:
        told = {"external_id": f"{what}-{order_id}", "amount": amount, "currency": "CNY"}
        self.call("POST", f"/orders/{order_id}/{what}", told)

    def mature(self, campaign: str, order_id: str) -> None:
        """The live product's clock cannot be moved: people let go of the commission before its time."""
        shares = self.call("GET", f"/orders/{order_id}")["commissions"]
        told = {
            "campaign_id": campaign,
            "ids": [one["id"] for one in shares],
            "action": "mature",
            "reason": "test",
        }
        assert len(self.call("POST", "/commissions/act", told)["done"]) == len(shares)

    def payouts(self, *states: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/payouts?state={','.join(states)}")["items"]
        return found

    def pay_out(self) -> None:
        """Approve everything, pay it by hand, and bring the list back filled in."""
        for one in self.payouts("requested"):
            self.call("POST", f"/payouts/{one['id']}/approve", {})
        until(lambda: not self.payouts("approved", "sending"), 30, "the withdrawals are on the list")
        rows = list(csv.DictReader(io.StringIO(self.call("GET", "/payouts/export.csv"))))
        assert rows
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows({**row, "result": "paid", "reference": "by hand"} for row in rows)
        assert self.call("POST", "/payouts/import", {"csv": out.getvalue()})["paid"] == len(rows)


def recommend(visitor: Watched, who: str, address: str) -> str:
    """Open a link, take part; one's own link."""
    visitor.go(address)
    visitor.click(".h5-bar a.h5-cta-quiet")
    visitor.page.fill("#nickname", NAMES[who])
    visitor.page.fill("#phone", NUMBERS[who])
    visitor.page.check("#consent")
    visitor.click(".h5-form button[type=submit]")
    return visitor.page.locator("#invite-link").input_value()


def order_two(visitor: Watched, address: str) -> str:
    """C opens B's link and orders two books; the order's id."""
    page = visitor.page
    visitor.go(address)
    expect(page.locator(".h5-invited")).to_contain_text(NAMES["B"])
    visitor.click(".h5-bar a.h5-cta:not(.h5-cta-quiet)")
    page.get_by_role("button", name="One more").click()
    expect(page.locator("[data-total]")).to_have_text("CN¥118.00")
    page.fill("#nickname", NAMES["C"])
    page.fill("#phone", NUMBERS["C"])
    page.check("#consent")
    visitor.click(".h5-cta-order")
    expect(page.locator(".h5-pay-due")).to_contain_text("CN¥118.00")
    expect(page.locator(".h5-state-left time")).to_have_text(re.compile(r"00:59:\d\d|01:00:00"))
    return page.url.rpartition("/")[2]


def wallet(visitor: Watched, campaign: str) -> tuple[str, ...]:
    """Available, on hold, being paid out, paid: as one's own page says, which the wallet repeats."""
    said = []
    for page in ("me", "wallet"):
        visitor.go(f"/c/{campaign}/{page}?lang=en")
        card = visitor.page.locator(".h5-wallet")
        said.append((card.locator(".h5-wallet-sum").inner_text(), *card.locator("dd").all_inner_texts()))
    assert said[0] == said[1]
    return tuple(text.replace("CN¥", "") for text in said[0])


def withdraw_all(visitor: Watched, campaign: str, sum_: str) -> None:
    page = visitor.page
    visitor.click('.h5-wallet a[href$="/withdraw"]')
    page.get_by_role("link", name="All of it").click()
    expect(page.locator("#amount")).to_have_value(sum_)
    expect(page.locator("#split .is-total")).to_contain_text(f"CN¥{sum_}")
    visitor.click("main form button[type=submit]")
    expect(page.locator(".h5-payout")).to_contain_text(f"CN¥{sum_}")


def test_two_books_are_sold_one_comes_back_and_everybody_reads_the_same_story(
    browser: Browser, live: Live
) -> None:
    merchant = Merchant(live, live.cli("token", "create", "--workspace", "demo", "--scopes", "*"))
    campaign = merchant.publish()
    with (
        watched(browser, live.url, "phone", "zh-CN") as a,
        watched(browser, live.url, "phone", "en-US") as b,
        watched(browser, live.url, "phone", "en-US") as c,
    ):
        link_of_a = recommend(a, "A", f"/c/{campaign}")
        link_of_b = recommend(b, "B", link_of_a)
        order_id = order_two(c, link_of_b)
        assert wallet(b, campaign) == ("0.00", "0.00", "0.00", "0.00")

        merchant.move(order_id, "payments", 11800)
        expect(c.page.locator("h1")).to_have_text("Paid")  # by itself
        assert wallet(b, campaign) == ("0.00", "23.60", "0.00", "0.00")
        assert wallet(a, campaign) == ("0.00", "5.90", "0.00", "0.00")

        merchant.move(order_id, "refunds", 5900)
        c.page.reload()
        expect(c.page.locator("h1")).to_have_text("Partly refunded")
        assert wallet(b, campaign) == ("0.00", "11.80", "0.00", "0.00")
        assert wallet(a, campaign) == ("0.00", "2.95", "0.00", "0.00")

        merchant.mature(campaign, order_id)
        assert wallet(b, campaign) == ("11.80", "0.00", "0.00", "0.00")
        b.click("#movements a.h5-why")
        expect(b.page.locator(".h5-because li").last).to_contain_text("Commission of level 1: CN¥11.80")
        assert wallet(b, campaign) == ("11.80", "0.00", "0.00", "0.00")
        withdraw_all(b, campaign, "11.80")
        assert wallet(a, campaign) == ("2.95", "0.00", "0.00", "0.00")
        withdraw_all(a, campaign, "2.95")
        assert wallet(b, campaign) == ("0.00", "0.00", "11.80", "0.00")

        merchant.pay_out()
        assert wallet(b, campaign) == ("0.00", "0.00", "0.00", "11.80")
        assert wallet(a, campaign) == ("0.00", "0.00", "0.00", "2.95")
        assert_the_merchant_reads_the_same(merchant, campaign, order_id)
        cookies: Any = b.page.context.storage_state()
    assert_every_page_is_whole(browser, live, cookies, campaign)
    assert_the_console_says_so(browser, live, campaign, order_id)
    live.cli("ledger", "verify")


#: B's pages in the other language, and some of them on a desk.
PAGES = {
    "phone": (
        "", "/shop", "/orders", "/me", "/promote", "/rules",
        "/wallet", "/wallet/withdraw", "/wallet/withdrawals",
    ),
    "desk": ("", "/shop", "/wallet"),
}  # fmt: skip


def assert_every_page_is_whole(browser: Browser, live: Live, cookies: Any, campaign: str) -> None:
    for size, pages in PAGES.items():
        with watched(browser, live.url, size, "zh-CN", storage_state=cookies) as visitor:
            for page in pages:
                visitor.go(f"/c/{campaign}{page}?lang=zh")


def assert_the_console_says_so(browser: Browser, live: Live, campaign: str, order_id: str) -> None:
    with watched(browser, live.url, "desk", "en-US") as staff:
        staff.go(live.cli("staff", "link", "--email", "admin@demo.example"))
        staff.click("main form button[type=submit]")
        staff.go(f"/console/campaigns/{campaign}/orders/{order_id}?lang=en")
        for sum_ in ("CN¥118.00", "CN¥59.00", "CN¥11.80", "CN¥2.95"):
            expect(staff.page.locator("main")).to_contain_text(sum_)
        staff.go(f"/console/campaigns/{campaign}/commissions?lang=en")
        for sum_ in ("CN¥11.80", "CN¥2.95"):
            expect(staff.page.locator("main")).to_contain_text(sum_)


def assert_the_merchant_reads_the_same(merchant: Merchant, campaign: str, order_id: str) -> None:
    order = merchant.call("GET", f"/orders/{order_id}")
    assert (order["paid"], order["refunded"], order["campaign_id"]) == (11800, 5900, campaign)
    assert [(one["level"], one["amount"], one["state"]) for one in order["commissions"]] == [
        (1, 1180, "matured"),
        (2, 295, "matured"),
    ]
    owners = [one["contact_id"] for one in order["commissions"]]
    for contact, paid in zip(owners, (1180, 295), strict=True):
        (balance,) = merchant.call("GET", f"/contacts/{contact}/wallet")["balances"]
        kept = {name: balance[name] for name in ("pending", "available", "reserved", "paid", "debt")}
        assert kept == {"pending": 0, "available": 0, "reserved": 0, "paid": paid, "debt": 0}
