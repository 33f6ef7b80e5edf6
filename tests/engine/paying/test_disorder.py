"""Many buyers, callbacks lost, doubled, late and out of order, answers lost, real workers: all adds up."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from growth_engine.kit import jobs
from growth_engine.kit.errors import GrowthError
from growth_engine.paying.checkout import BeingPaid, CheckoutBusy, NotPayable
from growth_engine.sandbox import faults
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.worker import Cron, work
from tests.factories.selling import PRICE
from tests.factories.tills import WORK, NothingToConfirm, Till


@pytest.mark.drill
def test_the_whole_circle_with_workers_and_cron_of_the_product(till: Till) -> None:
    """Rung by the doorbell alone: nobody calls a job by hand."""
    parts = till.parts
    parts.queue.flushdb()

    def workers() -> None:
        for name in (*WORK, "outbox.drain", "ledger.mirror"):
            parts.queue.delete(f"ge:cron:{name}")
        Cron(parts).tick()
        work(parts, burst=True)

    order_id = till.shop.order("ben", 2, through="ann")
    till.pay(order_id)
    workers()
    assert till.order(order_id).state == "paid"
    till.refund(order_id, PRICE)
    till.advance(seconds=5)
    workers()
    assert till.order(order_id).refunded == PRICE
    till.shop.mature_all()
    payout_id = till.withdraw("ann", PRICE // 5)
    workers()
    till.confirm("ann", payout_id)
    till.advance(seconds=2)
    workers()
    assert till.payout(payout_id).state == "paid"
    till.check()


def test_the_page_opened_in_many_tabs_at_once_is_one_attempt(till: Till) -> None:
    order_id = till.shop.order("ben")
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda _: till.checkout(order_id).data["number"], range(16)))
    assert len(set(shown)) == 1
    assert len(till.attempts(order_id)) == 1
    till.pay(order_id)
    till.work()
    assert till.order(order_id).paid == PRICE
    till.check()


def test_two_people_who_want_to_pay_the_same_order_at_once_pay_it_once(till: Till) -> None:
    for _ in range(4):
        order_id = till.shop.order("ben", through="ann")

        def race(who: str, order_id: str = order_id) -> bool:
            try:
                till.pay(order_id, who)
            except (BeingPaid, CheckoutBusy, NotPayable, CannotDo):
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            paid = list(pool.map(race, ["ben", "ann", "ben", "ann"]))
        assert sum(paid) <= 1
        till.advance(seconds=30)
        if not any(paid):
            till.pay(order_id)
        till.work()
        assert till.order(order_id).paid == PRICE
    assert till.alerts() == []
    till.check()


def test_refunds_pressed_at_once_give_no_more_back_than_came(till: Till) -> None:
    order_id = till.bought()

    def press(number: int) -> str:
        return till.refund(order_id, 2_000, f"refund-press-{number}").state

    with ThreadPoolExecutor(6) as pool:
        states = list(pool.map(press, range(6)))
    assert states.count("failed") == 6 - PRICE // 2_000
    till.run(0.2, 0.02)
    assert till.order(order_id).refunded == 2_000 * (PRICE // 2_000)
    till.check()


def test_jobs_of_several_workers_at_once_do_each_thing_once(till: Till) -> None:
    till.earn("ann", 40_000)
    asked = [till.withdraw("ann", 2_000) for _ in range(6)]
    placed = [till.shop.order("ben", through="ann") for _ in range(6)]
    till.fault("lose", on="callback", times=999)
    for order_id in placed:
        till.pay(order_id)
    till.advance(minutes=2)

    def worker(name: str) -> int:
        return jobs.drain(till.parts, name, till.workspace)[0]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(worker, ["paying.attempts", "payouts.send"] * 6))
    assert [till.order(one).state for one in placed] == ["paid"] * 6
    assert [till.payout(one).state for one in asked] == ["waiting"] * 6
    assert len(till.sandbox.world.store.all("pay.transfers")) == 6
    till.check()


CALLBACKS = (
    "lose",
    "duplicate",
    "concurrent",
    "reorder",
    "bad_serial",
    "old_timestamp",
    "signtest",
    "tampered",
)
REQUESTS = ("lose_answer", "drop", "status")


def test_days_of_disorder_lose_nothing_and_double_nothing(till: Till) -> None:
    live_through(till, 0)


def live_through(till: Till, seed: int) -> None:
    """Days in a shop in which much goes wrong; at its end everything agrees with the platform."""
    chance = random.Random(seed)
    orders: list[str] = []
    payouts: list[str] = []

    def disturb() -> None:
        faults.clear(till.sandbox.world)
        if chance.random() < 0.6:
            till.fault(chance.choice(CALLBACKS), on="callback", times=chance.randint(1, 3))
        if chance.random() < 0.3:
            till.fault(chance.choice(REQUESTS), value=502, times=chance.randint(1, 2))

    def step() -> None:
        what = chance.random()
        if what < 0.45 or not orders:
            order_id = till.shop.order("ben", chance.randint(1, 3), through="ann", minutes=120)
            orders.append(order_id)
            till.pay(order_id)
        elif what < 0.65:
            till.refund(chance.choice(orders), chance.randint(1, PRICE))
        elif what < 0.8:
            till.shop.mature_all()
            available = till.shop.available("ann")
            if available >= 100:
                payouts.append(till.withdraw("ann", chance.randint(100, available)))
        elif payouts:
            till.confirm("ann", chance.choice(payouts))

    for _ in range(40):
        disturb()
        with suppress(GrowthError, CannotDo, NothingToConfirm):  # who sees an error tries again, or not
            step()
        till.advance(minutes=chance.choice([0, 1, 5, 90]))
        if chance.random() < 0.7:
            till.work()
    faults.clear(till.sandbox.world)
    till.run(30, 1)
    _agrees(till, orders, payouts)
    till.check()


def _agrees(till: Till, orders: list[str], payouts: list[str]) -> None:
    """What the platform has and what the books have is the same, to the fen."""
    store = till.sandbox.world.store
    there = {
        one["transaction_id"]: one["total"]
        for one in store.all("pay.orders").values()
        if one["transaction_id"]
    }
    here = dict(till.shop.rows("SELECT external_id, amount FROM payments WHERE provider = 'wechat_pay'"))
    assert here == there
    back = {
        one["request"]["out_refund_no"]: one["amount"]
        for one in store.all("pay.refunds").values()
        if one["status"] == "SUCCESS"
    }
    assert dict(till.shop.rows("SELECT external_id, amount FROM refunds")) == back
    arrived = sum(one["amount"] for one in store.all("pay.transfers").values() if one["state"] == "SUCCESS")
    paid = sum(till.payout(one).net for one in payouts if till.payout(one).state == "paid")
    assert paid == arrived
    assert all(till.payout(one).state in ("paid", "failed") for one in payouts)
    live = [one.state for order_id in orders for one in till.attempts(order_id)]
    assert not set(live) & {"told", "open", "closing"}, live
    assert till.shop.rows("SELECT 1 FROM refund_requests WHERE state NOT IN ('done', 'failed')") == []
    assert len(here) >= 3, "a story in which little happens proves little"
