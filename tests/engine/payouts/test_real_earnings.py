"""From a sale to money in the hand, and back again: what campaigns earn is what wallets pay."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from growth_engine.context import SYSTEM, Parts
from growth_engine.ledger import service as ledger
from growth_engine.payouts import sending, service, statement
from growth_engine.payouts.rules import Policy
from growth_engine.payouts.service import Outcome
from growth_engine.people import service as people_service
from tests.factories.selling import PRICE, Shop
from tests.factories.wallets import check_books

#: What 20 % of a book are.
SHARE = PRICE // 5


def opened(parts: Parts, workspace: str, **config: Any) -> Shop:
    """Ann brought Ben, who will buy; withdrawals need nobody's approval."""
    shop = Shop(parts, workspace, config)
    with parts.open(workspace) as ctx:
        service.set_policy(ctx, Policy(daily_count=None, approve_above=10**9))
    shop.join("ann")
    shop.join("ben", "ann")
    return shop


def withdraw(shop: Shop, who: str, amount: int) -> Outcome:
    return service.request(
        shop.parts, shop.workspace_id, shop.contacts[who], amount=amount, currency="CNY", source="test",
        key=shop.parts.ids.new("key"),
    )  # fmt: skip


def pay_out(shop: Shop, outcome: Outcome) -> None:
    sending.send_due(shop.parts, shop.workspace_id)
    assert outcome.payout_id
    assert sending.finish(shop.parts, shop.workspace_id, outcome.payout_id, paid=True, detail="T")


def wallet(shop: Shop, who: str) -> statement.Balance:
    with shop.parts.open(shop.workspace_id) as ctx:
        [only] = statement.wallet(ctx, shop.contacts[who])
        return only


def check(shop: Shop) -> None:
    check_books(shop.parts, shop.workspace_id)
    assert shop.unbalanced() == []
    assert shop.balance("wallet", "") == -shop.balance("campaign", shop.campaign_id, shop.wallet)


def test_what_is_on_hold_cannot_be_withdrawn_and_what_matured_can(parts: Parts, workspace: str) -> None:
    shop = opened(parts, workspace)
    shop.buy("ben", 2)
    assert wallet(shop, "ann") == statement.Balance("CNY", pending=2 * SHARE)
    assert [reason.code for reason in withdraw(shop, "ann", 100).reasons] == ["not_enough"]
    shop.mature_all()
    assert wallet(shop, "ann") == statement.Balance("CNY", available=2 * SHARE)
    pay_out(shop, withdraw(shop, "ann", 2 * SHARE))
    assert wallet(shop, "ann") == statement.Balance("CNY", paid=2 * SHARE)
    check(shop)


def test_a_refund_before_maturity_after_it_and_after_the_payout(parts: Parts, workspace: str) -> None:
    """Acceptance 4 of plays.md, as the wallet tells it: in proportion, at the pinned rate."""
    shop = opened(parts, workspace)
    early, late, gone = (shop.buy("ben", 4) for _ in range(3))
    shop.refund(early, PRICE)
    assert wallet(shop, "ann").pending == 11 * SHARE
    shop.mature_all()
    shop.refund(late, PRICE)
    assert wallet(shop, "ann").available == 10 * SHARE
    pay_out(shop, withdraw(shop, "ann", 10 * SHARE))
    shop.refund(gone, PRICE)
    assert wallet(shop, "ann") == statement.Balance("CNY", paid=10 * SHARE, debt=SHARE)
    assert [reason.code for reason in withdraw(shop, "ann", 100).reasons] == ["not_enough"]
    shop.buy("ben", 3)
    shop.mature_all()
    assert wallet(shop, "ann") == statement.Balance("CNY", available=2 * SHARE, paid=10 * SHARE)
    with parts.open(workspace) as ctx:
        lines, _ = statement.lines(ctx, shop.contacts["ann"])
    assert sum(one.amount for one in lines) == 2 * SHARE
    told = [(one.kind, one.amount, one.title) for one in lines]
    assert told[0][:2] == ("mature", 3 * SHARE)
    assert told[1][:2] == ("refund", -SHARE)
    [number] = shop.rows("SELECT number FROM orders WHERE id = :id", id=gone)[0]
    assert told[1][2] == f"Taken back: order {number} was refunded"
    assert (lines[1].order_id, lines[1].campaign_id) == (gone, shop.campaign_id)
    check(shop)


def test_a_merchant_who_absorbs_leaves_nobody_with_a_debt(parts: Parts, workspace: str) -> None:
    shop = opened(parts, workspace, clawback="absorb")
    order = shop.buy("ben", 3)
    shop.mature_all()
    pay_out(shop, withdraw(shop, "ann", 2 * SHARE))
    shop.refund(order, 3 * PRICE)
    assert wallet(shop, "ann") == statement.Balance("CNY", paid=2 * SHARE)
    with parts.open(workspace) as ctx:
        lines, _ = statement.lines(ctx, shop.contacts["ann"])
    assert [(one.kind, one.amount) for one in lines[:2]] == [("absorbed", 2 * SHARE), ("refund", -3 * SHARE)]
    check(shop)


def test_withdrawals_racing_refunds_never_lose_or_double_money(parts: Parts, workspace: str) -> None:
    shop = opened(parts, workspace)
    orders = [shop.buy("ben", 2) for _ in range(10)]
    shop.mature_all()
    start, found, errors = threading.Barrier(20), [], []

    def act(how: Callable[[], Any]) -> None:
        start.wait()
        try:
            found.append(how())
        except BaseException as error:
            errors.append(error)

    hows: list[Callable[[], Any]] = [lambda o=order: shop.refund(o, PRICE) for order in orders]  # type: ignore[misc]
    hows += [lambda: withdraw(shop, "ann", 4 * SHARE) for _ in range(10)]
    random.Random(7).shuffle(hows)
    threads = [threading.Thread(target=act, args=(how,)) for how in hows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    asked = [one for one in found if isinstance(one, Outcome)]
    set_aside = sum(one.accepted for one in asked) * 4 * SHARE
    held = wallet(shop, "ann")
    assert held.reserved == set_aside <= 20 * SHARE
    assert held.available - held.debt == 10 * SHARE - set_aside
    check(shop)


def test_two_sellers_who_are_one_person_withdraw_what_both_earned(
    parts: Parts, workspace: str, run_jobs: Callable[..., int]
) -> None:
    shop = opened(parts, workspace)
    shop.join("anna")
    shop.join("cem", "anna")
    mine, hers = shop.buy("ben"), shop.buy("cem", 2)
    shop.mature_all()
    assert withdraw(shop, "anna", SHARE).accepted
    shop.buy("cem")
    with parts.open(workspace) as ctx:
        people_service.merge(ctx, shop.contacts["ann"], shop.contacts["anna"])
    whole = statement.Balance("CNY", pending=SHARE, available=2 * SHARE, reserved=SHARE)
    assert wallet(shop, "ann") == wallet(shop, "anna") == whole
    run_jobs(workspace, "outbox.drain")
    assert wallet(shop, "ann") == whole
    shop.mature_all()
    # The second participation is void since the merge: what it has on hold waits for a person.
    assert wallet(shop, "ann") == whole
    [[held]] = shop.rows("SELECT id FROM commissions WHERE state = 'pending'")
    assert shop.act("mature", held).accepted
    assert wallet(shop, "ann").available == 3 * SHARE
    # What comes and goes later is the kept contact's.
    shop.refund(hers, 2 * PRICE)
    shop.refund(mine, PRICE)
    assert wallet(shop, "ann") == statement.Balance("CNY", reserved=SHARE)
    assert shop.balance("available", shop.contacts["anna"], shop.wallet) == 0
    check(shop)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order_the_wallet_adds_up(
    parts: Parts, workspace: str, seed: int
) -> None:
    """Sales, refunds, maturity, withdrawals and their ends at random, checked after every step."""
    dice = random.Random(seed)
    shop = opened(parts, workspace, clawback=dice.choice(["carry", "absorb"]))
    orders: list[str] = []
    waiting: list[str] = []
    for _ in range(30):
        match dice.choice(["buy", "buy", "refund", "mature", "withdraw", "withdraw", "send", "end", "no"]):
            case "buy":
                orders.append(shop.buy("ben", dice.randint(1, 3)))
            case "refund" if orders:
                shop.refund(dice.choice(orders), dice.randint(1, PRICE))
            case "mature":
                shop.mature(parts.clock.now() + timedelta(days=dice.choice([0, 400])))
            case "withdraw":
                asked = withdraw(shop, "ann", dice.randint(100, 3 * SHARE))
                waiting += [asked.payout_id] if asked.payout_id else []
            case "send":
                sending.send_due(parts, workspace)
            case "end" if waiting:
                end = dice.choice(waiting)
                [[state]] = shop.rows("SELECT state FROM payouts WHERE id = :id", id=end)
                if state in ("sending", "waiting"):
                    sending.finish(parts, workspace, end, paid=dice.random() < 0.6, detail="x")
            case "no" if waiting:
                key = parts.ids.new("key")
                service.reject(parts, workspace, dice.choice(waiting), by=SYSTEM, note="no", key=key)
        check(shop)
    reports = ledger.verify_all(parts, workspace)
    assert [fault for report in reports for fault in report.faults] == []
    assert shop.wallet in {report.book_id for report in reports}
    held = wallet(shop, "ann")
    with parts.open(workspace) as ctx:
        lines, more = statement.lines(ctx, shop.contacts["ann"], limit=500)
    assert more is None
    assert sum(one.amount for one in lines) == held.available - held.debt


def test_each_movement_says_the_reason_it_was_made_for(parts: Parts, workspace: str) -> None:
    shop = opened(parts, workspace)
    shop.buy("ben")
    [[commission]] = shop.rows("SELECT id FROM commissions")
    shop.act("mature", commission, reason="well done")
    shop.act("void", commission, reason="bought by himself")
    with parts.open(workspace) as ctx:
        found, _ = statement.lines(ctx, shop.contacts["ann"])
    assert [(one.amount, one.note) for one in found] == [(-SHARE, "bought by himself"), (SHARE, "well done")]
