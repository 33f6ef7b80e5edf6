"""The whole loop in a real browser: publish, register A, scan A's poster as B, register B, see the tree."""

from __future__ import annotations

import io
import re

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.browser.watched import Watched, watched
from tests.live import Live, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live")]

#: Numbers 555-0100 to 555-0199 of every North American area code are reserved for fiction.
PHONE_OF_A, PHONE_OF_B = "+1 202 555 0143", "+1 415 555 0187"
NAME_OF_A, NAME_OF_B = "林小满🌻", "Bea O’Hara"


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=20_000)


def sign_in(staff: Watched, live: Live) -> None:
    """By a one-time link, as the first person on a new installation does."""
    staff.go(live.cli("staff", "link", "--email", "admin@demo.example"))
    staff.click("main form button[type=submit]")


def publish_from_gallery(staff: Watched) -> str:
    """Take the ready campaign for software as it is; its address for visitors."""
    page = staff.page
    staff.go("/console/gallery")
    staff.click('a[href*="/gallery/saas-membership"]')
    staff.click('a[href*="template=saas-membership"]')
    staff.click("#editor .ge-save-bar button[type=submit]")
    accept = page.locator('form[action$="/publish"] input[name=accept]')
    if accept.count():
        accept.check()
    staff.click('form[action$="/publish"] button[type=submit]')
    expect(page.locator("#public-link")).to_be_visible()
    return page.locator("#public-link").input_value()


def register(visitor: Watched, nickname: str, phone: str) -> None:
    """From the landing page through the form to one's own page."""
    page = visitor.page
    visitor.click(".h5-bar a.h5-cta")
    page.fill("#nickname", nickname)
    page.fill("#phone", phone)
    page.check("#consent")
    visitor.click(".h5-form button[type=submit]")
    assert "/me" in page.url, page.url
    expect(page.locator("header")).to_contain_text(nickname)


def poster_code(visitor: Watched) -> str:
    """Wait for the poster on one's own page, download the picture, read its code as another phone would."""
    page = visitor.page
    picture = page.locator("img.h5-poster-picture")
    expect(picture).to_be_visible(timeout=30_000)
    expect(page.locator(".h5-poster figcaption")).to_be_visible()
    address = picture.get_attribute("src")
    assert address
    answer = page.request.get(address)
    assert answer.headers["content-type"] == "image/jpeg"
    body = answer.body()
    assert len(body) <= 500_000
    with Image.open(io.BytesIO(body)) as poster:
        assert poster.size == (750, 1334)
        codes = zxingcpp.read_barcodes(poster)
    assert len(codes) == 1
    return str(codes[0].text)


def days(visitor: Watched) -> str:
    visitor.page.reload()
    visitor.look()
    return visitor.page.locator(".h5-days-number").inner_text()


def funnel(staff: Watched, campaign: str) -> list[int]:
    """Visited, registered, came through a friend, brought a friend: as read out to the blind."""
    staff.go(f"/console/campaigns/{campaign}")
    expect(staff.page.locator(".ge-chart-short canvas, .ge-chart-short svg").first).to_be_visible()
    label = staff.page.locator(".ge-chart-short").get_attribute("aria-label") or ""
    return [int(number) for number in re.findall(r"\d+", label)]


def assert_tree_shows_a_brought_b(staff: Watched, campaign: str) -> None:
    page = staff.page
    staff.go(f"/console/campaigns/{campaign}/tree")
    roots = page.locator(".ge-tree > .ge-node")
    expect(roots).to_have_count(1)
    expect(roots.locator("> .ge-node-line .ge-node-name")).to_have_text(NAME_OF_A)
    roots.locator("a.ge-node-open").click()
    below = roots.locator(".ge-node-children > .ge-node .ge-node-name")
    expect(below).to_have_text([NAME_OF_B])
    staff.look()
    below.click()
    expect(page.locator(".ge-path li")).to_have_text([NAME_OF_A, NAME_OF_B])


def assert_leaderboard_shows_a_with_one(visitor: Watched, campaign: str) -> None:
    visitor.go(f"/c/{campaign}/leaderboard")
    places = visitor.page.locator(".h5-board li")
    expect(places).to_have_count(1)
    expect(visitor.page.locator(".h5-board li.is-mine")).to_have_count(1)
    expect(places.locator(".h5-board-score b")).to_have_text("1")


def test_a_scanned_poster_brings_a_friend_and_both_get_thirty_days(browser: Browser, live: Live) -> None:
    with (
        watched(browser, live.url, "desk", "en-US") as staff,
        watched(browser, live.url, "phone", "zh-CN") as a,
        watched(browser, live.url, "phone", "en-US") as b,
    ):
        sign_in(staff, live)
        link = publish_from_gallery(staff)
        campaign = link.rpartition("/")[2]
        assert funnel(staff, campaign) == [0, 0, 0, 0]

        a.go(link)
        register(a, NAME_OF_A, PHONE_OF_A)
        assert a.page.locator("html").get_attribute("lang") == "zh-CN"
        address = poster_code(a)
        assert address == a.page.locator("#invite-link").input_value()
        assert address.startswith(f"{live.url}/i/")

        b.go(address)  # exactly what the scanner read
        expect(b.page.locator(".h5-invited")).to_contain_text(NAME_OF_A)
        register(b, NAME_OF_B, PHONE_OF_B)

        until(lambda: days(b) == "30", 30, "B has 30 days")
        until(lambda: days(a) == "30", 30, "A has 30 days")
        expect(a.page.locator("#friends .h5-people li")).to_have_count(1)
        expect(a.page.locator("#friends .h5-people-name")).to_contain_text(
            "B**a"
        )  # friends see no full names
        expect(b.page.locator("#friends .h5-people li")).to_have_count(0)

        assert_tree_shows_a_brought_b(staff, campaign)
        assert_leaderboard_shows_a_with_one(a, campaign)
        assert funnel(staff, campaign) == [2, 2, 1, 1]
        expect(staff.page.locator(".ge-leaders li")).to_have_count(1)
        expect(staff.page.locator(".ge-leaders li")).to_contain_text(NAME_OF_A)
        assert poster_code(b) == b.page.locator("#invite-link").input_value() != address
