"""Processes that die between any two steps: whoever comes after them finishes what they began, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from growth_engine.channels.wechat_pay import Orders, Refunds, Transfers
from growth_engine.paying import attempts, bills, calls, refunding, transfers
from growth_engine.payouts import sending
from tests.engine.paying.conftest import _product, parts, till
from tests.engine.paying.test_bills import compared, to_next_morning
from tests.engine.paying.test_disorder import live_through
from tests.factories.selling import PRICE
from tests.factories.tills import Till

pytestmark = pytest.mark.drill

__all__ = ["_product", "parts", "till"]


class Dies(BaseException):
    """The process ends here: nothing of ours gets to say goodbye."""


Kill = Callable[[Any, str, str], None]


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Kill:
    """``kill(module, name, "before"|"after")``: whoever calls it next dies, once."""

    def plan(owner: Any, name: str, when: str) -> None:
        real, dead = getattr(owner, name), []

        def dying(*args: Any, **more: Any) -> Any:
            if not dead and when == "before":
                dead.append(1)
                raise Dies
            answer = real(*args, **more)
            if not dead:
                dead.append(1)
                raise Dies
            return answer

        monkeypatch.setattr(owner, name, dying)

    return plan


def live_on(till: Till) -> None:
    """Workers come and go until nothing is left to do."""
    for _ in range(8):
        with suppress(Dies):
            till.work()
        till.advance(minutes=2)
    till.work()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "place", [(attempts, "post"), (attempts, "_posted"), (attempts, "look"), (Orders, "by_number")]
)
def test_a_payment(till: Till, kill: Kill, place: tuple[Any, str], when: str) -> None:
    order_id = till.shop.order("ben", through="ann")
    till.fault("lose", on="callback", times=99)
    till.pay(order_id)
    till.advance(minutes=2)
    kill(*place, when)
    live_on(till)
    assert till.order(order_id).paid == PRICE
    assert till.shop.pending("ann") == PRICE // 5
    assert till.alerts() == []
    till.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", [(Orders, "place_jsapi"), (calls, "note_success")])
def test_opening_the_page(till: Till, kill: Kill, place: tuple[Any, str], when: str) -> None:
    order_id = till.shop.order("ben")
    kill(*place, when)
    with pytest.raises(Dies):
        till.checkout(order_id)
    till.pay(order_id)
    till.work()
    assert till.order(order_id).paid == PRICE
    assert len(till.attempts(order_id)) == 1
    till.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "place", [(Refunds, "ask"), (refunding, "hear"), (refunding, "post"), (refunding.service, "give_refund")]
)
def test_a_refund(till: Till, kill: Kill, place: tuple[Any, str], when: str) -> None:
    order_id = till.bought()
    kill(*place, when)
    with suppress(Dies):
        till.refund(order_id, PRICE, "refund-of-the-dead")
    till.advance(seconds=5)
    live_on(till)
    assert till.order(order_id).refunded == PRICE
    assert [one.state for one in till.refunds(order_id)] == ["done"]
    assert len(till.sandbox.world.store.all("pay.refunds")) == 1
    till.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "place", [(Transfers, "make"), (transfers, "_heard"), (sending, "settle"), (sending, "claim")]
)
def test_a_withdrawal(till: Till, kill: Kill, place: tuple[Any, str], when: str) -> None:
    till.earn("ann", 5_000)
    payout_id = till.withdraw("ann", 2_000)
    kill(*place, when)
    live_on(till)
    assert till.payout(payout_id).state == "waiting"
    till.confirm("ann", payout_id)
    till.advance(seconds=2)
    till.work()
    assert till.payout(payout_id).state == "paid"
    assert len(till.sandbox.world.store.all("pay.transfers")) == 1
    till.check()


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_end_of_a_withdrawal(till: Till, kill: Kill, when: str) -> None:
    till.earn("ann", 5_000)
    payout_id = till.withdraw("ann", 2_000)
    till.work()
    till.confirm("ann", payout_id)
    till.advance(seconds=2)
    kill(sending, "finish", when)
    live_on(till)
    assert till.payout(payout_id).state == "paid"
    till.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", [(bills, "_payments"), (bills, "_keep"), (attempts, "post_many")])
def test_a_bill(till: Till, kill: Kill, place: tuple[Any, str], when: str) -> None:
    order_id = till.shop.order("ben", minutes=3 * 24 * 60)
    till.fault("lose", on="callback", times=99)
    till.pay(order_id)
    to_next_morning(till)
    kill(*place, when)
    with pytest.raises(Dies):
        compared(till)
    till.advance(minutes=16)
    report = compared(till)
    assert (report.state, report.payments) == ("compared", 1)
    assert [one["kind"] for one in report.taken_in] == ["payment"]
    assert till.order(order_id).paid == PRICE
    till.check()


@pytest.mark.parametrize("seed", range(1, 9))
def test_days_of_disorder(till: Till, seed: int) -> None:
    live_through(till, seed)
