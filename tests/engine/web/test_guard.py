"""Around every request: headers, broken text, sizes, errors in the look and language of the caller."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.routing import AnyConverter, BaseConverter
from werkzeug.routing.converters import NumberConverter

from growth_engine.app import create_app
from growth_engine.context import Parts
from growth_engine.web.guard import HEADERS
from tests.factories.staff import Browser, make_staff


def _filling(converter: BaseConverter) -> str:
    if isinstance(converter, AnyConverter):
        return str(sorted(converter.items)[0])
    return "1" if isinstance(converter, NumberConverter) else "nothing"


def _paths(app: Flask) -> list[tuple[str, str]]:
    """(method, address) of every route, its variables filled with something that does not exist."""
    found = []
    for rule in app.url_map.iter_rules():
        fillings = {name: _filling(kind) for name, kind in rule._converters.items()}
        built = rule.build(fillings, append_unknown=False)
        assert built, rule
        found += [(method, built[1]) for method in (rule.methods or set()) - {"OPTIONS"}]
    return found


def test_every_route_answers_with_the_security_headers_and_never_crashes(
    app: Flask, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace)
    inside, outside = Browser(app), Browser(app)
    inside.sign_in(staff.email)
    for browser in (outside, inside):
        for method, path in _paths(app):
            if browser is inside and path.startswith("/sign-in/out"):
                continue
            answer = browser.client.open(path, method=method, data={"csrf_token": browser._token})
            # No workers run here, which the health check rightly calls down.
            assert answer.status_code < 500 or path == "/healthz", (method, path, answer.text)
            for name, value in HEADERS.items():
                assert answer.headers.get(name) == value, (method, path, name)
            assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", answer.headers["X-Request-Id"])
            assert answer.headers["Cache-Control"], (method, path)


def test_no_page_of_ours_has_anything_inline(app: Flask, parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email)
    for method, path in _paths(app):
        if method != "GET":
            continue
        page = browser.get(path)
        if page.mimetype == "text/html":
            assert not re.search(r"<style|<[^>]+\sstyle=|<[^>]+\son[a-z]+=|javascript:", page.text), path
            inline = re.findall(r"<script(?![^>]*\ssrc=)([^>]*)>", page.text)
            assert all("application/json" in attributes for attributes in inline), path
            assert re.search(r"<title>[^<]+</title>", page.text), path


@pytest.mark.parametrize(
    "path", ["/sign-in?next=%00", "/sign-in?next=%ff%fe", "/x%00y", "/console/staff?%00=1"]
)
def test_text_that_is_none_in_the_address_is_a_bad_request(app: Flask, path: str) -> None:
    answer = Browser(app).get(path)
    assert answer.status_code == 400
    assert "characters that are not valid text" in answer.text


def test_a_path_of_invalid_bytes_is_a_bad_request(app: Flask) -> None:
    answer = app.test_client().get("/", environ_overrides={"PATH_INFO": "/\xc3\x28"})
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"email=a%00b", b"email=%ff", b"%00=x", b"email=ok&password=\xc3\x28"])
def test_text_that_is_none_in_a_form_is_a_bad_request(app: Flask, body: bytes) -> None:
    answer = app.test_client().post("/sign-in", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400


def test_text_that_is_none_in_an_upload_is_a_bad_request(app: Flask) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na\x00b\r\n--b--\r\n'
    answer = app.test_client().post("/sign-in", data=body, content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b'{"a": "x\\u0000y"}', b'{"a": ["\\ud800"]}', b'{"b\\u0000": 1}'])
def test_text_that_is_none_in_json_is_a_bad_request(app: Flask, body: bytes) -> None:
    answer = app.test_client().post("/api/v1/nothing", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "broken_text"


def test_real_text_passes(app: Flask) -> None:
    for body in (rb'{"a": "\\u0000 written out"}', '{"a": "\\ud83d\\ude00 晨光"}'.encode()):
        answer = app.test_client().post("/api/v1/nothing", data=body, content_type="application/json")
        assert answer.status_code == 404


def test_a_body_that_is_too_large_is_refused(app: Flask, parts: Parts) -> None:
    body = b"email=" + b"a" * parts.settings.max_body_bytes
    answer = Browser(app).client.post("/sign-in", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413


# -- errors ------------------------------------------------------------------------------------------


def test_programs_get_problem_json(app: Flask) -> None:
    answer = app.test_client().get("/api/v1/nothing", headers={"X-Request-Id": "given-by-a-proxy"})
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
    problem = json.loads(answer.data)
    assert problem == {
        "type": "urn:growth-engine:problem:not_found",
        "title": "未找到",
        "status": 404,
        "code": "not_found",
        "detail": "这个地址没有内容，链接可能不完整。",
        "request_id": "given-by-a-proxy",
    }


def test_a_caller_that_asks_for_json_gets_it_anywhere(app: Flask) -> None:
    answer = app.test_client().delete("/sign-in", headers={"Accept": "application/json"})
    assert answer.status_code == 405
    assert answer.get_json()["code"] == "method_not_allowed"
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(("language", "words"), [("en", "Not found"), ("zh-CN,zh;q=0.9", "未找到")])
def test_people_get_a_page_in_their_language_and_the_look_of_the_area(
    app: Flask, parts: Parts, workspace: str, language: str, words: str
) -> None:
    browser = Browser(app, language=language)
    phone = browser.get("/no-such-page")
    assert phone.status_code == 404
    assert words in phone.text
    assert "phone.css" in phone.text
    browser.sign_in(make_staff(parts, workspace).email)
    console = browser.get("/console/no-such-page")
    assert console.status_code == 404
    assert words in console.text
    assert "navbar-vertical" in console.text


def _failing(parts: Parts, error: Exception) -> Flask:
    """A product of its own with a page that breaks: nothing can be added to one that has answered."""

    def fail() -> str:
        raise error

    app = create_app(parts)
    app.add_url_rule("/fails", "fails", fail)
    return app


@pytest.mark.parametrize(("language", "words"), [("en", "Our mistake"), ("zh", "我们出错了")])
def test_a_crash_is_a_polite_page_and_its_cause_stays_in_the_log(
    parts: Parts, language: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = Browser(_failing(parts, RuntimeError("secret inner words")), language=language).get("/fails")
    assert answer.status_code == 500
    assert words in answer.text
    assert "secret inner words" not in answer.text


def test_a_database_that_is_gone_is_said_to_be_back_in_a_moment(parts: Parts) -> None:
    error = OperationalError("SELECT 1", {}, Exception("connection refused"))
    answer = Browser(_failing(parts, error)).get("/fails")
    assert answer.status_code == 503
    assert "Back in a moment" in answer.text


def test_a_redis_that_is_gone_is_a_503_not_a_crash(app: Flask, parts: Parts, monkeypatch: Any) -> None:
    from redis.exceptions import ConnectionError as Gone

    def gone(*_args: Any, **_kwargs: Any) -> None:
        raise Gone("connection refused")

    monkeypatch.setattr(type(parts.queue), "getex", gone)
    browser = Browser(app)
    browser.client.set_cookie("ge_session", "x" * 43)
    assert browser.get("/console/profile").status_code == 503


def test_too_many_requests_say_when_to_come_back(parts: Parts) -> None:
    from growth_engine.kit.errors import TooMany

    answer = Browser(_failing(parts, TooMany(extra={"retry_after": 7}))).get("/fails")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "7"
    assert "Too many requests." in answer.text


def test_nothing_written_by_people_reaches_the_log(
    app: Flask, parts: Parts, workspace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    staff = make_staff(parts, workspace)
    browser = Browser(app)
    browser.sign_in(staff.email, "a wrong password")
    browser.get("/sign-in/link/some-secret-token?phone=13800138000")
    written = "".join(capsys.readouterr())
    assert "route=/sign-in/link/<token>" in re.sub(r"\x1b\[[0-9;]*m", "", written)
    for secret in (staff.email, "a wrong password", "some-secret-token", "13800138000"):
        assert secret not in written


# -- language ----------------------------------------------------------------------------------------


def test_the_language_asked_for_sticks(app: Flask) -> None:
    browser = Browser(app, language="en")
    assert '<html lang="zh-CN"' in browser.get("/sign-in?lang=zh").text
    assert '<html lang="zh-CN"' in browser.get("/sign-in").text
    assert '<html lang="en"' in browser.get("/sign-in?lang=en").text
    assert '<html lang="en"' in browser.get("/sign-in?lang=tlh").text


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [("zh-TW,zh;q=0.8,en;q=0.5", "zh-CN"), ("fr-FR,en-GB;q=0.5", "en"), ("fr", "zh-CN"), ("", "zh-CN")],
)
def test_the_browser_decides_otherwise_and_then_the_server(app: Flask, asked: str, spoken: str) -> None:
    assert f'<html lang="{spoken}"' in Browser(app, language=asked).get("/sign-in").text
