"""POST /campaigns/{id}/participants."""

from __future__ import annotations

from tests.engine.api.conftest import Caller


def test_a_new_person_takes_part_and_brings_the_next(call: Caller, campaign: str) -> None:
    first = call.join(campaign, "a")
    second = call.join(campaign, "b", first)

    assert (first["member_no"], second["member_no"]) == (1, 2)
    assert first["inviter_id"] is None
    assert second["inviter_id"] == first["id"]
    assert second["decision"] == {"accepted": True, "reasons": []}
    assert second["invite_url"].endswith(f"/i/{second['invite_token']}")
    assert second["state"] == "active"
    assert second["joined_at"] == "2026-06-01T02:00:00Z"
