"""A visitor's phone without scripts: follows links, fills in forms with what the page put into them."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from growth_engine.context import Parts
from growth_engine.plays import selling_stock, service, templates
from growth_engine.posters import service as posters

_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


def publish_campaign(
    parts: Parts,
    workspace_id: str,
    *,
    template: str = "saas-membership",
    locale: str = "en",
    config: dict[str, Any] | None = None,
    content: dict[str, Any] | None = None,
    **columns: Any,
) -> str:
    """A ready campaign of the gallery, published, ending in twelve days unless told otherwise; its id."""
    ready = templates.template(template)
    with parts.open(workspace_id) as ctx:
        columns.setdefault("ends_at", ctx.now() + timedelta(days=12))
        campaign = service.create_campaign(
            ctx,
            play_slug=ready.play,
            title=ready.name(locale),
            locale=locale,
            config={**ready.config(locale), **(config or {})},
            content={**ready.content(locale), **(content or {})},
            template=template,
            poster_template_id=posters.from_gallery(ctx, ready.poster),
            **columns,
        )
        for product in ready.products(locale):
            selling_stock.offer(ctx, campaign.id, currency=campaign.config["currency"], **product)
        service.publish(ctx, campaign.id, accept_warnings=True)
        return campaign.id


class Phone:
    """One browser: its cookies, its network address, its language."""

    def __init__(self, app: Flask, *, address: str = "198.51.100.1", language: str = "en") -> None:
        self.client = app.test_client()
        self._base: dict[str, Any] = {
            "environ_overrides": {"REMOTE_ADDR": address},
            "headers": {"Accept-Language": language, "Accept": "text/html"},
        }
        self.page = ""
        """The HTML last seen."""
        self.answer: TestResponse

    def twin(self) -> Phone:
        """The same browser once more, to send something twice at the same moment."""
        other = Phone(self.client.application)
        other._base = self._base
        for cookie in (self.client._cookies or {}).values():
            other.client.set_cookie(cookie.key, cookie.value, domain=cookie.domain)
        return other

    def get(self, path: str, headers: dict[str, str] | None = None) -> TestResponse:
        """``headers``: what the browser says besides."""
        base = {**self._base, "headers": {**self._base.get("headers", {}), **(headers or {})}}
        return self._seen(self.client.get(path, **base))

    def post(self, path: str, fields: dict[str, str]) -> TestResponse:
        return self._seen(self.client.post(path, data=fields, **self._base))

    def follow(self) -> TestResponse:
        """Go where the last answer leads, until it leads nowhere."""
        while self.answer.status_code in (301, 302, 303, 307):
            self.get(self.answer.headers["Location"])
        return self.answer

    def hidden(self) -> dict[str, str]:
        """The hidden fields of the page last seen."""
        found = [dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(self.page)]
        return {
            one["name"]: html.unescape(one.get("value", "")) for one in found if one.get("type") == "hidden"
        }

    def open_form(self, campaign_id: str, token: str | None = None) -> str:
        """Open the registration form; its address."""
        path = f"/c/{campaign_id}/register" + (f"?i={token}" if token else "")
        assert self.get(path).status_code == 200, self.page
        return path

    def register(
        self, campaign_id: str, phone: str, nickname: str = "Ann", token: str | None = None, **fields: str
    ) -> TestResponse:
        """Fill in the form and send it; the answer as it comes, not followed."""
        path = self.open_form(campaign_id, token)
        filled = {"nickname": nickname, "phone": phone, "consent": "yes", **self.hidden(), **fields}
        return self.post(path, filled)

    def join(self, campaign_id: str, phone: str, nickname: str = "Ann", token: str | None = None) -> str:
        """Register and go to one's own page; the invite token."""
        answer = self.register(campaign_id, phone, nickname, token)
        assert answer.status_code == 303, self.page
        assert "/me" in answer.headers["Location"], answer.headers["Location"]
        self.follow()
        return self.invite_token()

    def invite_token(self) -> str:
        found = re.search(r'value="[^"]*/i/([0-9a-z]+)"', self.page)
        assert found, self.page
        return found[1]

    def text(self) -> str:
        """What a person reads: no tags, single spaces."""
        body = re.sub(r"<head>.*?</head>", " ", self.page, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())

    def _seen(self, answer: TestResponse) -> TestResponse:
        self.answer = answer
        if answer.mimetype == "text/html":
            self.page = answer.get_data(as_text=True)
        return answer
