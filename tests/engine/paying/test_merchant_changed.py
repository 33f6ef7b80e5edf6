"""Somebody enters another merchant number into an account while money is under way: nothing is paid twice."""

from __future__ import annotations

import pytest

from growth_engine.connections import queries as connections
from growth_engine.context import Parts
from growth_engine.paying.queries import NotConnected
from growth_engine.sandbox import Sandbox
from tests.factories.selling import PRICE
from tests.factories.tills import Till

OTHER = "1900000999"


@pytest.fixture
def rich(parts: Parts, sandbox: Sandbox) -> Till:
    till = Till.open(parts, sandbox)
    till.earn("ann", 10_000)
    world = sandbox.world
    with world.open():
        one = world.store.get("pay.merchants", sandbox.credentials["pay"]["mchid"])
        world.store.put("pay.merchants", OTHER, {**one, "mchid": OTHER})
    return till


def enter(till: Till, mch_id: str) -> None:
    """As a correction of the account does."""
    with till.parts.open(till.workspace) as ctx:
        row = connections.account(ctx, till.account)
        row.ids = {**row.ids, "mchid": mch_id}


def sent(till: Till) -> int:
    return len(till.sandbox.world.store.all("pay.transfers"))


def test_a_withdrawal_under_way_waits_for_its_own_merchant(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    enter(rich, OTHER)
    rich.run(2, 0.2)
    assert sent(rich) == 1
    assert rich.payout(payout_id).state == "unknown"
    assert rich.alerts() == ["wechat_pay.other_merchant"]
    known = rich.sandbox.credentials["pay"]["mchid"]
    enter(rich, known)
    rich.confirm("ann", payout_id)
    rich.run(2, 0.2)
    assert (rich.payout(payout_id).state, sent(rich)) == ("paid", 1)
    rich.bought()
    rich.withdraw("ann", 1_000)
    rich.run(1, 0.2)
    assert rich.alerts() == []
    rich.check()


def test_an_order_that_may_be_paid_is_not_offered_through_another_merchant(rich: Till) -> None:
    order_id = rich.shop.order("ben", through="ann")
    first = dict(rich.checkout(order_id).data)
    enter(rich, OTHER)
    rich.run(0.2, 0.05)
    with pytest.raises(NotConnected):
        rich.checkout(order_id)
    assert [one.state for one in rich.attempts(order_id)] == ["open"]
    rich.enter_pin("ben", first)
    enter(rich, rich.sandbox.credentials["pay"]["mchid"])
    rich.run(1, 0.2)
    assert rich.order(order_id).paid == PRICE
    rich.check()


def test_a_refund_goes_back_through_the_merchant_that_was_paid(rich: Till) -> None:
    order_id = rich.bought()
    enter(rich, OTHER)
    assert rich.refund(order_id, PRICE).state in ("waiting", "unknown")
    rich.run(1, 0.2)
    assert rich.refunds(order_id)[0].state == "asked"
    enter(rich, rich.sandbox.credentials["pay"]["mchid"])
    rich.run(2, 0.2)
    assert rich.order(order_id).refunded == PRICE
    rich.check()
