"""Campaigns over REST: made, published, paused, ended, measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from growth_engine.app import create_app
from growth_engine.context import Parts
from growth_engine.ledger.mirror import BookKey, Mirror
from tests.engine.api.conftest import Caller
from tests.factories.workspaces import make_workspace

BLANK = {"play": "referral", "title": "Bring a friend"}


def test_a_ready_campaign_is_published_unchanged(call: Caller) -> None:
    gallery = call.items("/templates", locale="en")
    assert len(gallery) >= 4
    for ready in gallery:
        detail = call.get(f"/templates/{ready['slug']}").json
        assert detail["content"]["title"]
        made = call.post("/campaigns", json={"template": ready["slug"], "locale": "zh"}).json
        assert (made["state"], made["rule_version"], made["findings"]) == ("draft", 0, [])
        published = call.post(f"/campaigns/{made['id']}/publish").json
        assert (published["state"], published["rule_version"]) == ("live", 1)


def test_a_template_is_changed_field_by_field(call: Caller) -> None:
    body = {"template": "saas-membership", "title": "Ours", "config": {"friend_days": 7}, "locale": "en-GB"}
    made = call.post("/campaigns", json=body).json

    assert (made["title"], made["locale"], made["template"]) == ("Ours", "en", "saas-membership")
    assert made["config"]["friend_days"] == 7
    assert made["config"]["inviter_days"] == 30


def test_a_campaign_from_nothing_cannot_be_published_before_its_copy_is_written(call: Caller) -> None:
    made = call.post("/campaigns", json=BLANK).json
    refused = call.post(f"/campaigns/{made['id']}/publish", json={"accept_warnings": True})

    assert (refused.status_code, refused.json["code"]) == (422, "not_publishable")
    assert refused.json["findings"]
    assert call.get(f"/campaigns/{made['id']}").json["state"] == "draft"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"play": "referral"}, "title"),
        ({"template": "x", "play": "referral", "title": "t"}, "body"),
        ({**BLANK, "title": ""}, "title"),
        ({**BLANK, "title": "x" * 121}, "title"),
        ({**BLANK, "title": "  "}, "title"),
        ({**BLANK, "locale": "fr"}, "locale"),
        ({**BLANK, "config": {"friend_days": -1}}, "config.friend_days"),
        ({**BLANK, "config": {"frend_days": 1}}, "config.frend_days"),
        ({**BLANK, "config": {"tiers": [{"invites": 3, "days": 1, "x": 1}]}}, "config.tiers.0.x"),
        (
            {**BLANK, "config": {"tiers": [{"invites": 3, "days": 1}, {"invites": 2, "days": 1}]}},
            "config.tiers",
        ),
        ({**BLANK, "config": []}, "config"),
        ({**BLANK, "content": {"nonsense": "x"}}, "content.nonsense"),
        ({**BLANK, "content": {"title": 5}}, "content.title"),
        ({**BLANK, "starts_at": "2026-01-01T00:00:00"}, "starts_at"),
        ({**BLANK, "starts_at": "0001-01-01T00:00:00+14:00"}, "starts_at"),
        ({**BLANK, "starts_at": 12}, "starts_at"),
        ({**BLANK, "starts_at": "2026-07-02T00:00:00Z", "ends_at": "2026-07-01T00:00:00Z"}, "ends_at"),
        ({**BLANK, "plan_id": "pln_nobody"}, "plan_id"),
        ({**BLANK, "poster_template_id": "ptp_nobody"}, "poster_template_id"),
    ],
)
def test_a_wrong_draft_is_refused_by_field(call: Caller, body: dict[str, Any], field: str) -> None:
    answer = call.post("/campaigns", json=body)

    assert answer.status_code == 422, answer.text
    assert field in answer.json["errors"], answer.json


def test_plans_and_poster_templates_of_others_cannot_be_used(call: Caller, parts: Parts) -> None:
    from growth_engine.membership import service as membership
    from growth_engine.posters import service as posters

    with parts.open(make_workspace(parts)) as elsewhere:
        plan = membership.ensure_default_plan(elsewhere)
        poster = posters.default_template(elsewhere)
    mine = call.post("/campaigns", json=BLANK).json["id"]

    for field, value in (("plan_id", plan), ("poster_template_id", poster)):
        assert call.post("/campaigns", json={**BLANK, field: value}).status_code == 422
        assert call.patch(f"/campaigns/{mine}", json={field: value}).status_code == 422


def test_unknown_plays_templates_and_campaigns_are_404(call: Caller) -> None:
    assert call.post("/campaigns", json={**BLANK, "play": "x"}).json["code"] == "unknown_play"
    assert call.post("/campaigns", json={"template": "x"}).status_code == 404
    assert call.get("/templates/x").status_code == 404
    for path in ("", "/stats", "/leaderboard", "/participants"):
        assert call.get(f"/campaigns/cmp_x{path}").json["code"] == "campaign_not_found"


def test_a_draft_is_changed_and_the_rest_stays(call: Caller) -> None:
    made = call.post("/campaigns", json={"template": "community", "locale": "en"}).json
    changed = call.patch(f"/campaigns/{made['id']}", json={"title": "New", "ends_at": None}).json

    assert (changed["title"], changed["ends_at"]) == ("New", None)
    assert changed["config"] == made["config"]
    assert call.patch(f"/campaigns/{made['id']}", json={"play": "x"}).status_code == 422


def test_a_campaign_goes_through_its_states(call: Caller, campaign: str) -> None:
    def state(action: str) -> str:
        answer = call.post(f"/campaigns/{campaign}/{action}")
        return (
            str(answer.json.get("state") or answer.json["code"])
            if answer.status_code == 200
            else str(answer.json["code"])
        )

    assert [state(one) for one in ("resume", "pause", "pause", "resume", "end", "end", "pause")] == [
        "wrong_state", "paused", "wrong_state", "live", "ended", "wrong_state", "wrong_state",
    ]  # fmt: skip


def test_the_list_is_complete_newest_first_and_filtered(call: Caller) -> None:
    made = [call.post("/campaigns", json={**BLANK, "title": f"No {n}"}).json["id"] for n in range(7)]

    listed = call.items("/campaigns", limit=3)
    assert sorted(one["id"] for one in listed) == sorted(made)
    assert [one["id"] for one in listed] == sorted(made, reverse=True)
    assert [one["title"] for one in call.items("/campaigns", search="o 4")] == ["No 4"]
    assert call.items("/campaigns", state="live") == []
    assert len(call.items("/campaigns", state="draft", limit=1)) == 7


def test_figures_add_up(call: Caller, campaign: str, parts: Parts, workspace: str) -> None:
    a = call.join(campaign, "a")
    b, c = call.join(campaign, "b", a), call.join(campaign, "c", a)
    d = call.join(campaign, "d", b)
    call.join(campaign, "e")
    call.post("/contacts/c/leave")

    stats = call.get(f"/campaigns/{campaign}/stats").json
    assert stats["totals"] == {
        "members": 5, "active": 4, "left": 1, "blocked": 0, "valid_invites": 2, "ranked": 2,
    }  # fmt: skip
    assert stats["funnel"]["joined"] == 5
    assert stats["k"] == 0.4
    assert stats["cohorts"] == [{"day": "2026-06-01", "members": 5, "invites": 2, "k": 0.4}]
    assert stats["grants"] == {"pending": {"grants": 6, "days": 180}}
    assert stats["as_of_seq"] == stats["journal_seq"] == 6
    assert [member["state"] for member in (b, c, d)] == ["active"] * 3

    board = call.get(f"/campaigns/{campaign}/leaderboard").json
    assert [(place["rank"], place["nickname"], place["score"]) for place in board["items"]] == [
        (1, "a", 1), (2, "b", 1),
    ]  # fmt: skip
    assert len(call.get(f"/campaigns/{campaign}/leaderboard?limit=1").json["items"]) == 1


def test_blocked_people_are_counted_apart(call: Caller, campaign: str, workspace: str, run_jobs: Any) -> None:
    a = call.join(campaign, "a")
    call.join(campaign, "b", a)
    call.post("/contacts/a/block", json={"reason": "a machine"})
    run_jobs(workspace, "outbox.drain")

    totals = call.get(f"/campaigns/{campaign}/stats").json["totals"]
    assert (totals["members"], totals["active"], totals["blocked"], totals["ranked"]) == (2, 1, 1, 0)
    assert call.get(f"/campaigns/{campaign}/leaderboard").json["items"] == []
    assert call.get(f"/participants/{a['id']}").json["rank"] is None


def test_a_new_campaign_has_figures_of_zero(call: Caller, campaign: str) -> None:
    stats = call.get(f"/campaigns/{campaign}/stats").json

    assert stats["totals"]["members"] == 0
    assert (stats["k"], stats["cohorts"], stats["as_of_seq"]) == (None, [], 0)


def test_a_mirror_that_lost_the_book_gives_no_wrong_number(
    call: Caller, campaign: str, parts: Parts, workspace: str
) -> None:
    a = call.join(campaign, "a")
    parts.mirror.forget(BookKey(workspace, campaign))

    for path in (
        f"/campaigns/{campaign}/stats",
        f"/campaigns/{campaign}/leaderboard",
        f"/participants/{a['id']}",
        f"/participants/{a['id']}/ancestors",
    ):
        answer = call.get(path)
        assert (answer.status_code, answer.json["code"]) == (503, "figures_unavailable"), path
        assert answer.headers["Retry-After"]
    assert call.get(f"/campaigns/{campaign}/participants").status_code == 200
    assert call.get(f"/participants/{a['id']}/entries").status_code == 200


def test_without_the_mirror_people_join_and_figures_wait(call: Caller, campaign: str, parts: Parts) -> None:
    blind = replace(parts, mirror=Mirror.connect("redis://127.0.0.1:1/0"))
    caller = Caller(create_app(blind), call.token)
    joined = caller.join(campaign, "a")

    for path in (f"/campaigns/{campaign}/stats", f"/participants/{joined['id']}"):
        answer = caller.get(path)
        assert (answer.status_code, answer.json["code"]) == (503, "mirror_unavailable")
