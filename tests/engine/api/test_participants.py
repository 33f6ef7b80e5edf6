"""Participants over REST: pages of teams, ancestors, entries, posters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Received
from growth_engine.ledger.poster import Poster
from tests.engine.api.conftest import Caller
from tests.factories.campaigns import make_campaign


def test_joining_again_answers_the_same_participant_with_the_reason(call: Caller, campaign: str) -> None:
    first = call.join(campaign, "a")
    path = f"/campaigns/{campaign}/participants"
    again = call.post(path, json={"contact": {"external_id": "a"}, "consent": True})

    assert again.status_code == 200
    assert again.json["id"] == first["id"]
    assert again.json["decision"]["accepted"] is False
    assert [reason["code"] for reason in again.json["decision"]["reasons"]] == ["already_joined"]


def test_identities_of_one_statement_are_one_person(call: Caller, campaign: str) -> None:
    path = f"/campaigns/{campaign}/participants"
    by_phone = call.post(path, json={"contact": {"phone": "138 0013 8000"}, "consent": True}).json
    call.post("/contacts", json={"openid": "o-1"})
    both = call.post(
        path, json={"contact": {"phone": "+8613800138000", "openid": "o-1", "name": "Li"}, "consent": True}
    )

    assert both.json["id"] == by_phone["id"]
    kinds = {one["kind"] for one in call.get("/contacts/openid:o-1").json["identities"]}
    assert kinds == {"phone", "openid"}


@pytest.mark.parametrize(
    ("consent", "wording"), [(True, "api"), ({"granted": True, "wording_version": "2026-05"}, "2026-05")]
)
def test_consent_is_written_down_with_its_wording(
    call: Caller, campaign: str, consent: Any, wording: str
) -> None:
    body = {"contact": {"external_id": "a"}, "consent": consent}
    joined = call.post(f"/campaigns/{campaign}/participants", json=body).json
    (noted,) = call.get(f"/contacts/{joined['contact_id']}/export").json["tables"]["consents"]

    assert (noted["wording_version"], noted["granted"], noted["source"]) == (wording, True, "api")


@pytest.mark.parametrize(
    ("state", "config", "code"),
    [
        ("paused", {}, "paused"),
        ("ended", {}, "ended"),
        ("scheduled", {}, "not_started"),
        ("live", {"max_participants": 1}, "full"),
    ],
)
def test_a_campaign_that_takes_nobody_says_why(
    call: Caller, parts: Parts, workspace: str, state: str, config: dict[str, Any], code: str
) -> None:
    campaign = make_campaign(parts, workspace, config, state=state)
    path = f"/campaigns/{campaign}/participants"
    if code == "full":
        call.join(campaign, "first")
    answer = call.post(path, json={"contact": {"external_id": "a"}, "consent": True})

    assert (answer.status_code, answer.json["code"]) == (409, "cannot_join")
    assert answer.json["decision"]["accepted"] is False
    assert [reason["code"] for reason in answer.json["decision"]["reasons"]] == [code]


def test_a_draft_takes_nobody(call: Caller) -> None:
    draft = call.post("/campaigns", json={"template": "community"}).json["id"]
    answer = call.post(
        f"/campaigns/{draft}/participants", json={"contact": {"external_id": "a"}, "consent": True}
    )

    assert (answer.status_code, answer.json["code"]) == (409, "campaign_not_published")


def test_a_blocked_person_is_told_politely(
    call: Caller, campaign: str, workspace: str, run_jobs: Any
) -> None:
    call.post("/contacts", json={"external_id": "a"})
    call.post("/contacts/a/block")
    run_jobs(workspace, "outbox.drain")
    answer = call.post(
        f"/campaigns/{campaign}/participants", json={"contact": {"external_id": "a"}, "consent": True}
    )

    assert answer.status_code == 409
    assert answer.json["decision"]["reasons"][0]["code"] == "blocked"


def test_an_invite_that_does_not_count_still_lets_the_person_in(call: Caller, campaign: str) -> None:
    path = f"/campaigns/{campaign}/participants"
    body = {"contact": {"external_id": "a"}, "consent": True, "invite_token": "nobody"}
    answer = call.post(path, json=body)

    assert answer.status_code == 201
    assert answer.json["decision"]["accepted"] is False
    assert answer.json["decision"]["reasons"][0]["code"] == "unknown_invite"


def test_what_cannot_be_decided_now_is_received(
    call: Caller, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Poster, "submit_many", lambda _, events, **__: [Received("lev_1") for _ in events])
    answer = call.post(
        f"/campaigns/{campaign}/participants", json={"contact": {"external_id": "a"}, "consent": True}
    )

    assert (answer.status_code, answer.json) == (202, {"status": "received"})


def test_what_was_only_received_is_decided_when_asked_again(
    call: Caller, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = f"/campaigns/{campaign}/participants", {"contact": {"external_id": "a"}, "consent": True}
    with monkeypatch.context() as busy:
        busy.setattr(Poster, "submit_many", lambda _, events, **__: [Received("lev_1") for _ in events])
        assert call.post(path, json=body, key="one").status_code == 202

    assert call.post(path, json=body, key="one").status_code == 201


def test_pages_of_participants_and_teams_are_complete(call: Caller, campaign: str, clock: FixedClock) -> None:
    root = call.join(campaign, "root")
    children = [call.join(campaign, f"c{n}", root) for n in range(5)]
    grandchildren = [call.join(campaign, f"g{n}", children[n % 3]) for n in range(7)]
    call.post("/contacts/c1/leave")
    clock.advance(timedelta(seconds=1))

    everybody = call.items(f"/campaigns/{campaign}/participants", limit=4)
    assert [one["member_no"] for one in everybody] == list(range(1, 14))
    assert [one["inviter_id"] for one in everybody[1:6]] == [root["id"]] * 5
    assert everybody[2]["state"] == "left"

    team = call.items(f"/participants/{root['id']}/team", limit=2)
    assert [one["participant_id"] for one in team] == [one["id"] for one in reversed(children)]
    assert [one["team"]["level1"] for one in team] == [0, 0, 2, 2, 3]
    second = call.items(f"/participants/{root['id']}/team", level=2, limit=3)
    assert [one["participant_id"] for one in second] == [one["id"] for one in reversed(grandchildren)]

    detail = call.get(f"/participants/{root['id']}").json
    assert detail["team"] == {"level1": 4, "level2": 7}
    assert (detail["score"], detail["valid_invites"], detail["rank"]) == (4, 4, 1)


def test_ancestors_lead_to_the_root(call: Caller, campaign: str) -> None:
    line = [call.join(campaign, "p0")]
    for n in range(1, 6):
        line.append(call.join(campaign, f"p{n}", line[-1]))

    up = call.items(f"/participants/{line[-1]['id']}/ancestors", limit=2)
    assert [one["participant_id"] for one in up] == [one["id"] for one in reversed(line[:-1])]
    assert call.items(f"/participants/{line[0]['id']}/ancestors") == []


@pytest.mark.parametrize("cursor", ["WzRd", "Wzk5OTk5OTk5OTk5OTk5XQ", "WyJhIl0", "!!"])
def test_a_cursor_that_is_not_of_this_list_is_refused(call: Caller, campaign: str, cursor: str) -> None:
    first = call.join(campaign, "a")
    answer = call.get(f"/participants/{first['id']}/ancestors", query_string={"cursor": cursor})

    assert answer.status_code == 422
    assert "cursor" in answer.json["errors"]


def test_entries_tell_what_happened_and_why(call: Caller, campaign: str) -> None:
    a = call.join(campaign, "a")
    call.join(campaign, "b", a)
    call.post(
        f"/campaigns/{campaign}/participants",
        json={"contact": {"external_id": "a"}, "consent": True, "invite_token": a["invite_token"]},
    )
    call.post("/contacts/b/leave")

    entries = call.items(f"/participants/{a['id']}/entries", limit=1)
    told = [(one["seq"], one["kind"], one["role"], one["accepted"]) for one in entries]
    assert told == [
        (4, "leave", "inviter", True),
        (3, "join", "member", False),
        (2, "join", "inviter", True),
        (1, "join", "member", True),
    ]
    assert entries[0]["other"]["nickname"] == "b"
    assert [reason["code"] for reason in entries[1]["reasons"]] == ["already_joined", "self_invite"]
    assert all(reason["message"] for one in entries for reason in one["reasons"])


def test_a_poster_is_asked_for_drawn_and_fetched(
    call: Caller, parts: Parts, workspace: str, run_jobs: Any
) -> None:
    campaign = call.post("/campaigns", json={"template": "saas-membership", "locale": "en"}).json["id"]
    call.post(f"/campaigns/{campaign}/publish")
    path = f"/participants/{call.join(campaign, 'a')['id']}/poster"

    assert call.get(path).json["code"] == "poster_not_found"
    asked = call.post(path)
    assert (asked.status_code, asked.json["state"], asked.json["url"]) == (202, "queued", None)
    assert call.post(path).json["id"] == asked.json["id"]
    run_jobs(workspace, "posters.render")
    ready = call.get(path).json
    assert ready["state"] == "ready"
    picture = call.client.get(ready["url"].removeprefix(parts.settings.public_url))
    assert (picture.status_code, picture.mimetype) == (200, "image/jpeg")


def test_leaving_names_every_campaign(call: Caller, campaign: str, parts: Parts, workspace: str) -> None:
    other = make_campaign(parts, workspace)
    for one in (campaign, other):
        call.join(one, "a")
    left = call.post("/contacts/external_id:a/leave").json

    assert {one["campaign_id"] for one in left["campaigns"]} == {campaign, other}
    assert all(one["accepted"] for one in left["campaigns"])
    assert call.post("/contacts/a/leave").json["campaigns"] == []
    assert call.post("/contacts/nobody/leave").status_code == 404
