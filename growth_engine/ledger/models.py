"""Tables of the books: books, Events, Entries, and Events still to be posted."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Json, Moment, PrimaryId


class Book(Base):
    """The unit of order: one per campaign; its id is the campaign's."""

    __tablename__ = "books"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    kind: Mapped[str]
    last_seq: Mapped[Count]
    """Sequence number of the last Entry; gapless from 1."""
    head: Mapped[bytes]
    """Hash of the last Entry."""
    members: Mapped[Count]
    """Participants so far; the next one's number is one more."""
    created_at: Mapped[Moment]


class StoredEvent(Base):
    """An Event as accepted; added, never edited."""

    __tablename__ = "events"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    book_id: Mapped[Id]
    source: Mapped[str]
    key: Mapped[Id]
    kind: Mapped[str]
    facts: Mapped[Json]
    payload_hash: Mapped[bytes]
    occurred_at: Mapped[Moment]
    accepted_at: Mapped[Moment]


class PendingEvent(Base):
    """An accepted Event that waits to be posted, or is parked because it cannot be."""

    __tablename__ = "pending_events"

    event_id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    book_id: Mapped[Id]
    payload: Mapped[Json]
    attempts: Mapped[int]
    next_at: Mapped[Moment]
    parked_at: Mapped[datetime | None]
    """Since when nobody tries any more; a person must look."""
    error: Mapped[str | None]


class JournalEntry(Base):
    """One row of the journal; added, never edited."""

    __tablename__ = "entries"

    book_id: Mapped[PrimaryId]
    seq: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[Id]
    event_id: Mapped[Id]
    kind: Mapped[str]
    accepted: Mapped[bool]
    member: Mapped[int | None]
    other: Mapped[int | None]
    rule_version: Mapped[int]
    at: Mapped[Moment]
    body: Mapped[Json]
    """source, reasons, ops (changes for the mirror), result (ids)."""
    hash: Mapped[bytes]


class LegRow(Base):
    """One side of a movement between accounts; added, never edited."""

    __tablename__ = "legs"

    book_id: Mapped[PrimaryId]
    seq: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[Id]
    account: Mapped[str]
    owner: Mapped[Id]
    currency: Mapped[str]
    amount: Mapped[Count]
    """Minor units, positive when owed to somebody."""
    ref: Mapped[Id]
    """Commission or payout it is about; empty for none."""


class Account(Base):
    """Balance of one account: the sum of its legs, kept while posting."""

    __tablename__ = "accounts"

    workspace_id: Mapped[Id]
    book_id: Mapped[PrimaryId]
    account: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[PrimaryId]
    currency: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[Count]
    """Minor units."""
    credited: Mapped[Count]
    """Sum of the positive legs."""
    debited: Mapped[Count]
    """Sum of the negative legs, without the sign."""
    last_seq: Mapped[Count]


class BookHead(Base):
    """Where a book stood on a day: hash and sequence number, kept apart so that a rewrite would show."""

    __tablename__ = "book_heads"

    workspace_id: Mapped[Id]
    book_id: Mapped[PrimaryId]
    day: Mapped[date] = mapped_column(primary_key=True)
    seq: Mapped[Count]
    head: Mapped[bytes]
    at: Mapped[Moment]


class Alert(Base):
    """Something that must not be, shown on the console until it is no more."""

    __tablename__ = "alerts"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    topic: Mapped[str]
    """The check that failed."""
    subject: Mapped[Id]
    """What it failed for: a book, an order, a payout."""
    detail: Mapped[str]
    raised_at: Mapped[Moment]
    seen_at: Mapped[Moment]
    """Last time the check still failed."""
    cleared_at: Mapped[datetime | None]
