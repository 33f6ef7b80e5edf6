"""Money back through WeChat Pay: whole, in parts, repeated, delayed, stuck, and made elsewhere."""

from __future__ import annotations

import pytest

from growth_engine.context import Parts
from growth_engine.paying import refunding
from growth_engine.sandbox import Sandbox
from tests.factories.selling import PRICE
from tests.factories.tills import Till


def test_a_refund_goes_back_to_the_buyer_and_takes_the_commission_with_it(till: Till) -> None:
    order_id = till.bought()
    before = till.phones["ben"].balance
    answer = till.refund(order_id, PRICE, "refund-number-1", "does not fit")
    assert answer.state == "waiting"
    till.advance(seconds=5)
    till.work()
    order = till.order(order_id)
    assert (order.state, order.refunded) == ("refunded", PRICE)
    assert till.shop.pending("ann") == 0
    assert till.phones["ben"].balance == before + PRICE
    (row,) = till.refunds(order_id)
    assert (row.state, row.amount, row.number) == ("done", PRICE, till.attempts(order_id)[0].number)
    assert till.refund(order_id, PRICE, "refund-number-1", "does not fit").state == "done"
    assert till.asked("POST /v3/refund") == 1
    till.check()


def test_parts_are_asked_for_a_minute_apart_and_never_more_than_came(till: Till) -> None:
    order_id = till.bought(2)
    assert till.refund(order_id, PRICE).state == "waiting"
    assert till.refund(order_id, 900).state == "waiting"
    assert sorted(one.state for one in till.refunds(order_id)) == ["asked", "processing"]
    refused = till.refund(order_id, PRICE)
    assert refused.state == "failed"
    assert str(PRICE - 900) in refused.detail
    till.run(0.1, 0.025)
    assert till.order(order_id).refunded == PRICE + 900
    assert till.shop.pending("ann") == (PRICE - 900) // 5
    till.check()


def test_the_same_number_is_the_same_refund_and_of_another_amount_it_is_refused(till: Till) -> None:
    order_id = till.bought()
    till.refund(order_id, 100, "refund-number-2")
    till.refund(order_id, 100, "refund-number-2")
    assert till.refund(order_id, 200, "refund-number-2").state == "failed"
    with pytest.raises(refunding.RefundCollided):
        refunding.request(
            till.parts, till.workspace, order_id, refund_id="refund-number-2", amount=200, reason="", by="t"
        )
    till.advance(seconds=5)
    till.work()
    assert till.order(order_id).refunded == 100
    till.check()


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_number(till: Till, fault: str) -> None:
    order_id = till.bought()
    till.fault("lose", on="callback", times=99)
    till.fault(fault, "/v3/refund/domestic/refunds")
    assert till.refund(order_id, PRICE).state == "unknown"
    before = till.phones["ben"].balance
    till.run(0.2, 0.025)
    assert till.order(order_id).refunded == PRICE
    assert till.phones["ben"].balance == before + PRICE if fault == "drop" else True
    assert len(till.sandbox.world.store.all("pay.refunds")) == 1
    till.check()


def test_a_buyer_whose_account_takes_nothing_is_shown_and_followed(parts: Parts, sandbox: Sandbox) -> None:
    till = Till.open(parts, sandbox)
    till.enter("cem", "ann", real_named=False)
    order_id = till.bought(who="cem")
    till.refund(order_id, PRICE, "refund-number-3")
    till.advance(seconds=5)
    till.work()
    (row,) = till.refunds(order_id)
    assert row.state == "abnormal"
    assert till.alerts() == ["wechat_pay.refund_abnormal"]
    assert till.order(order_id).refunded == 0
    refunds = till.sandbox.world.store
    (key, known) = next(iter(refunds.all("pay.refunds").items()))
    with till.sandbox.world.open():  # staff had it sent to another account on the merchant platform
        refunds.put("pay.refunds", key, known | {"status": "SUCCESS", "success_time": sandbox.world.now()})
    till.advance(minutes=31)
    till.work()
    assert till.order(order_id).refunded == PRICE
    assert till.alerts() == []
    till.check()


def test_a_refund_without_money_waits_for_it_and_alarms(till: Till) -> None:
    order_id = till.bought()
    till.sandbox.merchant(balance=10)
    assert till.refund(order_id, PRICE).state == "unknown"
    assert till.alerts() == ["wechat_pay.funds"]
    till.sandbox.merchant(balance=10_000_000)
    till.run(1)
    assert till.order(order_id).refunded == PRICE
    assert till.alerts() == []
    till.check()


def test_a_refund_that_is_refused_for_good_moves_no_money(till: Till) -> None:
    order_id = till.bought()
    till.fault("errcode", "/v3/refund/domestic/refunds", value="PARAM_ERROR")
    answer = till.refund(order_id, PRICE)
    assert (answer.state, answer.detail) == ("failed", "PARAM_ERROR")
    assert till.order(order_id).refunded == 0
    assert till.refund(order_id, PRICE).state == "waiting"  # under a number of its own
    till.run(0.1, 0.025)
    assert till.order(order_id).refunded == PRICE
    till.check()


def test_a_refund_made_on_the_merchant_platform_is_taken_in(till: Till) -> None:
    order_id = till.bought()
    number = till.refund(order_id, PRICE, "refund-number-4").external_id
    till.shop.rows("DELETE FROM refund_requests RETURNING 1")  # as if we had never asked
    till.advance(seconds=5)
    till.work()
    (row,) = till.refunds(order_id)
    assert (row.id, row.requested_by, row.state) == (number, "wechat_pay", "done")
    assert till.order(order_id).refunded == PRICE
    till.check()


def test_a_refund_of_what_was_refunded_by_hand_is_kept_apart_and_alarms(till: Till) -> None:
    order_id = till.bought()
    till.refund(order_id, PRICE)
    assert till.shop.refund(order_id, PRICE).accepted
    till.advance(seconds=5)
    till.work()
    assert [one.state for one in till.refunds(order_id)] == ["surplus"]
    assert till.alerts() == ["wechat_pay.refund_surplus"]
    till.check()


def test_nothing_goes_back_through_wechat_pay_that_did_not_come_that_way(till: Till) -> None:
    order_id = till.shop.buy("ben")
    assert till.refund(order_id, PRICE).state == "failed"
    assert till.asked("/v3/refund") == 0
