"""Scopes and the rate limit of a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from growth_engine.access import rules
from growth_engine.access import service as access
from growth_engine.app import create_app
from growth_engine.context import Parts
from growth_engine.kit import rest
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.ratelimit import RateLimiter
from growth_engine.kit.redis import queue_client
from growth_engine.settings import Settings
from tests.engine.api.conftest import Caller


def test_every_endpoint_asks_for_a_scope_there_is(app: Flask) -> None:
    described = rest.description(app)
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                ((scope,),) = [one["token"] for one in operation["security"]]
                assert scope in rules.SCOPES, f"{method} {path}"
                assert scope.endswith(":read") == (method == "get"), f"{method} {path}"


def test_a_token_without_the_scope_is_told_which(caller_with: Callable[..., Caller], campaign: str) -> None:
    reader = caller_with("participants:read", "contacts:*")
    answer = reader.post(
        f"/campaigns/{campaign}/participants", json={"contact": {"openid": "x"}, "consent": True}
    )

    assert answer.status_code == 403
    assert (answer.json["code"], answer.json["scope"]) == ("scope_missing", "participants:write")
    assert reader.get(f"/campaigns/{campaign}/participants").status_code == 200
    assert reader.post("/contacts", json={"openid": "x"}).status_code == 201


@pytest.fixture
def few(parts: Parts, workspace: str) -> Iterator[Caller]:
    """A caller who may make three requests a minute."""
    tight = replace(parts, settings=replace(parts.settings, api_rate_per_minute=3))
    return Caller(create_app(tight), access.create_token(parts, workspace, ["*"], "tests"))


def test_the_fourth_request_of_three_waits_for_the_next_minute(few: Caller, clock: FixedClock) -> None:
    left = [few.get("/campaigns").headers["RateLimit-Remaining"] for _ in range(3)]
    refused = few.get("/campaigns")

    assert left == ["2", "1", "0"]
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limit_exceeded")
    assert refused.headers["RateLimit-Limit"] == "3"
    assert int(refused.headers["Retry-After"]) == int(refused.headers["RateLimit-Reset"]) == 60

    clock.advance(timedelta(seconds=60))
    assert few.get("/campaigns").status_code == 200


def test_processes_count_together_and_callers_apart(valkey_url: str, clock: FixedClock) -> None:
    here, there = (RateLimiter(queue_client(valkey_url), 10) for _ in range(2))
    now = clock.now().timestamp() + 86_400

    counted = [limiter.count("tok_together", now) for _ in range(5) for limiter in (here, there)]

    assert [one.remaining for one in counted] == list(range(9, -1, -1))
    assert here.count("tok_together", now).exceeded
    assert not here.count("tok_apart", now).exceeded


def test_large_limits_are_taken_in_blocks_and_never_exceeded(valkey_url: str, clock: FixedClock) -> None:
    here, there = (RateLimiter(queue_client(valkey_url), 5_000) for _ in range(2))
    now = clock.now().timestamp() + 2 * 86_400

    passed = sum(
        not limiter.count("tok_blocks", now).exceeded for _ in range(3_000) for limiter in (here, there)
    )

    assert 4_990 <= passed <= 5_000


def test_without_redis_the_api_goes_on(parts: Parts, workspace: str, settings: Settings) -> None:
    lost = queue_client("redis://127.0.0.1:1/0")
    tight = replace(parts, queue=lost, settings=replace(settings, api_rate_per_minute=3))
    caller = Caller(create_app(tight), access.create_token(parts, workspace, ["*"], "tests"))

    assert [caller.get("/campaigns").status_code for _ in range(6)] == [200] * 6
