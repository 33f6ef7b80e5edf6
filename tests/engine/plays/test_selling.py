"""Orders, payments, refunds and what they earn, through the real poster and database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from growth_engine.context import Parts
from growth_engine.ledger.money import CAMPAIGN, EXPENSE, PLATFORM, WALLET
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
