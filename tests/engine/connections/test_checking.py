"""Credentials tried against the platform: what it says stands with the account."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from growth_engine.connections import checking, queries
from growth_engine.context import Parts
from tests.factories.callbacks import connect_oa, connect_pay, connect_wecom


class _Platform(BaseHTTPRequestHandler):
    answer: Any = None

    def do_GET(self) -> None:
        body = json.dumps(type(self).answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Not on the screen."""


@pytest.fixture
def platform() -> Iterator[Callable[[Any], str]]:
    """A server on this machine that answers everything with one document; returns its address."""
    handler = type("Handler", (_Platform,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def answer(document: Any) -> str:
        handler.answer = document  # type: ignore[attr-defined]
        return f"http://127.0.0.1:{server.server_port}"

    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def at(parts: Parts, url: str) -> Parts:
    hosts = {"wx_api_base": url, "wecom_api_base": url, "wxpay_api_base": url}
    return replace(parts, settings=replace(parts.settings, **hosts))


def test_good_credentials_are_noted_as_good(
    parts: Parts, workspace: str, platform: Callable[[Any], str]
) -> None:
    url = platform({"access_token": "t" * 20, "expires_in": 7200, "errcode": 0, "errmsg": "ok"})
    for account_id in (connect_oa(parts, workspace), connect_wecom(parts, workspace)):
        assert checking.check(at(parts, url), workspace, account_id) is None
        with parts.open(workspace) as ctx:
            row = queries.account(ctx, account_id)
            assert (row.checked_at, row.check_error) == (ctx.now(), None)


def test_what_the_platform_says_against_them_stands_with_the_account(
    parts: Parts, workspace: str, platform: Callable[[Any], str]
) -> None:
    url = platform({"errcode": 40125, "errmsg": "invalid appsecret rid: 5f3ded7d-0-0"})
    account_id = connect_oa(parts, workspace)
    error = checking.check(at(parts, url), workspace, account_id)
    assert error is not None
    assert "40125" in error
    with parts.open(workspace) as ctx:
        assert queries.account(ctx, account_id).check_error == error


def test_a_merchant_whose_platform_cannot_be_believed_is_told_so(
    parts: Parts, workspace: str, platform: Callable[[Any], str]
) -> None:
    account_id = connect_pay(parts, workspace)
    assert checking.check(at(parts, platform({"data": []})), workspace, account_id)


def test_only_merchants_with_certificates_get_them_fetched(parts: Parts, workspace: str) -> None:
    pay, oa = connect_pay(parts, workspace), connect_oa(parts, workspace)
    with parts.open(workspace) as ctx:
        assert checking.needs_certificates(queries.connection(ctx, pay))
        assert not checking.needs_certificates(queries.connection(ctx, oa))
        only_key = replace(
            queries.connection(ctx, pay),
            secrets={"platform_keys": queries.connection(ctx, pay).secrets["platform_keys"][:1]},
        )
        assert not checking.needs_certificates(only_key)
