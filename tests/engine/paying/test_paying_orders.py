"""Orders paid through WeChat Pay: attempts, notices in every disorder, closing, and what is not believed."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from growth_engine.context import Parts
from growth_engine.orders import service
from growth_engine.paying import checkout, queries
from growth_engine.paying.checkout import BeingPaid, CheckoutBusy, NotPayable, UnderReview
from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.oa.actions import CannotDo
from tests.factories.selling import PRICE
from tests.factories.tills import Till


def test_a_buyer_pays_on_the_page_and_who_brought_them_earns(till: Till) -> None:
    order_id = till.shop.order("ben", 2, through="ann")
    shown = till.checkout(order_id)
    assert shown.kind == "jsapi"
    assert shown.data["number"] == f"{order_id.removeprefix('ord_')}-1"
    till.enter_pin("ben", dict(shown.data))
    assert till.inbox() == [("payment", "done", 1)]
    till.work()
    order = till.order(order_id)
    assert (order.state, order.paid) == ("paid", 2 * PRICE)
    assert till.shop.pending("ann") == 2 * PRICE // 5
    (attempt,) = till.attempts(order_id)
    assert (attempt.state, attempt.openid, attempt.token) == ("paid", "", "")
    assert till.alerts() == []
    till.check()


def test_a_buyer_outside_wechat_scans_a_code(till: Till) -> None:
    order_id = till.shop.order("ben")
    shown = till.checkout(order_id, None)
    assert shown.kind == "native"
    from growth_engine.sandbox.pay import orders as sandbox_orders

    sheet = sandbox_orders.native_sheet(till.sandbox.world, till.phones["ben"].id, shown.data["code_url"])
    till.phones["ben"].do("pay", prepay_id=sheet["prepay_id"])
    till.work()
    assert till.order(order_id).state == "paid"
    till.check()


def test_the_same_page_opened_again_shows_the_same_attempt_until_its_two_hours_are_over(till: Till) -> None:
    order_id = till.shop.order("ben", minutes=600)
    first = till.checkout(order_id).data
    assert till.checkout(order_id).data["package"] == first["package"]
    assert till.asked("/jsapi") == 1
    till.advance(hours=1, minutes=58)
    assert till.checkout(order_id).data["package"] == first["package"]  # all the platform has to give yet
    till.advance(minutes=3)
    fresh = till.checkout(order_id).data
    assert fresh["number"] == first["number"]
    assert fresh["package"] != first["package"]
    till.enter_pin("ben", dict(fresh))
    till.work()
    assert till.order(order_id).state == "paid"
    till.check()


def test_another_payer_gets_an_attempt_of_their_own_only_after_the_first_is_closed(till: Till) -> None:
    order_id = till.shop.order("ben")
    first = dict(till.checkout(order_id).data)
    second = dict(till.checkout(order_id, "ann").data)
    assert [one.state for one in till.attempts(order_id)] == ["closed", "open"]
    with pytest.raises(CannotDo, match="closed"):
        till.enter_pin("ben", first)
    till.enter_pin("ann", second)
    till.work()
    assert till.order(order_id).state == "paid"
    till.check()


def test_paying_while_another_attempt_wants_its_place_is_one_payment(till: Till) -> None:
    order_id = till.shop.order("ben")
    first = dict(till.checkout(order_id).data)
    till.fault("lose", on="callback", times=1)
    till.enter_pin("ben", first)
    with pytest.raises(BeingPaid):
        till.checkout(order_id, "ann")
    till.work()
    assert till.order(order_id).state == "paid"
    assert len(till.attempts(order_id)) == 1
    with pytest.raises(NotPayable):
        till.checkout(order_id)
    till.check()


@pytest.mark.parametrize("action", ["duplicate", "concurrent"])
def test_a_notice_that_comes_twice_is_one_payment(till: Till, action: str) -> None:
    order_id = till.shop.order("ben")
    till.fault(action, on="callback")
    till.pay(order_id)
    till.sandbox.settle()
    till.work()
    assert [(kind, state) for kind, state, _ in till.inbox()] == [("payment", "done")]
    assert till.order(order_id).paid == PRICE
    till.check()


@pytest.mark.parametrize("fault", ["bad_serial", "old_timestamp", "bad_signature", "tampered", "signtest"])
def test_a_notice_that_cannot_be_believed_is_stored_as_refused_and_the_next_delivery_counts(
    till: Till, fault: str
) -> None:
    order_id = till.shop.order("ben")
    till.fault(fault, on="callback")
    till.pay(order_id)
    till.advance(seconds=20)
    till.work()
    assert sorted(state for _, state, _ in till.inbox()) == ["done", "refused"]
    assert till.order(order_id).state == "paid"
    till.check()


def test_a_payment_nobody_told_us_about_is_found_by_asking(till: Till) -> None:
    order_id = till.shop.order("ben", through="ann")
    till.fault("lose", on="callback", times=99)
    till.pay(order_id)
    assert till.work() == 0
    assert till.inbox() == []
    till.advance(minutes=1, seconds=1)
    till.work()
    assert till.order(order_id).state == "paid"
    assert till.shop.pending("ann") == PRICE // 5
    till.check()


def test_the_answer_to_the_order_is_lost_and_the_page_is_opened_again(till: Till) -> None:
    order_id = till.shop.order("ben")
    till.fault("lose_answer", "/v3/pay/transactions/jsapi")
    with pytest.raises(CheckoutBusy):
        till.checkout(order_id)
    assert [one.state for one in till.attempts(order_id)] == ["placing"]
    till.pay(order_id)
    till.work()
    assert till.order(order_id).state == "paid"
    assert len(till.attempts(order_id)) == 1
    till.check()


def test_a_notice_may_come_before_the_answer_to_the_order_is_stored(till: Till) -> None:
    order_id = till.shop.order("ben")
    shown = dict(till.checkout(order_id).data)
    till.shop.rows("UPDATE pay_attempts SET state = 'placing', token = '' RETURNING 1")
    till.enter_pin("ben", shown)
    till.work()
    assert till.order(order_id).state == "paid"
    till.check()


def test_an_order_that_is_over_is_closed_there_too_and_can_no_longer_be_paid(till: Till) -> None:
    order_id = till.shop.order("ben", minutes=30)
    shown = dict(till.checkout(order_id).data)
    till.advance(minutes=30, seconds=6)
    till.work("orders.expire", "paying.attempts")
    assert till.order(order_id).state == "cancelled"
    assert [one.state for one in till.attempts(order_id)] == ["closed"]
    with pytest.raises(CannotDo, match="closed"):
        till.enter_pin("ben", shown)
    with pytest.raises(NotPayable):
        till.checkout(order_id)
    till.check()


def test_money_that_wins_against_closing_is_in_the_books(till: Till) -> None:
    """Paid in the last second, told by nobody; the order is cancelled before we learn of it."""
    order_id = till.shop.order("ben", minutes=30, through="ann")
    shown = dict(till.checkout(order_id).data)
    till.fault("lose", on="callback", times=99)
    till.advance(minutes=29, seconds=59)
    till.enter_pin("ben", shown)
    till.advance(seconds=7)
    till.work("orders.expire")
    assert till.order(order_id).state == "cancelled"
    till.work()
    assert till.order(order_id).state == "paid"
    assert till.shop.pending("ann") == PRICE // 5
    assert till.alerts() == []
    till.check()


def test_money_for_what_is_gone_meanwhile_alarms(parts: Parts, sandbox: Sandbox) -> None:
    till = Till.open(parts, sandbox, stock=1)
    order_id = till.shop.order("ben", minutes=30)
    shown = dict(till.checkout(order_id).data)
    till.fault("lose", on="callback", times=99)
    till.advance(minutes=29)
    till.enter_pin("ben", shown)
    till.advance(minutes=1, seconds=6)
    till.work("orders.expire")
    till.shop.buy("ann")
    till.work()
    assert till.order(order_id).paid == PRICE
    assert till.alerts() == ["wechat_pay.sold_out"]
    till.check()


def test_an_order_cancelled_by_the_buyer_is_closed_at_the_next_look(till: Till) -> None:
    order_id = till.shop.order("ben")
    till.checkout(order_id)
    assert service.cancel(till.parts, till.workspace, order_id).accepted
    till.advance(minutes=2)
    till.work()
    assert [one.state for one in till.attempts(order_id)] == ["closed"]


def test_money_the_books_refuse_is_kept_apart_and_alarms(till: Till) -> None:
    """Paid by hand and through WeChat Pay at once: the second one is too much."""
    order_id = till.shop.order("ben")
    shown = dict(till.checkout(order_id).data)
    assert till.shop.pay(order_id, PRICE).accepted
    till.enter_pin("ben", shown)
    till.work()
    (attempt,) = till.attempts(order_id)
    assert (attempt.state, attempt.error) == ("surplus", "overpaid")
    assert till.alerts() == ["wechat_pay.payment_surplus"]
    assert till.order(order_id).paid == PRICE
    till.check()


@pytest.mark.parametrize(
    "change",
    ["amount = amount + 1", "app_id = 'wx0000000000000000'", "mch_id = '1900000000'", "currency = 'USD'"],
)
def test_a_payment_that_is_not_what_was_asked_for_is_not_taken(till: Till, change: str) -> None:
    order_id = till.shop.order("ben")
    shown = dict(till.checkout(order_id).data)
    till.shop.rows(f"UPDATE pay_attempts SET {change} RETURNING 1")
    till.enter_pin("ben", shown)
    till.work()
    (attempt,) = till.attempts(order_id)
    assert attempt.state == "disputed"
    assert " is " in attempt.error
    assert till.alerts() == ["wechat_pay.payment_disputed"]
    assert till.order(order_id).paid == 0
    with pytest.raises(UnderReview):
        till.checkout(order_id)
    till.check()


def test_a_notice_about_an_order_that_is_none_of_ours_alarms(till: Till) -> None:
    order_id = till.shop.order("ben")
    shown = dict(till.checkout(order_id).data)
    till.shop.rows("DELETE FROM pay_attempts RETURNING 1")
    till.enter_pin("ben", shown)
    till.work()
    assert till.alerts() == ["wechat_pay.unknown_notice"]
    assert till.order(order_id).paid == 0


def test_what_cannot_be_paid_says_so(till: Till) -> None:
    order_id = till.shop.order("ben")
    till.fault("errcode", "/v3/pay/transactions/jsapi", value="PARAM_ERROR")
    with pytest.raises(checkout.CheckoutRefused, match="PARAM_ERROR"):
        till.checkout(order_id)
    assert [one.state for one in till.attempts(order_id)] == ["refused"]
    till.fault("errcode", "/v3/pay/transactions/jsapi", value="NO_AUTH")
    with pytest.raises(CheckoutBusy):
        till.checkout(order_id)
    assert till.alerts() == ["wechat_pay.account"]
    till.pay(order_id)  # somebody gave us the permission meanwhile
    till.work()
    assert till.alerts() == []
    assert till.order(order_id).state == "paid"
    with till.parts.open(till.workspace) as ctx:
        ctx.session.connection().exec_driver_sql("UPDATE channel_accounts SET state = 'disabled'")
    with pytest.raises(queries.NotConnected):
        till.checkout(till.shop.order("ben"))


def test_a_clock_six_minutes_off_believes_nothing_and_loses_nothing(till: Till) -> None:
    order_id = till.shop.order("ben")
    shown = dict(till.checkout(order_id).data)
    till.parts.clock.ahead = timedelta(minutes=6)  # type: ignore[attr-defined]
    till.enter_pin("ben", shown)
    till.work()
    assert [state for _, state, _ in till.inbox()] == ["refused"]
    assert till.order(order_id).state == "placed"
    with pytest.raises(CheckoutBusy):
        till.checkout(till.shop.order("ben"))
    till.parts.clock.ahead = timedelta(0)  # type: ignore[attr-defined]
    till.advance(minutes=10)
    till.work()
    assert till.order(order_id).state == "paid"
    till.check()


def test_money_for_an_attempt_that_was_thought_closed_is_taken_while_another_one_is_open(till: Till) -> None:
    order_id = till.shop.order("ben", through="ann")
    first = dict(till.checkout(order_id).data)
    till.shop.rows("UPDATE pay_attempts SET state = 'closed' RETURNING 1")
    till.checkout(order_id, "ann")
    assert [one.state for one in till.attempts(order_id)] == ["closed", "open"]
    till.enter_pin("ben", first)
    with pytest.raises(BeingPaid):
        till.checkout(order_id, "ann")
    till.work()
    assert till.order(order_id).state == "paid"
    till.advance(minutes=11)
    till.work()
    assert [one.state for one in till.attempts(order_id)] == ["paid", "closed"]
    till.check()


def test_both_attempts_paid_is_one_payment_and_one_surplus(till: Till) -> None:
    order_id = till.shop.order("ben")
    first = dict(till.checkout(order_id).data)
    till.shop.rows("UPDATE pay_attempts SET state = 'closed' RETURNING 1")
    second = dict(till.checkout(order_id, "ann").data)
    till.enter_pin("ben", first)
    till.enter_pin("ann", second)
    till.work()
    assert sorted(one.state for one in till.attempts(order_id)) == ["paid", "surplus"]
    assert till.order(order_id).paid == PRICE
    assert till.alerts() == ["wechat_pay.payment_surplus"]
    till.check()


def test_an_address_wechat_pay_would_not_call_is_said_at_once(till: Till) -> None:
    order_id = till.shop.order("ben")
    settings = dataclasses.replace(till.parts.settings, public_url="http://shop.example.com")
    till.parts = dataclasses.replace(till.parts, settings=settings)
    with pytest.raises(checkout.CheckoutRefused, match="https"):
        till.checkout(order_id)
    assert [one.state for one in till.attempts(order_id)] == ["refused"]
    assert till.asked("/v3/pay") == 0
