"""Asking for money: what is set aside, what is refused and why, and what a hundred at once come to."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from growth_engine.ledger.contract import Event, PayloadMismatch
from growth_engine.ledger.money import wallet_book
from growth_engine.payouts import queries, rules, sending, service, statement
from growth_engine.payouts.rules import Policy
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from growth_engine.settings import Settings
from tests.conftest import START
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import balance, check_books, deposit, payout_row
from tests.factories.workspaces import make_workspace


def test_money_asked_for_is_set_aside_and_the_row_says_the_same(shop: Shop) -> None:
    fan = shop.fan(10_000)
    payout_id = shop.asked(fan, 4_000, told={"account": "6222 0000"})
    row = payout_row(shop.parts, shop.workspace, payout_id)
    assert (row.state, row.amount, row.net, row.tax, row.fee) == ("approved", 4_000, 4_000, 0, 0)
    assert (row.contact_id, row.currency, row.provider, row.policy_version) == (fan, "CNY", "manual", 1)
    assert row.recipient == {"account": "6222 0000"}
    assert (shop.available(fan), shop.reserved(fan)) == (6_000, 4_000)
    check_books(shop.parts, shop.workspace)


def test_the_same_request_twice_is_one_withdrawal_and_another_under_its_key_is_refused(shop: Shop) -> None:
    fan = shop.fan(10_000)
    first, again = shop.ask(fan, 100, key="k"), shop.ask(fan, 100, key="k")
    assert again.payout_id == first.payout_id
    assert (first.duplicate, again.duplicate) == (False, True)
    with pytest.raises(PayloadMismatch):
        shop.ask(fan, 200, key="k")
    assert shop.reserved(fan) == 100


@pytest.mark.parametrize("amount", [0, -1, 10**12 + 1])
def test_what_is_no_amount_is_refused_before_the_books(shop: Shop, amount: int) -> None:
    with pytest.raises(Invalid):
        shop.ask(shop.fan(), amount)


def codes(outcome: service.Outcome) -> list[str]:
    assert not outcome.accepted
    assert outcome.payout_id is None
    return [reason.code for reason in outcome.reasons]


def test_every_refusal_says_why_and_moves_nothing(shop: Shop) -> None:
    shop.policy(minimum=500, fee_fixed=400, daily_amount=5_000, daily_count=2)
    fan = shop.fan(10_000)
    assert codes(shop.ask(fan, 499)) == ["below_minimum"]
    assert codes(shop.ask(fan, 600, currency="USD")) == ["currency_not_paid_out"]
    assert codes(shop.ask(fan, 5_001)) == ["daily_amount"]
    shop.asked(fan, 3_000)
    refused = shop.ask(fan, 2_001)
    assert codes(refused) == ["daily_amount"]
    assert refused.reasons[0].params == {"limit": 5_000, "left": 2_000, "currency": "CNY"}
    shop.asked(fan, 500)
    assert codes(shop.ask(fan, 500)) == ["daily_count"]
    poor = shop.fan(700)
    refused = shop.ask(poor, 701)
    assert codes(refused) == ["not_enough"]
    assert refused.reasons[0].params == {"available": 700, "currency": "CNY"}
    assert codes(shop.ask(shop.fan(0), 500)) == ["not_enough"]
    with shop.parts.open(shop.workspace) as ctx:
        people_service.block(ctx, poor, "farm")
    assert codes(shop.ask(poor, 600)) == ["withdrawals_blocked"]
    assert (shop.available(fan), shop.available(poor)) == (6_500, 700)
    check_books(shop.parts, shop.workspace)


def test_a_debt_is_no_money(shop: Shop) -> None:
    fan = shop.fan(1_000)
    deposit(shop.parts, shop.workspace, fan, -1_500)
    refused = shop.ask(fan, 100)
    assert codes(refused) == ["not_enough"]
    assert refused.reasons[0].params["available"] == 0


def test_nobody_withdraws_for_somebody_unknown_erased_or_of_another_workspace(shop: Shop) -> None:
    fan = shop.fan(1_000)
    elsewhere = Shop(shop.parts, make_workspace(shop.parts))
    with pytest.raises(people.UnknownContact):
        elsewhere.ask(fan, 100)
    with shop.parts.open(shop.workspace) as ctx:
        people_service.erase(ctx, fan)
    with pytest.raises(people.UnknownContact):
        shop.ask(fan, 100)
    assert shop.available(fan) == 1_000


# -- acceptance 3 of plays.md ------------------------------------------------------------------------


def _storm(ask: Callable[[], Any], threads: int) -> list[Any]:
    start = threading.Barrier(threads)
    outcomes: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        start.wait()
        try:
            outcomes.append(ask())
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert errors == []
    return outcomes


def test_of_a_hundred_parallel_withdrawals_of_a_full_balance_one_succeeds(shop: Shop) -> None:
    fan = shop.fan(9_900)
    outcomes = _storm(lambda: shop.ask(fan, 9_900), 100)
    assert sum(one.accepted for one in outcomes) == 1
    assert {one.reasons[0].code for one in outcomes if not one.accepted} == {"not_enough"}
    assert (shop.available(fan), shop.reserved(fan)) == (0, 9_900)
    check_books(shop.parts, shop.workspace)


def _withdraw_in_a_process(settings: Settings, workspace: str, fan: str, gate: Any, found: Any) -> None:
    parts = build_parts(settings, clock=FixedClock(START))
    gate.wait()
    found.put(_forty_withdrawals(parts, workspace, fan))
    parts.close()


def _forty_withdrawals(parts: Parts, workspace: str, fan: str) -> list[bool]:
    facts = {"contact_id": fan, "amount": 9_900, "currency": "CNY"}

    def ask() -> Any:
        # Straight to the poster: a hundred connections more than the database has would be no test of it.
        key, now = parts.ids.new("key"), parts.clock.now()
        return parts.ledger.submit(
            Event(workspace, wallet_book(workspace), "payout_reserve", "test", key, now, facts)
        )

    return [one.accepted for one in _storm(ask, 40)]


def test_processes_that_withdraw_at_once_do_not_pay_twice_either(shop: Shop, settings: Settings) -> None:
    fan = shop.fan(9_900)
    spawn = multiprocessing.get_context("spawn")
    gate, found = spawn.Barrier(3), spawn.Queue()
    running = [
        spawn.Process(target=_withdraw_in_a_process, args=(settings, shop.workspace, fan, gate, found))
        for _ in range(2)
    ]
    for process in running:
        process.start()
    gate.wait()
    accepted = _forty_withdrawals(shop.parts, shop.workspace, fan)
    accepted += [one for _ in running for one in found.get(timeout=60)]
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0]
    assert len(accepted) == 120
    assert sum(accepted) == 1
    assert (shop.available(fan), shop.reserved(fan)) == (0, 9_900)
    check_books(shop.parts, shop.workspace)


def test_a_withdrawal_racing_a_clawback_leaves_a_debt_or_a_refusal_and_books_that_add_up(shop: Shop) -> None:
    for _ in range(10):
        fan = shop.fan(1_000)
        start = threading.Barrier(2)

        def claw_back(fan: str = fan, start: threading.Barrier = start) -> None:
            start.wait()
            deposit(shop.parts, shop.workspace, fan, -600)

        thread = threading.Thread(target=claw_back)
        thread.start()
        start.wait()
        outcome = shop.ask(fan, 1_000)
        thread.join()
        if outcome.accepted:
            assert (shop.available(fan), shop.reserved(fan)) == (-600, 1_000)
        else:
            assert (shop.available(fan), shop.reserved(fan)) == (400, 0)
    check_books(shop.parts, shop.workspace)


# -- limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Asia/Shanghai", "2026-06-01T16:00"),
        ("Europe/Berlin", "2026-03-28T23:00"),
        ("Europe/Berlin", "2026-03-29T22:00"),  # the day before had 23 hours
        ("America/Los_Angeles", "2026-11-02T08:00"),  # and this one 25
    ],
)
def test_a_new_day_begins_at_midnight_of_the_workspace(
    parts: Parts, clock: FixedClock, zone: str, midnight: str
) -> None:
    after = datetime.fromisoformat(midnight).replace(tzinfo=UTC)
    shop = Shop(parts, make_workspace(parts, timezone=zone))
    clock.set(after - timedelta(hours=22))
    shop.policy(daily_count=1, daily_amount=500)
    fan = shop.fan(10_000)
    shop.asked(fan, 500)
    clock.set(after - timedelta(milliseconds=1))
    assert codes(shop.ask(fan, 100)) == ["daily_count"]
    clock.set(after)
    shop.asked(fan, 500)
    assert codes(shop.ask(fan, 100)) == ["daily_count"]


def test_what_was_given_back_counts_towards_no_limit(shop: Shop) -> None:
    shop.policy(daily_count=1, daily_amount=500, approve_above=0)
    fan = shop.fan(10_000)
    first = shop.asked(fan, 500)
    assert codes(shop.ask(fan, 100)) == ["daily_count"]
    assert shop.cancel(first, fan).accepted
    second = shop.asked(fan, 400)
    assert shop.reject(second).accepted
    shop.asked(fan, 500)


def test_a_batch_counts_its_own_requests(shop: Shop) -> None:
    """Ten requests posted in one transaction see each other."""
    shop.policy(daily_count=3)
    fan = shop.fan(10_000)
    book, now = wallet_book(shop.workspace), shop.parts.clock.now()
    facts = {"contact_id": fan, "amount": 1_000, "currency": "CNY"}
    receipts = shop.parts.ledger.submit_many(
        [Event(shop.workspace, book, "payout_reserve", "test", f"b{n}", now, facts) for n in range(10)]
    )
    assert [receipt.accepted for receipt in receipts] == [True] * 3 + [False] * 7
    assert shop.reserved(fan) == 3_000
    check_books(shop.parts, shop.workspace)


# -- pure rules --------------------------------------------------------------------------------------


def test_withholding_is_rounded_down_each_for_itself() -> None:
    split = rules.withheld(9_999, Policy(tax_bp=2_000, fee_bp=60, fee_fixed=10))
    assert (split.tax, split.fee, split.net) == (1_999, 69, 7_931)


def test_approvals_by_amount() -> None:
    policy = Policy(approve_above=1_000, second_above=5_000)
    assert [rules.approvals_needed(one, policy) for one in (1_000, 1_001, 5_000, 5_001)] == [0, 1, 1, 2]
    assert rules.approvals_needed(1, Policy()) == 1
    assert rules.approvals_needed(10**9, Policy()) == 1


def test_a_policy_that_cannot_work_is_refused_by_field(shop: Shop) -> None:
    wrong = [
        ({"minimum": 0}, "minimum"), ({"daily_count": 0}, "daily_count"), ({"tax_bp": -1}, "tax_bp"),
        ({"minimum": 500, "daily_amount": 400}, "daily_amount"), ({"fee_fixed": 100}, "minimum"),
        ({"approve_above": 10, "second_above": 9}, "second_above"), ({"provider": "nobody"}, "provider"),
        ({"identity_check": "nothing"}, "identity_check"), ({"tax_bp": 6_000, "fee_bp": 4_000}, "tax_bp"),
    ]  # fmt: skip
    for changes, field in wrong:
        with pytest.raises(Invalid) as refused:
            shop.policy(**changes)
        assert list(refused.value.extra["errors"]) == [field]


def test_every_change_of_the_rules_is_a_version_and_payouts_keep_theirs(shop: Shop) -> None:
    fan = shop.fan(10_000)
    first = shop.asked(fan, 1_000)
    assert shop.policy(tax_bp=1_000).version == 2
    assert shop.policy(tax_bp=1_000).version == 2, "the same again is no change"
    second = shop.asked(fan, 1_000)
    rows = [payout_row(shop.parts, shop.workspace, one) for one in (first, second)]
    assert [(row.policy_version, row.tax) for row in rows] == [(1, 0), (2, 100)]
    with shop.parts.open(shop.workspace) as ctx:
        assert [one.version for one in queries.policies(ctx)] == [2, 1]


def test_without_rules_of_its_own_a_workspace_lets_nothing_leave_unseen(parts: Parts, workspace: str) -> None:
    shop = Shop(parts, workspace)
    payout_id = shop.asked(shop.fan(), 100)
    row = payout_row(parts, workspace, payout_id)
    assert (row.state, row.policy_version, row.approvals_needed) == ("requested", 0, 1)


# -- identity ----------------------------------------------------------------------------------------


def test_a_real_name_is_asked_for_and_the_number_is_masked_before_it_is_kept(shop: Shop) -> None:
    shop.policy(identity_check="real_name")
    fan = shop.fan()
    with pytest.raises(Invalid) as refused:
        shop.ask(fan, 100)
    assert set(refused.value.extra["errors"]["recipient"]) == {"name", "id_number"}
    with pytest.raises(Invalid):
        shop.ask(fan, 100, told={"name": "王小明", "id_number": "11010519491231002Y"})
    with pytest.raises(Invalid):
        shop.ask(fan, 100, told={"name": "王小明", "id_number": "110105194912310021"})
    told = {"name": " 王小明\u202e ", "id_number": "11010519491231002x"}
    row = payout_row(shop.parts, shop.workspace, shop.asked(fan, 100, told=told))
    assert row.recipient == {"name": "王小明", "id_number": "110105********002X"}
    passport = shop.asked(fan, 100, told={"name": "Ann", "id_number": "e 1234-5678"})
    assert payout_row(shop.parts, shop.workspace, passport).recipient["id_number"] == "E******78"
    with shop.parts.open(shop.workspace) as ctx:
        facts = ctx.session.execute(text("SELECT facts::text || kind FROM events")).scalars().all()
    assert not any("1949" in one or "王" in one for one in facts), "nothing personal enters the books"


# -- the wallet as its owner sees it -----------------------------------------------------------------


def test_a_wallet_tells_everything_by_currency(shop: Shop) -> None:
    shop.policy(tax_bp=1_000, fee_fixed=50)
    fan = shop.fan(10_000)
    paid, _waiting = shop.asked(fan, 3_000), shop.asked(fan, 2_000)
    shop.send()
    assert sending.finish(shop.parts, shop.workspace, paid, paid=True, detail="T1")
    deposit(shop.parts, shop.workspace, fan, 700, "USD")
    deposit(shop.parts, shop.workspace, fan, -900, "USD")
    with shop.parts.open(shop.workspace) as ctx:
        assert statement.wallet(ctx, fan) == [
            statement.Balance("CNY", available=5_000, reserved=2_000, paid=3_000, withheld=350),
            statement.Balance("USD", debt=200),
        ]
        lines, more = statement.lines(ctx, fan)
        assert more is None
        assert [(one.kind, one.amount, one.payout_id == paid) for one in lines[2:5]] == [
            ("payout_withheld", 0, True), ("payout_reserve", -2_000, False), ("payout_reserve", -3_000, True),
        ]  # fmt: skip
        assert lines[2].title == "Withdrawal paid: CN¥26.50 received, CN¥3.00 tax and CN¥0.50 fee withheld"
        assert sum(one.amount for one in lines if one.currency == "CNY") == 5_000
        pages, before = [], None
        while True:
            page, before = statement.lines(ctx, fan, before=before, limit=2)
            pages += page
            if before is None:
                break
        assert pages == lines


def test_a_debt_is_let_go_by_a_person_and_never_more_than_it_is(shop: Shop) -> None:
    fan = shop.fan(1_000)
    deposit(shop.parts, shop.workspace, fan, -1_600)

    def let_go(amount: int) -> service.Outcome:
        return service.write_off(
            shop.parts, shop.workspace, fan, amount=amount, currency="CNY", by=shop.admin(), note="ok",
            key=shop.parts.ids.new("key"),
        )  # fmt: skip

    assert codes(let_go(601)) == ["more_than_debt"]
    assert let_go(200).accepted
    assert let_go(400).accepted
    assert codes(let_go(1)) == ["no_debt"]
    assert shop.available(fan) == 0
    assert balance(shop.parts, shop.workspace, "written_off") == -600
    check_books(shop.parts, shop.workspace)
