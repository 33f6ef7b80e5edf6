"""Corners where money went astray once: each of these lost, doubled, misplaced or stopped something."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.ledger.contract import Posted
from tests.factories.selling import PRICE, Shop


def make_shop(parts: Parts, workspace: str, **config: Any) -> Shop:
    """Ann brought Bob, Bob brought Cid."""
    made = Shop(parts, workspace, config)
    made.join("ann")
    made.join("bob", "ann")
    made.join("cid", "bob")
    return made


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    return make_shop(parts, workspace)


def commission_of(shop: Shop, order: str, level: int = 1) -> str:
    found = shop.rows(
        "SELECT id FROM commissions WHERE order_id = :order AND level = :level", order=order, level=level
    )
    return str(found[0][0])


def test_a_blocked_promoter_matures_nothing_though_both_were_decided_in_one_batch(shop: Shop) -> None:
    shop.buy("cid")
    late = (shop.parts.clock.now() + timedelta(days=9)).isoformat()
    told = {"contact_id": shop.contacts["bob"], "action": "block", "by": "stf_1"}
    blocked, matured = shop.parts.ledger.submit_many(
        [shop.event("promoter", told), shop.event("mature", {"cutoff": late, "limit": 500})]
    )
    assert isinstance(blocked, Posted)
    assert isinstance(matured, Posted)
    assert matured.result == {"matured": 1}, "ann's only"
    assert (shop.pending("bob"), shop.available("bob"), shop.available("ann")) == (1180, 0, 295)


def test_what_was_put_on_hold_anew_in_the_same_batch_keeps_nothing_else_from_maturing(shop: Shop) -> None:
    first = shop.order("cid", 2)
    shop.pay(first, PRICE)
    shop.buy("cid")
    shop.parts.clock.advance(timedelta(days=7))  # type: ignore[attr-defined]
    now = shop.parts.clock.now().isoformat()
    _, matured = shop.parts.ledger.submit_many(
        [shop.payment_event(first, PRICE), shop.event("mature", {"cutoff": now, "limit": 500})]
    )
    assert matured.result == {"matured": 2}, "those of the second order"


def test_a_held_commission_whose_part_on_hold_was_refunded_does_not_stop_maturity_for_everybody(
    shop: Shop,
) -> None:
    order = shop.order("cid", 2)
    shop.pay(order, PRICE)
    shop.mature_all()
    shop.pay(order, PRICE)
    held = commission_of(shop, order)
    assert shop.act("hold", held).accepted
    shop.refund(order, PRICE)  # takes back all that is on hold, leaves what has matured
    assert not shop.act("release", held).accepted, "nothing is held any more"
    other = shop.buy("cid")
    assert shop.act("mature", held, commission_of(shop, other)).result == {
        "done": [commission_of(shop, other)]
    }
    shop.mature_all()
    assert shop.pending("bob") == 0
    assert shop.unbalanced() == []
    assert shop.rows("SELECT count(*) FROM pending_events") == [(0,)]


def test_orders_begun_in_one_month_and_paid_up_in_the_next_cannot_pass_the_limit(
    parts: Parts, workspace: str
) -> None:
    shop = make_shop(parts, workspace, promoter_cap=2000, cap_period="month", levels=1)
    orders = [shop.order("cid", 2) for _ in range(4)]
    for order in orders:
        shop.pay(order, 1000)  # earns 2.00 each in June
    parts.clock.advance(timedelta(days=31))  # type: ignore[attr-defined]
    for order in orders:
        shop.pay(order, 2 * PRICE - 1000)
    assert shop.pending("bob") == 2000, "all of it counts for June"
    shop.buy("cid", 4)
    assert shop.pending("bob") == 4000, "July has its own"


def test_an_order_all_of_whose_money_went_back_is_open_again_once_more_money_comes(shop: Shop) -> None:
    order = shop.order("cid")
    shop.pay(order, 3000)
    shop.refund(order, 3000)
    shop.pay(order, 1000)
    assert shop.rows("SELECT state, closed_at FROM orders") == [("placed", None)]
    assert shop.pending("bob") == 200


def test_what_blocked_people_have_on_hold_does_not_fill_the_journal_with_refusals(
    shop: Shop, run_jobs: Any
) -> None:
    shop.buy("cid")
    assert shop.promote("block", "bob").accepted
    shop.do("block", "ann")
    shop.parts.clock.advance(timedelta(days=8))  # type: ignore[attr-defined]
    before = shop.rows("SELECT count(*) FROM entries")
    assert run_jobs(shop.workspace_id, "commissions.mature") == 0
    assert shop.rows("SELECT count(*) FROM entries") == before
    assert shop.promote("unblock", "bob").accepted
    assert run_jobs(shop.workspace_id, "commissions.mature") == 1
    assert shop.available("bob") == 1180
    assert shop.rows("SELECT count(*) FROM entries WHERE kind = 'mature' AND NOT accepted") == [(0,)]
