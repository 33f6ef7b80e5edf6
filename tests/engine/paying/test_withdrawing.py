"""Withdrawals through WeChat Pay: confirmed on the phone, or back in the wallet; never sent twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from growth_engine.channels.wechat_pay import NewTransfer, Transfer, Transfers
from growth_engine.context import Parts
from growth_engine.paying import calls, queries, rules, transfers
from growth_engine.payouts import sending
from growth_engine.people import service as people
from growth_engine.people.models import Message
from growth_engine.sandbox import Sandbox, faults
from tests.factories.selling import PRICE
from tests.factories.tills import Till

TRANSFER = "/v3/fund-app/mch-transfer/transfer-bills"


@pytest.fixture
def rich(parts: Parts, sandbox: Sandbox) -> Till:
    """ann has a hundred yuan in her wallet."""
    till = Till.open(parts, sandbox)
    till.earn("ann", 10_000)
    return till


def sent(till: Till) -> int:
    return len(till.sandbox.world.store.all("pay.transfers"))


def told(till: Till) -> list[tuple[str, Any]]:
    """What people were told about money that waits for them."""
    with till.parts.open(till.workspace) as ctx:
        rows = ctx.session.scalars(select(Message).where(Message.template == "payout_to_confirm"))
        return [(row.template, row.params) for row in rows]


def test_a_withdrawal_is_confirmed_on_the_phone(rich: Till) -> None:
    before = rich.phones["ann"].balance
    payout_id = rich.withdraw("ann", 5_000)
    rich.work("payouts.send")
    row = rich.transfer(payout_id)
    assert row is not None
    assert (row.state, row.number) == ("WAIT_USER_CONFIRM", payout_id.replace("_", ""))
    assert rich.payout(payout_id).state == "waiting"
    rich.work("paying.transfers")
    assert told(rich) == [("payout_to_confirm", {"amount": 5_000, "currency": "CNY"})], "once"
    rich.confirm("ann", payout_id)
    rich.advance(seconds=2)
    rich.work()
    assert rich.payout(payout_id).state == "paid"
    assert rich.payout(payout_id).provider_ref == row.bill_no
    assert rich.phones["ann"].balance == before + 5_000
    ended = rich.transfer(payout_id)
    assert ended is not None
    assert (ended.state, ended.openid, ended.package) == ("SUCCESS", "", "")
    with rich.parts.open(rich.workspace) as ctx:
        assert queries.confirmation(ctx, payout_id) is None
    assert rich.shop.available("ann") == 5_000
    rich.check()


def test_no_notice_comes_and_the_end_is_asked_for(rich: Till) -> None:
    rich.fault("lose", on="callback", times=99)
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    rich.confirm("ann", payout_id)
    rich.run(0.5)
    assert rich.payout(payout_id).state == "paid"
    rich.check()


@pytest.mark.parametrize("action", ["duplicate", "concurrent"])
def test_an_end_that_is_told_twice_is_one_end(rich: Till, action: str) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    rich.fault(action, on="callback")
    rich.confirm("ann", payout_id)
    rich.advance(seconds=2)
    rich.work()
    assert rich.payout(payout_id).state == "paid"
    rich.check()


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
def test_an_unknown_answer_keeps_the_number_and_pays_once(rich: Till, fault: str) -> None:
    """Acceptance case 8: the answer is lost after the money moved, or before."""
    rich.fault(fault, TRANSFER)
    before = rich.merchant()
    payout_id = rich.withdraw("ann", 5_000)
    rich.work("payouts.send")
    assert rich.payout(payout_id).state == "unknown"
    assert rich.shop.available("ann") == 5_000
    rich.run(0.1, 0.01)
    assert rich.payout(payout_id).state == "waiting"
    assert sent(rich) == 1
    rich.confirm("ann", payout_id)
    rich.advance(seconds=2)
    rich.work()
    assert rich.payout(payout_id).state == "paid"
    assert rich.merchant() == before - 5_000
    rich.check()


def test_answers_lost_three_times_pay_once(rich: Till) -> None:
    rich.fault("lose_answer", "*transfer-bills*", times=3)
    payout_id = rich.withdraw("ann", 5_000)
    rich.run(0.5, 0.02)
    assert rich.payout(payout_id).state == "waiting"
    assert sent(rich) == 1
    rich.check()


@pytest.mark.parametrize("state", ["FAIL", "CANCELLED"])
@pytest.mark.parametrize("notices", ["told", "lost"])
def test_what_nobody_confirms_within_a_day_is_back_in_the_wallet(
    rich: Till, state: str, notices: str
) -> None:
    """Acceptance case 8, and the next withdrawal has a number of its own."""
    rich.sandbox.options(
        transfer_expiry_state=state, transfer_expiry_reason="OVERDUE_CLOSE" if state == "FAIL" else ""
    )
    if notices == "lost":
        rich.fault("lose", on="callback", times=99)
    before = rich.merchant()
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    rich.run(23, 1)
    assert rich.payout(payout_id).state == "waiting"
    rich.run(2, 0.5)
    payout = rich.payout(payout_id)
    assert (payout.state, payout.error) == ("failed", "expired")
    assert rich.shop.available("ann") == 10_000
    assert rich.merchant() == before
    again = rich.withdraw("ann", 5_000)
    rich.work()
    rich.confirm("ann", again)
    rich.advance(seconds=2)
    rich.run(0.5)
    assert rich.payout(again).state == "paid"
    assert sent(rich) == 2
    rich.check()


def test_too_little_money_at_the_merchant_waits_and_alarms(rich: Till) -> None:
    rich.sandbox.merchant(balance=100)
    payout_id = rich.withdraw("ann", 5_000)
    rich.work("payouts.send")
    payout = rich.payout(payout_id)
    assert (payout.state, payout.error) == ("unknown", "NOT_ENOUGH")
    assert rich.alerts() == ["wechat_pay.funds"]
    rich.sandbox.merchant(balance=10_000_000)
    rich.run(1)
    assert rich.payout(payout_id).state == "waiting"
    assert rich.alerts() == []
    assert sent(rich) == 1
    rich.check()


@pytest.mark.parametrize("code", ["PARAM_ERROR", "RULE_LIMIT", "INVALID_REQUEST"])
def test_a_signed_no_gives_the_money_back(rich: Till, code: str) -> None:
    rich.fault("errcode", TRANSFER, value=code)
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    payout = rich.payout(payout_id)
    assert (payout.state, payout.error) == ("failed", code)
    assert rich.shop.available("ann") == 10_000
    assert sent(rich) == 0
    rich.check()


def test_what_wechat_pay_cannot_carry_is_not_sent(rich: Till) -> None:
    rich.earn("ann", 500_000)
    rich.shop.join("dan")
    rich.earn("dan", 1_000)
    too_much, stranger = rich.withdraw("ann", 250_000), rich.withdraw("dan", 1_000)
    rich.work()
    assert (rich.payout(too_much).state, rich.payout(too_much).error) == ("failed", "real_name_needed")
    assert (rich.payout(stranger).state, rich.payout(stranger).error) == ("failed", "not_known_in_wechat")
    assert rich.asked(TRANSFER) == 0
    rich.check()


def test_a_payee_without_a_real_name_fails_on_confirming(parts: Parts, sandbox: Sandbox) -> None:
    till = Till.open(parts, sandbox)
    till.enter("eve", real_named=False)
    till.earn("eve", 1_000)
    payout_id = till.withdraw("eve", 1_000)
    till.work()
    till.confirm("eve", payout_id)
    till.advance(seconds=2)
    till.work()
    assert (till.payout(payout_id).state, till.payout(payout_id).error) == (
        "failed",
        "PAYEE_ACCOUNT_ABNORMAL",
    )
    assert till.shop.available("eve") == 1_000
    till.check()


def test_a_transfer_is_taken_back_before_it_is_confirmed(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    transfers.cancel(rich.parts, rich.workspace, payout_id)
    with rich.parts.open(rich.workspace) as ctx:
        assert queries.confirmation(ctx, payout_id) is None
    rich.advance(seconds=6)
    rich.work()
    assert (rich.payout(payout_id).state, rich.payout(payout_id).error) == ("failed", "cancelled")
    assert rich.shop.available("ann") == 10_000
    with pytest.raises(transfers.CannotCancel):
        transfers.cancel(rich.parts, rich.workspace, payout_id)
    rich.check()


def test_confirming_wins_against_taking_back(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    rich.confirm("ann", payout_id)
    with pytest.raises(transfers.CannotCancel):
        transfers.cancel(rich.parts, rich.workspace, payout_id)
    rich.advance(seconds=2)
    rich.work()
    assert rich.payout(payout_id).state == "paid"
    rich.check()


def test_after_thirty_days_not_found_says_nothing(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    rich.sandbox.options(transfer_expiry_state="FAIL")
    rich.fault("lose", on="callback", times=99)
    rich.fault("status", "*out-bill-no*", value=502, times=99)
    rich.run(31 * 24, 48)
    faults.clear(rich.sandbox.world)
    rich.run(3, 1)
    assert rich.payout(payout_id).state == "unknown"
    assert "wechat_pay.transfer_disputed" in rich.alerts()
    assert sent(rich) == 1
    rich.check()


def test_a_notice_about_another_amount_ends_nothing(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    rich.shop.rows("UPDATE pay_transfers SET amount = amount + 1 RETURNING 1")
    rich.confirm("ann", payout_id)
    rich.advance(seconds=2)
    rich.work()
    assert rich.payout(payout_id).state == "waiting"
    assert rich.alerts() == ["wechat_pay.transfer_disputed"]
    rich.advance(minutes=11)
    rich.work("payouts.send")
    assert rich.payout(payout_id).state == "unknown"
    rich.check()


def test_money_that_leaves_after_a_refusal_alarms(rich: Till) -> None:
    """The first request was slow on its way, the second one refused: the person has the money, and so has
    the wallet."""
    payout_id = rich.withdraw("ann", 5_000)
    rich.fault("errcode", TRANSFER, value="RULE_LIMIT", times=1)
    rich.work()
    row = rich.transfer(payout_id)
    assert row is not None
    assert (row.state, rich.payout(payout_id).state) == ("REFUSED", "failed")
    with rich.parts.open(rich.workspace) as ctx:
        merchant = queries.merchant(ctx)
    late = NewTransfer(
        out_bill_no=row.number,
        openid=rich.phones["ann"].openid(),
        amount=row.amount,
        scene_id=row.scene,
        reports=tuple(row.reports.items()),
        remark=row.remark,
        notify_url=calls.notify_url(rich.parts, rich.account),
    )
    api = Transfers(calls.client(rich.parts, merchant))
    made = api.make(late)
    sheet = rich.phones["ann"].do("transfer_sheet", request=api.page_call(made.package))
    rich.phones["ann"].do("confirm_transfer", package=sheet["package"])
    rich.advance(seconds=2)
    rich.work()
    assert rich.alerts() == ["wechat_pay.transfer_disputed"]
    row = rich.transfer(payout_id)
    assert row is not None
    assert (row.state, row.error) == ("REFUSED", "RULE_LIMIT")
    rich.run(24, 12)
    rich.work("paying.bills")
    assert rich.bill(rich.today() - timedelta(days=1)).findings[0]["kind"] == "refused_but_sent"
    rich.check()


def test_another_result_brought_by_hand_alarms_when_the_platform_speaks(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    sending.finish(rich.parts, rich.workspace, payout_id, paid=False, detail="by hand")
    assert rich.payout(payout_id).state == "failed"
    rich.confirm("ann", payout_id)
    rich.advance(seconds=2)
    rich.work()
    assert rich.payout(payout_id).state == "failed"
    assert rich.alerts() == ["wechat_pay.transfer_disputed"]
    rich.check()


def test_a_notice_quicker_than_the_answer_to_taking_back_is_the_last_word(
    rich: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout_id = rich.withdraw("ann", 5_000)
    rich.work()
    ask = Transfers.cancel

    def slowly(self: Transfers, number: str) -> Transfer:
        told = ask(self, number)
        rich.advance(seconds=2)
        rich.work("inbox.interpret")
        return told

    monkeypatch.setattr(Transfers, "cancel", slowly)
    transfers.cancel(rich.parts, rich.workspace, payout_id)
    row = rich.transfer(payout_id)
    assert row is not None
    assert row.state == "CANCELLED"
    rich.work("paying.transfers")
    assert (rich.payout(payout_id).state, rich.payout(payout_id).error) == ("failed", "cancelled")
    rich.check()


def test_numbers_are_made_of_ids_and_lead_back_to_them(rich: Till) -> None:
    payout_id = rich.withdraw("ann", 100)
    number = rules.bill_number(payout_id)
    assert number.isalnum()
    assert len(number) <= 32
    assert rules.payout_of(number) == payout_id
    assert rules.payout_of("someoneelses") is None


def test_commission_earned_through_wechat_pay_is_withdrawn_through_it(till: Till) -> None:
    """The full circle: order, pay, notice, commission, partial refund, maturity, withdrawal, confirmation."""
    order_id = till.bought(2)
    till.refund(order_id, PRICE)
    till.run(0.1, 0.05)
    till.shop.mature_all()
    earned = till.shop.available("ann")
    assert earned == PRICE // 5
    payout_id = till.withdraw("ann", earned)
    till.work()
    till.confirm("ann", payout_id)
    till.advance(seconds=2)
    till.work()
    assert till.payout(payout_id).state == "paid"
    till.refund(order_id, PRICE)  # the rest comes back after the money has left: a debt
    till.run(0.1, 0.05)
    assert till.shop.available("ann") == -earned
    assert till.alerts() == []
    till.check()


def test_keys_move_from_certificate_to_public_key_while_money_is_under_way(
    parts: Parts, sandbox: Sandbox
) -> None:
    from growth_engine.connections import service as connections
    from growth_engine.connections.service import Entered
    from tests.factories.tills import connect_sandbox

    sandbox.merchant(mode="certificate")
    till = Till.open(parts, sandbox)
    till.shop.rows("DELETE FROM channel_accounts RETURNING 1")
    till.account = connect_sandbox(parts, till.workspace, sandbox, certificate=True)
    first = till.bought()
    open_order = till.shop.order("ben", through="ann")
    shown = dict(till.checkout(open_order).data)
    sandbox.merchant(mode="both")
    known = sandbox.credentials["pay"]
    with parts.open(till.workspace) as ctx:
        ids = {"mchid": known["mchid"], "appid": known["appid"], "serial_no": known["merchant_serial"]}
        entered = Entered("Pay", ids, platform_keys=((known["public_key_id"], known["public_key"]),))
        connections.correct(ctx, till.account, entered)
    till.advance(seconds=10)
    till.enter_pin("ben", shown)
    for _ in range(4):
        till.bought()
    till.refund(first, PRICE)
    sandbox.merchant(mode="public_key")
    till.advance(seconds=10)
    till.work()
    assert till.order(first).state == "refunded"
    assert till.order(open_order).state == "paid"
    till.shop.mature_all()
    payout_id = till.withdraw("ann", 1_000)
    till.work()
    till.confirm("ann", payout_id)
    till.advance(seconds=timedelta(seconds=2).total_seconds())
    till.work()
    assert till.payout(payout_id).state == "paid"
    assert {state for _, state, _ in till.inbox()} == {"done"}
    till.check()


def test_who_was_paid_is_forgotten_when_it_is_over_and_with_the_person(rich: Till) -> None:
    order_id = rich.shop.order("ann")
    rich.checkout(order_id, "ann")
    payout_id = rich.withdraw("ann", 1_000)
    rich.work()
    openid, contact = rich.phones["ann"].openid(), rich.shop.contacts["ann"]
    with rich.parts.open(rich.workspace) as ctx:
        held = people.export(ctx, contact)
        people.erase(ctx, contact)
    assert held["pay_transfers"][0]["openid"] == openid
    assert held["pay_attempts"][0]["openid"] == openid
    assert rich.attempts(order_id)[0].openid == ""
    rich.run(25, 1)  # what was under way comes to its end
    assert rich.payout(payout_id).state == "failed"
    left = rich.shop.rows(
        "SELECT 1 FROM pay_transfers WHERE openid <> '' OR package <> ''"
        " UNION ALL SELECT 1 FROM pay_attempts WHERE openid <> ''"
    )
    assert left == []
    rich.check()
