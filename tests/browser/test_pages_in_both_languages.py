"""Every main page, at phone and desk size, in English and Chinese: silent, unbroken, and it fits."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.watched import watched
from tests.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live")]

PAGES = {
    "participant": [
        "/c/{campaign}",
        "/i/{token}",
        "/c/{campaign}/me",
        "/c/{campaign}/leaderboard",
        "/c/{campaign}/rules",
        "/c/{campaign}/leave",
    ],
    "stranger": ["/i/{token}", "/c/{campaign}/register", "/c/{campaign}/enter", "/sign-in"],
    "marketer": [
        "/console/campaigns",
        "/console/gallery",
        "/console/gallery/saas-membership",
        "/console/campaigns/new?template=training-course",
        "/console/campaigns/{campaign}",
        "/console/campaigns/{campaign}/edit",
        "/console/campaigns/{campaign}/tree",
        "/console/campaigns/{campaign}/tree?member=1",
        "/console/campaigns/{campaign}/entries",
        "/console/campaigns/{campaign}/rewards",
        "/console/campaigns/{campaign}/versions",
        "/console/contacts",
        "/console/contacts/{contact}",
        "/console/posters",
    ],
}


@dataclass(frozen=True)
class Scene:
    """A campaign with two participants, and the cookies of those who look at it."""

    names: dict[str, str]
    cookies: dict[str, Any]

    def addresses(self, who: str, language: str) -> list[str]:
        found = [address.format(**self.names) for address in PAGES[who]]
        return [f"{one}{'&' if '?' in one else '?'}lang={language}" for one in found]


def post(live: Live, token: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{live.url}/api/v1{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


@pytest.fixture(scope="module")
def scene(browser: Browser, live: Live) -> Scene:
    token = live.cli("token", "create", "--workspace", "demo", "--scopes", "*")
    campaign = post(live, token, "/campaigns", {"template": "saas-membership", "locale": "en"})["id"]
    post(live, token, f"/campaigns/{campaign}/publish", {"accept_warnings": True})
    cookies: dict[str, Any] = {"stranger": None}
    with watched(browser, live.url, "phone", "en-US") as visitor:
        visitor.go(f"/c/{campaign}/register")
        visitor.page.fill("#nickname", "Ann-Kathrin Übermäßig-Langenname 🦊")
        visitor.page.fill("#phone", "+1 303 555 0119")
        visitor.page.check("#consent")
        visitor.click(".h5-form button[type=submit]")
        invite = visitor.page.locator("#invite-link").input_value().rpartition("/")[2]
        cookies["participant"] = visitor.page.context.storage_state()
    friend = {"contact": {"external_id": f"b-{campaign}", "nickname": "王小波"}, "consent": True}
    joined = post(live, token, f"/campaigns/{campaign}/participants", {**friend, "invite_token": invite})
    with watched(browser, live.url, "desk", "en-US") as staff:
        staff.go(live.cli("staff", "link", "--email", "admin@demo.example"))
        staff.click("main form button[type=submit]")
        cookies["marketer"] = staff.page.context.storage_state()
    return Scene({"campaign": campaign, "token": invite, "contact": joined["contact_id"]}, cookies)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("who", PAGES)
def test_pages_are_whole(browser: Browser, live: Live, scene: Scene, who: str, language: str) -> None:
    """Opened at the size of who it is made for, and whole at the other size as well."""
    locale = {"zh": "zh-CN", "en": "en-US"}[language]
    own, other = ("desk", "phone") if who == "marketer" else ("phone", "desk")
    with watched(browser, live.url, own, locale, storage_state=scene.cookies[who]) as visitor:
        for address in scene.addresses(who, language):
            visitor.resize(own)
            visitor.go(address)
            spoken = visitor.page.locator("html").get_attribute("lang")
            assert spoken in (language, locale), f"{address} speaks {spoken}"
            visitor.resize(other)
            visitor.look()
