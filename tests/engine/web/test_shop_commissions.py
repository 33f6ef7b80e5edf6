"""Commissions at the console: changed by hand with a reason, and why each is what it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from tests.factories.console import Console
from tests.factories.selling import PRICE, Shop
from tests.factories.shops import TIERS, base, hidden, shares, text_of, three


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    parts.mirror.load_functions()
    return three(Shop(parts, workspace, {"promoter_tiers": TIERS}))


def act(console: Console, shop: Shop, action: str, *ids: str, **more: Any) -> str:
    form = {"action": action, "ids": list(ids), "reason": "A closer look", **more}
    answer = console.post(f"{base(shop)}/commissions/act", form)
    return text_of(console.get(answer.headers["Location"]))


def test_commissions_are_held_released_paid_out_and_voided(console: Console, shop: Shop) -> None:
    first, second = shares(shop, shop.buy("Cid"))
    told = act(console, shop, "hold", first.id, second.id)
    assert "2 commissions are held." in told
    assert "Held by hand CN¥14.75 2" in told
    assert "A closer look" in told
    assert "1 commission is released." in act(console, shop, "release", first.id)
    told = act(console, shop, "mature", first.id, second.id)
    assert "2 commissions went over to the wallets." in told
    assert shop.available("Bob") == 1180
    told = act(console, shop, "void", first.id, second.id)
    assert "2 commissions are void." in told
    assert (shop.available("Bob"), shop.unbalanced()) == (0, [])
    told = act(console, shop, "hold", first.id)
    assert "1 was left alone, because this does not fit its state." in told


def test_what_fits_is_done_and_the_rest_is_told(console: Console, shop: Shop) -> None:
    first, second = shares(shop, shop.buy("Cid"))
    act(console, shop, "hold", first.id)
    told = act(console, shop, "hold", first.id, second.id)
    assert "1 commission is held." in told
    assert "1 was left alone" in told


WRONG_ACTIONS: list[tuple[dict[str, Any], str]] = [
    ({"reason": " "}, "Say why, in at most 200 characters"),
    ({"reason": "x" * 201}, "Say why, in at most 200 characters"),
    ({"action": "burn"}, "Choose void, hold, release or mature."),
    ({"ids": []}, "Choose 1 to 500 commissions."),
]


def test_an_action_without_what_it_needs_is_refused(console: Console, shop: Shop) -> None:
    order_id = shop.buy("Cid")
    first, _second = shares(shop, order_id)
    for wrong, said in WRONG_ACTIONS:
        form = {"action": "hold", "ids": [first.id], "reason": "A closer look"} | wrong
        answer = console.post(f"{base(shop)}/commissions/act", form)
        assert said in text_of(console.get(answer.headers["Location"]))
    assert shares(shop, order_id)[0].state == "pending"


def test_the_same_form_sent_twice_is_one_wish(console: Console, shop: Shop) -> None:
    first, second = shares(shop, shop.buy("Cid"))
    key = hidden(console.get(f"{base(shop)}/commissions"), "key")
    act(console, shop, "hold", first.id, key=key)
    assert "1 commission is held." in act(console, shop, "hold", first.id, key=key)
    # Another wish from the same page is another wish.
    assert "1 commission is held." in act(console, shop, "hold", second.id, key=key)
    assert len(shop.rows("SELECT 1 FROM entries WHERE book_id = :campaign AND kind = 'commission'")) == 2


def test_a_commission_of_another_shop_cannot_be_touched(
    console: Console, shop: Shop, parts: Parts, workspace: str
) -> None:
    other = Shop(parts, workspace)
    for who, inviter in (("Eve", None), ("Fay", "Eve")):
        other.join(who, inviter)
    order_id = other.buy("Fay")
    assert "1 was left alone" in act(console, shop, "void", shares(other, order_id)[0].id)
    assert shares(other, order_id)[0].state == "pending"


def test_the_list_is_led_back_to_only_on_this_site(console: Console, shop: Shop) -> None:
    first, _second = shares(shop, shop.buy("Cid"))
    form = {"action": "hold", "ids": first.id, "reason": "x"}
    for target in ("https://evil.example/", "//evil.example"):
        answer = console.post(f"{base(shop)}/commissions/act", {**form, "next": target})
        assert answer.headers["Location"] == f"{base(shop)}/commissions"


def test_why_this_amount_tells_every_step_and_every_movement(
    console: Console, shop: Shop, clock: FixedClock
) -> None:
    order_id = shop.buy("Cid", 2)
    shop.refund(order_id, PRICE)
    clock.advance(timedelta(days=8))
    shop.mature()
    first, _second = shares(shop, order_id)
    told = text_of(console.get(f"{base(shop)}/commissions/{first.id}"))
    assert "Why this amount by the rules of version 1" in told
    assert "CN¥59.00 of the order's CN¥118.00 was paid and kept." in told
    assert "book × 2: CN¥59.00 at 20% (the campaign's rate), rounded down: CN¥11.80." in told
    assert "Commission of level 1: CN¥11.80." in told
    for movement in (
        "Payment book of the campaign Commission expense -CN¥23.60",
        "Payment book of the campaign Commissions on hold +CN¥23.60",
        "Refund book of the campaign Commissions on hold -CN¥11.80",
        "Became payable book of the campaign Commissions on hold -CN¥11.80",
        "Became payable book of the wallets Available to promoters +CN¥11.80",
    ):
        assert movement in told, movement
    assert "In the wallet" in told


def test_a_void_commission_says_who_decided_what(console: Console, shop: Shop) -> None:
    first, _second = shares(shop, shop.buy("Cid"))
    path = f"{base(shop)}/commissions/{first.id}"
    assert 'value="mature"' in console.get(path)
    act(console, shop, "void", first.id, next=path)
    told = console.get(path)
    assert "It was taken away by hand, so it is worth nothing: A closer look" in text_of(told)
    assert 'name="action"' not in told
