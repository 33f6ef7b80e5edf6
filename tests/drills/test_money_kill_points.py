"""Process, PostgreSQL and Valkey killed at named points of posting and mirroring money."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import text

from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.embedded.postgres import OWNER, Postgres, postgres
from growth_engine.embedded.valkey import Valkey, valkey
from growth_engine.kit import schema
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger.contract import Event, Posted
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.service import catch_up_all, verify_all
from growth_engine.settings import Settings
from tests.conftest import SECRET, START
from tests.drills.money_process import POSTING
from tests.engine.money.streams import Follower
from tests.factories.selling import PRICE, Shop
from tests.factories.workspaces import make_workspace
from tests.live import make_ground, until

pytestmark = pytest.mark.drill


class Ground:
    """A database and a Valkey of our own, to be killed; a shop on them; processes that stop at points."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres: Postgres = postgres(folder)
        self.valkey: Valkey = valkey(folder)
        self.postgres.initialise()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.start("PostgreSQL")
        self.start("Valkey")
        self.postgres.create_database()
        schema.upgrade(self.postgres.url(OWNER))
        self.clock = FixedClock(START)
        url = self.valkey.url()
        self.settings = Settings(
            database_url=self.postgres.url(), ledger_redis_url=url, queue_redis_url=url, secret_key=SECRET,
            data_dir=folder,
        )  # fmt: skip
        self.parts: Parts = build_parts(self.settings, clock=self.clock)

    def start(self, name: str) -> None:
        server: Postgres | Valkey = self.postgres if name == "PostgreSQL" else self.valkey

        def up() -> bool:
            process = self.running.get(name)
            if process is None or process.poll() is not None:
                # A postmaster may have to wait until the last child of the killed one is gone.
                self.running[name] = server.start()
            return server.ready()

        until(up, 60, f"{name} is up")

    def kill(self, name: str) -> None:
        """-9 for the whole of it, children too: the machine has lost it."""
        process = self.running[name]
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for one in family:
            if one.is_running():
                one.kill()
        process.wait(30)
        psutil.wait_procs(family, 30)

    def shop(self) -> Shop:
        """Ann brought Bob, Bob brought Cid, who has bought three times; of one the commissions matured."""
        shop = Shop(self.parts, make_workspace(self.parts))
        shop.join("ann")
        shop.join("bob", "ann")
        shop.join("cid", "bob")
        shop.buy("cid", 2, key="matured")
        shop.mature_all()
        return shop

    def process(self, shop: Shop, point: str, **work: Any) -> subprocess.Popen[str]:
        said = self.settings
        told = {
            "settings": {
                "database_url": said.database_url, "ledger_redis_url": said.ledger_redis_url,
                "queue_redis_url": said.queue_redis_url, "secret_key": said.secret_key,
                "data_dir": str(said.data_dir),
            },
            "workspace": shop.workspace_id, "at": self.clock.now().isoformat(), "point": point, **work,
        }  # fmt: skip
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.drills.money_process", json.dumps(told)],
            cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert started.stdout is not None
        assert started.stdout.readline().strip() == f"at {point}"
        return started

    def close(self) -> None:
        self.parts.close()
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(30)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    folder = make_ground()
    made = Ground(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def end(process: subprocess.Popen[str], *, killed: bool) -> Any:
    """Kill it, or let it go on and read what came of it."""
    if killed:
        os.kill(process.pid, signal.SIGKILL)
    said, _ = process.communicate("go\n" if not killed else None, timeout=90)
    return None if killed else json.loads(said.splitlines()[-1])


def work_on(shop: Shop) -> tuple[list[Event], dict[str, int]]:
    """A payment, a refund that reaches the wallet, an order, a maturity; and the balances after all four."""
    paid = shop.rows("SELECT id FROM orders")[0][0]
    order = shop.order("cid")
    soon = (shop.parts.clock.now() + timedelta(days=30)).isoformat()
    events = [
        shop.payment_event(order, PRICE),
        shop.refund_event(paid, PRICE),
        shop.order_event("cid"),
        shop.event("mature", {"cutoff": soon, "limit": 500}),
    ]
    return events, {"pending": 0, "bob": 2 * 1180, "ann": 2 * 295, "orders": 3}


def as_told(events: list[Event]) -> list[dict[str, Any]]:
    return [{**dataclasses.asdict(one), "occurred_at": one.occurred_at.isoformat()} for one in events]


def check(ground: Ground, shop: Shop, wanted: dict[str, int]) -> None:
    """Everything happened once; tables, second engine, mirror and the product's own proof agree."""
    catch_up_all(ground.parts, shop.workspace_id)
    found = {"pending": shop.pending("bob") + shop.pending("ann")}
    found |= {who: shop.available(who) for who in ("bob", "ann")}
    found["orders"] = shop.rows("SELECT count(*) FROM orders")[0][0]
    assert found == wanted
    with psycopg.connect(libpq_url(ground.settings.database_url), autocommit=True) as conn:
        Follower(shop, conn, own=True).follow()
    assert shop.unbalanced() == []
    assert [report.faults for report in verify_all(ground.parts, shop.workspace_id)] == [[], []]
    names = [("available", shop.contacts[who], "CNY") for who in ("bob", "ann")]
    held = ground.parts.mirror.balances(BookKey(shop.workspace_id, shop.wallet), names)
    assert list(held.values()) == [wanted["bob"], wanted["ann"]]


def send_again(ground: Ground, events: list[Event]) -> list[Posted]:
    """As a caller does who got no answer."""
    receipts = ground.parts.ledger.submit_many(events, timeout=60)
    assert all(isinstance(one, Posted) and one.accepted for one in receipts), receipts
    return receipts  # type: ignore[no-any-return]


@pytest.mark.parametrize("point", POSTING)
def test_a_process_killed_while_posting_money_loses_and_doubles_nothing(ground: Ground, point: str) -> None:
    shop = ground.shop()
    events, wanted = work_on(shop)
    end(ground.process(shop, point, events=as_told(events)), killed=True)
    first = send_again(ground, events)
    assert [one.duplicate for one in send_again(ground, events)] == [True] * 4
    assert first[0].duplicate == (point in ("committed", "mirrored", "answering"))
    check(ground, shop, wanted)


@pytest.mark.parametrize("point", ["stored", "written", "committed", "mirrored"])
def test_postgresql_killed_while_posting_money_loses_and_doubles_nothing(ground: Ground, point: str) -> None:
    shop = ground.shop()
    events, wanted = work_on(shop)
    process = ground.process(shop, point, events=as_told(events))
    ground.kill("PostgreSQL")
    ground.start("PostgreSQL")
    said = end(process, killed=False)
    assert isinstance(said, list) or said["code"] == "unavailable", said
    until(lambda: _answers(ground), 30, "our own connections are back")
    send_again(ground, events)
    check(ground, shop, wanted)


def _answers(ground: Ground) -> bool:
    try:
        with ground.parts.open(make_id()) as ctx:
            ctx.session.execute(text("SELECT 1"))
    except Exception:
        return False
    return True


def make_id() -> str:
    return "wsp_nobody"


@pytest.mark.parametrize("point", ["written", "committed", "mirrored"])
def test_valkey_killed_while_money_is_posted_changes_no_answer_and_is_filled_again(
    ground: Ground, point: str
) -> None:
    shop = ground.shop()
    events, wanted = work_on(shop)
    process = ground.process(shop, point, events=as_told(events))
    ground.kill("Valkey")
    said = end(process, killed=False)
    assert [one[1] for one in said] == [True] * 4, "SQL decides; Redis only serves"
    ground.start("Valkey")
    send_again(ground, events)
    check(ground, shop, wanted)


@pytest.mark.parametrize("victim", ["process", "Valkey"])
def test_whoever_brings_the_mirror_up_may_be_killed_halfway(ground: Ground, victim: str) -> None:
    shop = ground.shop()
    events, wanted = work_on(shop)
    send_again(ground, events)
    book = BookKey(shop.workspace_id, shop.campaign_id)
    ground.parts.mirror.forget(book)
    process = ground.process(shop, "applied", catch_up=shop.campaign_id)
    if victim == "Valkey":
        ground.kill("Valkey")
        ground.start("Valkey")
    end(process, killed=victim == "process")
    check(ground, shop, wanted)


@pytest.mark.parametrize("point", ["loaded", "written", "committed"])
def test_a_worker_killed_while_it_posts_what_was_waiting_posts_it_once(ground: Ground, point: str) -> None:
    shop = ground.shop()
    events, wanted = work_on(shop)
    with ground.parts.open(shop.workspace_id) as ctx:
        # Somebody holds the book for longer than a batch waits: the Events are stored only.
        ctx.session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": shop.campaign_id}
        )
        stored = [type(one).__name__ for one in ground.parts.ledger.submit_many(events[:3], timeout=60)]
    assert stored == ["Received"] * 3
    ground.clock.advance(timedelta(seconds=5))
    end(ground.process(shop, point, sweep=True), killed=True)
    send_again(ground, events)
    assert shop.rows("SELECT count(*) FROM pending_events") == [(0,)]
    check(ground, shop, wanted)
