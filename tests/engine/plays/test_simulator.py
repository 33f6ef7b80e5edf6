"""The simulator: other rules on the same orders, and today's rules on them as they were really posted."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.ids import earliest
from growth_engine.plays.promoting import may_promote
from growth_engine.plays.registry import play
from growth_engine.plays.selling import OrderLine
from growth_engine.plays.simulator import History, Person, Sale, Transfer, compare, replay
from growth_engine.plays.simulator_queries import history
from tests.factories.selling import PRICE, Shop

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
DISTRIBUTION = play("distribution")

#: Ann brought Bob, Bob brought Cid and Dan.
FAMILY = {1: Person(), 2: Person(inviter=1), 3: Person(inviter=2), 4: Person(inviter=2)}


def rules(**changes: Any) -> dict[str, Any]:
    base = {"levels": 2, "level1_value": 2000, "level2_value": 500}
    loaded: dict[str, Any] = DISTRIBUTION.Config().load({**base, **changes})
    return loaded


def sale(
    number: int, *amounts: int, buyer: int = 3, promoter: int = 2, day: int = 0, price: int = 5900
) -> Sale:
    """An order of one line, with payments and refunds an hour apart."""
    at, seq = START + timedelta(days=day, minutes=number), number * 100
    moves = [Transfer(seq + n, at + timedelta(hours=n), amount) for n, amount in enumerate(amounts, 1)]
    return Sale(f"ord_{number}", seq, at, buyer, promoter, [OrderLine(1, "book", 1, 5900)], moves)


def happened(sales: Sequence[Sale], people: dict[int, Person] | None = None, days: int = 30) -> History:
    return History(sales, people or FAMILY, SHANGHAI, START, START + timedelta(days=days))


def test_a_higher_rate_costs_more_and_names_who_wins_and_loses() -> None:
    past = happened([sale(1, 5900), sale(2, 5900, -5900), sale(3, 5900, -2950)])
    found = compare(DISTRIBUTION, past, rules(), rules(level1_value=3000, level2_value=100))
    assert (found.orders, found.sales) == (3, 5900 + 2950)
    assert (found.today.cost, found.draft.cost) == (1180 + 295 + 590 + 147, 1770 + 59 + 885 + 29)
    assert [(one.member, one.before, one.after) for one in found.winners] == [(2, 1770, 2655)]
    assert [(one.member, one.before, one.after) for one in found.losers] == [(1, 442, 88)]
    assert found.draft.by_level == {1: 2655, 2: 88}


def test_the_same_rules_change_nothing_and_the_replay_repeats_itself() -> None:
    past = happened([sale(n, 5900, -(n * 7)) for n in range(1, 40)])
    found = compare(DISTRIBUTION, past, rules(), rules())
    assert found.today == found.draft
    assert not found.winners
    assert not found.losers
    assert found == compare(DISTRIBUTION, past, rules(), rules())


def test_the_book_decides_what_came_first_whatever_the_times_say() -> None:
    """Orders of one batch carry one time."""
    at = START
    first = Sale("ord_z", 1, at, 3, 2, [OrderLine(1, "a", 1, 1000)], [Transfer(3, at, 1000)])
    second = Sale("ord_a", 2, at, 4, 2, [OrderLine(1, "b", 1, 1000)], [Transfer(4, at, 1000)])
    capped = rules(levels=1, promoter_cap=250, cap_period="all", overrides=[{"sku": "b", "value": 4000}])
    for sales in ([first, second], [second, first]):
        outcome = replay(DISTRIBUTION, capped, happened(sales))
        assert (outcome.cost, outcome.withheld) == (250, 350)


def test_limits_that_would_have_been_hit_are_counted() -> None:
    past = happened([sale(n, 5900, day=n) for n in range(1, 6)])
    outcome = replay(DISTRIBUTION, rules(levels=1, promoter_cap=3000, cap_period="month"), past)
    assert outcome.by_member == {2: 3000}
    assert (outcome.capped, outcome.withheld) == (3, 5 * 1180 - 3000)
    by_day = replay(DISTRIBUTION, rules(levels=1, promoter_cap=3000, cap_period="day"), past)
    assert (by_day.capped, by_day.cost) == (0, 5 * 1180)


def test_what_was_used_of_a_limit_before_counts() -> None:
    people = {**FAMILY, 2: Person(inviter=1, used={"all": 2900, "2026-11": 100})}
    past = happened([sale(1, 5900)], people)
    assert replay(DISTRIBUTION, rules(promoter_cap=3000, cap_period="all"), past).by_member[2] == 100
    assert replay(DISTRIBUTION, rules(promoter_cap=3000, cap_period="month"), past).by_member[2] == 1180


def test_days_and_months_are_those_of_the_workspace() -> None:
    late = datetime(2026, 11, 30, 15, 30, tzinfo=UTC)  # half an hour before December in Shanghai
    lines = [OrderLine(1, "book", 1, 5900)]
    sales = [
        Sale("ord_1", 1, late, 3, 2, lines, [Transfer(2, late, 5900)]),
        Sale("ord_2", 3, late, 3, 2, lines, [Transfer(4, late + timedelta(hours=1), 5900)]),
    ]
    capped = rules(levels=1, promoter_cap=1180, cap_period="month")
    assert replay(DISTRIBUTION, capped, happened(sales)).cost == 2 * 1180


def test_a_longer_hold_keeps_more_back_and_loses_less_to_late_refunds() -> None:
    late = Sale(
        "ord_1",
        1,
        START,
        3,
        2,
        [OrderLine(1, "book", 1, 5900)],
        [Transfer(2, START, 5900), Transfer(3, START + timedelta(days=10), -5900)],
    )
    past = happened([late, sale(2, 5900, day=20)])
    short, long = (replay(DISTRIBUTION, rules(levels=1, hold_days=days), past) for days in (7, 14))
    assert (short.clawed_back, long.clawed_back) == (1180, 0)
    assert (short.on_hold, long.on_hold) == (0, 1180)
    assert short.cost == long.cost == 1180


def test_who_may_promote_is_worked_out_as_it_would_have_been_then() -> None:
    """Bob sells, but under “buyers only” he may not before he has bought himself."""
    own = sale(2, 5900, buyer=2, promoter=1)
    past = happened([sale(1, 5900), own, sale(3, 5900)])
    everyone, buyers = (
        replay(DISTRIBUTION, rules(levels=1, who_promotes=who), past) for who in ("everyone", "buyers")
    )
    assert everyone.by_member == {1: 1180, 2: 2360}
    assert buyers.by_member == {2: 1180}
    assert buyers.reasons == {"not_a_promoter": 2}
    refunded = happened([sale(1, 5900, -5900, buyer=2, promoter=0), sale(3, 5900, day=1)])
    assert replay(DISTRIBUTION, rules(levels=1, who_promotes="buyers"), refunded).cost == 0


def test_a_persons_decision_stands_above_the_rule() -> None:
    assert may_promote(rules(who_promotes="approved"), "approved", 0)
    assert not may_promote(rules(who_promotes="everyone"), "rejected", 10_000)
    assert not may_promote(rules(who_promotes="approved"), "applied", 10_000)
    spenders = rules(who_promotes="spenders", spend_threshold=5_000)
    assert [may_promote(spenders, "none", spent) for spent in (4_999, 5_000)] == [False, True]
    assert not may_promote(rules(who_promotes="spenders"), "none", 0), "a threshold nobody set lets nobody in"
    people = {**FAMILY, 2: Person(inviter=1, state="blocked")}
    outcome = replay(DISTRIBUTION, rules(), happened([sale(1, 5900)], people))
    assert (outcome.by_level, outcome.reasons) == ({2: 295}, {"promoter_blocked": 1})


def test_orders_of_nobody_and_of_people_who_left_earn_nothing() -> None:
    people = {**FAMILY, 2: Person(inviter=1, here=False)}
    outcome = replay(
        DISTRIBUTION, rules(levels=1), happened([sale(1, 5900), sale(2, 5900, promoter=0)], people)
    )
    assert (outcome.cost, outcome.reasons) == (0, {"no_promoter": 1, "not_a_promoter": 1})


def test_ten_thousand_orders_are_compared_in_seconds() -> None:
    chance = random.Random(7)
    people = {number: Person(inviter=number // 3) for number in range(1, 3001)}
    sales = []
    for number in range(1, 10_001):
        buyer = chance.randrange(2, 3001)
        moves = (5900,) if chance.random() < 0.8 else (5900, -chance.randrange(1, 5900))
        sales.append(sale(number, *moves, buyer=buyer, promoter=people[buyer].inviter, day=number // 400))
    past = happened(sales, people)
    begun = time.thread_time()  # its own work, however busy the machine is
    draft = rules(level1_value=1500, promoter_cap=20_000, overrides=[{"sku": "book", "value": 1800}])
    found = compare(DISTRIBUTION, past, rules(), draft)
    assert time.thread_time() - begun < 8  # 2.5 s
    assert sum(found.today.by_member.values()) == found.today.cost
    assert found.draft.capped > 0
    assert found.draft.cost + found.draft.withheld < found.today.cost
    assert len(found.changes) > 500


# -- against the books -----------------------------------------------------------------------------------


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    made = Shop(parts, workspace, {"promoter_cap": 4_000, "cap_period": "month", "order_cap": 2_000})
    made.join("ann")
    for who, inviter in (("bob", "ann"), ("cid", "bob"), ("dan", "bob"), ("eve", "cid")):
        made.join(who, inviter)
    made.offer("pen", 1_100)
    return made


def trade(shop: Shop, clock: FixedClock, chance: random.Random, orders: int) -> None:
    """Orders, payments whole and in parts, and refunds at random, over days."""
    open_: list[tuple[str, int]] = []
    for _ in range(orders):
        clock.advance(timedelta(hours=chance.randrange(1, 9)))
        lines = [{"sku": "book", "quantity": chance.randrange(1, 4)}, {"sku": "pen", "quantity": 2}]
        total = lines[0]["quantity"] * PRICE + 2_200
        order = shop.order(chance.choice(["bob", "cid", "dan", "eve"]), lines=lines)
        part = chance.choice([total, total, total // 3])
        shop.pay(order, part)
        open_.append((order, part))
        if chance.random() < 0.4:
            order, paid = open_.pop(chance.randrange(len(open_)))
            shop.refund(order, chance.choice([paid, max(1, paid // 2), 1]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_todays_rules_replayed_give_to_the_cent_what_was_posted(
    shop: Shop, parts: Parts, clock: FixedClock, seed: int
) -> None:
    trade(shop, clock, random.Random(seed), 25)
    clock.advance(timedelta(minutes=1))
    with parts.open(shop.workspace_id) as ctx:
        past = history(ctx, shop.campaign_id, days=60)
    assert len(past.sales) == 25
    today = rules(promoter_cap=4_000, cap_period="month", order_cap=2_000)
    outcome = replay(DISTRIBUTION, today, past)
    assert outcome.by_member == {member: amount for member, amount in past.posted.items() if amount}
    assert outcome.capped > 0


def test_a_window_knows_what_was_earned_and_spent_before_it(
    shop: Shop, parts: Parts, clock: FixedClock
) -> None:
    clock.set(datetime(2026, 11, 10, 4, tzinfo=UTC))
    shop.buy("cid")
    clock.advance(timedelta(minutes=1))
    shop.buy("bob")
    clock.set(datetime(2026, 11, 14, 4, tzinfo=UTC))
    shop.buy("dan")
    order = shop.buy("cid")
    shop.refund(order, PRICE)
    with parts.open(shop.workspace_id) as ctx:
        past = history(ctx, shop.campaign_id, days=2)
        all_ = history(ctx, shop.campaign_id, days=30)
        cut = history(ctx, shop.campaign_id, days=30, most=3)
    assert [one.net for one in past.sales] == [PRICE, 0]
    bob = past.people[shop.numbers["bob"]]
    assert (bob.inviter, bob.spent) == (shop.numbers["ann"], PRICE)
    assert bob.used == {"all": 1180, "2026-11": 1180}
    assert past.people[shop.numbers["cid"]].spent == PRICE
    assert past.people[shop.numbers["ann"]].used == {"all": 295 + 1180, "2026-11": 295 + 1180}
    assert (len(all_.sales), all_.cut) == (4, False)
    assert not all_.people[shop.numbers["bob"]].used.get("all")
    assert (len(cut.sales), cut.cut) == (3, True)
    assert [one.order_id for one in cut.sales] == [one.order_id for one in all_.sales[1:]]


def test_nothing_is_posted_and_nobody_elses_orders_are_seen(
    shop: Shop, parts: Parts, clock: FixedClock, workspace: str
) -> None:
    shop.buy("cid")
    other = Shop(parts, workspace)
    other.join("zoe")
    other.buy("zoe")
    before = shop.rows("SELECT count(*), max(seq) FROM entries WHERE book_id = :campaign")
    with parts.open(shop.workspace_id) as ctx:
        past = history(ctx, shop.campaign_id)
    compare(DISTRIBUTION, past, rules(), rules(level1_value=9000))
    assert len(past.sales) == 1
    assert shop.rows("SELECT count(*), max(seq) FROM entries WHERE book_id = :campaign") == before


_MANY = [
    "INSERT INTO orders (id, workspace_id, campaign_id, contact_id, buyer, promoter, currency, total, paid,"
    " state, rule_version, seq, source, placed_at)"
    " SELECT :first || lpad(n::text, 16, '0'), :workspace, :campaign, 'con', 3, 2, 'CNY', 5900, 5900, 'paid',"
    " 1, 1000 + 2 * n, 'test', :at FROM generate_series(1, :many) n",
    "INSERT INTO order_lines (workspace_id, order_id, line, product_id, sku, name, quantity, amount)"
    " SELECT :workspace, :first || lpad(n::text, 16, '0'), 1, 'prd', 'book', 'Book', 1, 5900"
    " FROM generate_series(1, :many) n",
    "INSERT INTO payments (id, workspace_id, order_id, provider, external_id, amount, seq, at)"
    " SELECT :first || n, :workspace, :first || lpad(n::text, 16, '0'), 'test', :first || n, 5900,"
    " 1001 + 2 * n, :at FROM generate_series(1, :many) n",
]


def test_thousands_of_orders_are_read_in_a_few_statements(
    shop: Shop, parts: Parts, clock: FixedClock, statements: list[str]
) -> None:
    many = 5_000
    with parts.open(shop.workspace_id) as ctx:
        told = {"first": earliest("ord", clock.now())[:14], "at": clock.now(), "many": many}
        for sql in _MANY:
            ctx.session.execute(
                text(sql), {**told, "workspace": shop.workspace_id, "campaign": shop.campaign_id}
            )
    clock.advance(timedelta(days=1))
    for _ in range(3):  # what is slow is slow each time, what a busy machine held up is not
        with parts.open(shop.workspace_id) as ctx:
            statements.clear()
            begun = time.perf_counter()
            past = history(ctx, shop.campaign_id)
            took = time.perf_counter() - begun
        if took < 5:
            break
    assert (len(past.sales), sum(one.net for one in past.sales)) == (many, many * 5900)
    assert len(statements) <= 9
    assert took < 5  # 0.7 s on two busy cores
    assert replay(DISTRIBUTION, rules(), past).cost == many * (1180 + 295)
