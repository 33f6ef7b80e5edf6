"""Staff, API token and profile pages, and who may open them."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from growth_engine.access import queries, service, tokens
from growth_engine.context import Parts
from tests.factories.staff import Browser, make_staff
from tests.factories.workspaces import make_workspace


@pytest.fixture
def admin(app: Flask, parts: Parts, workspace: str) -> Browser:
    browser = Browser(app)
    browser.sign_in(make_staff(parts, workspace, name="Lin Xiao").email)
    return browser


def test_an_administrator_invites_somebody_who_then_comes_in_by_the_link(
    app: Flask, admin: Browser, parts: Parts
) -> None:
    email = f"{parts.ids.new('new')}@example.com"
    page = admin.post("/console/staff/new", name="Mei", email=email, role="marketer")
    link = re.search(r'value="http://127\.0\.0\.1:8000(/sign-in/link/[^"]+)"', page.text)
    assert link
    mei = Browser(app)
    mei.get(link[1])
    mei.post(link[1])
    assert email in mei.get("/console/profile").text
    assert email in admin.get("/console/staff").text


def test_a_wrong_invitation_keeps_what_was_typed_and_says_what_is_wrong(admin: Browser) -> None:
    page = admin.post("/console/staff/new", name="", email="nonsense", role="king")
    assert page.status_code == 422
    assert 'value="nonsense"' in page.text
    assert "This is needed." in page.text
    assert "Choose one from the list." in page.text
    assert admin.post("/console/staff/new", name="Mei", email="nonsense").status_code == 422


def test_roles_change_and_people_are_disabled_and_enabled(
    admin: Browser, parts: Parts, workspace: str
) -> None:
    staff = make_staff(parts, workspace, role="sales")

    def now() -> tuple[str, bool]:
        with parts.open(workspace) as ctx:
            found = queries.staff(ctx.session, staff.id)
            assert found is not None
            return found.role, found.disabled_at is not None

    admin.post(f"/console/staff/{staff.id}/role", role="marketer")
    assert now() == ("marketer", False)
    admin.post(f"/console/staff/{staff.id}/disable")
    assert now() == ("marketer", True)
    admin.post(f"/console/staff/{staff.id}/enable")
    assert now() == ("marketer", False)


def test_the_last_administrator_is_told_why_they_cannot_be_disabled(
    admin: Browser, parts: Parts, workspace: str
) -> None:
    with parts.open(workspace) as ctx:
        me = queries.all_staff(ctx.session)[0].id
    admin.post(f"/console/staff/{me}/disable")
    assert "Somebody must stay administrator." in admin.get("/console/staff").text


def test_a_token_is_shown_once_and_works_until_it_is_revoked(
    admin: Browser, parts: Parts, workspace: str
) -> None:
    assert "No tokens yet" in admin.get("/console/tokens").text
    made = admin.post("/console/tokens/new", name="Shop", scopes=["campaigns:read", "contacts:write"])
    token = re.search(r'value="(ge_[A-Za-z0-9_-]{43})"', made.text)
    assert token
    assert made.headers["Cache-Control"] == "no-store"
    _, actor = tokens.authenticate_token(parts, token[1])
    assert actor.scopes == {"campaigns:read", "contacts:write"}
    listing = admin.get("/console/tokens").text
    assert "Shop" in listing
    assert token[1] not in listing
    admin.post(f"/console/tokens/{actor.id}/revoke")
    with pytest.raises(tokens.BadToken):
        tokens.authenticate_token(parts, token[1])
    assert "Revoked" in admin.get("/console/tokens").text


def test_a_token_without_scopes_is_not_made(admin: Browser) -> None:
    page = admin.post("/console/tokens/new", name="Shop")
    assert page.status_code == 422
    assert "Choose at least one scope." in page.text


def test_a_person_changes_name_and_language(admin: Browser) -> None:
    admin.post("/console/profile", name="Lin 晓", locale="zh")
    page = admin.get("/console/profile").text
    assert 'value="Lin 晓"' in page
    assert '<html lang="zh-CN"' in page


@pytest.mark.parametrize("role", ["marketer", "sales"])
def test_only_administrators_see_staff_and_tokens(
    app: Flask, parts: Parts, workspace: str, role: str
) -> None:
    browser = Browser(app)
    browser.sign_in(make_staff(parts, workspace, role=role).email)
    for path in ("/console/staff", "/console/staff/new", "/console/tokens", "/console/tokens/new"):
        answer = browser.get(path)
        assert answer.status_code == 403
        assert "Your role does not include this page." in answer.text
    assert browser.post("/console/tokens/new", name="x", scopes=["*"]).status_code == 403
    assert browser.is_signed_in()


def test_sales_staff_find_a_page_of_their_own(app: Flask, parts: Parts, workspace: str) -> None:
    browser = Browser(app)
    browser.sign_in(make_staff(parts, workspace, role="sales", name="Sam").email)
    assert browser.get("/console").location == "/sales"
    assert "Welcome, Sam" in browser.get("/sales").text


def test_people_of_other_workspaces_do_not_exist(admin: Browser, parts: Parts) -> None:
    elsewhere = make_workspace(parts)
    stranger = make_staff(parts, elsewhere)
    token = service.create_token(parts, elsewhere, ["*"], "theirs")
    _, actor = tokens.authenticate_token(parts, token)
    for path in (
        f"/console/staff/{stranger.id}/link",
        f"/console/staff/{stranger.id}/role",
        f"/console/staff/{stranger.id}/disable",
        f"/console/staff/{stranger.id}/enable",
        f"/console/tokens/{actor.id}/revoke",
    ):
        assert admin.post(path, role="sales").status_code == 404
    assert stranger.email not in admin.get("/console/staff").text
    assert tokens.authenticate_token(parts, token)
