"""Idempotency-Key: once, whoever comes how often; and what happens to a key when things go wrong."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.access import service as access
from growth_engine.context import Parts
from growth_engine.kit import idempotency
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Unavailable
from growth_engine.plays import service
from tests.engine.api.conftest import Caller

JOIN = {"contact": {"external_id": "u1"}, "consent": True}


def _count(parts: Parts, workspace: str, table: str) -> int:
    with parts.open(workspace) as ctx:
        return int(ctx.session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_the_same_request_is_answered_the_same_and_done_once(
    call: Caller, parts: Parts, workspace: str
) -> None:
    body = {"external_id": "u1", "name": "A"}
    first = call.post("/contacts", json=body, key="one")
    second = call.post("/contacts", json=dict(reversed(body.items())), key="one")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert _count(parts, workspace, "contacts") == 1


def test_another_body_under_the_same_key_is_refused(call: Caller) -> None:
    call.post("/contacts", json={"external_id": "u1"}, key="one")
    answer = call.post("/contacts", json={"external_id": "u2"}, key="one")

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_a_key_counts_for_one_token_one_method_and_one_address(
    call: Caller, caller_with: Any, campaign: str
) -> None:
    assert call.post("/contacts", json={"external_id": "u1"}, key="one").status_code == 201
    assert caller_with("*").post("/contacts", json={"external_id": "u2"}, key="one").status_code == 201
    assert call.post(f"/campaigns/{campaign}/participants", json=JOIN, key="one").status_code == 201
    assert call.post(f"/campaigns/{campaign}/pause", key="one").status_code == 200
    assert call.post(f"/campaigns/{campaign}/resume", key="one").status_code == 200


def test_fifty_at_once_with_one_key_join_once(
    call: Caller, campaign: str, parts: Parts, workspace: str
) -> None:
    start = threading.Barrier(50)

    def ask(_: int) -> Any:
        mine = Caller(call.app, call.token)
        start.wait()
        return mine.post(f"/campaigns/{campaign}/participants", json=JOIN, key="storm")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert statuses[201] >= 1
    assert {answer.json["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_running"}
    assert len({answer.json["id"] for answer in answers if answer.status_code == 201}) == 1
    assert sum("Idempotent-Replayed" not in a.headers for a in answers if a.status_code == 201) == 1
    assert _count(parts, workspace, "participants") == 1
    assert _count(parts, workspace, "entries") == 1
    again = call.post(f"/campaigns/{campaign}/participants", json=JOIN, key="storm")
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_refusal_is_kept_like_any_answer(call: Caller, campaign: str) -> None:
    call.post(f"/campaigns/{campaign}/pause")
    first = call.post(f"/campaigns/{campaign}/participants", json=JOIN, key="one")
    call.post(f"/campaigns/{campaign}/resume")
    second = call.post(f"/campaigns/{campaign}/participants", json=JOIN, key="one")

    assert first.status_code == second.status_code == 409
    assert second.json["decision"] == first.json["decision"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert call.post(f"/campaigns/{campaign}/participants", json=JOIN, key="two").status_code == 201


def test_a_request_refused_before_it_began_takes_no_key(call: Caller, campaign: str) -> None:
    path = f"/campaigns/{campaign}/participants"
    assert call.post(path, json={**JOIN, "consent": False}, key="one").status_code == 422
    assert call.post(path, json=JOIN, key="one").status_code == 201


def test_a_failure_on_our_side_frees_the_key(
    call: Caller, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(service, "pause", _unavailable)
        assert call.post(f"/campaigns/{campaign}/pause", key="one").status_code == 503

    answer = call.post(f"/campaigns/{campaign}/pause", key="one")
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


def _unavailable(*_: Any) -> None:
    raise Unavailable


def _claim(call: Caller, parts: Parts, workspace: str, path: str, key: str) -> None:
    """What a process leaves behind that died while it carried out ``path``."""
    with parts.open(workspace) as ctx:
        token_id = ctx.session.scalar(text("SELECT id FROM api_tokens"))
        body = JOIN if path.endswith("participants") else None
    import hashlib

    import orjson

    payload = orjson.dumps([body, []], option=orjson.OPT_SORT_KEYS)
    scope = f"{token_id} POST /api/v1{path}"
    made = idempotency.claim(parts, workspace, scope, key, hashlib.sha256(payload).digest())
    assert isinstance(made, idempotency.Claim)


def test_a_key_whose_request_died_is_free_again_after_its_lease(
    call: Caller, campaign: str, parts: Parts, workspace: str, clock: FixedClock
) -> None:
    path = f"/campaigns/{campaign}/participants"
    _claim(call, parts, workspace, path, "one")

    running = call.post(path, json=JOIN, key="one")
    assert (running.status_code, running.json["code"]) == (409, "idempotency_running")
    assert running.headers["Retry-After"] == "1"

    clock.advance(idempotency.LEASE + timedelta(seconds=1))
    assert call.post(path, json=JOIN, key="one").status_code == 201


def test_a_crash_between_posting_and_keeping_the_answer_still_joins_once(
    call: Caller,
    campaign: str,
    parts: Parts,
    workspace: str,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"/campaigns/{campaign}/participants"
    with monkeypatch.context() as crashing:
        crashing.setattr(idempotency.Claim, "fulfil", _unavailable)
        crashing.setattr(idempotency.Claim, "release", lambda *_: None)
        assert call.post(path, json=JOIN, key="one").status_code == 503

    clock.advance(idempotency.LEASE + timedelta(seconds=1))
    again = call.post(path, json=JOIN, key="one")

    assert again.status_code == 200
    assert again.json["member_no"] == 1
    assert again.json["decision"] == {"accepted": True, "reasons": []}
    assert _count(parts, workspace, "entries") == 1


def test_whoever_lost_the_lease_writes_nothing(
    call: Caller,
    parts: Parts,
    workspace: str,
    campaign: str,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = service.pause

    def slow(ctx: Any, campaign_id: str) -> Any:
        clock.advance(idempotency.LEASE + timedelta(seconds=1))
        with monkeypatch.context() as fast:
            fast.setattr(service, "pause", real)
            _claim(call, parts, workspace, f"/campaigns/{campaign}/pause", "one")
        return real(ctx, campaign_id)

    monkeypatch.setattr(service, "pause", slow)
    answer = call.post(f"/campaigns/{campaign}/pause", key="one")

    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_running")
    assert call.get(f"/campaigns/{campaign}").json["state"] == "live"


@pytest.mark.parametrize("key", [" ", "a b", "é", "x" * 201, "a\tb"])
def test_a_key_is_visible_ascii(call: Caller, key: str) -> None:
    answer = call.post("/contacts", json={"external_id": "u1"}, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json["errors"]


def test_old_answers_are_forgotten(call: Caller, parts: Parts, workspace: str, clock: FixedClock) -> None:
    call.post("/contacts", json={"external_id": "u1"}, key="one")
    clock.advance(idempotency.KEPT - timedelta(hours=1))
    call.post("/contacts", json={"external_id": "u2"}, key="two")
    clock.advance(timedelta(hours=2))

    assert idempotency.forget(parts, workspace) == 1
    assert idempotency.forget(parts, workspace) == 0


def test_the_kept_answer_of_an_erased_person_is_gone(call: Caller) -> None:
    made = call.post("/contacts", json={"external_id": "u1", "name": "Ann"}, key="one")
    call.delete(f"/contacts/{made.json['id']}")
    answer = call.client.post(
        "/api/v1/contacts",
        json={"external_id": "u1", "name": "Ann"},
        headers={"Authorization": f"Bearer {call.token}", "Idempotency-Key": "one"},
    )

    assert answer.status_code == 410
    assert answer.json["code"] == "erased"
    assert "Ann" not in answer.text


def test_tokens_are_checked_before_a_kept_answer_is_shown(
    call: Caller, caller_with: Any, parts: Parts, workspace: str
) -> None:
    weak = caller_with("contacts:read")
    assert weak.post("/contacts", json={"external_id": "u1"}, key="one").status_code == 403
    assert access.create_token(parts, workspace, ["*"], "other")
