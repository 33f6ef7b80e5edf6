"""Tables of selling: products, orders with lines, payments and refunds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Moment, PrimaryId


class Product(Base):
    """Something a campaign offers. Its stock, if limited, is the campaign's stock item ``product:<id>``."""

    __tablename__ = "products"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    sku: Mapped[str]
    """The merchant's own short name of it, unique in the campaign; rates refer to it."""
    name: Mapped[str]
    description: Mapped[str]
    price: Mapped[Count]
    """Minor units of ``currency``, for one."""
    currency: Mapped[str]
    picture_key: Mapped[str | None]
    position: Mapped[int]
    state: Mapped[str]
    """on_sale or hidden."""
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class Order(Base):
    """Somebody buys; written by the ledger's poster only."""

    __tablename__ = "orders"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    number: Mapped[Count]
    """A running number for people to read out; gaps are harmless."""
    external_id: Mapped[str | None]
    """The merchant's own shop's id of it."""
    contact_id: Mapped[Id]
    buyer: Mapped[Count]
    """Number of the participant who buys."""
    promoter: Mapped[Count]
    """Number of the participant the buyer was bound to then; 0 for nobody."""
    currency: Mapped[str]
    total: Mapped[Count]
    """Minor units, as every amount here."""
    paid: Mapped[Count]
    refunded: Mapped[Count]
    """May exceed ``paid`` while a payment is still on its way."""
    state: Mapped[str]
    """placed (not fully paid), paid, refunded (wholly) or cancelled."""
    restocked: Mapped[bool] = mapped_column(server_default="false")
    """Its goods are back in stock after it was wholly refunded."""
    fee_bp: Mapped[int]
    """The platform's fee in basis points, pinned when the order was first seen."""
    fee: Mapped[Count]
    """The platform's fee as posted."""
    rule_version: Mapped[int]
    """The campaign's rule version when the order was first seen; it stays this one."""
    seq: Mapped[Count]
    """The Entry that placed it."""
    source: Mapped[str]
    placed_at: Mapped[Moment]
    expires_at: Mapped[datetime | None]
    """When it is cancelled unless paid."""
    paid_at: Mapped[datetime | None]
    """When it was first wholly paid."""
    closed_at: Mapped[datetime | None]
    """When it was cancelled, or wholly refunded."""


class OrderLine(Base):
    """What was ordered of one product; added, never edited."""

    __tablename__ = "order_lines"

    workspace_id: Mapped[Id]
    order_id: Mapped[PrimaryId]
    line: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[Id]
    sku: Mapped[str]
    name: Mapped[str]
    quantity: Mapped[int]
    amount: Mapped[Count]
    """Minor units, for the whole line."""


class Payment(Base):
    """Money that came for an order; added, never edited."""

    __tablename__ = "payments"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    order_id: Mapped[Id]
    provider: Mapped[str]
    external_id: Mapped[Id]
    """The provider's own id of it: with the provider it names the payment."""
    amount: Mapped[Count]
    seq: Mapped[Count]
    at: Mapped[Moment]


class Refund(Base):
    """Money that went back to a buyer; added, never edited."""

    __tablename__ = "refunds"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    order_id: Mapped[Id]
    provider: Mapped[str]
    external_id: Mapped[Id]
    amount: Mapped[Count]
    reason: Mapped[str]
    seq: Mapped[Count]
    at: Mapped[Moment]
