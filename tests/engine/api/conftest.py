"""A client of the REST API that checks every answer against what its endpoint says it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from growth_engine.access import service as access
from growth_engine.context import Parts
from growth_engine.kit.rest.operation import Problem
from tests.factories.campaigns import make_campaign

BASE = "/api/v1"


class Caller:
    """One token's requests; ``call.post("/contacts", json=…)``."""

    def __init__(self, app: Flask, token: str) -> None:
        self.app = app
        self.token = token
        self.client: FlaskClient = app.test_client()

    def __call__(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if key := options.pop("key", None):
            headers["Idempotency-Key"] = key
        response = self.client.open(BASE + path, method=method, headers=headers, **options)
        check_shape(self.app, method, path, response)
        return response

    def get(self, path: str, **options: Any) -> TestResponse:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self("DELETE", path, **options)

    def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list, page after page."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, query_string={**query, **cursor})
            assert page.status_code == 200, page.text
            found += page.json["items"]
            if page.json["next_cursor"] is None:
                return found
            cursor = {"cursor": page.json["next_cursor"]}

    def join(self, campaign_id: str, who: str, inviter: Any = None, **options: Any) -> Any:
        """Let the person with external id ``who`` take part; the participant."""
        body: dict[str, Any] = {"contact": {"external_id": who, "nickname": who}, "consent": True}
        if inviter is not None:
            body["invite_token"] = inviter["invite_token"]
        answer = self.post(f"/campaigns/{campaign_id}/participants", json=body, **options)
        assert answer.status_code in (200, 201), answer.text
        return answer.json


def check_shape(app: Flask, method: str, path: str, response: TestResponse) -> None:
    """What came back is what the endpoint's description promises: no more, no less."""
    if response.status_code >= 400:
        assert response.mimetype == "application/problem+json", response.text
        assert Problem(unknown="exclude").validate(response.json) == {}, response.json
        assert response.json["status"] == response.status_code
        assert response.status_code < 500 or response.status_code == 503, response.text
        return
    endpoint, _ = app.url_map.bind("localhost").match(BASE + path.partition("?")[0], method=method)
    said = app.view_functions[endpoint].operation
    assert response.status_code in said.answers, f"{response.status_code} is not documented"
    schema, _ = said.answers[response.status_code]
    if said.mimetype is not None:
        assert response.mimetype == said.mimetype
    elif schema is None:
        assert response.data == b""
    else:
        assert response.mimetype == "application/json"
        assert schema.validate(response.json) == {}, response.json


@pytest.fixture
def call(app: Flask, parts: Parts, workspace: str) -> Caller:
    """A caller who may do everything in ``workspace``."""
    return Caller(app, access.create_token(parts, workspace, ["*"], "tests"))


@pytest.fixture
def caller_with(app: Flask, parts: Parts, workspace: str) -> Callable[..., Caller]:
    """Makes callers with certain scopes: ``caller_with("contacts:read")``."""

    def make(*scopes: str) -> Caller:
        return Caller(app, access.create_token(parts, workspace, scopes, "tests"))

    return make


@pytest.fixture
def campaign(parts: Parts, workspace: str) -> str:
    """A live campaign."""
    return make_campaign(parts, workspace)
