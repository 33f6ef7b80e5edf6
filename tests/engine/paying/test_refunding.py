"""Money back through WeChat Pay: whole, in parts, repeated, delayed, stuck, and made elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest

from growth_engine.channels.wechat_pay import NewRefund, Refunds
from growth_engine.context import Parts
from growth_engine.paying import calls, queries, refunding
from growth_engine.sandbox import Sandbox, faults
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


@pytest.mark.parametrize("told", [True, False])
def test_a_refund_that_was_refused_and_done_after_all_is_in_the_books(till: Till, told: bool) -> None:
    """Another request of ours was slower on its way; its notice or the daily bill tells of it."""
    order_id = till.bought()
    till.fault("errcode", "/v3/refund/domestic/refunds", value="PARAM_ERROR", times=1)
    assert till.refund(order_id, PRICE, "refund-number-9").state == "failed"
    if not told:
        till.fault("lose", on="callback", times=99)
    refund_elsewhere(till, till.attempts(order_id)[0].number, PRICE, "refund-number-9")
    till.run(0.1, 0.025)
    faults.clear(till.sandbox.world)
    if not told:
        till.run(24, 12)
        till.work("paying.bills")
        assert till.bill(till.today() - timedelta(days=1)).findings == []
    till.work()
    assert [one.state for one in till.refunds(order_id)] == ["done"]
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


@pytest.mark.parametrize("state", ["surplus", "disputed"])
def test_giving_back_what_was_too_much_leaves_the_order_and_its_commission(till: Till, state: str) -> None:
    """Paid twice, or not what we asked for: the books never took it, so nothing of theirs goes back."""
    order_id = till.shop.order("ben", through="ann")
    first = dict(till.checkout(order_id).data)
    till.shop.rows("UPDATE pay_attempts SET state = 'closed' RETURNING 1")
    second = dict(till.checkout(order_id, "ann").data)
    if state == "disputed":
        till.shop.rows("UPDATE pay_attempts SET app_id = 'wx0000000000000000' WHERE turn = 2 RETURNING 1")
    till.enter_pin("ben", first)
    till.enter_pin("ann", second)
    till.work()
    earned = till.shop.pending("ann")
    (extra,) = [one for one in till.attempts(order_id) if one.state == state]
    assert till.alerts() == [f"wechat_pay.payment_{state}"]
    refund_elsewhere(till, extra.number, PRICE)
    till.run(0.1, 0.025)
    (row,) = till.refunds(order_id)
    assert (row.number, row.requested_by, row.state) == (extra.number, "wechat_pay", "done")
    order = till.order(order_id)
    assert (order.state, order.paid, order.refunded) == ("paid", PRICE, 0)
    assert till.shop.pending("ann") == earned > 0
    assert till.alerts() == ([] if state == "surplus" else ["wechat_pay.payment_disputed"])
    till.check()


def test_a_refund_heard_of_before_its_payment_asks_which_one_it_was(till: Till) -> None:
    """The notice of the second payment is lost, that of its refund is not."""
    order_id = till.shop.order("ben")
    first = dict(till.checkout(order_id).data)
    till.shop.rows("UPDATE pay_attempts SET state = 'closed' RETURNING 1")
    second = dict(till.checkout(order_id, "ann").data)
    till.enter_pin("ben", first)
    till.work()
    till.fault("lose", on="callback", times=99)
    till.enter_pin("ann", second)
    till.advance(minutes=1)
    faults.clear(till.sandbox.world)
    (extra,) = [one for one in till.attempts(order_id) if one.turn == 2]
    refund_elsewhere(till, extra.number, PRICE)
    till.advance(seconds=5)
    till.work("inbox.interpret", "paying.refunds")
    assert [one.state for one in till.refunds(order_id)] == ["done"]
    assert till.order(order_id).refunded == 0
    till.check()


def refund_elsewhere(till: Till, number: str, amount: int, refund_id: str = "") -> None:
    """Somebody of the staff gives money back on the merchant platform."""
    with till.parts.open(till.workspace) as ctx:
        merchant = queries.merchant(ctx)
    told = calls.notify_url(till.parts, till.account)
    refund = NewRefund(refund_id or f"by-hand-{number[-6:]}", number, amount, amount, notify_url=told)
    Refunds(calls.client(till.parts, merchant)).ask(refund)


def test_nothing_goes_back_through_wechat_pay_that_did_not_come_that_way(till: Till) -> None:
    order_id = till.shop.buy("ben")
    assert till.refund(order_id, PRICE).state == "failed"
    assert till.asked("/v3/refund") == 0


@pytest.mark.parametrize("restock", [True, False])
def test_the_goods_come_back_when_the_refund_is_done_and_was_asked_for_so(
    parts: Parts, sandbox: Sandbox, restock: bool
) -> None:
    till = Till.open(parts, sandbox, stock=10)
    order_id = till.bought(2)
    till.refund(order_id, 2 * PRICE, restock=restock)
    assert till.shop.rows("SELECT taken FROM stock")[0][0] == 2, "the money is not back yet"
    till.advance(seconds=5)
    till.work()
    assert till.order(order_id).state == "refunded"
    assert till.shop.rows("SELECT taken FROM stock")[0][0] == (0 if restock else 2)
    till.check()
