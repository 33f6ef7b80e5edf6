"""Real workers do it: rings through RQ, and cron for rings that were lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from redis import Redis
from sqlalchemy import text

from growth_engine import worker
from growth_engine.kit import jobs
from growth_engine.reach import deliveries
from growth_engine.reach.deliveries import To
from tests.factories.stages import Stage


@pytest.fixture(scope="module")
def pg_url(pristine_database: Callable[[str], str]) -> str:
    """Cron and workers go through all workspaces there are: those of other tests are left out."""
    return pristine_database("growth_reach_workers")


@pytest.fixture(scope="module")
def valkey_url(second_valkey_url: str) -> str:
    """Nobody else's rings."""
    return second_valkey_url


def test_from_the_scan_to_the_poster_in_the_chat_workers_need_only_their_rings(stage: Stage) -> None:
    campaign = stage.campaign()
    code = stage.inviter("A", campaign)
    with_others = threading.Thread(target=lambda: stage.person("B").do("scan", text=code))
    with_others.start()
    with_others.join()
    for _ in range(20):
        worker.work(stage.parts, burst=True)
        if "<image>" in stage.texts("B"):
            break
        time.sleep(0.05)
    assert "<image>" in stage.texts("B")
    assert stage.score("A", campaign) == 1
    assert jobs.failing(stage.parts.queue) == {}


def test_cron_finds_what_is_due(stage: Stage) -> None:
    campaign = stage.campaign()
    stage.inviter("A", campaign)
    person = stage.person("A").openid()
    with stage.parts.open(stage.workspace) as ctx:
        to = To(stage.oa, person, stage.contact("A"), ctx.now())
        deliveries.add(ctx, to, "text", "cron", {"text": "x"})
        for statement in (
            "UPDATE deliveries SET next_at = now() - interval '1 second' WHERE key = 'cron'",
            "UPDATE invite_codes SET next_at = now() - interval '1 second'",
            "UPDATE followers SET profile_next_at = now() - interval '1 second'",
            "INSERT INTO chat_groups (workspace_id, account_id, chat_id, next_at) VALUES"
            " (current_setting('ge.workspace_id'), 'chn_x', 'wrx', now() - interval '1 second')",
            "INSERT INTO messages (id, workspace_id, contact_id, template, params, key, created_at) VALUES"
            " ('msg_x' || :person, current_setting('ge.workspace_id'), 'con_x', 'x', '{}', 'x', now())",
        ):
            ctx.session.execute(text(statement), {"person": person} if ":person" in statement else {})
    with stage.parts.db.transaction(None) as session:
        due = {
            job for job, of in session.execute(text("SELECT * FROM ge_due_work()")) if of == stage.workspace
        }
    assert due >= {"reach.pick", "reach.deliver", "reach.codes", "reach.profiles", "reach.groups"}
    redis: Redis = stage.parts.queue
    redis.delete(*(f"ge:cron:{name}" for name in jobs.registry))
    assert worker.Cron(stage.parts).tick() >= 5
