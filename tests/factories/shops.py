"""The console of a shop in tests: what a page says, what its forms hold, what the tables say afterwards."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from tests.factories.selling import Shop

TIERS = [{"name": "gold", "label": "Gold sellers"}]


def three(shop: Shop) -> Shop:
    """Ann brought Bob, Bob brought Cid."""
    for who, inviter in (("Ann", None), ("Bob", "Ann"), ("Cid", "Bob")):
        shop.join(who, inviter)
    return shop


def base(shop: Shop) -> str:
    return f"/console/campaigns/{shop.campaign_id}"


def text_of(page: str) -> str:
    """What a person reads of a page, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def hidden(page: str, name: str) -> str:
    """What a form of the page carries along unseen."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return unescape(found[1])


def shares(shop: Shop, order_id: str) -> list[Any]:
    return shop.rows(
        "SELECT id, target, state, reason FROM commissions WHERE order_id = :order ORDER BY level",
        order=order_id,
    )


def order_of(shop: Shop, order_id: str) -> Any:
    return shop.rows("SELECT paid, refunded, state FROM orders WHERE id = :order", order=order_id)[0]
