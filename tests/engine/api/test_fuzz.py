"""Whatever is sent to join a campaign: an answer as described, never a crash, and the books stay whole."""

from __future__ import annotations

from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from growth_engine.access import service as access
from growth_engine.context import Parts
from tests.engine.api.conftest import Caller

#: Characters that break programs: NUL, lone surrogates, right-to-left, zero width, astral, combining, case.
_NASTY = st.sampled_from(list("\x00\ud800\u202e\u200b\U0001f469\u0301İß\u2028\ufeff'\"\\%_{}<>"))
_TEXT = st.text(alphabet=st.one_of(st.characters(), _NASTY), max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_NAMES = ("id", "phone", "openid", "unionid", "external_userid", "external_id", "nickname", "name", "locale")
_PLAUSIBLE = st.sampled_from(["13800138000", "+8613800138001", "u1", "u 2", "zh-CN", "en", "", " "])
_PERSON = st.dictionaries(st.sampled_from(_NAMES) | _TEXT, _PLAUSIBLE | _TEXT | _JSON, max_size=5)
_CONSENT = st.just(True) | st.fixed_dictionaries(
    {"granted": st.booleans()}, optional={"wording_version": _TEXT}
)
_BODY = st.fixed_dictionaries(
    {},
    optional={
        "contact": _PERSON | _JSON,
        "consent": _CONSENT | _JSON,
        "invite_token": _TEXT | st.none() | _JSON,
        "more": _JSON,
    },
)
_LENIENT = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def _caller(app: Flask, parts: Parts, workspace: str) -> Caller:
    return Caller(app, access.create_token(parts, workspace, ["*"], "fuzz"))


def _encoded(body: Any) -> bytes:
    """As a careless client would: escapes for everything beyond ASCII, lone surrogates included."""
    import json

    return json.dumps(body).encode()


def test_any_body_is_answered_as_described(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    call = _caller(app, parts, workspace)

    @_LENIENT
    @given(body=_BODY | _JSON, key=st.none() | st.text(max_size=12))
    def check(body: Any, key: str | None) -> None:
        headers = {}
        if key and key.isprintable() and key.isascii():
            headers["Idempotency-Key"] = key
        answer = call.post(
            f"/campaigns/{campaign}/participants",
            data=_encoded(body),
            content_type="application/json",
            headers=headers,
        )
        assert answer.status_code in (200, 201, 400, 409, 422)

    check()
    stats = call.get(f"/campaigns/{campaign}/stats").json
    listed = call.items(f"/campaigns/{campaign}/participants", limit=100)
    assert stats["totals"]["members"] == len(listed)
    assert [one["member_no"] for one in listed] == list(range(1, len(listed) + 1))


def test_any_bytes_are_answered_as_described(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    call = _caller(app, parts, workspace)

    @_LENIENT
    @given(data=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/json", "a/b", ""]))
    def check(data: bytes, kind: str) -> None:
        answer = call.post(f"/campaigns/{campaign}/participants", data=data, content_type=kind)
        assert answer.status_code in (400, 415, 422)

    check()


def test_any_name_of_a_contact_is_answered_as_described(app: Flask, parts: Parts, workspace: str) -> None:
    call = _caller(app, parts, workspace)

    @_LENIENT
    @given(ref=_TEXT.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
    def check(ref: str) -> None:
        from urllib.parse import quote

        answer = call.client.get(
            f"/api/v1/contacts/external_id:{quote(ref, safe='')}",
            headers={"Authorization": f"Bearer {call.token}"},
        )
        assert answer.status_code in (400, 404)

    check()


def test_any_query_of_a_list_is_answered_as_described(app: Flask, parts: Parts, workspace: str) -> None:
    call = _caller(app, parts, workspace)
    names = st.sampled_from(["limit", "cursor", "search", "blocked", "left"])
    values = _TEXT.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)) | st.integers().map(
        str
    )

    @_LENIENT
    @given(query=st.dictionaries(names, values, max_size=4))
    def check(query: dict[str, str]) -> None:
        answer = call.client.get(
            "/api/v1/contacts", query_string=query, headers={"Authorization": f"Bearer {call.token}"}
        )
        assert answer.status_code in (200, 400, 422)

    check()
