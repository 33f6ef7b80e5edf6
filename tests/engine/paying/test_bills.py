"""The daily bills held against the books: what nobody told us is taken in, what does not agree is shown."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from growth_engine.channels.quota import CHINA
from growth_engine.kit import jobs
from growth_engine.paying import bills
from tests.factories.selling import PRICE
from tests.factories.tills import Till


def to_next_morning(till: Till) -> None:
    """The bills of today are there."""
    ready = datetime.combine(till.today() + timedelta(days=1), time(10, 1), CHINA)
    till.sandbox.advance((ready - till.parts.clock.now()).total_seconds())
    till.sandbox.settle()


def compared(till: Till) -> Any:
    """The report about yesterday, after the workers had their turn."""
    while jobs.drain(till.parts, "paying.bills", till.workspace)[0]:
        till.work()
    return till.bill(till.today() - timedelta(days=1))


def test_a_day_on_which_all_agrees(till: Till) -> None:
    order_id = till.bought(2)
    till.refund(order_id, PRICE)
    till.advance(seconds=5)
    till.work()
    till.shop.mature_all()
    payout_id = till.withdraw("ann", 1_000)
    till.work()
    till.confirm("ann", payout_id)
    till.advance(seconds=2)
    till.work()
    assert jobs.drain(till.parts, "paying.bills", till.workspace)[0] == 0  # not before ten
    to_next_morning(till)
    report = compared(till)
    assert (report.state, report.payments, report.refunds, report.transfers) == ("compared", 1, 1, 1)
    assert (report.taken_in, report.findings, report.foreign_lines) == ([], [], 0)
    assert till.alerts() == []
    assert jobs.drain(till.parts, "paying.bills", till.workspace)[0] == 0
    till.check()


def test_payments_nobody_told_us_about_are_taken_in_once(till: Till) -> None:
    """Notices lost, and questions unanswered all day."""
    till.fault("lose", on="callback", times=999)
    placed = [till.shop.order("ben", through="ann", minutes=3 * 24 * 60) for _ in range(3)]
    for order_id in placed:
        till.pay(order_id)
    to_next_morning(till)
    report = compared(till)
    assert sorted(one["kind"] for one in report.taken_in) == ["payment"] * 3
    assert report.findings == []
    assert [till.order(one).state for one in placed] == ["paid"] * 3
    assert till.shop.pending("ann") == 3 * (PRICE // 5)
    with till.parts.open(till.workspace) as ctx:
        bills.again(ctx, till.account, report.day)
    again = compared(till)
    assert (again.taken_in, again.payments) == (report.taken_in, 3)
    assert [one.state for order_id in placed for one in till.attempts(order_id)] == ["paid"] * 3
    till.check()


def test_a_refund_made_elsewhere_is_taken_in(till: Till) -> None:
    order_id = till.bought()
    till.fault("lose", on="callback", times=999)
    till.refund(order_id, PRICE, "refund-number-9")
    till.shop.rows("DELETE FROM refund_requests RETURNING 1")
    to_next_morning(till)
    report = compared(till)
    assert report.taken_in == [{"kind": "refund", "number": "refund-number-9", "amount": PRICE}]
    assert till.order(order_id).refunded == PRICE
    till.check()


def test_business_that_did_not_go_through_us_is_counted_and_left_alone(till: Till) -> None:
    order_id = till.shop.order("ben")
    shown = dict(till.checkout(order_id).data)
    till.shop.rows("DELETE FROM pay_attempts RETURNING 1")
    till.fault("lose", on="callback", times=9)
    till.enter_pin("ben", shown)
    to_next_morning(till)
    report = compared(till)
    assert (report.foreign_lines, report.payments, report.findings) == (1, 0, [])
    assert till.alerts() == []


def test_what_does_not_agree_is_found_and_alarms_until_it_does(till: Till) -> None:
    order_id, other = till.bought(), till.bought()
    till.shop.mature_all()
    payout_id = till.withdraw("ann", 1_000)
    till.work()
    till.shop.rows(
        "UPDATE pay_attempts SET amount = amount + 5 WHERE order_id = :id RETURNING 1", id=order_id
    )
    till.shop.rows(
        "UPDATE pay_attempts SET transaction_id = 'never-was' WHERE order_id = :id RETURNING 1", id=other
    )
    till.shop.rows("UPDATE pay_transfers SET amount = amount + 7 RETURNING 1")
    to_next_morning(till)
    report = compared(till)
    kinds = sorted(one["kind"] for one in report.findings)
    assert kinds == ["payment_disputed", "payment_not_in_bill", "transfer_amount"]
    assert "wechat_pay.bill" in till.alerts()
    till.shop.rows(
        "UPDATE pay_attempts SET amount = amount - 5 WHERE order_id = :id RETURNING 1", id=order_id
    )
    till.shop.rows(
        "UPDATE pay_attempts a SET transaction_id = p.external_id FROM payments p"
        " WHERE p.order_id = a.order_id AND a.order_id = :id RETURNING 1",
        id=other,
    )
    till.shop.rows("UPDATE pay_transfers SET amount = amount - 7 RETURNING 1")
    with till.parts.open(till.workspace) as ctx:
        bills.again(ctx, till.account, report.day)
    assert compared(till).findings == []
    assert "wechat_pay.bill" not in till.alerts()
    assert till.payout(payout_id).state in ("waiting", "unknown")


def test_money_that_left_under_a_number_of_ours_we_do_not_know_is_found(till: Till) -> None:
    till.earn("ann", 5_000)
    payout_id = till.withdraw("ann", 1_000)
    till.work()
    number = payout_id.replace("_", "")
    till.shop.rows("DELETE FROM pay_transfers RETURNING 1")
    to_next_morning(till)
    found = compared(till).findings
    assert [(one["kind"], one["number"]) for one in found] == [("unknown_transfer", number)]


def test_bills_that_do_not_come_are_asked_for_again_and_alarm(till: Till) -> None:
    till.bought()
    to_next_morning(till)
    till.fault("status", "/v3/bill/*", value=502, times=3)
    for _ in range(3):
        assert compared(till).state == "waiting"
        till.advance(minutes=20)
    assert till.alerts() == ["wechat_pay.bill_missing"]
    report = compared(till)
    assert (report.state, report.payments, report.error) == ("compared", 1, "")
    assert till.alerts() == []


def test_days_missed_in_a_standstill_are_made_up_for(till: Till) -> None:
    order_id = till.bought()
    day = till.today()
    till.advance(days=3)
    compared(till)
    assert till.bill(day).payments == 1
    assert till.bill(day + timedelta(days=1)).state == "compared"
    assert till.order(order_id).state == "paid"


def test_a_day_that_cannot_be_compared_is_refused(till: Till) -> None:
    with till.parts.open(till.workspace) as ctx:
        for day in (till.today(), till.today() + timedelta(days=1), till.today() - timedelta(days=91)):
            with pytest.raises(bills.NoSuchDay):
                bills.again(ctx, till.account, day)
