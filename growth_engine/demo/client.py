"""The product's HTTP endpoints as a demo uses them: the REST API with a token, pages as phones open them."""

from __future__ import annotations

import html
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx

from growth_engine.kit.errors import GrowthError

#: Ninety seconds: a request whose server was killed keeps its key for sixty.
_TRIES = 50
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_BUSY = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
#: No MicroMessenger in it: inside WeChat people are recognised by openid, and these register by number.
_USER_AGENT = "Mozilla/5.0 (Linux; Android 15) GrowthEngineDemo/1"
_HIDDEN = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_OWN_LINK = re.compile(r'value="[^"]*/i/([0-9a-z]+)"')
_WARNING = re.compile(r'class="ge-note ge-note-warning"[^>]*>(.*?)</div>', re.DOTALL)


class DemoStopped(GrowthError):
    """Something a demo cannot go on after; one clear line."""

    code = "demo_stopped"
    status = 500


@dataclass(frozen=True, slots=True)
class Registered:
    """What came of a form. ``token`` is empty when the person was not let in."""

    token: str
    why: str
    """What the page said against it, in English; empty when all was well."""


class Api:
    """The REST API. A lost or late answer is asked for again under the same Idempotency-Key."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._client = httpx.Client(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"},
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=32),
        )

    def close(self) -> None:
        self._client.close()

    def greet(self) -> None:
        """Raises DemoStopped when nothing answers at all."""
        try:
            httpx.get(f"{self.url}/healthz", timeout=_TIMEOUT)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise DemoStopped(
                f"Nothing answers at {self.url} ({error}). Name the product with --url."
            ) from None

    def post(self, path: str, body: Mapping[str, Any] | None, key: str) -> tuple[int, Any]:
        """Status and document; waits while the product is busy, raises DemoStopped when it stays so."""
        problem = "no answer"
        for attempt in range(_TRIES):
            try:
                answer = self._client.post(path, json=body or {}, headers={"Idempotency-Key": key})
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if not _is_busy(answer):
                    return answer.status_code, answer.json()
                problem = f"HTTP {answer.status_code}"
                time.sleep(float(answer.headers.get("Retry-After", 0)))
            time.sleep(min(2.0, 0.1 * 2**attempt))
        raise DemoStopped(f"{self.url} does not answer {path} ({problem}). Does the product still run?")

    def need(self, path: str, body: Mapping[str, Any] | None, key: str) -> Any:
        """The document of an answer that must be a success."""
        status, document = self.post(path, body, key)
        if status >= 400:
            detail = document.get("detail") or document.get("title") or ""
            raise DemoStopped(f"The API refused {path} with {status}: {detail}")
        return document


def _is_busy(answer: httpx.Response) -> bool:
    """Whether the same request may be answered differently in a moment."""
    if answer.status_code == HTTPStatus.CONFLICT:
        return bool(answer.json().get("code") == "idempotency_running")
    if answer.status_code == HTTPStatus.ACCEPTED:  # of a join: stored, not decided yet
        return bool(answer.json().get("status") == "received")
    return answer.status_code in _BUSY


class Phones:
    """Browsers on several network addresses, as people's phones are, as far as this machine has them.

    Every address of 127.0.0.0/8 is a Linux machine's own, so a product on 127.0.0.1 sees people come from
    different ones, and its limits per address hold as they would in the world.
    """

    def __init__(self, url: str, addresses: int) -> None:
        self.url = url
        self._own = [f"127.77.{n // 250}.{n % 250 + 1}" for n in range(addresses)]
        if not (sys.platform == "linux" and urlsplit(url).hostname == "127.0.0.1"):
            self._own = []
        self._lookers = [self._browser(n, keeps_cookies=False) for n in range(max(1, len(self._own)))]

    @property
    def addresses(self) -> int:
        """From how many addresses people come."""
        return len(self._lookers)

    def close(self) -> None:
        for browser in self._lookers:
            browser.close()

    def look(self, address: int, path: str, locale: str) -> None:
        """Somebody opens a page and goes again."""
        browser = self._lookers[address % len(self._lookers)]
        answer = _got(browser, path, {"Accept-Language": locale})
        if answer.status_code >= 400:
            raise DemoStopped(f"{self.url}{path} answered {answer.status_code}.")

    def register(self, address: int, campaign: str, token: str, nickname: str, phone: str) -> Registered:
        """Open the invite, follow it to the form, fill it in, send it, land on one's own page."""
        with self._one(address) as browser:
            invite = f"?i={token}" if token else ""
            _got(browser, f"/i/{token}" if token else f"/c/{campaign}")
            path = f"/c/{campaign}/register{invite}"
            form = _got(browser, path)
            filled = {**_hidden(form.text), "nickname": nickname, "phone": phone, "consent": "yes"}
            answer = _got(browser, path, method="POST", data=filled)
            if answer.is_redirect:
                answer = browser.get(answer.headers["Location"], follow_redirects=True)
            return _landed(answer)

    @contextmanager
    def _one(self, address: int) -> Iterator[httpx.Client]:
        browser = self._browser(address, keeps_cookies=True)
        browser.headers["Accept-Language"] = "en"
        try:
            yield browser
        finally:
            browser.close()

    def _browser(self, address: int, *, keeps_cookies: bool) -> httpx.Client:
        own = self._own[address % len(self._own)] if self._own else None
        # Without cookies every request is somebody else's, whichever thread sends it.
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=None if keeps_cookies else []))
        return httpx.Client(
            base_url=self.url,
            headers={"User-Agent": _USER_AGENT, "Accept": "text/html"},
            cookies=jar,
            transport=httpx.HTTPTransport(local_address=own),
            timeout=_TIMEOUT,
        )


def _got(
    browser: httpx.Client,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    data: Mapping[str, str] | None = None,
) -> httpx.Response:
    """A page; a form sent twice is one registration, so everything may be tried again."""
    problem = ""
    for attempt in range(_TRIES):
        try:
            answer = browser.request(method, path, headers=headers, data=data)
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            if answer.status_code not in _BUSY:
                return answer
            problem = f"HTTP {answer.status_code}"
            time.sleep(float(answer.headers.get("Retry-After", 0)))
        time.sleep(min(2.0, 0.1 * 2**attempt))
    raise DemoStopped(f"{browser.base_url} does not answer {path} ({problem}). Does the product still run?")


def _landed(answer: httpx.Response) -> Registered:
    own = _OWN_LINK.search(answer.text) if answer.url.path.endswith("/me") else None
    warning = _WARNING.search(answer.text)
    if answer.url.path.endswith("/code"):
        return Registered("", "The number was used in an earlier demo, so the page asked for a code.")
    if own is None:
        return Registered("", _heading(answer.text))
    return Registered(own[1], _text(warning[1]) if warning else "")


def _hidden(page: str) -> dict[str, str]:
    found = [dict(_ATTRIBUTE.findall(tag)) for tag in _HIDDEN.findall(page)]
    return {one["name"]: html.unescape(one.get("value", "")) for one in found if one.get("type") == "hidden"}


def _text(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def _heading(page: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    return _text(found[1]) if found else "no page"
