"""Money: payments of one hot campaign against a plain SQL transfer function; maturity; the trial balance.

`python benchmarks/money.py [--payments 30000] [--mature 100000] [--legs 1000000] [--seconds 10]`
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import _house as house
import _transfers as baseline
import psycopg
from sqlalchemy import text

from growth_engine.access.service import create_workspace
from growth_engine.app import build_parts
from growth_engine.commissions.jobs import mature
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger import queries
from growth_engine.ledger.contract import Event, Posted
from growth_engine.ledger.service import verify_all
from growth_engine.orders.service import Came, take_payment, take_payments
from growth_engine.plays import service, starting

#: Threads of the baseline and of single payments: as many as the web server has.
THREADS = 32
BATCH = 500
#: Accounts of the synthetic book whose trial balance is taken.
OWNERS = 10_000


class Shop:
    """One campaign from the gallery, with 20 % and 5 %, promoters in lines of three, and orders to pay."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.workspace_id = create_workspace(parts, "bench-money", "Bench", "Asia/Shanghai")
        with parts.open(self.workspace_id) as ctx:
            campaign = starting.create_from_template(ctx, "book-fans", locale="en")
            config = {**campaign.config, "velocity_limit": 1_000_000, "address_limit": 1_000_000}
            service.update_draft(ctx, campaign.id, {"config": config})
            service.publish(ctx, campaign.id, accept_warnings=True)
            self.campaign_id = campaign.id
            ctx.session.execute(text("DELETE FROM stock"))
        self.tokens: dict[int, str] = {}
        self.contacts: dict[int, str] = {}

    def event(self, kind: str, facts: dict[str, Any], person: dict[str, Any] | None = None) -> Event:
        key = self.parts.ids.new("key")
        return Event(
            self.workspace_id, self.campaign_id, kind, "bench", key, self.parts.clock.now(), facts, person
        )

    def post(self, events: Sequence[Event]) -> list[Posted]:
        receipts: list[Posted] = []
        for at in range(0, len(events), BATCH):
            receipts += self.parts.ledger.submit_many(events[at : at + BATCH], timeout=120)
        assert all(isinstance(one, Posted) for one in receipts)
        return receipts

    def people(self, count: int) -> None:
        """A third come alone, a third through them, a third through those: every one of these a buyer."""
        third = count // 3
        for level in range(3):
            events = []
            for n in range(level * third, (level + 1) * third):
                facts = {"invite_token": self.tokens[n - third]} if level else {}
                person = {"identities": [["external_id", f"p{n}"]], "nickname": f"P{n}"}
                events.append(self.event("join", facts, person))
            for n, receipt in enumerate(self.post(events), level * third):
                self.tokens[n] = receipt.answer["invite_token"]
                self.contacts[n] = receipt.answer["contact_id"]

    def orders(self, count: int) -> list[tuple[str, int]]:
        """(order id, total) of orders nobody paid yet, by buyers of the last third."""
        buyers = range(2 * len(self.contacts) // 3, len(self.contacts))
        draw = random.Random(1)
        events = [
            self.event(
                "order",
                {
                    "contact_id": self.contacts[draw.choice(buyers)],
                    "currency": "CNY",
                    "lines": [{"sku": "book", "quantity": 1}],
                },
            )
            for _ in range(count)
        ]
        return [(one.result["order_id"], one.result["total"]) for one in self.post(events)]


def timed(what: str, count: int, work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    rate = count / (time.perf_counter() - began)
    print(f"  {what:<58} {rate:9,.0f}/s", flush=True)
    return rate


def in_batches(shop: Shop, orders: Sequence[tuple[str, int]]) -> None:
    """Payments as an import hands them in: four callers, 500 at a time."""
    pieces = [orders[at : at + BATCH] for at in range(0, len(orders), BATCH)]

    def pay(piece: Sequence[tuple[str, int]]) -> None:
        came = [Came(order_id, "manual", f"pay-{order_id}", total, "CNY") for order_id, total in piece]
        outcomes = take_payments(shop.parts, shop.workspace_id, came)
        assert all(one is not None and one.accepted for one in outcomes)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pay, pieces))


def one_by_one(shop: Shop, orders: Sequence[tuple[str, int]]) -> None:
    """Payments as callbacks bring them: many callers, each waiting for its own."""

    def pay(order: tuple[str, int]) -> None:
        name = {"provider": "manual", "external_id": f"pay-{order[0]}"}
        assert take_payment(
            shop.parts, shop.workspace_id, order[0], amount=order[1], currency="CNY", **name
        ).accepted

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(pay, orders))


def legs_of(shop: Shop) -> tuple[int, int]:
    with shop.parts.open(shop.workspace_id) as ctx:
        row = ctx.session.execute(
            text("SELECT (SELECT count(*) FROM legs), (SELECT count(*) FROM entries WHERE kind = 'payment')")
        ).one()
    return int(row[0]), int(row[1])


def payments(settings: Any, shop: Shop, count: int, seconds: float) -> None:
    print(f"\nPayments of one hot campaign, two levels and a fee each, durable ({count:,} of them)")
    baseline.prepare(settings.migration_database_url)
    few = shop.orders(count // 5)
    many = shop.orders(count)
    plain = max(
        timed_rate(
            f"plain SQL, two transfers a transaction, {n} connections",
            baseline.measure(settings.migration_database_url, seconds / 2, n),
        )
        for n in (8, THREADS)
    )
    alone = max(
        timed_rate(
            f"plain SQL, one transfer a transaction, {n} connections",
            baseline.measure(settings.migration_database_url, seconds / 2, n, transfers=1),
            transfers=1,
        )
        for n in (8, THREADS)
    )
    before, _ = legs_of(shop)
    began = time.perf_counter()
    batch = timed("ours, batches of 500, four callers", len(many), lambda: in_batches(shop, many))
    spent = time.perf_counter() - began
    after, _ = legs_of(shop)
    single = timed(f"ours, one by one, {THREADS} callers", len(few), lambda: one_by_one(shop, few))
    again = timed_rate(
        "plain SQL, two transfers a transaction, again",
        baseline.measure(settings.migration_database_url, seconds / 2, 8),
    )
    plain = (plain + again) / 2
    print(f"  legs posted in batches {(after - before) / spent:45,.0f}/s")
    print(f"  ratio in batches : plain SQL      {batch / plain:6.2f}  payments to payments (wanted 4)")
    print(f"  ratio one by one : plain SQL      {single / plain:6.2f}  payments to payments")
    # A payment moves money three times: two commissions and the fee.
    print(f"  ratio in batches : one transfer   {3 * batch / alone:6.2f}  transfers to transfers")


def timed_rate(what: str, rate: float, transfers: int = 2) -> float:
    print(f"  {what:<58} {rate:9,.0f}/s  ({2 * transfers * rate:,.0f} legs/s)", flush=True)
    return rate


def maturity(shop: Shop, clock: FixedClock, commissions: int) -> None:
    with shop.parts.open(shop.workspace_id) as ctx:
        held = ctx.session.scalar(text("SELECT count(*) FROM commissions WHERE state = 'pending'"))
    missing = (commissions - int(held)) // 2
    if missing > 0:
        in_batches(shop, shop.orders(missing))
    clock.advance(timedelta(days=30))
    print(f"\nMaturity of {commissions:,} commissions")
    began, done = time.perf_counter(), 0
    while got := mature(shop.parts, shop.workspace_id):
        done += got
    print(f"  {done:,} gone over in {time.perf_counter() - began:38.1f} s  (wanted: under 30 s)")


def trial_balance(settings: Any, shop: Shop, legs: int) -> None:
    with psycopg.connect(settings.migration_database_url) as conn:
        (there,) = conn.execute("SELECT count(*) FROM legs").fetchone()  # type: ignore[misc]
        pairs = max(0, legs - there) // 2
        # Two legs an entry of a book of its own: the zero-sum triggers hold for these too.
        conn.execute(
            "INSERT INTO books (id, workspace_id, kind, head, created_at)"
            " VALUES ('cmp_bench', %s, 'campaign', '', now())",
            (shop.workspace_id,),
        )
        conn.execute(
            "INSERT INTO legs SELECT 'cmp_bench', n, l, %s, CASE l WHEN 1 THEN 'expense' ELSE 'pending' END,"
            " CASE l WHEN 1 THEN '' ELSE (n %% %s)::text END, 'CNY', CASE l WHEN 1 THEN -100 ELSE 100 END, ''"
            " FROM generate_series(1, %s) n, generate_series(1, 2) l",
            (shop.workspace_id, OWNERS, pairs),
        )
        conn.commit()
        conn.autocommit = True
        conn.execute("ANALYZE legs")
    print(f"\nTrial balance of {there + 2 * pairs:,} legs")
    for what, work in (
        ("recounted from the legs", queries.recounted_balance),
        ("as kept", queries.trial_balance),
    ):
        with shop.parts.open(shop.workspace_id) as ctx:
            began = time.perf_counter()
            lines = work(ctx)
            print(f"  {what:<26} {len(lines):>4} lines {time.perf_counter() - began:28.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=30_000)
    parser.add_argument("--mature", type=int, default=100_000)
    parser.add_argument("--legs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    clock = FixedClock(datetime.now(UTC))
    with house.servers() as settings:
        parts = build_parts(settings, clock=clock)
        try:
            shop = Shop(parts)
            shop.people(3_000)
            payments(settings, shop, asked.payments, asked.seconds)
            maturity(shop, clock, asked.mature)
            faults = [fault for report in verify_all(parts, shop.workspace_id) for fault in report.faults]
            print(f"\nledger verify: {faults or 'clean'}")
            trial_balance(settings, shop, asked.legs)
        finally:
            parts.close()


if __name__ == "__main__":
    main()
