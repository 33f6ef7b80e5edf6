"""Marketer pages about people: list, one person, blocking, merging, export, erasure."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.membership import service as membership
from growth_engine.people import queries, service
from tests.factories.console import Console
from tests.factories.workspaces import make_workspace


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    return Console(app, parts, workspace)


def meet(parts: Parts, workspace: str, name: str, **identities: str) -> str:
    with parts.open(workspace) as ctx:
        known = identities or {"external_id": name}
        return service.create_or_update(ctx, known, nickname=name, source="import").contact_id


PAGES = [
    "/console/contacts/{id}",
    "/console/contacts/{id}/merge",
    "/console/contacts/{id}/merge?ref=nobody",
    "/console/contacts/{id}/erase",
    "/console/contacts/{id}/export.json",
]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(
    console: Console, parts: Parts, workspace: str, lang: str
) -> None:
    assert "/console/campaigns" in console.get("/console/contacts", lang=lang), "an empty list leads on"
    contact_id = meet(parts, workspace, "Ann")
    for path in ["/console/contacts", "/console/contacts?q=zz", "/console/contacts?state=blocked", *PAGES]:
        console.get(path.format(id=contact_id), lang=lang)


def test_sales_staff_are_kept_out_and_only_admins_erase(app: Flask, parts: Parts, workspace: str) -> None:
    contact_id = meet(parts, workspace, "Ann")
    seller, marketer = (Console(app, parts, workspace, role) for role in ("sales", "marketer"))
    for path in ["/console/contacts", *PAGES]:
        seller.get(path.format(id=contact_id), status=403)
    marketer.get(f"/console/contacts/{contact_id}/erase", status=403)
    marketer.post(f"/console/contacts/{contact_id}/erase", {"sure": "1"}, status=403)
    assert "/erase" not in marketer.get(f"/console/contacts/{contact_id}")


def test_another_workspaces_contact_is_not_there(console: Console, parts: Parts, workspace: str) -> None:
    other = make_workspace(parts)
    foreign = meet(parts, other, "Ann", phone="13800138000")
    for path in PAGES:
        console.get(path.format(id=foreign), status=404)
    for action in ("block", "unblock", "merge", "erase"):
        console.post(f"/console/contacts/{foreign}/{action}", {"sure": "1"}, status=404)
    own = meet(parts, workspace, "Ben")
    assert "Nobody else is known" in console.get(f"/console/contacts/{own}/merge?ref=13800138000")
    console.post(f"/console/contacts/{own}/merge", {"other": foreign}, status=404)
    with parts.open(other) as ctx:
        assert queries.contact(ctx, foreign).blocked_at is None


def test_the_list_finds_by_name_and_leads_straight_to_an_exact_identity(
    console: Console, parts: Parts, workspace: str
) -> None:
    ann = meet(parts, workspace, "Ann", phone="13800138000")
    meet(parts, workspace, "Ben")
    page = console.get("/console/contacts?q=ann")
    assert "Ann" in page
    assert "Ben" not in page
    answer = console.client.get("/console/contacts?q=%2B8613800138000")
    assert answer.headers["Location"].endswith(f"/console/contacts/{ann}")


def test_the_list_comes_in_pages(console: Console, parts: Parts, workspace: str) -> None:
    for number in range(5):
        meet(parts, workspace, f"Person{number}")
    first = console.get("/console/contacts?limit=3")
    more = re.search(r'href="([^"]*cursor=[^"]*)"', first)
    assert more is not None
    second = console.get(unescape(more[1]))
    assert len(set(re.findall(r"Person\d", first + second))) == 5


def test_a_person_is_shown_with_days_identities_and_consents(
    console: Console, parts: Parts, workspace: str
) -> None:
    contact_id = meet(parts, workspace, "Ann", phone="13800138000", external_id="u1")
    with parts.open(workspace) as ctx:
        plan = membership.create_plan(ctx, slug="gold", name="Gold")
        membership.grant(ctx, contact_id, plan.id, 30, reason="Sorry for the wait")
        service.record_consent(ctx, contact_id, purpose="campaign", wording_version="v7", source="h5")
    page = unescape(console.get(f"/console/contacts/{contact_id}"))
    for words in (
        "+8613800138000",
        "u1",
        "Gold",
        "30 days left",
        "Sorry for the wait",
        "v7",
        "You received 30 days",
    ):
        assert words in page, words


def test_blocking_needs_a_form_with_the_token_and_can_be_lifted(
    console: Console, parts: Parts, workspace: str
) -> None:
    contact_id = meet(parts, workspace, "Ann")
    assert console.client.post(f"/console/contacts/{contact_id}/block").status_code == 403
    console.post(f"/console/contacts/{contact_id}/block", {"reason": "bought followers"})
    assert "bought followers" in console.get(f"/console/contacts/{contact_id}")
    console.post(f"/console/contacts/{contact_id}/unblock")
    assert "bought followers" not in console.get(f"/console/contacts/{contact_id}")


def test_two_contacts_are_merged_after_a_look_at_both(console: Console, parts: Parts, workspace: str) -> None:
    kept = meet(parts, workspace, "Ann", phone="13800138000")
    other = meet(parts, workspace, "Annie", external_id="u9")
    page = console.get(f"/console/contacts/{kept}/merge?ref=u9")
    assert "Annie" in page
    assert "Nobody else is known" in console.get(f"/console/contacts/{kept}/merge?ref=13800138000")
    answer = console.post(f"/console/contacts/{kept}/merge", {"other": other})
    assert answer.headers["Location"].endswith(kept)
    assert "u9" in console.get(f"/console/contacts/{kept}")
    moved = console.client.get(f"/console/contacts/{other}")
    assert moved.headers["Location"].endswith(kept)


def test_export_hands_out_what_is_held(console: Console, parts: Parts, workspace: str) -> None:
    contact_id = meet(parts, workspace, "Ann", phone="13800138000")
    answer = console.client.get(f"/console/contacts/{contact_id}/export.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "+8613800138000" in json.dumps(json.loads(answer.data))


def test_erasure_needs_a_tick_and_forgets(console: Console, parts: Parts, workspace: str) -> None:
    contact_id = meet(parts, workspace, "Ann", phone="13800138000")
    page = console.post(f"/console/contacts/{contact_id}/erase", status=422)
    assert "Tick the box" in page.text
    console.get(f"/console/contacts/{contact_id}")
    console.post(f"/console/contacts/{contact_id}/erase", {"sure": "1"})
    console.get(f"/console/contacts/{contact_id}", status=404)
    assert "13800138000" not in console.get("/console/contacts")
