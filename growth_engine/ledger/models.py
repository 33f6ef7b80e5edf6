"""Tables of the books: books, Events, Entries, and Events still to be posted."""

from __future__ import annotations

from datetime import datetime

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
