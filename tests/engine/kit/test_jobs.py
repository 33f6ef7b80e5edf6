"""The doorbell and the jobs behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from growth_engine.context import Parts
from growth_engine.kit import jobs
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.jobs import Job, RqBell
from growth_engine.kit.redis import queue_client


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Job]]:
    """The registry of jobs, put back after the test."""
    len(jobs.registry)
    items = dict(jobs.registry._items)
    monkeypatch.setattr(jobs.registry, "_items", items)
    return items


@pytest.fixture
def bell(parts: Parts) -> RqBell:
    parts.queue.flushdb()
    return RqBell(parts.queue)


def _rung(parts: Parts, queue: str = "default") -> list[tuple[str, ...]]:
    return [tuple(one.args) for one in Queue(queue, connection=parts.queue, serializer=JSONSerializer).jobs]


def test_many_rings_before_the_worker_comes_are_one_job(bell: RqBell, parts: Parts) -> None:
    for _ in range(100):
        bell.ring("outbox.drain", "wsp_a")
    bell.ring("outbox.drain", "wsp_b")
    assert _rung(parts) == [("outbox.drain", "wsp_a"), ("outbox.drain", "wsp_b")]


def test_the_rq_job_carries_name_and_workspace_as_json_only(bell: RqBell, parts: Parts) -> None:
    bell.ring("outbox.drain", "wsp_a")
    [queued] = Queue("default", connection=parts.queue, serializer=JSONSerializer).jobs
    assert json.loads(queued.serializer.dumps(queued.args)) == ["outbox.drain", "wsp_a"]
    assert (queued.func_name, queued.result_ttl) == (jobs.PERFORM, 0)


def test_a_ring_that_comes_while_the_worker_drains_is_not_lost(
    bell: RqBell, parts: Parts, declared: dict[str, Job]
) -> None:
    def rings_during_the_work(parts: Parts, workspace_id: str) -> int:
        bell.ring("test.job", workspace_id)
        return 0

    declared["test.job"] = Job("test.job", rings_during_the_work, None, "default", "workspace")
    bell.ring("test.job", "wsp_a")
    jobs.bind(parts)
    jobs.perform("test.job", "wsp_a")
    assert len(_rung(parts)) == 2


def test_a_job_with_more_rows_than_its_budget_rings_again_and_lets_others_in(
    bell: RqBell, parts: Parts, declared: dict[str, Job]
) -> None:
    ticks = iter(range(0, 1000, 2))
    declared["test.endless"] = Job("test.endless", lambda parts, ws: 7, None, "default", "workspace")
    rows, finished = jobs.drain(parts, "test.endless", "w", budget=5, seconds=lambda: next(ticks))
    assert (rows, finished) == (21, False)


def test_a_failing_job_leaves_its_error_where_operators_look(
    bell: RqBell, parts: Parts, declared: dict[str, Job]
) -> None:
    failing = [True]

    def sometimes(parts: Parts) -> int:
        if failing:
            raise RuntimeError("out of paper")
        return 0

    declared["test.system"] = Job("test.system", sometimes, None, "default", "system")
    jobs.bind(parts)
    with pytest.raises(RuntimeError):
        jobs.perform("test.system", "")
    assert b"out of paper" in (parts.queue.hget(jobs.ERRORS_KEY, "test.system") or b"")
    failing.clear()
    jobs.perform("test.system", "")
    assert parts.queue.hget(jobs.ERRORS_KEY, "test.system") is None


def test_ringing_does_not_fail_when_redis_is_down() -> None:
    RqBell(queue_client("unix:///nowhere/valkey.sock")).ring("outbox.drain", "wsp_a")


def test_an_unknown_job_is_refused_by_name(parts: Parts) -> None:
    with pytest.raises(jobs.UnknownJob, match=r"no\.such"):
        jobs.drain(parts, "no.such", "w")


def test_two_jobs_of_one_name_stop_the_boot(declared: dict[str, Job]) -> None:
    with pytest.raises(Misconfigured, match=r"outbox\.drain"):
        jobs.job("outbox.drain")(lambda parts, workspace_id: 0)
