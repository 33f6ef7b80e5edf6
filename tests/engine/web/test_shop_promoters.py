"""Promoters at the console: approved, grouped, blocked; what they sold, whom they bound."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask

from growth_engine.context import Parts
from growth_engine.ledger.mirror import BookKey
from tests.factories.console import Console
from tests.factories.selling import Shop
from tests.factories.shops import TIERS, base, text_of, three


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    parts.mirror.load_functions()
    return Console(app, parts, workspace, "marketer")


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    parts.mirror.load_functions()
    return three(Shop(parts, workspace, {"promoter_tiers": TIERS}))


def decide(console: Console, shop: Shop, action: str, *who: str, **more: Any) -> str:
    form = {"action": action, "numbers": [str(shop.numbers[one]) for one in who], **more}
    answer = console.post(f"{base(shop)}/promoters/decide", form)
    return text_of(console.get(answer.headers["Location"]))


def standing(shop: Shop, who: str) -> tuple[str, str, str]:
    found = shop.rows(
        "SELECT state, tier, note FROM promoters WHERE campaign_id = :campaign AND number = :number",
        number=shop.numbers[who],
    )
    return tuple(found[0]) if found else ("", "", "")


def test_applicants_are_approved_grouped_blocked_and_let_in_again(
    console: Console, parts: Parts, workspace: str
) -> None:
    shop = Shop(parts, workspace, {"who_promotes": "approved", "promoter_tiers": TIERS})
    for who in ("Ann", "Bob", "Cid"):
        shop.join(who)
    for who in ("Ann", "Bob"):
        shop.promote("apply", who, note=f"I am {who}")
    listed = text_of(console.get(f"{base(shop)}/promoters?state=applied"))
    assert "“I am Ann”" in listed
    assert "Cid" not in listed
    assert "2 promoters are approved." in decide(console, shop, "approve", "Ann", "Bob")
    assert standing(shop, "Ann") == ("approved", "", "I am Ann")
    assert "1 promoter is in the group." in decide(console, shop, "tier", "Ann", tier="gold")
    assert standing(shop, "Ann")[1] == "gold"
    assert "Gold sellers" in text_of(console.get(f"{base(shop)}/promoters?tier=gold"))
    assert "There is no such group." in decide(console, shop, "tier", "Ann", tier="silver")
    assert "1 promoter is blocked." in decide(console, shop, "block", "Bob", note="Spam")
    assert standing(shop, "Bob") == ("blocked", "", "Spam")
    told = decide(console, shop, "approve", "Ann", "Bob")
    assert "1 promoter is approved." in told
    assert "Bob: May not promote any more. Unblock first." in told
    assert "1 promoter may go on." in decide(console, shop, "unblock", "Bob")
    assert "1 application is turned down." in decide(console, shop, "reject", "Ann")
    assert "1 promoter is in the group." in decide(console, shop, "tier", "Ann", tier="")
    assert standing(shop, "Ann")[:2] == ("rejected", "")


def test_somebody_who_never_sold_is_found_and_approved(console: Console, shop: Shop) -> None:
    shop.join("Dan")
    path = f"{base(shop)}/promoters?q=dan"
    assert f'value="{shop.numbers["Dan"]}" data-pick' in console.get(path)
    assert "1 promoter is approved." in decide(console, shop, "approve", "Dan", next=path)
    assert standing(shop, "Dan")[0] == "approved"


def test_a_decision_about_nobody_or_nothing_is_refused(console: Console, shop: Shop) -> None:
    wrong: list[dict[str, Any]] = [{"action": "promote"}, {"numbers": []}, {"numbers": ["x", "9" * 30]}]
    for one in wrong:
        sent = {"action": "approve", "numbers": [str(shop.numbers["Bob"])]} | one
        answer = console.post(f"{base(shop)}/promoters/decide", sent)
        assert re.search(r"Choose (1 to 100 people|approve, reject)", console.get(answer.headers["Location"]))
    assert standing(shop, "Bob") == ("", "", "")


def test_a_promoters_page_tells_what_they_sold_and_who_belongs_to_them(console: Console, shop: Shop) -> None:
    shop.buy("Cid", 2)
    shop.buy("Bob")
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Bob']}"))
    assert "Earned CN¥23.60 rank 1" in told
    assert "Sales CN¥118.00 1 paid order" in told
    assert "Value of the branch CN¥118.00 bought by 1 + 0 people" in told
    assert "Own purchases CN¥59.00" in told
    assert "Buyers who belong to them 1" in told
    assert "Cid CN¥118.00 Jun 1, 2026" in told
    assert "Belongs to Ann" in told
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Ann']}"))
    assert "Value of the branch CN¥177.00 bought by 1 + 1 people" in told
    decide(console, shop, "block", "Ann", note="Bought likes")
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Ann']}"))
    assert "Bought likes" in told
    assert "Last decided 2026-06-01 10:00 by Mia." in told
    assert "May not promote any more." in told


def test_a_promoters_page_stands_without_the_mirror(console: Console, shop: Shop, parts: Parts) -> None:
    shop.buy("Cid")
    parts.mirror.forget(BookKey(shop.workspace_id, shop.campaign_id))
    told = text_of(console.get(f"{base(shop)}/promoters/{shop.numbers['Bob']}"))
    assert "Value of the branch – cannot be read right now" in told
    assert "Sales CN¥59.00" in told


def test_the_best_earners_come_first(console: Console, shop: Shop) -> None:
    shop.buy("Cid")
    page = console.get(f"{base(shop)}/promoters")
    places = [page.index(f'value="{shop.numbers[who]}" data-pick') for who in ("Bob", "Ann", "Cid")]
    assert places == sorted(places)
    first = console.get(f"{base(shop)}/promoters?limit=1")
    following = re.search(r'href="([^"]+cursor=[^"]+)"', first)
    assert following
    assert f'value="{shop.numbers["Ann"]}" data-pick' in console.get(unescape(following[1]))


def test_a_number_nobody_can_have_is_not_found(console: Console, shop: Shop) -> None:
    for number in ("0", "7777", "9" * 30):
        console.get(f"{base(shop)}/promoters/{number}", status=404)
    console.get(f"{base(shop)}/tree/{'9' * 30}/children", status=404)
