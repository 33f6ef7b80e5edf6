"""Stock that waits for payment: how much of it one buyer may keep from others, and how it comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Posted
from growth_engine.orders import jobs, service
from growth_engine.plays import refunding
from tests.factories.selling import PRICE, Shop


def open_shop(parts: Parts, workspace: str, stock: int | None = 50, **config: Any) -> Shop:
    shop = Shop(parts, workspace, config, stock=stock)
    for who, inviter in (("ann", None), ("bob", "ann"), ("cid", "bob")):
        shop.join(who, inviter)
    return shop


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    return open_shop(parts, workspace)


def codes(posted: Posted) -> list[str]:
    return [reason.code for reason in posted.reasons]


def taken(shop: Shop) -> int:
    return int(shop.rows("SELECT taken FROM stock WHERE campaign_id = :campaign")[0][0])


def wish(shop: Shop, who: str = "cid", quantity: int = 1) -> Posted:
    return shop.submit(shop.order_event(who, quantity))


def give_back(shop: Shop, order_id: str, amount: int, name: str, *, restock: bool = True) -> Any:
    return service.give_refund(
        shop.parts, shop.workspace_id, order_id, provider="manual", external_id=name, amount=amount,
        currency="CNY", restock=restock,
    )  # fmt: skip


# -- how much may wait -----------------------------------------------------------------------------------


def test_one_buyer_keeps_so_many_unpaid_orders_at_a_time(shop: Shop) -> None:
    first, *_ = [str(wish(shop).result["order_id"]) for _ in range(5)]
    refused = wish(shop)
    assert (refused.accepted, codes(refused)) == (False, ["too_many_unpaid"])
    assert refused.reasons[0].params == {"most": 5}
    assert wish(shop, "bob").accepted, "others are not concerned"
    assert taken(shop) == 6
    shop.pay(first, PRICE)
    assert wish(shop).accepted, "what is paid waits no more"
    assert not wish(shop).accepted
    assert service.cancel(shop.parts, shop.workspace_id, str(shop.rows(
        "SELECT id FROM orders WHERE state = 'placed' AND buyer = 3 ORDER BY number LIMIT 1")[0][0])
    ).accepted  # fmt: skip
    assert wish(shop).accepted, "nor does what was given up"


def test_one_order_of_very_many_pieces_is_as_much_as_many_orders(shop: Shop) -> None:
    shop_of_many = open_shop(shop.parts, shop.workspace_id, 1_000, unpaid_pieces=30)
    assert codes(wish(shop_of_many, quantity=31)) == ["too_many_reserved"]
    assert wish(shop_of_many, quantity=20).accepted
    assert codes(wish(shop_of_many, quantity=11)) == ["too_many_reserved"]
    assert wish(shop_of_many, quantity=10).accepted


def test_without_limited_stock_or_with_no_limit_nothing_is_hoarded(parts: Parts, workspace: str) -> None:
    plenty = open_shop(parts, workspace, None)
    assert all(wish(plenty, quantity=500).accepted for _ in range(7))
    free = open_shop(parts, workspace, 5_000, unpaid_orders=0, unpaid_pieces=0)
    assert all(wish(free, quantity=500).accepted for _ in range(7))


def test_a_buyer_in_a_hurry_does_not_slip_through_however_many_fingers_press(shop: Shop) -> None:
    events = [shop.order_event("cid") for _ in range(40)]
    with ThreadPoolExecutor(20) as pool:
        posted = list(pool.map(shop.submit, events))
    assert sum(one.accepted for one in posted) == 5
    assert taken(shop) == 5
    assert {code for one in posted if not one.accepted for code in codes(one)} == {"too_many_unpaid"}


def test_orders_and_payments_that_come_together_are_counted_as_one_by_one(shop: Shop) -> None:
    placed = [str(wish(shop).result["order_id"]) for _ in range(5)]
    pay = shop.payment_event(placed[0], PRICE)
    receipts = shop.parts.ledger.submit_many([shop.order_event("cid"), pay, shop.order_event("cid")])
    assert [one.accepted for one in receipts] == [False, True, True]


def test_what_was_not_paid_in_time_waits_no_more(shop: Shop, clock: FixedClock) -> None:
    for _ in range(5):
        wish(shop)
    assert not wish(shop).accepted
    clock.advance(timedelta(minutes=61))
    assert jobs.expire(shop.parts, shop.workspace_id) == 5
    assert taken(shop) == 0
    assert wish(shop).accepted


# -- goods that come back --------------------------------------------------------------------------------


def test_a_full_refund_puts_the_goods_back_where_the_merchant_says_so(shop: Shop) -> None:
    kept, back = shop.buy("cid", 2), shop.buy("cid", 3)
    assert taken(shop) == 5
    assert [one.code for one in give_back(shop, kept, 2 * PRICE, "r1", restock=False).reasons].count(
        "restocked"
    ) == 0
    assert taken(shop) == 5
    told = give_back(shop, back, 3 * PRICE, "r2")
    assert (told.reasons[-1].code, told.reasons[-1].params) == ("restocked", {"pieces": 3})
    assert taken(shop) == 2
    assert give_back(shop, back, 3 * PRICE, "r2").duplicate
    assert taken(shop) == 2


def test_the_goods_come_back_once_and_only_when_nothing_is_left_paid(shop: Shop) -> None:
    order_id = shop.buy("cid", 3)
    told = give_back(shop, order_id, PRICE, "r1")
    assert [one.code for one in told.reasons][-1] == "not_restocked"
    assert taken(shop) == 3
    with shop.parts.open(shop.workspace_id) as ctx:
        assert refunding.preview(ctx, order_id, PRICE).restockable == 0
        assert refunding.preview(ctx, order_id, 2 * PRICE).restockable == 3
    give_back(shop, order_id, 2 * PRICE, "r2")
    assert taken(shop) == 0
    with shop.parts.open(shop.workspace_id) as ctx:
        assert refunding.preview(ctx, order_id, 1).restockable == 0


def test_an_order_that_is_paid_on_after_its_goods_came_back_takes_them_again(shop: Shop) -> None:
    order_id = shop.order("cid", 2)
    shop.pay(order_id, PRICE)
    give_back(shop, order_id, PRICE, "r1")
    assert taken(shop) == 0
    shop.pay(order_id, PRICE)
    assert taken(shop) == 2
    give_back(shop, order_id, PRICE, "r2")
    assert taken(shop) == 0


def test_parallel_refunds_of_one_order_put_its_goods_back_once(shop: Shop) -> None:
    shop.buy("bob", 4)
    order_id = shop.buy("cid", 5)
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(
            pool.map(lambda n: give_back(shop, order_id, PRICE, f"r{n}"), [*range(5), *range(5)] * 2)
        )
    assert all(one.accepted for one in outcomes)
    assert taken(shop) == 4
    said = shop.rows(
        "SELECT count(*) FROM entries WHERE book_id = :campaign AND body::text LIKE '%\"restocked\"%'"
    )
    assert said[0][0] == 1


# -- loops -----------------------------------------------------------------------------------------------


def promoter_of(shop: Shop, order_id: str) -> int:
    return int(shop.rows("SELECT promoter FROM orders WHERE id = :id", id=order_id)[0][0])


@pytest.mark.parametrize("binding", ["first_touch", "last_touch", "permanent", "registration"])
def test_whom_one_brought_does_not_earn_from_what_one_buys(
    parts: Parts, workspace: str, binding: str
) -> None:
    """Ann brought Bob, who brought Cid: what Ann buys through either's link would come back to her."""
    shop = open_shop(parts, workspace, binding=binding)
    for through in ("bob", "cid"):
        posted = shop.submit(shop.order_event("ann", through=through))
        assert posted.accepted
        assert codes(posted)[0] == "loop"
        order_id = str(posted.result["order_id"])
        assert promoter_of(shop, order_id) == 0
        shop.pay(order_id, PRICE)
    assert shop.rows("SELECT count(*) FROM commissions")[0][0] == 0
    assert shop.rows("SELECT count(*) FROM bindings WHERE buyer = 1")[0][0] == 0
    tree = shop.rows("SELECT number, inviter_number FROM participants ORDER BY number")
    assert [tuple(row) for row in tree] == [(1, 0), (2, 1), (3, 2)]


def test_a_stranger_to_ones_branch_may_still_bring_one(parts: Parts, workspace: str) -> None:
    shop = open_shop(parts, workspace)
    shop.join("dora")
    posted = shop.submit(shop.order_event("ann", through="dora"))
    assert promoter_of(shop, str(posted.result["order_id"])) == 4
    again = shop.submit(shop.order_event("ann", through="cid"))
    assert "loop" in codes(again)
    assert promoter_of(shop, str(again.result["order_id"])) == 4, "who brought Ann stays"
