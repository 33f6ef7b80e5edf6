"""What can be ordered, and what somebody wants of it: the order sheet as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import url_for

from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.ledger.contract import Reason
from growth_engine.orders import queries as orders
from growth_engine.orders import rules
from growth_engine.orders.models import Product
from growth_engine.plays import selling_stock
from growth_engine.plays.words import reason_text
from growth_engine.web.h5.buying import Basket, quantity_field
from growth_engine.web.h5.landing_view import Offer
from growth_engine.web.h5.visit import Visit

#: Different products in one order on the phone: what is wanted waits in a cookie while a number is proved.
MOST_DIFFERENT = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A product on the order sheet."""

    offer: Offer
    quantity: int | None
    """``None``: what was typed is no number."""
    problem: str
    """Translated; empty when nothing is wrong."""

    @property
    def field(self) -> str:
        return quantity_field(self.offer.sku)

    @property
    def price_field(self) -> str:
        return _price_field(self.offer.sku)

    @property
    def most(self) -> int:
        """The most of it that one order may ask for."""
        left = self.offer.left
        return rules.MOST_QUANTITY if left is None else min(left, rules.MOST_QUANTITY)

    @property
    def amount(self) -> int:
        return self.offer.price * (self.quantity or 0)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is offered and how much of it is wanted."""

    rows: Sequence[Row]
    problem: str
    """What is wrong with the whole; translated."""
    currency: str

    @property
    def basket(self) -> Basket:
        return [(row.offer.sku, row.quantity) for row in self.rows if row.quantity]

    @property
    def total(self) -> int:
        return sum(row.amount for row in self.rows)

    @property
    def wrong(self) -> bool:
        return bool(self.problem) or any(row.problem for row in self.rows)

    @property
    def sold_out(self) -> bool:
        return all(row.offer.sold_out for row in self.rows)


def offers(visit: Visit) -> list[Offer]:
    """What a campaign sells, in the order it is shown."""
    campaign_id = visit.campaign.id
    stock = selling_stock.stock_of_products(visit.ctx, campaign_id)
    return [
        Offer(
            sku=one.sku,
            name=one.name,
            description=one.description,
            price=one.price,
            currency=one.currency,
            picture=picture_url(one),
            left=max(0, stock[one.id].total - stock[one.id].taken) if one.id in stock else None,
        )
        for one in orders.products(visit.ctx, campaign_id, on_sale=True)
    ]


def picture_url(product: Product) -> str:
    """Changes with the picture, so that it may be kept for ever; empty without one."""
    if not product.picture_key:
        return ""
    name = product.picture_key.rpartition("/")[2].partition(".")[0]
    return url_for(
        "h5_shop.picture", campaign_id=product.campaign_id, product_id=product.id, version=name[:16]
    )


def sheet(visit: Visit, asked: Mapping[str, str], *, sent: bool) -> Sheet:
    """The order sheet filled in as ``asked`` says; checked only when it was ``sent`` to order."""
    offered = offers(visit)
    if not sent and not any(quantity_field(one.sku) in asked for one in offered):
        asked = {quantity_field(one.sku): "1" for one in _first_choice(offered, asked.get("p", ""))}
    rows = [_row(one, asked, sent=sent) for one in offered]
    return Sheet(rows, _problem(rows) if sent else "", str(visit.campaign.config["currency"]))


def _first_choice(offered: Sequence[Offer], sku: str) -> list[Offer]:
    """What somebody who has not chosen yet most likely came for."""
    there = [one for one in offered if not one.sold_out]
    return [one for one in there if one.sku == sku] or (there if len(there) == 1 else [])


def _row(offer: Offer, asked: Mapping[str, str], *, sent: bool) -> Row:
    text = asked.get(quantity_field(offer.sku), "").strip()
    quantity = _quantity(text)
    problem = ""
    if quantity is None:
        problem = translate(N_("Order 1 to 9999 of it."))
    elif quantity and sent:
        problem = _changed(offer, quantity, asked.get(_price_field(offer.sku), ""))
    return Row(offer, quantity, problem)


def _quantity(text: str) -> int | None:
    """0 for nothing; ``None`` for what is no sensible number."""
    if not text:
        return 0
    number = int(text) if text.isdecimal() and len(text) < 6 else -1
    return number if 0 <= number <= rules.MOST_QUANTITY else None


def _changed(offer: Offer, quantity: int, price_seen: str) -> str:
    """What changed since the page was opened, if that matters: stock and price."""
    if offer.left is not None and offer.left < quantity:
        if offer.sold_out:
            return translate(N_("It has just sold out."))
        return reason_text(Reason("out_of_stock", {"name": offer.name, "left": offer.left}))
    if price_seen != str(offer.price):
        price = format_amount(offer.price, offer.currency)
        return translate(
            N_("The price has changed to %(price)s. Please look again before you order."), {"price": price}
        )
    return ""


def _price_field(sku: str) -> str:
    return f"p-{sku}"


def _problem(rows: Sequence[Row]) -> str:
    wanted = sum(1 for row in rows if row.quantity)
    if wanted > MOST_DIFFERENT:
        return translate(
            N_("At most %(most)s different products in one order, please."), {"most": MOST_DIFFERENT}
        )
    if not wanted and not any(row.problem for row in rows):
        return translate(N_("Choose at least one thing."))
    return ""
