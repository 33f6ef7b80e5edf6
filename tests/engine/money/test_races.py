"""Money under fire: real threads and processes on the same orders, promoters and wallets."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from growth_engine.context import Parts
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger.contract import Connected, Event, Posted
from growth_engine.ledger.money import ABSORBED, CAMPAIGN, CLEARING, EXPENSE
from growth_engine.ledger.service import verify_all
from tests.engine.money.racing import at_once, make_poster, submit_from_processes, submit_from_threads
from tests.engine.money.streams import Follower, set_payout_state
from tests.factories.selling import PRICE, Shop
from tests.factories.workspaces import make_workspace


@pytest.fixture
def conn(pg_url: str) -> Iterator[Connected]:
    with psycopg.connect(libpq_url(pg_url), autocommit=True) as opened:
        yield opened


def make_shop(parts: Parts, workspace: str, *, stock: int | None = None, **config: Any) -> Shop:
    """Ann brought Bob, Bob brought Cid."""
    made = Shop(parts, workspace, config, stock=stock)
    made.join("ann")
    made.join("bob", "ann")
    made.join("cid", "bob")
    return made


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    return make_shop(parts, workspace)


def check(shop: Shop, conn: Connected) -> None:
    """The second engine agrees with the journal, and the product's own proof finds nothing."""
    Follower(shop, conn, own=True, sent=True).follow()
    assert shop.unbalanced() == []
    assert [report.faults for report in verify_all(shop.parts, shop.workspace_id)] == [[], []]


def codes(receipts: Sequence[Posted]) -> Counter[str]:
    """How often each answer came: ``accepted``, ``again``, or the first reason of a refusal."""
    said = [
        "again" if one.duplicate else "accepted" if one.accepted else one.reasons[0].code for one in receipts
    ]
    return Counter(said)


def test_two_hundred_deliveries_of_one_payment_are_one_payment(shop: Shop, conn: Connected) -> None:
    order = shop.order("cid")
    event = shop.payment_event(order, PRICE, "wx-1")
    posters = [make_poster(shop.parts, 7) for _ in range(3)]
    receipts = submit_from_threads(posters, [event] * 200, 20)
    for poster in posters:
        poster.close()
    assert codes(receipts) == {"accepted": 1, "again": 199}
    assert len({one.seq for one in receipts}) == 1
    assert shop.rows("SELECT count(*), sum(amount) FROM payments") == [(1, PRICE)]
    assert (shop.pending("bob"), shop.pending("ann")) == (1180, 295)
    check(shop, conn)


def test_two_hundred_payments_of_one_order_are_one_payment_and_the_rest_too_much(
    shop: Shop, conn: Connected
) -> None:
    order = shop.order("cid")
    events = [shop.payment_event(order, PRICE) for _ in range(200)]
    posters = [make_poster(shop.parts, 7) for _ in range(3)]
    receipts = submit_from_threads(posters, events, 20)
    for poster in posters:
        poster.close()
    assert codes(receipts) == {"accepted": 1, "overpaid": 199}
    assert shop.pending("bob") == 1180
    check(shop, conn)


def test_a_refund_that_comes_before_its_payment_nets_to_zero(shop: Shop, conn: Connected) -> None:
    order = shop.order("cid", 2)
    assert shop.refund(order, PRICE).accepted
    assert shop.pay(order, 2 * PRICE).accepted
    assert (shop.pending("bob"), shop.pending("ann")) == (1180, 295)
    assert shop.refund(order, PRICE).accepted
    assert (shop.pending("bob"), shop.balance(EXPENSE, "")) == (0, 0)
    assert shop.refund(order, 1).reasons[0].code == "refund_too_large"
    check(shop, conn)


def test_payments_and_refunds_at_the_same_moment_net_whatever_comes_first(
    shop: Shop, conn: Connected
) -> None:
    orders = [shop.order("cid", 2) for _ in range(10)]
    events: list[Event] = []
    for order in orders:
        events += [shop.payment_event(order, 2 * PRICE), shop.refund_event(order, PRICE)]
    posters = [make_poster(shop.parts, 3) for _ in range(2)]
    assert codes(submit_from_threads(posters, events, 10)) == {"accepted": 20}
    for poster in posters:
        poster.close()
    assert (shop.pending("bob"), shop.pending("ann")) == (10 * 1180, 10 * 295)
    check(shop, conn)


def _refunded(parts: Parts, workspace: str, order: Sequence[int]) -> tuple[Shop, tuple[int, ...]]:
    """Fifty partial refunds on three orders, maturity in between, in the order given; balances after."""
    shop = make_shop(parts, workspace)
    shop.offer("pen", 333)
    lines = [{"sku": "book", "quantity": 3}, {"sku": "pen", "quantity": 7}]
    orders = [shop.order("cid", lines=lines) for _ in range(3)]
    for one in orders:
        assert shop.pay(one, 3 * PRICE + 7 * 333).accepted
    amounts = [(orders[at % 3], 17 + 13 * at) for at in range(50)]
    events = [shop.refund_event(*amounts[at]) for at in order]
    poster = make_poster(parts, 4)
    half = submit_from_threads([poster], events[:25], 5)
    shop.mature_all()
    half += submit_from_threads([poster], events[25:], 5)
    poster.close()
    assert codes(half) == {"accepted": 50}
    shop.mature_all()
    names = ("bob", "ann")
    return shop, (*(shop.pending(n) for n in names), *(shop.available(n) for n in names))


def test_fifty_partial_refunds_in_any_order_leave_the_same_balances(
    parts: Parts, workspace: str, conn: Connected
) -> None:
    pick, ends = random.Random(4), set()
    for turn in range(5):
        order = list(range(50))
        if turn:
            pick.shuffle(order)
        shop, balances = _refunded(parts, make_workspace(parts), order)
        ends.add(balances)
        check(shop, conn)
    assert len(ends) == 1, ends


@pytest.mark.parametrize("clawback", ["carry", "absorb"])
def test_partial_refunds_before_maturity_after_it_and_after_payout_take_back_their_part(
    parts: Parts, workspace: str, conn: Connected, clawback: str
) -> None:
    """Acceptance case 4, with every refund delivered by four threads at once."""
    shop = make_shop(parts, workspace, clawback=clawback)
    before, after, paid = (shop.buy("cid", 10) for _ in range(3))
    _at_once(shop, shop.refund_event(before, 3 * PRICE))
    assert (shop.pending("bob"), shop.pending("ann")) == (27 * 1180, 27 * 295)
    shop.mature_all()
    _at_once(shop, shop.refund_event(after, 3 * PRICE))
    assert (shop.available("bob"), shop.available("ann")) == (24 * 1180, 24 * 295)
    _withdraw(shop, "bob", 24 * 1180)
    assert shop.available("bob") == 0
    _at_once(shop, shop.refund_event(paid, 3 * PRICE))
    debt = 0 if clawback == "absorb" else -3 * 1180
    assert (shop.available("bob"), shop.available("ann")) == (debt, 21 * 295)
    assert shop.balance(ABSORBED, shop.campaign_id, shop.wallet) == (-3 * 1180 - debt)
    assert shop.balance(EXPENSE, "") == -21 * (1180 + 295)
    shop.buy("cid", 10)
    shop.mature_all()
    assert shop.available("bob") == debt + 10 * 1180, "later commission makes up for a debt"
    check(shop, conn)


def _at_once(shop: Shop, event: Event) -> None:
    assert codes(at_once([lambda: shop.parts.ledger.submit(event)] * 4)) == {"accepted": 1, "again": 3}


def _wallet_event(shop: Shop, kind: str, key: str, **facts: Any) -> Event:
    return Event(shop.workspace_id, shop.wallet, kind, "payouts", key, shop.parts.clock.now(), facts)


def _withdraw(shop: Shop, who: str, amount: int) -> str:
    """Ask for an amount from a hundred threads, the balance being enough for one; it is paid."""
    contact = shop.contacts[who]
    asked = [
        _wallet_event(shop, "payout_reserve", f"{who}-{n}", contact_id=contact, amount=amount, currency="CNY")
        for n in range(100)
    ]
    receipts = submit_from_threads([shop.parts.ledger], asked, 20)
    assert codes(receipts)["accepted"] == 1
    assert {*codes(receipts)} == {"accepted", "not_enough"}
    [payout] = [str(one.result["payout_id"]) for one in receipts if one.accepted]
    set_payout_state(shop, payout, "sending")
    told = _wallet_event(shop, "payout_confirm", f"outcome:{payout}", payout_id=payout, ref="r")
    assert codes(submit_from_threads([shop.parts.ledger], [told] * 20, 20)) == {"accepted": 1, "again": 19}
    return payout


def test_a_hundred_withdrawals_of_a_full_balance_are_one(shop: Shop, conn: Connected) -> None:
    """Acceptance case 3."""
    shop.buy("cid", 10)
    shop.mature_all()
    _withdraw(shop, "bob", 11_800)
    assert shop.balance(CLEARING, "", shop.wallet) == 11_800
    assert shop.rows("SELECT amount, state FROM payouts") == [(11_800, "paid")]
    check(shop, conn)


def test_stock_of_ten_and_a_hundred_orders_at_once_are_ten_orders(
    parts: Parts, workspace: str, conn: Connected
) -> None:
    shop = make_shop(parts, workspace, stock=10, unpaid_orders=0)
    posters = [make_poster(parts, 6) for _ in range(3)]
    receipts = submit_from_threads(posters, [shop.order_event("cid") for _ in range(100)], 20)
    for poster in posters:
        poster.close()
    assert codes(receipts) == {"accepted": 10, "out_of_stock": 90}
    assert shop.rows("SELECT total, taken FROM stock") == [(10, 10)]
    check(shop, conn)


@pytest.mark.parametrize("period", ["day", "month", "all"])
def test_a_limit_holds_to_the_cent_when_payments_come_at_once(
    parts: Parts, workspace: str, conn: Connected, period: str
) -> None:
    shop = make_shop(parts, workspace, promoter_cap=10_000, cap_period=period, order_cap=1_100)
    orders = [shop.order("cid") for _ in range(30)]
    events = [shop.payment_event(one, amount) for one in orders for amount in (2_000, PRICE - 2_000)]
    random.Random(3).shuffle(events)
    posters = [make_poster(parts, 5) for _ in range(3)]
    assert codes(submit_from_threads(posters, events, 12)) == {"accepted": 60}
    for poster in posters:
        poster.close()
    assert shop.pending("bob") == 10_000
    assert shop.rows("SELECT max(target) <= 1100 FROM commissions WHERE level = 1") == [(True,)]
    check(shop, conn)


def test_maturity_that_races_refunds_moves_every_cent_once(shop: Shop, conn: Connected) -> None:
    orders = [shop.buy("cid", 2) for _ in range(20)]
    shop.parts.clock.advance(timedelta(days=8))  # type: ignore[attr-defined]
    now = shop.parts.clock.now().isoformat()
    events = [shop.refund_event(one, PRICE) for one in orders]
    events += [shop.event("mature", {"cutoff": now, "limit": 3}) for _ in range(20)]
    random.Random(8).shuffle(events)
    posters = [make_poster(shop.parts, 4) for _ in range(3)]
    submit_from_threads(posters, events, 8)
    for poster in posters:
        poster.close()
    shop.mature_all()
    assert (shop.pending("bob"), shop.available("bob"), shop.available("ann")) == (0, 20 * 1180, 20 * 295)
    assert shop.balance(CAMPAIGN, shop.campaign_id, shop.wallet) == -20 * 1475
    check(shop, conn)


def test_two_processes_on_one_campaign_and_one_wallet_lose_and_double_nothing(
    shop: Shop, conn: Connected
) -> None:
    orders = [shop.buy("cid", 2) for _ in range(12)]
    shop.mature_all()
    more = [shop.order("cid") for _ in range(12)]
    refunds = [shop.refund_event(one, PRICE) for one in orders]
    payments = [shop.payment_event(one, PRICE) for one in more]
    asked = [
        _wallet_event(
            shop, "payout_reserve", f"{who}-{n}", contact_id=shop.contacts[who], amount=500, currency="CNY"
        )
        for n in range(3)
        for who in ("ann", "bob")
    ]
    shares = [[*refunds, *payments[:6], *asked], [*payments, *reversed(refunds), *asked]]
    counted = codes(submit_from_processes(shop.parts, shares))
    assert counted == {"accepted": 30, "again": 24}
    assert shop.pending("bob") == 12 * 1180
    assert shop.available("bob") == 12 * 1180 - 1500
    check(shop, conn)
