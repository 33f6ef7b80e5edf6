"""Processes killed at every point of a withdrawal: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.payouts import providers, rules, service
from growth_engine.settings import Settings
from tests.drills.payout_process import NAME, FolderBank
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import check_books, payout_row

pytestmark = pytest.mark.drill


@dataclass
class Ground:
    """A shop, its bank, and processes that die where they are told to."""

    shop: Shop
    settings: Settings
    clock: FixedClock
    bank: Path

    def start(self, point: str = "", **more: Any) -> subprocess.Popen[str]:
        said = self.settings
        told = {
            "settings": {
                "database_url": said.database_url, "ledger_redis_url": said.ledger_redis_url,
                "queue_redis_url": said.queue_redis_url, "secret_key": said.secret_key,
                "data_dir": str(said.data_dir),
            },
            "workspace": self.shop.workspace, "at": self.clock.now().isoformat(), "point": point,
            "bank": str(self.bank), **more,
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "tests.drills.payout_process", json.dumps(told)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )

    def killed_at(self, point: str, **more: Any) -> None:
        process = self.start(point, **more)
        said = self.line(process)
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        assert said == f"at {point}"

    @staticmethod
    def line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def told(self) -> Counter[str]:
        """How often the bank was told of each number."""
        log = self.bank / "told.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()

    def paid(self) -> dict[str, int]:
        return {path.name: int(path.read_text()) for path in self.bank.glob("pay_*")}

    def state(self, payout_id: str) -> str:
        return payout_row(self.shop.parts, self.shop.workspace, payout_id).state


@pytest.fixture
def ground(parts: Parts, workspace: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> Any:
    bank = tmp_path / "bank"
    bank.mkdir()
    providers.add(FolderBank(bank, lambda _point: None))
    shop = Shop(parts, workspace)
    shop.policy(provider=NAME, tax_bp=1_000)
    yield Ground(shop, settings, clock, bank)
    providers.registry._items.pop(NAME)  # type: ignore[attr-defined]


@pytest.mark.parametrize("point", ["deciding", "decided"])
def test_a_request_whose_process_dies_while_it_is_posted_is_one_request(ground: Ground, point: str) -> None:
    fan = ground.shop.fan(1_000)
    ask = {
        "contact_id": fan, "amount": 1_000, "currency": "CNY", "source": "drill", "key": "the same",
    }  # fmt: skip
    ground.killed_at(point, ask=ask)
    held = ground.shop.reserved(fan)
    assert held == (0 if point == "deciding" else 1_000), "all of it, or nothing"
    first = service.request(ground.shop.parts, ground.shop.workspace, **ask)  # type: ignore[arg-type]
    again = service.request(ground.shop.parts, ground.shop.workspace, **ask)  # type: ignore[arg-type]
    assert (first.accepted, first.payout_id) == (True, again.payout_id)
    assert (ground.shop.available(fan), ground.shop.reserved(fan)) == (0, 1_000)
    check_books(ground.shop.parts, ground.shop.workspace)


@pytest.mark.parametrize("point", ["claimed", "calling", "called", "answered", "deciding", "decided"])
def test_a_worker_killed_on_the_way_to_the_bank_or_back_pays_once(ground: Ground, point: str) -> None:
    fan = ground.shop.fan(1_000)
    payout_id = ground.shop.asked(fan, 1_000)
    ground.killed_at(point)
    check_books(ground.shop.parts, ground.shop.workspace)
    if point == "decided":
        assert ground.state(payout_id) == "paid"
    else:
        assert (ground.state(payout_id), ground.shop.reserved(fan)) == ("sending", 1_000)
        assert ground.shop.send() == 0, "somebody may still be at it"
        ground.clock.advance(rules.LEASE)
        assert ground.shop.send() == 1
    assert ground.state(payout_id) == "paid"
    assert ground.paid() == {payout_id: 900}
    assert ground.told() == {payout_id: 1}, "the bank was asked before it was told again"
    assert (ground.shop.available(fan), ground.shop.reserved(fan)) == (0, 0)
    check_books(ground.shop.parts, ground.shop.workspace)


def test_many_withdrawals_with_workers_killed_at_any_moment_are_each_paid_once(ground: Ground) -> None:
    dice = random.Random(11)
    fans = [ground.shop.fan(1_000) for _ in range(15)]
    ids = [ground.shop.asked(fan, 600) for fan in fans] + [ground.shop.asked(fan, 400) for fan in fans]
    began: datetime = ground.clock.now()
    kills = 0
    while any(ground.state(one) != "paid" for one in ids):
        assert ground.clock.now() - began < timedelta(hours=2), "it goes on and on"
        workers = [ground.start() for _ in range(2)]
        if kills < 3:
            before = len(ground.paid())
            deadline = time.monotonic() + 60
            while len(ground.paid()) <= before + dice.randint(0, 3) and time.monotonic() < deadline:
                if all(worker.poll() is not None for worker in workers):
                    break
                time.sleep(0.002)
            kills += sum(worker.poll() is None for worker in workers)
            for worker in workers:
                worker.kill()
        for worker in workers:
            worker.wait(120)
            worker.stdout.close()  # type: ignore[union-attr]
        check_books(ground.shop.parts, ground.shop.workspace)
        ground.clock.advance(rules.LEASE)
    assert kills >= 2, "the drill has drilled nothing"
    assert sorted(ground.paid()) == sorted(ids)
    assert sum(ground.paid().values()) == 15 * 900
    assert all(count <= 2 for count in ground.told().values())
    assert all(ground.shop.reserved(fan) == 0 for fan in fans)
