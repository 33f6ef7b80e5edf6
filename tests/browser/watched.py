"""A browser page under watch: what is wrong fails the test, even where a visitor would not notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1366, "height": 900}}
SIZES = {"phone": PHONE, "desk": DESK}

#: All that is asked of a page at once: each question by itself takes the browser as long as all of them.
#: ``wide`` is what makes the page wider than the window, things in boxes that scroll by themselves left out.
_SEEN = """async () => {
  await document.fonts.ready;
  // What scripts do about a new size is done and drawn by the second frame.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const width = document.documentElement.clientWidth;
  const boxed = (e) => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (/auto|scroll|hidden/.test(getComputedStyle(p).overflowX)) return true;
    return false;
  };
  const right = (e) => e.getBoundingClientRect().right;
  const whole = document.documentElement.scrollWidth;
  const wide = whole <= width + 1 ? [] : [`${whole} wide in ${width}`].concat(
    [...document.body.querySelectorAll("*")].filter((e) => right(e) > width + 1 && !boxed(e))
      .slice(0, 5).map((e) => `${e.tagName}.${e.className} ends at ${right(e)}`));
  return {
    wide,
    title: document.title,
    headings: document.querySelectorAll("h1, .h5-days-card").length,
    fits: document.querySelector("meta[name=viewport]")?.content ?? "",
    broken: [...document.images]
      .filter((i) => i.src && !i.hidden && i.complete && !i.naturalWidth).map((i) => i.src),
  };
}"""


class Watched:
    """Collects console errors (a violated content policy is one), script errors and failed requests."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type} at {self.page.url}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # that is what leaving a page does to its pictures
            self.problems.append(f"{request.url}: {request.failure}")

    def look(self) -> None:
        """The page as it stands is complete, silent, fits the window, and has a title and one heading."""
        self.page.wait_for_load_state("load")
        seen, where = self.page.evaluate(_SEEN), self.page.url
        assert self.problems == [], f"{where}: {self.problems}"
        assert seen["wide"] == [], where
        assert seen["title"].strip(" ·"), where
        assert seen["headings"] >= 1, f"{where} has no heading"
        assert "width=device-width" in seen["fits"], f"{where} would be shrunk on a phone"
        assert seen["broken"] == [], f"{where} has broken pictures"

    def go(self, address: str) -> None:
        self.page.goto(address)
        self.look()

    def resize(self, size: str) -> None:
        """Give the window another size: the phone is turned, the window drawn larger."""
        self.page.set_viewport_size(SIZES[size]["viewport"])  # type: ignore[arg-type]

    def click(self, selector: str) -> None:
        """Click what leads to another page, and look at that page."""
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()
        self.look()


@contextmanager
def watched(browser: Browser, base_url: str, size: str, language: str, **more: object) -> Iterator[Watched]:
    """A fresh browser (no cookies) of this size and language, with one page under watch."""
    context = browser.new_context(base_url=base_url, locale=language, **SIZES[size], **more)  # type: ignore[arg-type]
    context.set_default_timeout(15_000)
    try:
        yield Watched(context.new_page())
    finally:
        context.close()
