"""What a batch of selling Events is decided on: rows in memory, changed by decisions, saved at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


def item_of(product_id: str) -> str:
    """Name of a product's stock among the campaign's limited items."""
    return f"product:{product_id}"


@dataclass(slots=True)
class Product:
    id: str
    campaign_id: str
    sku: str
    name: str
    price: int
    currency: str
    on_sale: bool

    @property
    def item(self) -> str:
        """Name of its stock, if it is limited."""
        return item_of(self.id)


@dataclass(slots=True)
class Order:
    id: str
    campaign_id: str
    contact_id: str
    buyer: int
    promoter: int
    currency: str
    total: int
    paid: int
    refunded: int
    state: str
    fee_bp: int
    fee: int
    rule_version: int
    placed_at: datetime
    expires_at: datetime | None
    paid_at: datetime | None
    closed_at: datetime | None
    restocked: bool = False
    """Its goods came back after it was wholly refunded."""
    seq: int = 0
    source: str = ""
    external_id: str | None = None
    lines: list[Line] = field(default_factory=list)
    """Of a new order, or of one whose stock moves; other decisions do not need them."""
    is_new: bool = False
    changed: bool = False

    @property
    def net(self) -> int:
        return max(0, self.paid - self.refunded)

    @property
    def unpaid(self) -> bool:
        """Whether it waits for its first payment, and keeps stock from others meanwhile."""
        return self.state == "placed" and self.paid == 0

    @property
    def pieces(self) -> int:
        return sum(line.quantity for line in self.lines)


@dataclass(slots=True)
class Line:
    line: int
    product_id: str
    sku: str
    name: str
    quantity: int
    amount: int


@dataclass(slots=True)
class Commission:
    id: str
    campaign_id: str
    order_id: str
    level: int
    member: int
    contact_id: str
    currency: str
    rule_version: int
    terms: dict[str, Any]
    target: int
    pending: int
    matured: int
    state: str
    reason: str
    hold_until: datetime | None
    seq: int = 0
    is_new: bool = False
    changed: bool = False


@dataclass(slots=True)
class Promoter:
    campaign_id: str
    number: int
    contact_id: str
    state: str = "none"
    tier: str = ""
    spent: int = 0
    orders: int = 0
    sales: int = 0
    earned: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    note: str = ""
    applied_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    changed: bool = False


@dataclass(slots=True)
class Binding:
    campaign_id: str
    buyer: int
    promoter: int
    bound_at: datetime
    protected_until: datetime | None
    valid_until: datetime | None
    seq: int = 0
    changed: bool = False


@dataclass(slots=True)
class Transfer:
    """A payment or a refund."""

    kind: str
    order_id: str
    provider: str
    external_id: str
    amount: int
    reason: str
    seq: int


@dataclass(slots=True)
class Unpaid:
    """What a buyer has ordered and not paid."""

    orders: int = 0
    pieces: int = 0


@dataclass(slots=True)
class Sales:
    """Everything one batch knows about selling. Keys: ids, or campaign id and number."""

    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    """By campaign and sku."""
    orders: dict[str, Order] = field(default_factory=dict)
    commissions: dict[str, Commission] = field(default_factory=dict)
    by_order: dict[str, list[Commission]] = field(default_factory=dict)
    due: dict[str, list[Commission]] = field(default_factory=dict)
    """What may mature, by campaign, oldest first."""
    promoters: dict[tuple[str, int], Promoter] = field(default_factory=dict)
    bindings: dict[tuple[str, int], Binding] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    unpaid: dict[tuple[str, int], Unpaid] = field(default_factory=dict)
    """Of buyers who order something, by campaign and number."""
    looked_up: set[tuple[str, int]] = field(default_factory=set)
    """Whose promoter row was asked for: whoever has none in ``promoters`` has none at all."""

    def count_unpaid(self, order: Order, sign: int) -> None:
        """An order begins (1) or ceases (-1) to wait for its first payment."""
        row = self.unpaid.setdefault((order.campaign_id, order.buyer), Unpaid())
        row.orders += sign
        row.pieces += sign * order.pieces

    def add_commission(self, commission: Commission) -> Commission:
        known = self.commissions.get(commission.id)
        if known is not None:
            return known
        self.commissions[commission.id] = commission
        self.by_order.setdefault(commission.order_id, []).append(commission)
        return commission

    def promoter(self, campaign_id: str, number: int, contact_id: str) -> Promoter:
        """The row of a participant, to be changed; made when nothing was known of them."""
        row = self.promoters.get((campaign_id, number))
        if row is None:
            if (campaign_id, number) not in self.looked_up:
                raise LookupError(f"the promoter row of {number} was not loaded")
            row = self.promoters[campaign_id, number] = Promoter(campaign_id, number, contact_id)
        row.changed = True
        return row

    def saved(self) -> None:
        """All that was decided so far is written; see ``Facts.saved``."""
        self.transfers.clear()
        for order in self.orders.values():
            order.is_new = order.changed = False
        for commission in self.commissions.values():
            commission.is_new = commission.changed = False
        for promoter in self.promoters.values():
            promoter.changed = False
        for binding in self.bindings.values():
            binding.changed = False
