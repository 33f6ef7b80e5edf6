"""Broken and hostile input on the phone pages: a clear 4xx, nothing written, nobody else's page shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.crypto import Signer
from growth_engine.web.h5 import limits
from tests.conftest import SECRET
from tests.factories.phones import Phone, publish_campaign
from tests.factories.workspaces import make_workspace

A, B = "13800138001", "13800138002"


@pytest.fixture
def campaign(parts: Parts, workspace: str) -> str:
    return publish_campaign(parts, workspace)


def nicknames(parts: Parts, workspace: str) -> list[str]:
    with parts.open(workspace) as ctx:
        return list(ctx.session.scalars(text("SELECT nickname FROM contacts ORDER BY id")))


BROKEN: dict[str, dict[str, str]] = {
    "a NUL in the name": {"nickname": "An\0n"},
    "a NUL in the number": {"phone": "138\0"},
    "a short mark": {"nonce": "short"},
    "SQL for a mark": {"nonce": "'; DROP TABLE contacts; --"},
    "no mark": {"nonce": ""},
    "a forged CSRF token": {"csrf_token": "forged"},
    "no CSRF token": {"csrf_token": ""},
    "three megabytes": {"x" * 50: "y" * (3 * 1024 * 1024)},
}


def test_broken_and_forged_forms_are_refused_clearly(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    phone = Phone(app)
    path = phone.open_form(campaign)
    whole = {**phone.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"}
    for what, change in BROKEN.items():
        assert 400 <= phone.post(path, {**whole, **change}).status_code < 500, what
        assert "<h1>" in phone.page, what
    marks = f"csrf_token={whole['csrf_token']}&nonce={whole['nonce']}"
    body = f"{marks}&consent=yes&phone={A}&nickname=A%ff%ed%a0%80"
    answer = phone.client.post(path, data=body, content_type="application/x-www-form-urlencoded")
    assert 400 <= answer.status_code < 500, "no UTF-8"
    assert phone.client.post(path, json=whole).status_code == 403
    assert phone.client.put(path).status_code in (403, 405)
    assert nicknames(parts, workspace) == []


def test_tricks_in_names_are_taken_out_and_markup_stays_text(
    app: Flask, parts: Parts, workspace: str, campaign: str
) -> None:
    ann = Phone(app)
    token = ann.join(campaign, A, "\u202e<b>A\u200bn\u2066n</b>")
    assert nicknames(parts, workspace) == ["<b>Ann</b>"]
    ann.get(f"/i/{token}")
    assert "<b>Ann" not in ann.page
    assert ann.page.count("&lt;b&gt;Ann&lt;/b&gt;") == 0, "on one's own link one is not named"
    friend = Phone(app)
    friend.get(f"/i/{token}")
    assert "&lt;b&gt;Ann&lt;/b&gt; invites you" in friend.page


def test_a_broken_invite_is_a_4xx_page(app: Flask, campaign: str) -> None:
    for language in ("en", "zh"):
        phone = Phone(app, language=language)
        for token in ("nope", "x" * 5000, "%00", "..%2F..", "%ff", "💥", "' OR 1=1 --"):
            for path in (f"/i/{token}", f"/c/{campaign}/register?i={token}"):
                assert 400 <= phone.get(path).status_code < 500, path
                assert "<h1>" in phone.page


def test_an_invite_of_another_campaign_or_shop_does_not_fit(app: Flask, parts: Parts, campaign: str) -> None:
    elsewhere = publish_campaign(parts, make_workspace(parts))
    token = Phone(app).join(elsewhere, A)
    visitor = Phone(app)
    assert visitor.get(f"/c/{campaign}/register?i={token}").status_code == 404
    assert visitor.get(f"/c/{campaign}/me?i={token}").status_code == 404
    path = visitor.open_form(campaign)
    fields = {**visitor.hidden(), "nickname": "Ann", "phone": A, "consent": "yes"}
    assert visitor.post(f"{path}?i={token}", fields).status_code == 404


Forge = Callable[[Parts, str, str], str]


def _unsigned(parts: Parts, workspace: str, contact: str) -> str:
    return f'["{workspace}", "{contact}"]'


def _other_key(parts: Parts, workspace: str, contact: str) -> str:
    return Signer("another key of at least 32 characters", "phone contact").sign([workspace, contact])


def _other_purpose(parts: Parts, workspace: str, contact: str) -> str:
    return Signer(SECRET, "visitor").sign([workspace, contact])


def _other_workspace(parts: Parts, workspace: str, contact: str) -> str:
    return Signer(SECRET, "phone contact").sign([make_workspace(parts), contact])


def _nonsense(parts: Parts, workspace: str, contact: str) -> str:
    return Signer(SECRET, "phone contact").sign({"a": 1})


def test_a_forged_cookie_is_a_stranger(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    token = Phone(app).join(campaign, A)
    with parts.open(workspace) as ctx:
        contact = str(ctx.session.scalar(text("SELECT id FROM contacts")))
    forges: list[Forge] = [_unsigned, _other_key, _other_purpose, _other_workspace, _nonsense]
    for forge in forges:
        phone = Phone(app)
        phone.client.set_cookie(f"ge_me_{workspace[-10:]}", forge(parts, workspace, contact))
        assert phone.get(f"/c/{campaign}/me").status_code == 302, forge
        assert phone.get(f"/c/{campaign}/me/poster").status_code == 404, forge
        assert phone.get(f"/c/{campaign}").status_code == 200, forge
        assert token not in phone.page, forge


def test_a_cookie_of_one_shop_is_nothing_in_another(app: Flask, parts: Parts, campaign: str) -> None:
    elsewhere = publish_campaign(parts, make_workspace(parts))
    ann = Phone(app)
    ann.join(campaign, A)
    assert ann.get(f"/c/{elsewhere}/me").status_code == 302
    ann.follow()
    assert "/register" in ann.page


def test_a_code_page_without_a_registration_starts_again(app: Flask, campaign: str) -> None:
    phone = Phone(app)
    phone.client.set_cookie("ge_join", "forged")
    assert phone.get(f"/c/{campaign}/code").headers["Location"].endswith("/register")
    phone.follow()
    assert "Please enter your number once more" in phone.text()
    phone.post(f"/c/{campaign}/code", {**phone.hidden(), "code": "123456"})
    assert phone.answer.headers["Location"].endswith("/register")
    assert phone.get(f"/c/{campaign}/wait").status_code == 303


def test_a_registration_of_one_visitor_is_no_use_to_another(app: Flask, parts: Parts, campaign: str) -> None:
    Phone(app).join(campaign, A)
    ann, mallory = Phone(app), Phone(app)
    ann.register(campaign, A)
    kept = ann.client.get_cookie("ge_join")
    assert kept is not None
    mallory.client.set_cookie("ge_join", kept.value)
    assert mallory.get(f"/c/{campaign}/code").headers["Location"].endswith("/register")


def test_one_address_may_write_only_so_often(
    app: Flask, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = limits.take
    monkeypatch.setattr(limits, "take", lambda of, what, whose, _: take(of, what, whose, 3))
    phone = Phone(app, address="203.0.113.77")
    for _ in range(3):
        assert phone.register(campaign, "12").status_code == 422
    assert phone.register(campaign, A).status_code == 429
    assert phone.answer.headers["Retry-After"] == "60"
    assert "A moment, please" in phone.text()
    assert Phone(app, address="203.0.113.78").register(campaign, A).status_code == 303


def test_wrong_codes_run_out(app: Flask, parts: Parts, campaign: str) -> None:
    Phone(app).join(campaign, A)
    mallory = Phone(app)
    mallory.register(campaign, A)
    mallory.follow()
    for _ in range(5):
        mallory.post(f"/c/{campaign}/code", {**mallory.hidden(), "code": "000000"})
    right = {**mallory.hidden(), "code": parts.sms.last_code(f"+86{A}")}
    assert mallory.post(f"/c/{campaign}/code", right).status_code == 422


def test_strange_codes_are_just_wrong(app: Flask, parts: Parts, campaign: str) -> None:
    Phone(app).join(campaign, A)
    other = Phone(app)
    other.register(campaign, A)
    other.follow()
    for code in ("", "x" * 100_000, "１２３４５６", "-1", "null"):
        assert other.post(f"/c/{campaign}/code", {**other.hidden(), "code": code}).status_code == 422


def test_a_colour_that_is_none_is_not_found(app: Flask) -> None:
    for path in ("/theme/zzzzzz.css", "/share/ABCDEF.png", "/theme/07c16.css"):
        assert Phone(app).get(path).status_code == 404


def test_strangers_cannot_leave_for_others(app: Flask, parts: Parts, workspace: str, campaign: str) -> None:
    Phone(app).join(campaign, A)
    mallory = Phone(app)
    mallory.open_form(campaign)
    form = mallory.hidden()
    for path in ("leave", "again", "me/poster"):
        assert mallory.post(f"/c/{campaign}/{path}", form).status_code == 303
    with parts.open(workspace) as ctx:
        assert list(ctx.session.scalars(text("SELECT state FROM participants"))) == ["active"]
