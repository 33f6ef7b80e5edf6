"""Workers and cron, on a real queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.kit import alive, health, jobs
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.jobs import Job
from growth_engine.settings import Settings
from growth_engine.worker import Cron, work
from tests.conftest import START
from tests.factories.workspaces import make_workspace


@pytest.fixture(scope="module")
def _alone(
    settings: Settings, pristine_database: Callable[[str], str], second_valkey_url: str
) -> Iterator[Parts]:
    own = replace(
        settings,
        database_url=pristine_database("growth_worker"),
        ledger_redis_url=second_valkey_url,
        queue_redis_url=second_valkey_url,
    )
    built = build_parts(own, FixedClock(START))
    yield built
    built.close()


@pytest.fixture
def parts(_alone: Parts) -> Parts:
    """A product of its own: cron and workers go through all workspaces there are."""
    return _alone


@pytest.fixture
def only(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Job], None]]:
    """Makes a job the only one there is, on an empty queue."""
    parts.queue.flushdb()
    len(jobs.registry)
    items: dict[str, Job] = {}
    monkeypatch.setattr(jobs.registry, "_items", items)
    yield lambda job: items.update({job.name: job})
    parts.queue.flushdb()


def test_a_ring_is_answered_by_a_worker(parts: Parts, only: Callable[[Job], None]) -> None:
    done: list[str] = []

    def once(parts: Parts, workspace_id: str) -> int:
        done.append(workspace_id)
        return 0

    only(Job("test.once", once, None, "default", "workspace"))
    parts.bell.ring("test.once", "wsp_a")
    parts.bell.ring("test.once", "wsp_b")
    work(parts, burst=True)
    assert sorted(done) == ["wsp_a", "wsp_b"]


def test_a_job_that_fails_stops_neither_the_worker_nor_the_others(
    parts: Parts, only: Callable[[Job], None]
) -> None:
    done: list[str] = []

    def picky(parts: Parts, workspace_id: str) -> int:
        if workspace_id == "bad":
            raise RuntimeError("not this one")
        done.append(workspace_id)
        return 0

    only(Job("test.picky", picky, None, "default", "workspace"))
    for workspace_id in ("a", "bad", "b"):
        parts.bell.ring("test.picky", workspace_id)
    work(parts, burst=True)
    assert sorted(done) == ["a", "b"]
    assert list(jobs.failing(parts.queue)) == ["test.picky bad"]


def test_cron_rings_for_due_rows_even_when_the_first_ring_was_lost(
    parts: Parts, only: Callable[[Job], None]
) -> None:
    done: list[str] = []

    def drain(parts: Parts, workspace_id: str) -> int:
        done.append(workspace_id)
        return 0

    workspace = make_workspace(parts)
    only(Job("outbox.drain", drain, 30, "default", "workspace"))
    with parts.open(workspace) as ctx:
        from growth_engine.events import ContactErased

        ctx.publish(ContactErased("con_x"))
    parts.queue.flushdb()  # the ring is lost
    Cron(parts).tick()
    work(parts, burst=True)
    assert workspace in done


def test_cron_rings_each_job_once_in_its_interval_however_many_crons_run(
    parts: Parts, only: Callable[[Job], None]
) -> None:
    only(Job("test.hourly", lambda parts: 0, 3600, "default", "system"))
    first, second = Cron(parts), Cron(parts)
    assert [first.tick(), second.tick(), first.tick()] == [1, 0, 0]


def test_cron_rings_a_housekeeping_job_for_every_workspace(parts: Parts, only: Callable[[Job], None]) -> None:
    done: list[str] = []

    def tidy(parts: Parts, workspace_id: str) -> int:
        done.append(workspace_id)
        return 0

    mine = {make_workspace(parts), make_workspace(parts)}
    only(Job("test.tidy", tidy, 60, "default", "every_workspace"))
    Cron(parts).tick()
    work(parts, burst=True)
    assert mine <= set(done)


def test_cron_outlives_a_redis_that_is_away(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis.exceptions import ConnectionError as Away

    stop, ticks = threading.Event(), []

    def tick(self: Cron) -> int:
        ticks.append(1)
        if len(ticks) < 3:
            raise Away("gone")
        stop.set()
        return 0

    monkeypatch.setattr(Cron, "tick", tick)
    monkeypatch.setattr("growth_engine.worker.TICK_SECONDS", 0.01)
    Cron(parts).run(stop)
    assert len(ticks) == 3


def test_health_knows_workers_and_cron_by_their_signs_of_life(parts: Parts) -> None:
    parts.queue.flushdb()
    states = health.check(parts)
    assert states["database"] == states["queue"] == states["ledger"] == "up"
    assert states["workers"].startswith("down")
    assert not health.is_up(states)
    alive.beat(parts.queue, "worker")
    alive.beat(parts.queue, "cron")
    assert health.is_up(health.check(parts))
    alive.leave(parts.queue, "cron")
    assert health.check(parts)["cron"].startswith("down")


def test_a_heart_beats_until_it_is_stopped(parts: Parts) -> None:
    parts.queue.flushdb()
    heart = alive.Heart(parts.queue, "worker")
    heart.start()
    for _ in range(200):
        if alive.living(parts.queue, "worker"):
            break
        threading.Event().wait(0.01)
    assert alive.living(parts.queue, "worker") == 1
    heart.stop()
    assert alive.living(parts.queue, "worker") == 0
