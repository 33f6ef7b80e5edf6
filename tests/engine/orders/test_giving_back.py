"""A refund the merchant asks for: as it was looked at, the way the money came, once for one number."""

from __future__ import annotations

import pytest

from growth_engine.context import Parts
from growth_engine.orders import giving_back, queries
from growth_engine.orders.giving_back import OrderChanged
from growth_engine.orders.providers import RefundAnswer
from growth_engine.orders.service import Outcome
from tests.factories.selling import PRICE, Shop


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    made = Shop(parts, workspace)
    made.join("cid")
    return made


def seen(shop: Shop, order_id: str) -> str:
    with shop.parts.open(shop.workspace_id) as ctx:
        return giving_back.seen(queries.order(ctx, order_id))


def give_back(shop: Shop, order_id: str, as_seen: str) -> Outcome | RefundAnswer:
    return giving_back.give_back(
        shop.parts,
        shop.workspace_id,
        order_id,
        refund_id="rfd_00000001",
        amount=1000,
        reason="torn",
        restock=False,
        as_seen=as_seen,
    )


def refunds(shop: Shop, order_id: str) -> list[tuple[str, str, int]]:
    with shop.parts.open(shop.workspace_id) as ctx:
        return [(one.provider, one.external_id, one.amount) for one in queries.refunds(ctx, order_id)]


def test_one_number_is_one_refund_though_it_changed_the_order(shop: Shop) -> None:
    order_id = shop.buy("cid")
    before = seen(shop, order_id)
    first, second = give_back(shop, order_id, before), give_back(shop, order_id, before)
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert (first.accepted, first.duplicate, second.accepted, second.duplicate) == (True, False, True, True)
    assert refunds(shop, order_id) == [("manual", "rfd_00000001", 1000)]


def test_an_order_that_changed_since_it_was_looked_at_is_left_alone(shop: Shop) -> None:
    order_id = shop.buy("cid", 2)
    before = seen(shop, order_id)
    shop.refund(order_id, PRICE)
    with pytest.raises(OrderChanged):
        give_back(shop, order_id, before)
    assert [amount for _provider, _number, amount in refunds(shop, order_id)] == [PRICE]
    assert isinstance(give_back(shop, order_id, seen(shop, order_id)), Outcome)


def test_money_of_a_provider_nobody_knows_here_goes_back_by_hand(shop: Shop) -> None:
    order_id = shop.order("cid")
    with shop.parts.open(shop.workspace_id) as ctx:
        assert giving_back.provider_of(ctx, order_id) == giving_back.BY_HAND
    facts = {"provider": "elsewhere", "currency": "CNY", "order_id": order_id, "amount": PRICE}
    shop.submit(shop.event("payment", {**facts, "external_id": "e1"}, "elsewhere:e1", source="payment"))
    with shop.parts.open(shop.workspace_id) as ctx:
        assert giving_back.provider_of(ctx, order_id) == giving_back.BY_HAND


def test_an_order_that_does_not_exist_is_named(shop: Shop) -> None:
    with pytest.raises(queries.UnknownOrder):
        give_back(shop, "ord_none", "0-0")
