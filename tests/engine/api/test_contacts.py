"""Contacts over REST, named by any identity."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.engine.api.conftest import Caller


def test_a_contact_is_made_then_brought_up_to_date(call: Caller) -> None:
    made = call.post("/contacts", json={"phone": "13800138000", "nickname": "Li", "tags": ["vip"]})
    known = call.post("/contacts", json={"phone": "+86 138-0013-8000", "openid": "o1", "tags": ["new"]})

    assert (made.status_code, known.status_code) == (201, 200)
    assert known.json["id"] == made.json["id"]
    assert known.json["nickname"] == "Li"
    assert known.json["tags"] == ["new", "vip"]
    assert {one["kind"] for one in known.json["identities"]} == {"phone", "openid"}
    assert all(one["verified_at"] for one in known.json["identities"])


@pytest.mark.parametrize(
    "value",
    ["u 1/2", "http://shop.example//users/7", "a/membership", "100%", "用户/七", "a?b#c", "con_1", "+x:y"],
)
def test_any_identity_names_a_contact(call: Caller, value: str) -> None:
    made = call.post("/contacts", json={"external_id": value}).json

    for ref in (made["id"], f"external_id:{quote(value, safe='')}"):
        for path in ("/export", "/membership"):
            assert call.get(f"/contacts/{ref}{path}").json["contact_id"] == made["id"]
        assert call.post(f"/contacts/{ref}/leave").json["contact_id"] == made["id"]
    if not value.endswith("/membership"):  # an address that means the membership of somebody called "a"
        assert call.get(f"/contacts/external_id:{quote(value, safe='')}").json["id"] == made["id"]


def test_a_bare_value_is_tried_as_every_kind(call: Caller) -> None:
    made = call.post("/contacts", json={"phone": "13800138000", "unionid": "uni-1"}).json

    assert call.get("/contacts/13800138000").json["id"] == made["id"]
    assert call.get("/contacts/uni-1").json["id"] == made["id"]
    assert call.get("/contacts/openid:uni-1").json["code"] == "contact_not_found"


def test_the_list_is_complete_and_searched(call: Caller) -> None:
    for number in range(7):
        call.post("/contacts", json={"external_id": f"u{number}", "name": f"Nick {number}"})
    call.post("/contacts/u3/block")
    call.post("/contacts/u4/leave")

    assert sorted(one["nickname"] for one in call.items("/contacts", limit=2)) == [
        f"Nick {number}" for number in range(7)
    ]
    assert [one["nickname"] for one in call.items("/contacts", search="ick 5")] == ["Nick 5"]
    assert [one["nickname"] for one in call.items("/contacts", search="u6")] == ["Nick 6"]
    assert [one["nickname"] for one in call.items("/contacts", blocked="true")] == ["Nick 3"]
    assert len(call.items("/contacts", blocked="false")) == 6
    assert [one["nickname"] for one in call.items("/contacts", left="true")] == ["Nick 4"]


def test_a_block_is_noted_and_lifted(call: Caller) -> None:
    call.post("/contacts", json={"external_id": "a"})
    blocked = call.post("/contacts/a/block", json={"reason": "bought followers"}).json
    lifted = call.post("/contacts/a/unblock").json

    assert (blocked["blocked_reason"], bool(blocked["blocked_at"])) == ("bought followers", True)
    assert (lifted["blocked_reason"], lifted["blocked_at"]) == (None, None)
    assert call.post("/contacts/a/unblock").status_code == 200


def test_merged_contacts_are_one(call: Caller) -> None:
    kept = call.post("/contacts", json={"external_id": "a", "name": "A"}).json
    call.post("/contacts", json={"external_id": "b", "phone": "13800138000"})
    merged = call.post("/contacts/a/merge", json={"other": "phone:13800138000"}).json

    assert merged["id"] == kept["id"]
    assert call.get("/contacts/b").json["id"] == kept["id"]
    assert len(call.items("/contacts")) == 1
    assert call.post("/contacts/a/merge", json={"other": "nobody"}).status_code == 404
    assert call.post("/contacts/a/merge", json={}).status_code == 422


def test_an_erased_person_is_gone(call: Caller, campaign: str) -> None:
    joined = call.join(campaign, "a")
    assert call.delete("/contacts/a").status_code == 204

    assert call.get("/contacts/a").status_code == 404
    assert call.get(f"/contacts/{joined['contact_id']}").status_code == 404
    assert call.delete(f"/contacts/{joined['contact_id']}").status_code == 404
    assert call.get(f"/participants/{joined['id']}").json["nickname"] == ""


def test_membership_shows_what_is_promised_then_what_is_there(
    call: Caller, campaign: str, workspace: str, run_jobs: Any
) -> None:
    a = call.join(campaign, "a")
    call.join(campaign, "b", a)

    before = call.get("/contacts/b/membership").json
    assert [(one["state"], one["side"], one["days"]) for one in before["grants"]] == [
        ("pending", "friend", 30)
    ]
    assert [(one["state"], one["days_left"], one["days_coming"]) for one in before["memberships"]] == [
        ("none", 0, 30)
    ]
    run_jobs(workspace, "grants.drain")
    after = call.get("/contacts/b/membership").json
    assert after["grants"][0]["state"] == "granted"
    (standing,) = after["memberships"]
    assert (standing["state"], standing["days_left"], standing["ends_on"]) == ("active", 30, "2026-06-30")


def test_export_holds_everything_known(call: Caller, campaign: str) -> None:
    call.join(campaign, "a")
    tables = call.get("/contacts/a/export").json["tables"]

    assert {"contacts", "contact_identities", "consents", "participants", "entries"} <= set(tables)
    assert tables["contact_identities"][0]["value"] == "a"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"name": "x"}, "body"),
        ({"phone": "1"}, "phone"),
        ({"openid": "a b"}, "openid"),
        ({"external_id": "a", "tags": "x"}, "tags"),
        ({"external_id": "a", "tags": ["x"] * 51}, "tags"),
        ({"external_id": "a", "tags": [1]}, "tags.0"),
        ({"external_id": "a", "blocked_at": None}, "blocked_at"),
    ],
)
def test_a_wrong_contact_is_refused_by_field(call: Caller, body: dict[str, Any], field: str) -> None:
    answer = call.post("/contacts", json=body)

    assert answer.status_code == 422
    assert field in answer.json["errors"], answer.json
