"""Random selling, with a mirror that is lost, set back and rebuilt: fold, mirror and tables stay equal."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.ledger import journal, proofs, queries
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.service import catch_up, rebuild, verify_all
from growth_engine.ledger.verify import snapshot
from growth_engine.payouts import sending
from growth_engine.payouts import service as payouts
from growth_engine.payouts.rules import Policy
from tests.engine.ledger.test_mirror_model import lose
from tests.factories.selling import PRICE, Shop

SEEDS = 4
STEPS = 50


class Trade:
    """People who join, buy, return and withdraw at random."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.random = random.Random(seed)
        self.orders: list[str] = []
        self.payouts: list[str] = []
        shop.join("p0")
        with shop.parts.open(shop.workspace_id) as ctx:
            payouts.set_policy(ctx, Policy(minimum=1, daily_count=None, approve_above=10**9, tax_bp=500))

    def step(self) -> None:
        moves: list[Callable[[], Any]] = [
            self.join, self.buy, self.buy, self.buy, self.refund, self.refund, self.mature, self.withdraw,
            self.end, self.act,
        ]  # fmt: skip
        self.random.choice(moves)()

    def join(self) -> None:
        people = list(self.shop.tokens)
        self.shop.join(f"p{len(people)}", self.random.choice(people))

    def buy(self) -> None:
        who = self.random.choice(list(self.shop.contacts))
        self.orders.append(self.shop.order(who, self.random.randint(1, 3)))
        self.shop.pay(self.random.choice(self.orders), self.random.choice([1, 77, PRICE, 2 * PRICE]))

    def refund(self) -> None:
        if self.orders:
            amount = self.random.choice([1, 99, PRICE // 3, PRICE])
            self.shop.refund(self.random.choice(self.orders), amount)

    def mature(self) -> None:
        self.shop.mature_all()

    def act(self) -> None:
        rows = self.shop.rows("SELECT id FROM commissions WHERE campaign_id = :campaign ORDER BY id")
        if rows:
            action = self.random.choice(["void", "hold", "release", "mature"])
            self.shop.act(action, *(row[0] for row in self.random.sample(rows, min(2, len(rows)))))

    def withdraw(self) -> None:
        shop = self.shop
        who = self.random.choice(list(shop.contacts))
        available = shop.available(who)
        if available > 10:
            outcome = payouts.request(
                shop.parts, shop.workspace_id, shop.contacts[who], currency="CNY", source="test",
                amount=self.random.randint(10, available), key=shop.parts.ids.new("key"),
            )  # fmt: skip
            assert outcome.payout_id
            self.payouts.append(outcome.payout_id)

    def end(self) -> None:
        if self.payouts:
            while sending.send_due(self.shop.parts, self.shop.workspace_id):
                pass
            one = self.payouts.pop(self.random.randrange(len(self.payouts)))
            paid = self.random.random() < 0.7
            sending.finish(self.shop.parts, self.shop.workspace_id, one, paid=paid, detail="x")


def harm(parts: Parts, key: BookKey, rng: random.Random) -> None:
    """What happens to mirrors: lost, set back to an earlier moment, half rebuilt."""
    deed = rng.randrange(4)
    if deed == 0:
        lose(parts.mirror, key)
    elif deed == 1:
        lose(parts.mirror, key)
        with snapshot(parts, key.workspace_id) as conn:
            entries = [(e.seq, e.ops()) for e, _ in journal.entries_after(conn, key.campaign_id, 0)]
        parts.mirror.apply(key, entries[: rng.randint(0, len(entries))])
    elif deed == 2:
        parts.mirror.begin_rebuild(key)
    else:
        rebuild(parts, key.workspace_id, key.campaign_id)


def assert_mirror_reads_as_tables(shop: Shop) -> None:
    mirror = shop.parts.mirror
    for book in (shop.campaign_id, shop.wallet):
        kept = shop.rows("SELECT account, owner, currency, balance FROM accounts WHERE book_id = :b", b=book)
        wanted = {(row[0], row[1], row[2]): row[3] for row in kept}
        assert mirror.balances(BookKey(shop.workspace_id, book), list(wanted)) == wanted
    key = BookKey(shop.workspace_id, shop.campaign_id)
    earned = shop.rows(
        "SELECT member, sum(target)::bigint FROM commissions WHERE campaign_id = :campaign"
        " GROUP BY member HAVING sum(target) > 0 ORDER BY 2 DESC, 1"
    )
    assert mirror.earned(key, 1000) == [tuple(row) for row in earned]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_befalls_the_mirror_it_says_what_the_tables_say(
    parts: Parts, workspace: str, seed: int
) -> None:
    shop = Shop(parts, workspace, {"clawback": "absorb" if seed % 2 else "carry"})
    trade = Trade(shop, seed)
    for step in range(STEPS):
        trade.step()
        if trade.random.random() < 0.15:
            book = trade.random.choice([shop.campaign_id, shop.wallet])
            harm(parts, BookKey(workspace, book), trade.random)
            catch_up(parts, workspace, book)
        if step % 10 == 9:
            assert [report.faults for report in verify_all(parts, workspace)] == [[], []]
            assert_mirror_reads_as_tables(shop)


def test_the_sales_of_a_branch_are_those_of_two_levels(parts: Parts, workspace: str) -> None:
    shop = Shop(parts, workspace)
    for who, inviter in (("ann", None), ("bob", "ann"), ("cid", "bob"), ("dan", "cid")):
        shop.join(who, inviter)
    shop.buy("bob")
    order = shop.buy("cid", 2)
    shop.buy("dan")
    shop.refund(order, PRICE)
    key = BookKey(workspace, shop.campaign_id)
    numbers = [shop.numbers[who] for who in ("ann", "bob", "cid", "dan")]
    assert list(parts.mirror.branch(key, numbers).values()) == [2 * PRICE, 2 * PRICE, PRICE, 0]


def test_a_mirror_of_the_release_before_money_is_taken_over_as_it_is(parts: Parts, workspace: str) -> None:
    """Its keys are those of a book without money: what it lacks is applied, nothing is rebuilt."""
    shop = Shop(parts, workspace)
    shop.join("ann")
    shop.join("bob", "ann")
    key = BookKey(workspace, shop.campaign_id)
    epoch = parts.mirror.totals(key).epoch
    client = parts.mirror._redis
    assert not client.exists(*(f"{key.redis_key[:-9]}{epoch}:{kind}:0" for kind in ("earned", "balance_map")))
    shop.buy("bob")
    assert parts.mirror.totals(key).epoch == epoch
    assert [report.faults for report in verify_all(parts, workspace)] == [[], []]


def test_books_are_proven_while_money_moves(parts: Parts, workspace: str) -> None:
    """A proof sees one moment: postings in between are no faults, and are not held up."""
    shop = Shop(parts, workspace)
    trade = Trade(shop, 3)
    done = threading.Event()
    broke: list[BaseException] = []

    def sell() -> None:
        try:
            for _ in range(60):
                trade.step()
        except BaseException as error:  # told to the test below
            broke.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=sell)
    thread.start()
    rounds = 0
    while not done.is_set() or not rounds:
        for report in verify_all(parts, workspace):
            # Behind by what was posted since the last look is all a mirror may be.
            assert [fault for fault in report.faults if "is behind" not in fault.detail] == []
        proofs.check_often(parts, workspace)
        rounds += 1
    thread.join()
    assert broke == []
    with parts.open(workspace) as ctx:
        assert queries.open_alerts(ctx) == []
    assert [report.faults for report in verify_all(parts, workspace)] == [[], []]
