"""Orders, payments, refunds and what they earn, through the real poster and database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from growth_engine.access.service import create_workspace
from growth_engine.context import Parts
from growth_engine.kit.errors import Invalid
from growth_engine.ledger.contract import PayloadMismatch
from growth_engine.ledger.money import CAMPAIGN, EXPENSE, PLATFORM, WALLET
from growth_engine.orders.queries import products
from growth_engine.orders.service import Came, change_product, take_payments
from growth_engine.people import erasure
from growth_engine.people.merging import merge
from growth_engine.people.rules import Identity
from growth_engine.plays.ordering import OrderOutcome, Wanted, place_order
from growth_engine.plays.participation import JoinAsk
from growth_engine.plays.refunding import preview
from growth_engine.plays.selling_stock import stock_of_products
from growth_engine.plays.service import NotPublishable, duplicate, publish, update_draft
from growth_engine.plays.starting import create_from_template
from tests.factories.selling import PRICE, Shop


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """Ann brought Bob, Bob brought Cid."""
    made = Shop(parts, workspace)
    made.join("ann")
    made.join("bob", "ann")
    made.join("cid", "bob")
    return made


def test_a_paid_order_earns_both_levels_and_a_refund_takes_half_back(shop: Shop) -> None:
    order = shop.order("cid", 2)
    assert (shop.pending("bob"), shop.pending("ann")) == (0, 0)
    assert shop.pay(order, 2 * PRICE).accepted
    assert (shop.pending("bob"), shop.pending("ann")) == (2360, 590)
    assert shop.balance(PLATFORM, "") == 118
    assert shop.refund(order, PRICE).accepted
    assert (shop.pending("bob"), shop.pending("ann")) == (1180, 295)
    assert shop.balance(EXPENSE, "") == -1475
    assert shop.unbalanced() == []


def test_what_is_on_hold_goes_over_to_the_wallet_after_its_days_and_not_before(
    shop: Shop, clock: object
) -> None:
    shop.buy("cid")
    assert not shop.mature().accepted
    shop.parts.clock.advance(timedelta(days=7))  # type: ignore[attr-defined]
    assert shop.mature().accepted
    assert (shop.pending("bob"), shop.available("bob"), shop.available("ann")) == (0, 1180, 295)
    assert shop.balance(WALLET, "") == 1475
    assert shop.balance(CAMPAIGN, shop.campaign_id, shop.wallet) == -1475
    assert shop.unbalanced() == []


def test_a_refund_after_that_comes_out_of_the_wallet(shop: Shop) -> None:
    order = shop.buy("cid")
    shop.mature_all()
    assert shop.refund(order, PRICE).accepted
    assert (shop.available("bob"), shop.available("ann")) == (0, 0)
    assert shop.unbalanced() == []
    assert shop.rows("SELECT state FROM commissions ORDER BY level") == [("reversed",), ("reversed",)]


def test_the_preview_of_a_refund_says_what_the_refund_then_does(parts: Parts, shop: Shop) -> None:
    order = shop.buy("cid", 2)
    shop.mature_all()
    with parts.open(shop.workspace_id) as ctx:
        seen = preview(ctx, order, PRICE)
    assert (seen.net_before, seen.net_after, seen.fee_back, seen.too_large) == (11800, 5900, 59, False)
    assert [(one.before, one.after, one.from_wallet, one.debt) for one in seen.taken] == [
        (2360, 1180, 1180, 0),
        (590, 295, 295, 0),
    ]
    shop.refund(order, PRICE)
    assert (shop.available("bob"), shop.available("ann")) == (1180, 295)


def test_whoever_orders_takes_part_from_then_on_and_the_same_order_again_is_one(
    parts: Parts, shop: Shop
) -> None:
    ask = JoinAsk(identities=[Identity("phone", "+8613900000001")], invite_token=shop.tokens["cid"])

    def order() -> OrderOutcome:
        return place_order(
            parts,
            shop.workspace_id,
            shop.campaign_id,
            ask,
            [Wanted("book", 1)],
            currency="CNY",
            source="api",
            key="k1",
            external_id="shop-1",
        )

    first, second = order(), order()
    assert first.accepted
    assert first.order_id == second.order_id
    assert second.duplicate
    assert first.order_id is not None
    shop.pay(first.order_id, PRICE)
    assert (shop.pending("cid"), shop.pending("bob"), shop.pending("ann")) == (1180, 295, 0)


def test_orders_nobody_pays_for_are_given_up_and_their_stock_is_free(
    parts: Parts, workspace: str, run_jobs: Callable[..., int]
) -> None:
    shop = Shop(parts, workspace, stock=1)
    shop.join("ann")
    shop.join("bob")
    first = shop.order("ann")
    assert [reason.code for reason in shop.submit(shop.order_event("bob")).reasons] == ["out_of_stock"]
    parts.clock.advance(timedelta(minutes=61))  # type: ignore[attr-defined]
    run_jobs(workspace, "orders.expire")
    second = shop.order("bob")
    shop.pay(second, PRICE)
    late = shop.pay(first, PRICE)
    assert late.accepted, "the money is there"
    assert "sold_out_paid" in [reason.code for reason in late.reasons]


def test_the_job_matures_what_is_due(parts: Parts, shop: Shop, run_jobs: Callable[..., int]) -> None:
    for _ in range(3):
        shop.buy("cid")
    parts.clock.advance(timedelta(days=8))  # type: ignore[attr-defined]
    run_jobs(shop.workspace_id, "commissions.mature")
    assert (shop.available("bob"), shop.pending("bob")) == (3540, 0)


def test_a_ready_campaign_brings_its_products_and_a_copy_of_it_too(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        made = create_from_template(ctx, "book-fans", locale="en")
        again = duplicate(ctx, made.id)
        published = publish(ctx, made.id, accept_warnings=True)
        assert published.state == "live"
        for campaign in (made, again):
            (product,) = products(ctx, campaign.id)
            assert (product.sku, product.price, product.currency) == ("book", 5900, "CNY")
            assert stock_of_products(ctx, campaign.id)[product.id].total == 8000


def test_a_selling_campaign_without_products_is_not_published(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        made = create_from_template(ctx, "book-fans", locale="en")
        (product,) = products(ctx, made.id)
        change_product(ctx, product.id, {"state": "hidden"})
        with pytest.raises(NotPublishable):
            publish(ctx, made.id, accept_warnings=True)


def test_the_currency_is_fixed_with_the_first_publication(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        made = create_from_template(ctx, "book-fans", locale="en")
        update_draft(ctx, made.id, {"config": {**made.config, "currency": "HKD"}})
        assert [one.currency for one in products(ctx, made.id)] == ["HKD"]
        update_draft(ctx, made.id, {"config": {**made.config, "currency": "CNY"}})
        publish(ctx, made.id, accept_warnings=True)
        with pytest.raises(Invalid):
            update_draft(ctx, made.id, {"config": {**made.config, "currency": "HKD"}})


def test_many_payments_at_once_are_taken_each_for_itself(parts: Parts, shop: Shop) -> None:
    first, second = shop.order("cid"), shop.order("cid")
    came = [
        Came(first, "manual", "p1", PRICE, "CNY"),
        Came("ord_unknown", "manual", "p2", PRICE, "CNY"),
        Came(second, "manual", "p3", PRICE + 1, "CNY"),
        Came(first, "manual", "p1", PRICE, "CNY"),
    ]
    paid, unknown, too_much, again = take_payments(parts, shop.workspace_id, came)
    assert paid is not None
    assert (paid.accepted, paid.duplicate) == (True, False)
    assert unknown is None
    assert too_much is not None
    assert [reason.code for reason in too_much.reasons] == ["overpaid"]
    assert again is not None
    assert (again.accepted, again.seq) == (True, paid.seq)
    assert shop.pending("bob") == 1180


def test_a_shops_order_is_the_same_after_its_buyer_was_merged_with_somebody(parts: Parts, shop: Shop) -> None:
    def order(quantity: int = 1) -> OrderOutcome:
        return place_order(
            parts,
            shop.workspace_id,
            shop.campaign_id,
            JoinAsk(identities=[Identity("external_id", "cid")]),
            [Wanted("book", quantity)],
            currency="CNY",
            source="api",
            key=parts.ids.new("key"),
            external_id="shop-7",
        )

    first = order()
    shop.join("dora")
    with parts.open(shop.workspace_id) as ctx:
        merge(ctx, shop.contacts["dora"], shop.contacts["cid"])
    again = order()
    assert (again.order_id, again.duplicate) == (first.order_id, True)
    with pytest.raises(PayloadMismatch):
        order(2)


def test_a_shops_order_is_not_sent_again_for_somebody_else(parts: Parts, shop: Shop) -> None:
    def order(who: str) -> OrderOutcome:
        return place_order(
            parts,
            shop.workspace_id,
            shop.campaign_id,
            JoinAsk(identities=[Identity("external_id", who)], nickname=who, consent="v1"),
            [Wanted("book", 1)],
            currency="CNY",
            source="api",
            key=parts.ids.new("key"),
            external_id="shop-8",
        )

    assert order("cid").accepted
    shop.join("dora")
    for who in ("dora", "somebody never seen"):
        with pytest.raises(PayloadMismatch):
            order(who)
    assert order("cid").duplicate
    with parts.open(shop.workspace_id) as ctx:
        erasure.erase(ctx, shop.contacts["cid"])
    assert order("cid").duplicate


def test_what_could_never_be_withdrawn_is_not_earned(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        made = create_from_template(ctx, "book-fans", locale="en", config={"currency": "USD"})
        with pytest.raises(NotPublishable) as refused:
            publish(ctx, made.id, accept_warnings=True)
    assert [one["code"] for one in refused.value.extra["findings"]] == ["currency_not_paid_out"]


def test_a_workspace_sells_in_the_currency_it_pays_out(parts: Parts) -> None:
    workspace_id = create_workspace(parts, f"hk-{parts.ids.token()}", "HK", "Asia/Hong_Kong", currency="HKD")
    with parts.open(workspace_id) as ctx:
        made = create_from_template(ctx, "book-fans", locale="en")
        assert [one.currency for one in products(ctx, made.id)] == ["HKD"]
        assert publish(ctx, made.id, accept_warnings=True).state == "live"
