"""People who turn out to be one, and people who want to be forgotten, with money under way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.kit.clock import FixedClock
from growth_engine.ledger.contract import Event
from growth_engine.ledger.money import wallet_book
from growth_engine.payouts import sending, service, statement
from growth_engine.payouts.providers import Paid
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import check_books, deposit, payout_row

TOLD = {"account": "6222-SECRET-0001"}


def merge(shop: Shop, kept: str, merged: str) -> str:
    with shop.parts.open(shop.workspace) as ctx:
        return people_service.merge(ctx, kept, merged)


def insert(shop: Shop, table: str, **values: Any) -> None:
    """A row the services of this slice do not write."""
    columns = {"workspace_id": shop.workspace, **values}
    names, marks = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    with shop.parts.open(shop.workspace) as ctx:
        ctx.session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), columns)


def earned(shop: Shop, contact: str, number: int) -> None:
    """An order, a commission and an application of somebody, as the campaign's books write them."""
    now, name = shop.parts.clock.now(), f"{contact}_{number}"
    insert(
        shop, "orders", id=f"ord_{name}", campaign_id="cmp_t", contact_id=contact, buyer=number,
        currency="CNY", total=100, state="placed", rule_version=1, seq=1, source="test", placed_at=now,
    )  # fmt: skip
    insert(
        shop, "order_lines", order_id=f"ord_{name}", line=1, product_id="prd_t", sku="book", name="Book",
        quantity=1, amount=100,
    )  # fmt: skip
    insert(
        shop, "commissions", id=f"com_{name}", campaign_id="cmp_t", order_id=f"ord_{name}", level=1,
        member=number, contact_id=contact, currency="CNY", rule_version=1, terms="{}", state="waiting",
        seq=1, created_at=now, updated_at=now,
    )  # fmt: skip
    insert(
        shop, "promoters", campaign_id=f"cmp_{contact}", number=number, contact_id=contact, state="applied",
        note="I am the neighbour of 6222-SECRET",
    )  # fmt: skip


# -- merging -----------------------------------------------------------------------------------------


def test_two_who_are_one_have_one_wallet_with_everything_under_way(
    shop: Shop, clock: FixedClock, run_jobs: Callable[..., int]
) -> None:
    kept, merged = shop.fan(1_000), shop.fan(5_000)
    deposit(shop.parts, shop.workspace, merged, 300, "USD")
    deposit(shop.parts, shop.workspace, merged, -400, "USD")
    payout_id = shop.asked(merged, 2_000)
    earned(shop, merged, 7)
    before = _balances(shop, kept)
    assert merge(shop, kept, merged) == kept
    # Between the merge and its Event the person sees all of it already, and the payout can end.
    assert _balances(shop, kept) == _balances(shop, merged) != before
    together = _balances(shop, kept)
    run_jobs(shop.workspace, "outbox.drain")
    assert _balances(shop, kept) == together
    assert (shop.available(kept), shop.reserved(kept)) == (4_000, 2_000)
    assert (shop.available(merged), shop.reserved(merged)) == (0, 0)
    assert payout_row(shop.parts, shop.workspace, payout_id).contact_id == kept
    check_books(shop.parts, shop.workspace)
    with shop.parts.open(shop.workspace) as ctx:
        for table in ("orders", "commissions", "promoters"):
            owners = set(ctx.session.scalars(text(f"SELECT contact_id FROM {table}")))
            assert owners == {kept}, table
        lines, _ = statement.lines(ctx, kept)
        assert sum(one.amount for one in lines if one.currency == "CNY") == 4_000
    shop.asked(kept, 4_000)
    assert shop.cancel(payout_id).reasons[0].code == "payout_under_way"
    assert shop.reject(payout_id).accepted
    assert shop.available(kept) == 2_000
    check_books(shop.parts, shop.workspace)


def _balances(shop: Shop, contact: str) -> list[statement.Balance]:
    with shop.parts.open(shop.workspace) as ctx:
        return statement.wallet(ctx, contact)


def test_a_payout_that_ends_between_the_merge_and_its_event_ends_well(
    shop: Shop, run_jobs: Callable[..., int]
) -> None:
    kept, merged = shop.fan(0), shop.fan(5_000)
    paid, rejected = shop.asked(merged, 2_000), shop.asked(merged, 1_000)
    merge(shop, kept, merged)
    assert shop.reject(rejected).accepted
    claimed = sending.claim(shop.parts, shop.workspace)
    assert claimed is not None
    sending.settle(shop.parts, shop.workspace, claimed, Paid("T"))
    assert payout_row(shop.parts, shop.workspace, paid).state == "paid"
    check_books(shop.parts, shop.workspace)
    run_jobs(shop.workspace, "outbox.drain")
    assert (shop.available(kept), shop.reserved(kept), shop.available(merged)) == (3_000, 0, 0)
    check_books(shop.parts, shop.workspace)


def test_chains_of_merges_told_in_any_order_end_in_one_wallet(shop: Shop) -> None:
    first, second, third = shop.fan(100), shop.fan(200), shop.fan(300)
    merge(shop, second, first)
    merge(shop, third, second)
    # The second merge is heard of before the first one.
    for merged in (second, first, first):
        service.merge_wallets(shop.parts, shop.workspace, merged)
    assert [shop.available(one) for one in (first, second, third)] == [0, 0, 600]
    check_books(shop.parts, shop.workspace)


def test_a_request_in_the_name_of_the_merged_contact_is_the_kept_ones(
    shop: Shop, run_jobs: Callable[..., int]
) -> None:
    shop.policy(daily_count=2)
    kept, merged = shop.fan(500), shop.fan(500)
    shop.asked(merged, 100)
    merge(shop, kept, merged)
    event = Event(
        shop.workspace, wallet_book(shop.workspace), "payout_reserve", "test", "late", shop.parts.clock.now(),
        {"contact_id": merged, "amount": 100, "currency": "CNY"},
    )  # fmt: skip
    receipt = shop.parts.ledger.submit(event)
    assert receipt.result["contact_id"] == kept
    assert shop.ask(kept, 100).reasons[0].code == "daily_count", "the day's limit is one person's"
    run_jobs(shop.workspace, "outbox.drain")
    assert (shop.available(kept), shop.reserved(kept)) == (800, 200)
    check_books(shop.parts, shop.workspace)


def test_wallets_of_two_people_are_not_thrown_together(shop: Shop) -> None:
    one, other = shop.fan(500), shop.fan(500)
    [outcome] = service.merge_wallets(shop.parts, shop.workspace, one)
    assert [reason.code for reason in outcome.reasons] == ["not_merged"]
    assert (shop.available(one), shop.available(other)) == (500, 500)


# -- forgetting --------------------------------------------------------------------------------------


def recipients(shop: Shop) -> dict[str, Any]:
    with shop.parts.open(shop.workspace) as ctx:
        rows = ctx.session.execute(text("SELECT id, recipient FROM payouts"))
        return {row.id: row.recipient for row in rows}


def test_payouts_that_ended_forget_at_once_those_under_way_when_they_end(
    shop: Shop, run_jobs: Callable[..., int]
) -> None:
    fan = shop.fan(10_000)
    ids = [shop.asked(fan, 1_000, told=TOLD) for _ in range(4)]
    over, paid, failed, rejected = ids
    assert shop.reject(over).accepted
    earned(shop, fan, 3)
    with shop.parts.open(shop.workspace) as ctx:
        people_service.erase(ctx, fan)
        assert set(ctx.session.scalars(text("SELECT note FROM promoters"))) == {""}
    run_jobs(shop.workspace, "outbox.drain")
    assert recipients(shop) == {over: {}, paid: TOLD, failed: TOLD, rejected: TOLD}
    assert shop.reject(rejected).accepted
    shop.send()
    for payout_id, good in ((paid, True), (failed, False)):
        assert sending.finish(shop.parts, shop.workspace, payout_id, paid=good, detail="x")
    assert set(map(str, recipients(shop).values())) == {"{}"}
    assert shop.available(fan) == 9_000, "the books keep the amount"
    with shop.parts.open(shop.workspace) as ctx:
        told = [one.template for one in people.messages_of(ctx, fan)]
        assert told == [], "nobody is left to tell"
    check_books(shop.parts, shop.workspace)


def test_what_ends_while_somebody_is_erased_is_forgotten_too(
    shop: Shop, run_jobs: Callable[..., int]
) -> None:
    """The poster saw them named, the erasure saw the payout under way: the reaction sees both."""
    fan = shop.fan(1_000)
    payout_id = shop.asked(fan, 1_000, told=TOLD)
    shop.send()
    with shop.parts.open(shop.workspace) as ctx:
        people_service.erase(ctx, fan)
        # Not committed yet: the poster decides on what was before.
        assert sending.finish(shop.parts, shop.workspace, payout_id, paid=True, detail="T")
    assert recipients(shop) == {payout_id: TOLD}
    run_jobs(shop.workspace, "outbox.drain")
    assert recipients(shop) == {payout_id: {}}


def test_a_request_that_waited_while_its_person_was_erased_is_refused_and_forgotten(
    shop: Shop, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from growth_engine.ledger import service as ledger
    from growth_engine.payouts import decisions

    fan = shop.fan(1_000)

    def broken(case: Any) -> None:
        raise RuntimeError("a defect of ours")

    with monkeypatch.context() as patch:
        patch.setitem(decisions.KINDS, "payout_reserve", broken)  # type: ignore[arg-type]
        assert shop.ask(fan, 500, told=TOLD).pending
    with shop.parts.open(shop.workspace) as ctx:
        people_service.erase(ctx, fan)
        assert not ctx.session.scalar(
            text("SELECT EXISTS (SELECT FROM pending_events WHERE payload::text LIKE '%SECRET%')")
        )
    clock.advance(timedelta(minutes=1))
    ledger.sweep(shop.parts, shop.workspace)
    assert recipients(shop) == {}
    assert (shop.available(fan), shop.reserved(fan)) == (1_000, 0)
    with shop.parts.open(shop.workspace) as ctx:
        body = ctx.session.scalar(text("SELECT body FROM entries WHERE kind = 'payout_reserve'"))
        assert [reason["code"] for reason in body["reasons"]] == ["no_wallet_owner"]


def test_everything_about_a_persons_money_is_handed_out_to_them_alone(shop: Shop) -> None:
    fan, stranger = shop.fan(1_000), shop.fan(2_000)
    payout_id = shop.asked(fan, 400, told=TOLD)
    shop.asked(stranger, 300)
    earned(shop, fan, 3)
    earned(shop, stranger, 4)
    with shop.parts.open(shop.workspace) as ctx:
        held = people_service.export(ctx, fan)
    assert [(one["id"], one["recipient"]) for one in held["payouts"]] == [(payout_id, TOLD)]
    assert {one["account"]: one["balance"] for one in held["accounts"]} == {
        "available": 600, "reserved": 400,
    }  # fmt: skip
    assert [(one["account"], one["amount"]) for one in held["legs"]] == [
        ("available", 1_000), ("available", -400), ("reserved", 400),
    ]  # fmt: skip
    for table in ("orders", "order_lines", "commissions", "promoters"):
        assert len(held[table]) == 1, table
    assert stranger not in str(held)
