"""The sandbox's page with the simulated phone, used the way a visitor does: by tapping what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.watched import Watched, watched
from tests.live import Live


def address_of(live: Live) -> str:
    """Where the phone of a running product is, as it said when it started."""
    found = re.search(r"http://\S+/_sandbox/", live.screen)
    assert found, live.screen
    return found[0]


@contextmanager
def phone_of(browser: Browser, live: Live, language: str = "zh-CN") -> Iterator[SandboxPhone]:
    address = address_of(live)
    with watched(browser, address, "phone", language) as made:
        made.page.goto(address)
        yield SandboxPhone(made, address)


class SandboxPhone:
    """One browser with the phone; its other tabs are what the phone opened."""

    def __init__(self, watched_: Watched, address: str) -> None:
        self.watched, self.page, self.address = watched_, watched_.page, address

    # -- who holds it, and where one is ------------------------------------------------------------------

    def home(self) -> None:
        """The list of chats."""
        rooms = self.page.locator("nav.rooms button")
        while not rooms.first.is_visible():
            self.page.locator("#phone .bar button").first.click()
        rooms.first.click()

    def drawer(self) -> None:
        self.home()
        self.page.locator(".drawer-open").click()

    def make(self, name: str) -> None:
        """Add somebody, who then holds the phone."""
        self.drawer()
        self.page.locator("#people input.field").fill(name)
        self.page.locator("#people form.inline button").click()
        self.home()

    def hand_to(self, name: str) -> None:
        """Whoever was made last under this name."""
        self.drawer()
        self.page.locator("button.person", has_text=name).last.click()
        expect(self.page.locator("body.drawer")).to_have_count(0)

    # -- chats -------------------------------------------------------------------------------------------

    @property
    def texts(self) -> Locator:
        """What was written to whoever holds the phone in the chat that is open."""
        return self.page.locator(".lines .msg:not(.me) .bubble")

    @property
    def pictures(self) -> Locator:
        return self.page.locator(".lines .msg:not(.me) img.shot")

    def follow(self) -> None:
        """Follow the one account there is, in an empty list or in its chat."""
        self.page.locator(".nothing button, .entry button.wide").first.click()

    def open_chat(self, number: int = 0) -> None:
        self.home()
        self.page.locator(".chatrow").nth(number).click()

    def write(self, text: str) -> None:
        entry = self.page.locator(".entry input[type=text]")
        entry.fill(text)
        entry.press("Enter")

    def leave(self) -> None:
        """Unfollow, delete, or leave the group: the red line of the chat's menu."""
        self.page.locator(".bar .right button").click()
        self.page.locator(".actions .danger").click()

    def saved_picture(self, number: int = -1) -> bytes:
        """The picture of a message, as one saves it."""
        shown = self.pictures.nth(number)
        expect(shown).to_be_visible()
        source = shown.get_attribute("src")
        assert source
        return self.page.request.get(source_url(self.address, source)).body()

    def scan(self, picture: bytes) -> None:
        """Upload a picture with a code; where that leads is another matter."""
        self.home()
        self.page.locator(".bar .right button").click()
        self.page.locator(".plusmenu button").first.click()
        file = {"name": "poster.jpg", "mimeType": "image/jpeg", "buffer": picture}
        self.page.locator(".scanbox input[type=file]").set_input_files(file)

    def open_link(self, ending: str) -> Page:
        """Tap the link of the chat that ends so; the page in its own tab."""
        link = self.page.locator(".lines a.link", has_text=re.compile(f"{re.escape(ending)}$")).last
        with self.page.context.expect_page() as opened:
            link.click()
        page = opened.value
        page.wait_for_load_state()
        self.page.locator(".browser .bar button").click()
        return page

    @property
    def tabs(self) -> list[Page]:
        return self.page.context.pages

    def open_text(self, address: str) -> None:
        """Paste an address where codes are scanned; its page opens in a tab of its own."""
        self.home()
        self.page.locator(".bar .right button").click()
        self.page.locator(".plusmenu button").first.click()
        self.page.locator(".pastebox textarea").fill(address)
        with self.page.context.expect_page() as opened:
            self.page.locator(".pastebox button").click()
        opened.value.wait_for_load_state()
        self.page.locator(".browser .bar button").click()

    # -- the controls ------------------------------------------------------------------------------------

    def panel(self, tab: int) -> Locator:
        """Traffic, staff, time and faults, connect: the panel below the people."""
        self.drawer()
        self.page.locator("#panel [role=tab]").nth(tab).click()
        return self.page.locator("#panel .sheet")

    def close_drawer(self) -> None:
        self.page.locator(".drawer-close").click()


def source_url(address: str, source: str) -> str:
    """The whole address of something a page at ``address`` shows."""
    return urljoin(address, source)
