"""Broken, hostile and careless requests: always a problem document, never a crash, nothing written."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from growth_engine.context import Parts
from tests.engine.api.conftest import BASE, Caller

OK = {"contact": {"external_id": "u1"}, "consent": True}


def _post(call: Caller, campaign: str, data: Any, kind: str = "application/json", **more: Any) -> Any:
    return call.post(f"/campaigns/{campaign}/participants", data=data, content_type=kind, **more)


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"contact=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", "application/xml", 415, "unsupported_media_type"),
        (b"", "application/json", 400, "broken_json"),
        (b"{", "application/json", 400, "broken_json"),
        (b'{"a": NaN}', "application/json", 400, "broken_json"),
        (b'{"a": 1,}', "application/json", 400, "broken_json"),
        (b"\xff\xfe{}", "application/json", 400, "broken_json"),
        (b'"\xed\xa0\x80"', "application/json", 400, "broken_json"),
        (b'{"contact": {"external_id": "\\ud800"}}', "application/json", 400, "broken_text"),
        (
            b'{"contact": {"external_id": "a\\u0000"}, "consent": true}',
            "application/json",
            400,
            "broken_text",
        ),
        (b'{"contact": {"external_id": "a\x00"}, "consent": true}', "application/json", 400, "broken_json"),
        (b"[" * 1000 + b"]" * 1000, "application/json", 400, "too_deep"),
        (b"[" * 200_000, "application/json", 400, "broken_json"),
        (b"[" * 1000 + b'"\\u0000"' + b"]" * 1000, "application/json", 400, "broken_text"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "application/json", 400, "too_deep"),
        (b"[]", "application/json", 422, "invalid"),
        (b"null", "application/json", 422, "invalid"),
        (b"12", "application/json", 422, "invalid"),
        (b"{}", "application/json", 422, "invalid"),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    call: Caller, campaign: str, data: bytes, kind: str, status: int, code: str
) -> None:
    answer = _post(call, campaign, data, kind)

    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"consent": False}, "consent"),
        ({"consent": None}, "consent"),
        ({"consent": "yes"}, "consent"),
        ({"consent": 1}, "consent"),
        ({"consent": {"granted": False}}, "consent"),
        ({"consent": {"granted": True, "wording_version": ""}}, "consent.wording_version"),
        ({"consent": {"granted": True, "wording_version": "v\n1"}}, "consent.wording_version"),
        ({"consent": {"granted": True, "more": 1}}, "consent"),
        ({"contact": None}, "contact"),
        ({"contact": []}, "contact"),
        ({"contact": {}}, "contact"),
        ({"contact": {"nickname": "only a name"}}, "contact"),
        ({"contact": {"external_id": 12}}, "contact.external_id"),
        ({"contact": {"external_id": ""}}, "contact.external_id"),
        ({"contact": {"external_id": "   "}}, "contact.external_id"),
        ({"contact": {"external_id": "x" * 129}}, "contact.external_id"),
        ({"contact": {"external_id": "x" * 100_000}}, "contact.external_id"),
        ({"contact": {"external_id": "a\u202eb"}}, "contact.external_id"),
        ({"contact": {"external_id": "a\u200bb"}}, "contact.external_id"),
        ({"contact": {"external_id": "a\nb"}}, "contact.external_id"),
        ({"contact": {"openid": "微信"}}, "contact.openid"),
        ({"contact": {"phone": "12"}}, "contact.phone"),
        ({"contact": {"phone": "+1 555 nobody"}}, "contact.phone"),
        ({"contact": {"id": "con_x"}}, "contact.id"),
        ({"contact": {"id": "con_00000000000000000000000000"}}, "contact.id"),
        ({"contact": {"external_id": "u1", "locale": "xx"}}, "contact.locale"),
        ({"contact": {"external_id": "u1", "nickname": {"a": 1}}}, "contact.nickname"),
        ({"contact": {"external_id": "u1", "avatar_url": "http://x/y.png"}}, "contact.avatar_url"),
        ({"contact": {"external_id": "u1"}, "admin": True}, "admin"),
        ({"invite_token": 7}, "invite_token"),
        ({"invite_token": "x" * 129}, "invite_token"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(
    call: Caller, campaign: str, change: dict[str, Any], field: str
) -> None:
    answer = call.post(f"/campaigns/{campaign}/participants", json={**OK, **change})

    assert answer.status_code == 422, answer.text
    assert field in answer.json["errors"], answer.json


def test_a_body_beyond_the_limit_is_refused(call: Caller, campaign: str, parts: Parts) -> None:
    data = b'{"contact": {"external_id": "' + b"x" * parts.settings.max_body_bytes + b'"}}'

    assert _post(call, campaign, data).status_code == 413


@pytest.mark.parametrize(
    "nickname", ["\u202egnp.exe", "a\u200b\u200b", "👨‍👩‍👧‍👦" * 50, "x" * 5000, "\ufeff", "Z̸̢̛͎͓͈̰"]
)
def test_tricks_in_nicknames_are_cleaned_not_refused(
    call: Caller, campaign: str, parts: Parts, workspace: str, nickname: str
) -> None:
    body = {"contact": {"external_id": "u1", "nickname": nickname}, "consent": True}
    answer = call.post(f"/campaigns/{campaign}/participants", json=body)

    assert answer.status_code == 201
    kept = call.get(f"/contacts/{answer.json['contact_id']}").json["nickname"]
    assert "\u202e" not in kept
    assert len(kept) <= 160


@pytest.mark.parametrize(
    "path",
    [
        "/campaigns?cursor=x",
        "/campaigns?cursor=WzFd",
        "/campaigns?limit=0",
        "/campaigns?limit=101",
        "/campaigns?limit=abc",
        "/campaigns?limit=1e3",
        "/campaigns?state=gone",
        "/campaigns?unknown=1",
        "/contacts?cursor=%F0%9F%98%80",
        "/contacts?cursor=" + "A" * 5000,
        "/contacts?blocked=perhaps",
        "/contacts?search=" + "x" * 200,
        "/campaigns/{campaign}/participants?cursor=WyJhIl0",
        "/campaigns/{campaign}/participants?cursor=W3RydWVd",
        "/campaigns/{campaign}/participants?cursor=WzFlOTld",
        "/campaigns/{campaign}/leaderboard?limit=1000",
        "/templates?locale=xx",
    ],
)
def test_a_wrong_query_is_refused(call: Caller, campaign: str, path: str) -> None:
    answer = call.get(path.format(campaign=campaign))

    assert answer.status_code == 422, answer.text
    assert answer.json["errors"]


@pytest.mark.parametrize(
    "path", ["/campaigns/%00", "/contacts?search=%00", "/contacts/a%00b", "/contacts?search=%ff"]
)
def test_bytes_that_are_no_text_are_refused_in_addresses(call: Caller, path: str) -> None:
    answer = call.client.get(BASE + path, headers={"Authorization": f"Bearer {call.token}"})

    assert answer.status_code == 400
    assert answer.json["code"] == "broken_text"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer ge_" + "A" * 43,
        "Bearer ge_" + "é" * 43,
        "Bearer " + "x" * 10_000,
        "Bearer ge_'; DROP TABLE contacts; --",
    ],
)
def test_without_a_valid_token_nobody_gets_in(client: FlaskClient, campaign: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.post(f"{BASE}/campaigns/{campaign}/participants", json=OK, headers=headers)

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_refused_request_leaves_nothing_behind(
    call: Caller, campaign: str, parts: Parts, workspace: str
) -> None:
    call.post(f"/campaigns/{campaign}/participants", json={**OK, "consent": False})
    call.post(f"/campaigns/{campaign}/participants", json={**OK, "x": 1}, key="k")

    with parts.open(workspace) as ctx:
        for table in ("contacts", "events", "participants", "idempotency_keys"):
            assert ctx.session.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table


def test_unknown_addresses_and_methods_are_problem_documents(call: Caller) -> None:
    assert call.get("/nothing").json["code"] == "not_found"
    assert call.delete("/campaigns").json["code"] == "method_not_allowed"


def test_words_come_in_the_language_asked_for(call: Caller, campaign: str) -> None:
    call.join(campaign, "u1")
    said = {}
    for language in ("en", "zh-CN"):
        answer = call.post(
            f"/campaigns/{campaign}/participants", json=OK, headers={"Accept-Language": language}
        )
        said[language] = answer.json["decision"]["reasons"][0]["message"]

    assert said["en"] == "Already taking part; the first registration stands."
    assert said["zh-CN"] != ""
