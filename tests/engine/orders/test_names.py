"""Names other systems give: one name, one fact, whoever is quicker; what was refused does not keep it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.kit.errors import Invalid
from growth_engine.ledger.contract import PayloadMismatch
from growth_engine.orders.service import AlreadyRecorded, Outcome, give_refund, take_payment
from tests.factories.selling import PRICE, Shop


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    made = Shop(parts, workspace)
    made.join("ann")
    made.join("cid", "ann")
    return made


def told(shop: Shop, order_id: str, amount: int, name: str = "p1", **more: Any) -> Outcome:
    given = {"provider": "manual", "external_id": name, "amount": amount, "currency": "CNY", **more}
    return take_payment(shop.parts, shop.workspace_id, order_id, **given)


def entries(shop: Shop, kind: str) -> list[bool]:
    rows = shop.rows(
        "SELECT accepted FROM entries WHERE book_id = :campaign AND kind = :kind ORDER BY seq", kind=kind
    )
    return [row[0] for row in rows]


def test_another_currency_never_reaches_the_books(shop: Shop) -> None:
    order_id = shop.order("cid")
    with pytest.raises(Invalid) as refused:
        told(shop, order_id, PRICE, currency="USD")
    assert refused.value.extra["errors"] == {"currency": ["This order is in CNY."]}
    assert entries(shop, "payment") == []
    assert told(shop, order_id, PRICE).accepted


def test_the_books_keep_what_was_refused_beside_its_correction(shop: Shop) -> None:
    order_id = shop.order("cid")
    assert [told(shop, order_id, amount).accepted for amount in (3 * PRICE, 2 * PRICE, PRICE)] == [
        False,
        False,
        True,
    ]
    assert entries(shop, "payment") == [False, False, True]
    with pytest.raises(AlreadyRecorded) as standing:
        told(shop, order_id, PRICE - 1)
    assert standing.value.extra["recorded"] == {
        "order_id": order_id, "provider": "manual", "external_id": "p1", "amount": PRICE, "currency": "CNY",
    }  # fmt: skip
    other = shop.order("cid")
    with pytest.raises(AlreadyRecorded):
        told(shop, other, PRICE)
    assert entries(shop, "payment") == [False, False, True]


def test_a_name_that_looks_like_another_ones_second_turn_is_its_own(shop: Shop) -> None:
    order_id = shop.order("cid")
    assert not told(shop, order_id, 2 * PRICE, "x").accepted
    assert told(shop, order_id, 1, "2/manual:x").accepted
    assert told(shop, order_id, 2, "x").accepted


def test_of_many_corrections_at_once_one_is_taken(shop: Shop) -> None:
    order_id = shop.order("cid")
    assert not told(shop, order_id, 9 * PRICE).accepted

    def correct(amount: int) -> str:
        try:
            return "taken" if told(shop, order_id, amount).accepted else "refused"
        except PayloadMismatch:
            return "recorded"

    amounts = [PRICE, PRICE - 1, PRICE - 2, 2 * PRICE] * 5
    with ThreadPoolExecutor(len(amounts)) as pool:
        outcomes = list(pool.map(correct, amounts))
    paid = shop.rows("SELECT amount FROM payments")
    assert len(paid) == 1
    for amount, outcome in zip(amounts, outcomes, strict=True):
        if amount == paid[0][0]:
            assert outcome == "taken"
        else:
            assert outcome in ("recorded", "refused") if amount > PRICE else outcome == "recorded"
    assert entries(shop, "payment").count(True) == 1


def test_a_refund_too_large_is_corrected_under_its_number(shop: Shop) -> None:
    order_id = shop.order("cid")
    told(shop, order_id, PRICE)
    given = {"provider": "manual", "external_id": "r1", "currency": "CNY"}
    assert not give_refund(shop.parts, shop.workspace_id, order_id, amount=PRICE + 1, **given).accepted
    assert give_refund(shop.parts, shop.workspace_id, order_id, amount=PRICE, **given).accepted
    with pytest.raises(AlreadyRecorded):
        give_refund(shop.parts, shop.workspace_id, order_id, amount=1, **given)
