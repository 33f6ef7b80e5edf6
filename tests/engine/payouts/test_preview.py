"""What a page promises before somebody asks is what the books answer afterwards."""

from __future__ import annotations

import random

import pytest

from growth_engine.payouts.preview import Preview, preview
from growth_engine.people import service as people_service
from tests.engine.payouts.conftest import Shop
from tests.factories.wallets import deposit, payout_row


def look(shop: Shop, contact: str, amount: int | None = None) -> Preview:
    with shop.parts.open(shop.workspace) as ctx:
        return preview(ctx, contact, amount)


def test_as_much_as_possible_and_what_would_be_withheld(shop: Shop) -> None:
    shop.policy(tax_bp=1_000, fee_fixed=10, daily_amount=5_000, approve_above=4_000)
    fan = shop.fan(9_000)
    seen = look(shop, fan)
    assert (seen.available, seen.most, seen.refusal, seen.approvals_needed) == (9_000, 5_000, None, 1)
    assert (seen.split.tax, seen.split.fee, seen.split.net) == (500, 10, 4_490)
    shop.asked(fan, 3_000)
    assert look(shop, fan).most == 2_000
    shop.asked(fan, 2_000)
    seen = look(shop, fan)
    assert seen.most == 0
    assert seen.refusal is not None
    assert seen.refusal.code == "daily_amount"


def test_why_nothing_is_possible(shop: Shop) -> None:
    shop.policy(minimum=500)
    poor, debtor, blocked = shop.fan(499), shop.fan(1_000), shop.fan(1_000)
    deposit(shop.parts, shop.workspace, debtor, -2_000)
    with shop.parts.open(shop.workspace) as ctx:
        people_service.block(ctx, blocked, "farm")
    codes = [look(shop, one).refusal for one in (poor, debtor, blocked, shop.fan(0))]
    assert [one.code for one in codes if one] == [
        "not_enough", "not_enough", "withdrawals_blocked", "not_enough",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_the_books_keep_what_the_page_promised(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)
    shop.policy(
        minimum=dice.randint(200, 400),
        daily_amount=dice.choice([None, 2_000]),
        daily_count=dice.choice([None, 3]),
        tax_bp=dice.choice([0, 900]),
        fee_fixed=dice.choice([0, 150]),
        approve_above=700,
    )
    fan = shop.fan(4_000)
    for _ in range(12):
        amount = dice.choice([dice.randint(1, 1_500), look(shop, fan).most or 1])
        promised = look(shop, fan, amount)
        outcome = shop.ask(fan, amount)
        assert outcome.accepted == (promised.refusal is None)
        assert list(outcome.reasons) == ([promised.refusal] if promised.refusal else [])
        if outcome.payout_id:
            row = payout_row(shop.parts, shop.workspace, outcome.payout_id)
            assert (row.net, row.approvals_needed) == (promised.split.net, promised.approvals_needed)
