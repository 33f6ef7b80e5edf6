"""Tables of commission: shares of orders, promoters, bindings of buyers. Written by the ledger's poster."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Json, Moment, PrimaryId


class Commission(Base):
    """One level's share of one order: beneficiary and terms stand since the order was first seen."""

    __tablename__ = "commissions"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    order_id: Mapped[Id]
    level: Mapped[int]
    member: Mapped[Count]
    """Number of the participant who earns it."""
    contact_id: Mapped[Id]
    """Whose wallet it matures into."""
    currency: Mapped[str]
    rule_version: Mapped[int]
    terms: Mapped[Json]
    """What the play pinned: rates, limits, lines."""
    target: Mapped[Count]
    """What it is worth now, minor units; always ``pending + matured``."""
    pending: Mapped[Count]
    """On hold in the campaign's book."""
    matured: Mapped[Count]
    """Gone over to the wallet, less what was taken back from there."""
    state: Mapped[str]
    """waiting (not paid yet), pending, held (by a person), matured, reversed (worth nothing since a
    refund) or void (taken away by a person)."""
    reason: Mapped[str]
    """Why it is held or void, in the words of whoever did it."""
    hold_until: Mapped[datetime | None]
    """When what is pending may mature."""
    seq: Mapped[Count]
    """The Entry that changed it last."""
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class Promoter(Base):
    """What a participant is and did as a seller and buyer in a campaign; no row: nothing yet."""

    __tablename__ = "promoters"

    workspace_id: Mapped[Id]
    campaign_id: Mapped[PrimaryId]
    number: Mapped[int] = mapped_column(primary_key=True)
    contact_id: Mapped[Id]
    state: Mapped[str]
    """none (nothing was decided), applied, approved, rejected or blocked."""
    tier: Mapped[str]
    spent: Mapped[Count]
    """Their own purchases, paid less refunded, minor units."""
    orders: Mapped[Count]
    """Paid orders of buyers bound to them."""
    sales: Mapped[Count]
    """Those orders' value, paid less refunded."""
    earned: Mapped[Count]
    """Commission of every level, less what was taken back."""
    usage: Mapped[Json]
    """``earned`` by period (all, month, day), for caps; only the latest month and day are kept."""
    note: Mapped[str]
    applied_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str]


class Binding(Base):
    """Whom a buyer belongs to in a campaign."""

    __tablename__ = "bindings"

    workspace_id: Mapped[Id]
    campaign_id: Mapped[PrimaryId]
    buyer: Mapped[int] = mapped_column(primary_key=True)
    promoter: Mapped[Count]
    bound_at: Mapped[Moment]
    protected_until: Mapped[datetime | None]
    """No other promoter can take the buyer over before; ``None``: never."""
    valid_until: Mapped[datetime | None]
    """Nothing is earned after; ``None``: for ever."""
    seq: Mapped[Count]
