"""Products with how many there are of each: offered, copied, counted with the campaign's book held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from growth_engine.context import Ctx
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.ledger import books
from growth_engine.orders import queries as orders
from growth_engine.orders import service
from growth_engine.orders.models import Product
from growth_engine.plays import queries
from growth_engine.plays.models import StockItem
from growth_engine.plays.posting.selling.facts import item_of


def offer(ctx: Ctx, campaign_id: str, *, stock: int | None = None, **product: Any) -> Product:
    """Offer something (``orders.service.add_product``), of which there are ``stock``; ``None``: no limit."""
    made = service.add_product(ctx, campaign_id, **product)
    if stock is not None:
        set_total(ctx, made.id, stock)
    return made


def copy_products(ctx: Ctx, source_id: str, campaign_id: str) -> None:
    """Offer in one campaign what another offers, as many in all, none of them taken."""
    stock = stock_of_products(ctx, source_id)
    for one in orders.products(ctx, source_id):
        held = stock.get(one.id)
        same = {name: getattr(one, name) for name in _SAME}
        offer(ctx, campaign_id, stock=held.total if held else None, **same)


_SAME = ("sku", "name", "description", "price", "currency", "picture_key", "position", "state")


def stock_of_products(ctx: Ctx, campaign_id: str) -> Mapping[str, StockItem]:
    """Stock by product id; those without a limit are left out."""
    items = queries.stock_of(ctx, campaign_id)
    return {
        one.id: items[item_of(one.id)]
        for one in orders.products(ctx, campaign_id)
        if item_of(one.id) in items
    }


def set_total(ctx: Ctx, product_id: str, total: int | None) -> None:
    """There are ``total`` of a product in all, sold and reserved ones included; ``None``: no limit.

    Raises ``UnknownProduct``, ``Invalid`` when more are taken already.
    """
    product = orders.product(ctx, product_id)
    # The book's lock keeps the poster from reserving meanwhile.
    books.hold_book(ctx, product.campaign_id)
    name = {"campaign_id": product.campaign_id, "item": item_of(product.id)}
    held = queries.stock_of(ctx, product.campaign_id).get(name["item"])
    if total is None:
        ctx.session.execute(delete(StockItem).filter_by(**name))
        return
    taken = held.taken if held else _sold_before(ctx, product_id)
    if total < taken:
        raise Invalid(fields={"stock": [N_("More than that are sold or reserved already.")]})
    statement = insert(StockItem).values(workspace_id=ctx.workspace_id, total=total, taken=taken, **name)
    ctx.session.execute(
        statement.on_conflict_do_update(index_elements=["campaign_id", "item"], set_={"total": total})
    )


def _sold_before(ctx: Ctx, product_id: str) -> int:
    """Pieces of orders that stand, when a limit is set for the first time."""
    return int(orders.pieces_ordered(ctx, product_id))
