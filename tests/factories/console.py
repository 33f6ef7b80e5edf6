"""A member of staff at the console: signed in, with the CSRF token of the page."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from growth_engine.access import service as access
from growth_engine.access import sessions
from growth_engine.context import Parts


class Console:
    """A browser with a session; ``get`` and ``post`` speak English unless told otherwise."""

    def __init__(self, app: Flask, parts: Parts, workspace_id: str, role: str = "admin") -> None:
        with parts.open(workspace_id) as ctx:
            token = parts.ids.token(8)
            staff = access.create_staff(ctx, email=f"{token}@example.com", name="Mia", role=role)
        self.staff_id = staff.id
        self.client: FlaskClient = app.test_client()
        self.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"  # until a page is asked for in another
        self.client.set_cookie(sessions.cookie_name(parts), sessions.begin(parts, staff))

    def get(self, path: str, *, lang: str = "en", status: int = 200, htmx: bool = False) -> str:
        if "lang=" not in path:
            path += ("&" if "?" in path else "?") + f"lang={lang}"
        response = self.client.get(path, headers={"HX-Request": "true"} if htmx else {})
        assert response.status_code == status, (path, response.status_code, response.text[:400])
        return response.text

    def csrf(self) -> str:
        page = self.client.get("/console/profile").text
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found is not None
        return found[1]

    def post(self, path: str, form: dict[str, Any] | None = None, *, status: int = 302) -> TestResponse:
        response = self.client.post(path, data={"csrf_token": self.csrf(), **(form or {})})
        assert response.status_code == status, (path, response.status_code, response.text[:400])
        return response


def form_of(page: str) -> dict[str, Any]:
    """What a browser would send of the page's form ``id="editor"`` or ``id="poster"``, as typed."""
    from html.parser import HTMLParser

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.values: dict[str, Any] = {}
            self.inside = self.hidden = False
            self.select = self.area = ""

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            at = dict(attributes)
            if tag == "form":
                self.inside = at.get("id") in ("editor", "poster")
            if tag == "template":
                self.hidden = True
            if not self.inside or self.hidden:
                return
            name = at.get("name") or ""
            if tag == "input" and name:
                if at.get("type") in ("checkbox", "radio"):
                    if "checked" in at:
                        self.values[name] = at.get("value") or ""
                elif at.get("type") != "file":
                    self.values[name] = at.get("value") or ""
            elif tag == "select":
                self.select = name
            elif tag == "option" and self.select and ("selected" in at or self.select not in self.values):
                self.values[self.select] = at.get("value") or ""
            elif tag == "textarea":
                self.area = name
                self.values[name] = ""

        def handle_data(self, data: str) -> None:
            if self.area:
                self.values[self.area] += data

        def handle_endtag(self, tag: str) -> None:
            if tag == "template":
                self.hidden = False
            elif tag == "select":
                self.select = ""
            elif tag == "textarea":
                self.area = ""
            elif tag == "form":
                self.inside = False

    reader = Reader()
    reader.feed(page)
    return reader.values
