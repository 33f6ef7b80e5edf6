"""Staff for tests, and a browser that sends forms the way a page does."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from growth_engine.access import service
from growth_engine.access.models import Staff
from growth_engine.context import Parts

PASSWORD = "correct horse battery"


def make_staff(
    parts: Parts,
    workspace_id: str,
    *,
    email: str = "",
    role: str = "admin",
    name: str = "Lin",
    password: str | None = PASSWORD,
) -> Staff:
    """A member of staff; the email is of its own when none is given (lock-outs are counted by email)."""
    with parts.open(workspace_id) as ctx:
        return service.create_staff(
            ctx,
            email=email or f"{ctx.new_id('mail')}@example.com",
            name=name,
            role=role,
            password=password,
        )


class Browser:
    """A test client that keeps cookies, reads the CSRF token from pages and sends it with forms."""

    def __init__(self, app: Flask, *, language: str = "en", address: str = "127.0.0.1") -> None:
        self.client = app.test_client()
        self._headers = {"Accept-Language": language, "Accept": "text/html"}
        self._environ = {"REMOTE_ADDR": address}
        self._token = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        headers = {**self._headers, **more.pop("headers", {})}
        answer = self.client.get(path, headers=headers, environ_base=self._environ, **more)
        found = re.search(r'data-csrf="([0-9a-f]+)"', answer.text)
        if found:
            self._token = found[1]
        return answer

    def post(self, path: str, **form: Any) -> TestResponse:
        """Send a form with the token of the page seen last (``csrf_token=None``: without one)."""
        if not self._token:
            self.get("/sign-in")
        values = {"csrf_token": self._token, **form}
        values = {name: value for name, value in values.items() if value is not None}
        return self.client.post(path, data=values, headers=self._headers, environ_base=self._environ)

    def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> TestResponse:
        self.get("/sign-in")
        answer = self.post("/sign-in", email=email, password=password, **more)
        if answer.status_code == 302:
            self.get("/console/profile")  # the token belongs to the session, which is new
        return answer

    def is_signed_in(self) -> bool:
        return self.get("/console/profile").status_code == 200

    @property
    def session(self) -> str | None:
        cookie = self.client.get_cookie("ge_session")
        return cookie.value if cookie else None
