"""Reactions to domain events: once per event and handler, whatever fails in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.events import DomainEvent
from growth_engine.kit import jobs, outbox
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.outbox import Handler


@dataclass(frozen=True, slots=True)
class KettleBoiled(DomainEvent):
    kettle: str


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Handler]:
    """The registry of reactions, emptied for the test."""
    len(outbox.registry)
    items: dict[str, Handler] = {}
    monkeypatch.setattr(outbox.registry, "_items", items)
    return items


def _publish(parts: Parts, workspace: str, count: int = 1) -> None:
    with parts.open(workspace) as ctx:
        for number in range(count):
            ctx.publish(KettleBoiled(f"k{number}"))


def _drain(parts: Parts, workspace: str) -> None:
    jobs.drain(parts, "outbox.drain", workspace)


def test_every_reaction_gets_every_event_once(
    parts: Parts, workspace: str, handlers: dict[str, Handler]
) -> None:
    seen: list[tuple[str, str]] = []
    for name in ("tea", "coffee"):
        handlers[name] = Handler(
            name, KettleBoiled, lambda ctx, event, n=name: seen.append((n, event.kettle))
        )
    _publish(parts, workspace, 120)
    _drain(parts, workspace)
    _drain(parts, workspace)
    assert sorted(seen) == sorted((n, f"k{i}") for n in ("tea", "coffee") for i in range(120))


def test_a_failing_reaction_is_tried_again_alone_and_leaves_no_trace(
    parts: Parts, workspace: str, clock: FixedClock, handlers: dict[str, Handler]
) -> None:
    good: list[str] = []
    broken = [True]

    def flaky(ctx: Ctx, event: KettleBoiled) -> None:
        ctx.session.execute(text("UPDATE workspaces SET name = name || '!'"))
        if broken:
            raise RuntimeError("no water")

    handlers["good"] = Handler("good", KettleBoiled, lambda ctx, event: good.append(event.kettle))
    handlers["flaky"] = Handler("flaky", KettleBoiled, flaky)
    _publish(parts, workspace)
    _drain(parts, workspace)
    assert _workspace_name(parts, workspace) == "Test shop"

    broken.clear()
    _drain(parts, workspace)
    assert _workspace_name(parts, workspace) == "Test shop", "it waits its turn"
    clock.advance(outbox.FIRST_WAIT)
    _drain(parts, workspace)
    assert _workspace_name(parts, workspace) == "Test shop!"
    assert good == ["k0"]


def test_an_event_that_never_succeeds_becomes_stuck_is_shown_and_can_be_retried(
    parts: Parts, workspace: str, clock: FixedClock, handlers: dict[str, Handler]
) -> None:
    broken = [True]
    seen: list[str] = []

    def handler(ctx: Ctx, event: KettleBoiled) -> None:
        if broken:
            raise RuntimeError("no water")
        seen.append(event.kettle)

    handlers["handler"] = Handler("handler", KettleBoiled, handler)
    _publish(parts, workspace)
    for _ in range(outbox.ATTEMPTS + 3):
        _drain(parts, workspace)
        clock.advance(timedelta(hours=2))
    with parts.open(workspace) as ctx:
        [found] = outbox.stuck(ctx.session)
    assert (found.name, found.attempts) == ("KettleBoiled", outbox.ATTEMPTS)
    assert "no water" in found.error

    broken.clear()
    assert outbox.retry(parts, workspace) == 1
    _drain(parts, workspace)
    assert seen == ["k0"]


def test_two_workers_share_a_backlog_without_repeating_anything(
    parts: Parts, workspace: str, handlers: dict[str, Handler]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    seen: list[str] = []
    handlers["one"] = Handler("one", KettleBoiled, lambda ctx, event: seen.append(event.kettle))
    _publish(parts, workspace, 200)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(_drain, parts, workspace) for _ in range(4)]:
            done.result()
    _drain(parts, workspace)
    assert sorted(seen) == sorted(f"k{i}" for i in range(200))


def test_events_delivered_long_ago_are_forgotten(
    parts: Parts, workspace: str, clock: FixedClock, handlers: dict[str, Handler]
) -> None:
    _publish(parts, workspace, 3)
    _drain(parts, workspace)
    clock.advance(outbox.KEEP_DONE + timedelta(seconds=1))
    _publish(parts, workspace, 1)
    assert jobs.drain(parts, "outbox.prune", workspace)[0] == 3


def _workspace_name(parts: Parts, workspace: str) -> str:
    with parts.open(workspace) as ctx:
        return ctx.session.execute(text("SELECT name FROM workspaces")).scalar_one()
