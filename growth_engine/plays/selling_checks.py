"""What law and arithmetic object to in a campaign that pays commission; pure.

《禁止传销条例》 Art. 7: no reward for recruiting as such, no payment or purchase as the price of taking part,
no pay from what a line of recruits sells. WeChat closes accounts that run more than two levels.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from growth_engine.kit.i18n import N_
from growth_engine.plays import worth
from growth_engine.plays.contract import Given
from growth_engine.plays.findings import Draft, Finding
from growth_engine.plays.selling import OrderLine, OrderPlaced, PinShare, Seller

#: In these fields a wrong number is a promise; elsewhere it may be about something else.
PROMISES = frozenset(
    {"title", "subtitle", "reward_inviter", "reward_friend", "share_title", "share_text"}
    | {"poster_headline", "poster_reward", "button", "thanks"}
)

_NEVER = Given(datetime(2000, 1, 1, tzinfo=UTC), random.Random(0))  # noqa: S311 - checks draw nothing
#: Stands for a product whose price is not known: a percentage of it reads as basis points.
_SAMPLE_PRICE = worth.WHOLE


def commission(draft: Draft) -> Iterator[Finding]:
    """Everything about a play that sells; nothing about any other."""
    if not draft.sells:
        return
    yield from _levels(draft.config)
    yield from _who(draft.config)
    yield from _products(draft)
    yield from _rates(draft)
    yield from _rates_as_promised(draft)


def _levels(config: Mapping[str, Any]) -> Iterator[Finding]:
    if config.get("levels") != 2 or not config.get("level2_value"):
        return
    if not config.get("level1_value"):
        yield Finding(
            "recruiting_pays",
            "error",
            "config.level1_value",
            N_("Commission on the second level alone pays for recruiting promoters, which is forbidden."),
        )
    elif config["level1_unit"] == config["level2_unit"] and config["level2_value"] >= config["level1_value"]:
        yield Finding(
            "level2_high",
            "warning",
            "config.level2_value",
            N_("The second level earns as much as whoever sold: it looks like pay for recruiting."),
        )


def _who(config: Mapping[str, Any]) -> Iterator[Finding]:
    if config.get("who_promotes") in ("buyers", "spenders"):
        yield Finding(
            "buy_to_promote",
            "warning",
            "config.who_promotes",
            N_("Having to buy before one may promote can count as an entry fee. Approving people is safer."),
        )
    if config.get("hold_days") == 0:
        yield Finding(
            "no_hold",
            "warning",
            "config.hold_days",
            N_("Without days on hold commission is withdrawn before a buyer can return anything."),
        )


def _products(draft: Draft) -> Iterator[Finding]:
    if draft.products is None:
        return
    if not draft.products:
        yield Finding("products_missing", "error", "products", N_("There is nothing to buy yet."))
    known = {product["sku"] for product in draft.products}
    for one in draft.config.get("overrides", ()):
        if one["sku"] and draft.products and one["sku"] not in known:
            yield Finding(
                "rate_without_product",
                "warning",
                "config.overrides",
                N_("There is a rate for “%(sku)s”, but no such product is on sale."),
                one["sku"],
                {"sku": one["sku"]},
            )


def _rates(draft: Draft) -> Iterator[Finding]:
    """The worst product and group: what the play itself would pay for one piece."""
    worst: Finding | None = None
    for sku, price in _priced(draft):
        for tier in ["", *(group["name"] for group in draft.config.get("promoter_tiers", ()))]:
            found = _paid_for(draft, sku, price, tier)
            if found and found.severity == "error":
                yield found
                return
            worst = worst or found
    if worst:
        yield worst


def _priced(draft: Draft) -> list[tuple[str, int]]:
    if draft.products:
        return [(product["sku"], product["price"]) for product in draft.products]
    skus = {one["sku"] for one in draft.config.get("overrides", ())}
    return [(sku, _SAMPLE_PRICE) for sku in sorted(skus | {""})]


def _paid_for(draft: Draft, sku: str, price: int, tier: str) -> Finding | None:
    ann, bob = Seller(1, qualified=True, tier=tier), Seller(2, qualified=True, tier=tier)
    placed = OrderPlaced("sample", Seller(3, qualified=False), [OrderLine(1, sku, 1, price)], bob, ann)
    effects = draft.play.decide(placed, {}, draft.config, _NEVER).effects
    pinned = [effect.terms for effect in effects if isinstance(effect, PinShare)]
    lines = [line for terms in pinned for line in terms["lines"]]
    if not draft.products and any(line["unit"] != "bp" for line in lines):
        return None  # an amount says nothing without a price
    share = sum(worth.uncapped(terms, price) for terms in pinned) * 100 // price
    params = {"sku": sku or "–", "share": share}
    if share >= 100 or any(line.get("clipped") for line in lines):
        return Finding(
            "commission_above_price",
            "error",
            "config.level1_value",
            N_("Commission on “%(sku)s” would take its whole price, or more."),
            sku,
            params,
        )
    if share > 50:
        return Finding(
            "commission_high",
            "warning",
            "config.level1_value",
            N_("%(share)s %% of the price of “%(sku)s” goes to promoters: people pay for the promotion."),
            sku,
            params,
        )
    return None


# -- numbers in the copy -------------------------------------------------------------------------------

_PERCENT = re.compile(r"(?P<whole>\d{1,3})(?:\.(?P<part>\d{1,2}))?\s*[%％]")
_ABOUT_PAY = re.compile(
    r"佣金|返(?:佣|现|利)|提成|奖励|得实付|分成|\b(?:commission|earn|reward|receive|get)", re.IGNORECASE
)


def _rates_as_promised(draft: Draft) -> Iterator[Finding]:
    """Percentages of pay in the copy that no rule pays."""
    paid = _promised(draft)
    for name, line in draft.lines():
        if name in ("privacy", "contact", "brand") or not _ABOUT_PAY.search(line):
            continue
        for match in _PERCENT.finditer(line):
            said = int(match["whole"]) * 100 + int((match["part"] or "").ljust(2, "0"))
            if worth.percent(said) not in paid:
                yield Finding(
                    "commission_differs",
                    "error" if name in PROMISES else "warning",
                    name,
                    N_("The rules pay %(paid)s %%, the text says otherwise. Write {level1} or {level2}."),
                    match[0],
                    {"paid": "/".join(sorted(paid)) or "0"},
                )


def _promised(draft: Draft) -> set[str]:
    rates = [rate for rate in draft.promise.values() if isinstance(rate, Mapping) and "unit" in rate]
    rates += draft.config.get("overrides", ())
    return {worth.percent(rate["value"]) for rate in rates if rate["unit"] == "bp"}
