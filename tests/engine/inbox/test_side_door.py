"""Callbacks that go past Flask are answered as those that go through it; everything odd goes through it."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient

from growth_engine.channels.protocol.documents import MOST_BYTES
from growth_engine.context import Parts
from growth_engine.inbox import queries
from growth_engine.web import side_door
from tests.factories.callbacks import Caller, connect_oa, document


@pytest.fixture
def oa(parts: Parts, workspace: str, client: FlaskClient) -> Caller:
    return Caller(client, "wechat_oa", connect_oa(parts, workspace))


@pytest.fixture(params=["by the side door", "through Flask"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "through Flask":
        monkeypatch.setattr(side_door.SideDoor, "_is_ordinary", lambda *_: False)
    return str(request.param)


def test_both_doors_answer_alike(oa: Caller, door: str) -> None:
    said = [
        oa.say(Event="VIEW", EventKey="x"),
        oa.post(b"<xml/>", {"signature": "wrong"}),
        oa.client.post("/webhooks/nobody/x", data=b"<xml/>"),
        oa.client.post(oa.path, data=b""),
        oa.client.post(oa.path, query_string={"signature": "\N{SNOWMAN}", "a": ""}, data=b"?"),
        oa.client.post(oa.path + "?signature=%FF", data=b"<xml/>"),
        oa.client.post(oa.path, data=b"x" * (MOST_BYTES + 1)),
    ]
    assert [one.status_code for one in said] == [200, 403, 404, 403, 403, 400, 413]
    first = said[0]
    assert first.data == b"success"
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in first.headers["Content-Security-Policy"]
    assert first.headers["X-Request-Id"].startswith("req_")
    assert first.mimetype == "text/plain"
    assert "Set-Cookie" not in first.headers


def test_the_callers_name_for_a_request_is_kept_errors_too(oa: Caller, door: str) -> None:
    for path, status in ((oa.path, 403), ("/webhooks/wechat_oa/x", 404)):
        answer = oa.client.post(path, data=b"<xml/>", headers={"X-Request-Id": "from-the-proxy-1"})
        assert (answer.status_code, answer.headers["X-Request-Id"]) == (status, "from-the-proxy-1")


def test_every_callback_is_counted_once(oa: Caller, door: str) -> None:
    def counted() -> float:
        line = next(
            (
                line
                for line in oa.client.get("/metrics").text.splitlines()
                if line.startswith(
                    'ge_http_requests_total{endpoint="webhooks.receive",method="POST",status="200"'
                )
            ),
            "0",
        )
        return float(line.split()[-1])

    before = counted()
    oa.say(Event="VIEW", EventKey="x")
    assert counted() - before == 1


def test_of_a_name_said_twice_the_first_counts(oa: Caller, door: str) -> None:
    body, query = oa.encrypted_body(document("xml", oa.message(Event="VIEW", EventKey="x")))
    twice = [*query.items(), *((name, "other") for name in query)]
    address = oa.path + "?" + "&".join(f"{name}={value}" for name, value in twice)
    assert oa.client.post(address, data=body).status_code == 200


def test_a_body_that_a_proxy_sends_in_pieces_is_read_to_its_end_and_not_beyond(oa: Caller) -> None:
    body, query = oa.encrypted_body(document("xml", oa.message(Event="VIEW", EventKey="x")))
    pieces = {"Transfer-Encoding": "chunked"}
    streams = [io.BytesIO(body), io.BytesIO(b"x" * (10 * MOST_BYTES))]
    said = [oa.client.post(oa.path, query_string=query, input_stream=one, headers=pieces) for one in streams]
    assert [one.status_code for one in said] == [200, 400]  # refused as unreadable: nobody read on
    assert streams[1].tell() <= 2 * MOST_BYTES


def test_a_body_that_ends_early_is_no_callback(oa: Caller, parts: Parts, workspace: str, door: str) -> None:
    answer = oa.client.post(oa.path, data=b"<xml>", environ_overrides={"CONTENT_LENGTH": "500"})
    assert answer.status_code == 400
    with parts.open(workspace) as ctx:
        assert queries.page(ctx) == []


def test_a_crash_is_our_error_and_rendered_where_all_are(
    oa: Caller, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(oa.client.application.extensions["growth.inbox"], "receive", crash)
    answer = oa.client.post(oa.path, data=b"<xml/>", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["code"]) == (500, "error")
