"""Loading what selling Events are decided on: at most three rounds, one for payments and refunds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from growth_engine.ledger.contract import Connected, Event
from growth_engine.ledger.money import AVAILABLE, Balances, wallet_book
from growth_engine.plays.posting import questions as shared
from growth_engine.plays.posting.facts import Facts, Stock
from growth_engine.plays.posting.questions import Rows, pairs
from growth_engine.plays.posting.selling import questions
from growth_engine.plays.posting.selling.facts import (
    Binding,
    Commission,
    Line,
    Order,
    Product,
    Promoter,
    Sales,
    Unpaid,
    item_of,
)

#: Events about an order that exists.
_OF_ORDERS = frozenset({"payment", "refund", "cancel"})
#: Events that need the people around a buyer.
_OF_PEOPLE = frozenset({"order", "join", "promoter"})
KINDS = _OF_ORDERS | {"order", "mature", "commission", "promoter"}
#: Events decided without asking for anybody's part in a campaign.
ABOUT_ORDERS = _OF_ORDERS | {"mature", "commission"}


class SellingLoader:
    """Fills ``facts.sales`` (and the members and stock orders need) for one batch."""

    def __init__(self, conn: Connected, facts: Facts, balances: Balances) -> None:
        self._conn = conn
        self._facts = facts
        self._sales: Sales = facts.sales
        self._balances = balances

    def first(self, events: Sequence[Event]) -> None:
        """Orders named, products wanted, commissions named or due."""
        if not any(event.kind in KINDS for event in events):
            return
        named = [e.facts["order_id"] for e in events if e.kind in _OF_ORDERS]
        returning = {e.facts["order_id"] for e in events if _moves_stock(e)}
        if any(event.kind == "order" for event in events):
            # Beside new orders it matters how much less of theirs buyers leave unpaid.
            returning.update(e.facts["order_id"] for e in events if e.kind == "payment")
        asked = {
            "orders": sorted(set(named)),
            "lines": sorted(returning),
            "products": pairs(
                {(e.book_id, line["sku"]) for e in events if e.kind == "order" for line in e.facts["lines"]}
            ),
            "commissions": sorted({i for e in events if e.kind == "commission" for i in e.facts["ids"]}),
            "due": _due(events),
        }
        found = shared.ask(self._conn, questions.FIRST, asked)
        self._add_orders(found["orders"], found["lines"])
        for row in found["products"]:
            product = Product(*row)
            self._sales.products[product.campaign_id, product.sku] = product
        for row in found["shares"] + found["named"]:
            self._add_commission(row)
        for row in found["due"]:
            commission = self._add_commission(row)
            self._sales.due.setdefault(commission.campaign_id, []).append(commission)
        for order in self._sales.orders.values():
            self._looked_up(order.campaign_id, [order.buyer, order.promoter])
            self._looked_up(order.campaign_id, [c.member for c in self._sales.by_order.get(order.id, ())])
        self._add_promoters(found["parties"])

    def rest(self, events: Sequence[Event]) -> None:
        """People around buyers, stock, and the balances refunds may reach."""
        sales, facts = self._sales, self._facts
        buyers, links = self._around(events)
        items = {(p.campaign_id, p.item) for p in sales.products.values()}
        items |= {(o.campaign_id, item_of(ln.product_id)) for o in sales.orders.values() for ln in o.lines}
        if buyers or links or items:
            asked = {
                "buyers": pairs(buyers),
                "lineage": pairs(buyers | links),
                "stocked": pairs(items),
                "ordering": pairs(self._ordering(events)),
                "descendants": pairs(self._newer_links(events)),
            }
            found = shared.ask(self._conn, questions.SECOND, asked)
            for row in found["bindings"]:
                self._add_binding(row)
            for campaign_id, item, total, taken in found["stocked"]:
                facts.stock[campaign_id, item] = Stock(total, taken)
            for campaign_id, number, orders, pieces in found["ordering"]:
                sales.unpaid[campaign_id, number] = Unpaid(orders, int(pieces))
            for campaign_id, start, number in found["descendants"]:
                facts.ancestors.setdefault((campaign_id, start), set()).add(number)
            self._people({(campaign_id, number) for campaign_id, number in found["lineage"]})
        named = {(c.campaign_id, c.member) for c in sales.commissions.values()} - sales.looked_up
        if any(e.kind == "commission" for e in events) and named:
            self._people(named)
        self._load_balances(events)

    def _people(self, wanted: set[tuple[str, int]]) -> None:
        unknown = [pair for pair in wanted if pair not in self._facts.members]
        asked = {"numbers": pairs(unknown), "sellers": pairs(wanted - self._sales.looked_up)}
        found = shared.ask(self._conn, questions.THIRD, asked)
        self._facts.add_rows(found["numbers"])
        self._sales.looked_up |= wanted
        self._add_promoters(found["sellers"])

    def _around(self, events: Sequence[Event]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
        """Participants whom orders, registrations and applications are about, and whose link they came by."""
        facts = self._facts
        buyers: set[tuple[str, int]] = set()
        links: set[tuple[str, int]] = set()
        for event in events:
            if event.kind not in _OF_PEOPLE or not facts.campaigns[event.book_id].sells:
                continue
            if member := facts.by_token.get(event.facts.get("invite_token") or ""):
                links.add((member.campaign_id, member.number))
            for contact_id in facts.named_contacts(event):
                if member := facts.by_contact.get((event.book_id, contact_id)):
                    buyers.add((event.book_id, member.number))
        return buyers, links

    def _ordering(self, events: Sequence[Event]) -> set[tuple[str, int]]:
        """Participants who order something."""
        return {
            (event.book_id, member.number)
            for event in events
            if event.kind == "order"
            for contact_id in self._facts.named_contacts(event)
            if (member := self._facts.by_contact.get((event.book_id, contact_id)))
        }

    def _newer_links(self, events: Sequence[Event]) -> set[tuple[str, int]]:
        """Whose link was followed by somebody who was here before them, and may have brought them."""
        facts = self._facts
        return {
            (link.campaign_id, link.number)
            for event in events
            if event.kind in _OF_PEOPLE and facts.campaigns[event.book_id].sells
            if (link := facts.by_token.get(event.facts.get("invite_token") or ""))
            for contact_id in facts.named_contacts(event)
            if (member := facts.by_contact.get((event.book_id, contact_id))) and member.number < link.number
        }

    def _load_balances(self, events: Sequence[Event]) -> None:
        """What beneficiaries have in their wallets, where a refund may have to take it back."""
        if not any(event.kind in ("refund", "commission") for event in events):
            return
        book = wallet_book(events[0].workspace_id)
        self._balances.load(
            self._conn,
            {(book, AVAILABLE, c.contact_id, c.currency) for c in self._sales.commissions.values()},
        )

    # -- rows ----------------------------------------------------------------------------------------

    def _looked_up(self, campaign_id: str, numbers: Iterable[int]) -> None:
        self._sales.looked_up |= {(campaign_id, number) for number in numbers if number}

    def _add_orders(self, orders: Rows, lines: Rows) -> None:
        for row in orders:
            order = Order(**_named(_ORDER, row))
            self._sales.orders[order.id] = order
        for order_id, *line in lines:
            self._sales.orders[order_id].lines.append(Line(*line))

    def _add_commission(self, row: list[Any]) -> Commission:
        return self._sales.add_commission(Commission(**_named(_COMMISSION, row)))

    def _add_promoters(self, rows: Rows) -> None:
        for row in rows:
            promoter = Promoter(**_named(_PROMOTER, row))
            self._sales.promoters.setdefault((promoter.campaign_id, promoter.number), promoter)

    def _add_binding(self, row: list[Any]) -> None:
        binding = Binding(**_named(_BINDING, row))
        self._sales.bindings[binding.campaign_id, binding.buyer] = binding


#: The questions answer with these columns, in this order; moments travel as text.
_ORDER = (
    "id", "campaign_id", "contact_id", "buyer", "promoter", "currency", "total", "paid", "refunded", "state",
    "fee_bp", "fee", "rule_version", "placed_at", "expires_at", "paid_at", "closed_at", "restocked",
)  # fmt: skip
_COMMISSION = (
    "id", "campaign_id", "order_id", "level", "member", "contact_id", "currency", "rule_version", "terms",
    "target", "pending", "matured", "state", "reason", "hold_until",
)  # fmt: skip
_PROMOTER = (
    "campaign_id", "number", "contact_id", "state", "tier", "spent", "orders", "sales", "earned", "usage",
    "note", "applied_at", "decided_at", "decided_by",
)  # fmt: skip
_BINDING = ("campaign_id", "buyer", "promoter", "bound_at", "protected_until", "valid_until")
_MOMENTS = frozenset({
    "placed_at", "expires_at", "paid_at", "closed_at", "hold_until", "applied_at", "decided_at", "bound_at",
    "protected_until", "valid_until",
})  # fmt: skip


def _named(names: Sequence[str], row: list[Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if value and name in _MOMENTS else value
        for name, value in zip(names, row, strict=True)
    }


def _moves_stock(event: Event) -> bool:
    return event.kind == "cancel" or (event.kind == "refund" and bool(event.facts.get("restock")))


def _due(events: Sequence[Event]) -> list[dict[str, Any]]:
    """One question for each campaign: its latest cutoff, and as many as all its Events may take."""
    asked: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.kind == "mature":
            one = asked.setdefault(event.book_id, {"campaign": event.book_id, "cutoff": "", "most": 0})
            one["cutoff"] = max(one["cutoff"], event.facts["cutoff"])
            one["most"] += event.facts["limit"]
    return list(asked.values())
