"""Selects over the books."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, or_, select

from growth_engine.context import Ctx
from growth_engine.ledger.models import Book, JournalEntry, PendingEvent, StoredEvent


def books(ctx: Ctx) -> Sequence[Book]:
    return ctx.session.scalars(select(Book).order_by(Book.id)).all()


def book(ctx: Ctx, book_id: str) -> Book | None:
    return ctx.session.get(Book, book_id)


def entries_page(
    ctx: Ctx,
    book_id: str,
    *,
    before: int | None = None,
    limit: int = 50,
    accepted: bool | None = None,
    kinds: Sequence[str] = (),
    member: int | None = None,
) -> Sequence[JournalEntry]:
    """Entries, newest first; ``member`` takes those a participant is on either side of."""
    query = select(JournalEntry).where(JournalEntry.book_id == book_id)
    if before is not None:
        query = query.where(JournalEntry.seq < before)
    if accepted is not None:
        query = query.where(JournalEntry.accepted == accepted)
    if kinds:
        query = query.where(JournalEntry.kind.in_(kinds))
    if member is not None:
        query = query.where(or_(JournalEntry.member == member, JournalEntry.other == member))
    return ctx.session.scalars(query.order_by(JournalEntry.seq.desc()).limit(limit)).all()


def due_events(ctx: Ctx, limit: int) -> Sequence[tuple[PendingEvent, StoredEvent]]:
    """Pending Events whose time has come, oldest first."""
    query = (
        select(PendingEvent, StoredEvent)
        .join(StoredEvent, StoredEvent.id == PendingEvent.event_id)
        .where(PendingEvent.parked_at.is_(None), PendingEvent.next_at <= ctx.now())
        .order_by(PendingEvent.event_id)
        .limit(limit)
    )
    return [(pending, stored) for pending, stored in ctx.session.execute(query).all()]


def parked_events(ctx: Ctx) -> Sequence[tuple[PendingEvent, StoredEvent]]:
    query = (
        select(PendingEvent, StoredEvent)
        .join(StoredEvent, StoredEvent.id == PendingEvent.event_id)
        .where(PendingEvent.parked_at.is_not(None))
        .order_by(PendingEvent.event_id)
    )
    return [(pending, stored) for pending, stored in ctx.session.execute(query).all()]


def pending_count(ctx: Ctx) -> int:
    return ctx.session.scalar(select(func.count()).select_from(PendingEvent)) or 0


def event_is_known(ctx: Ctx, source: str, key: str) -> bool:
    """Whether an Event of this name was accepted, posted or not."""
    query = select(StoredEvent.id).where(
        StoredEvent.workspace_id == ctx.workspace_id, StoredEvent.source == source, StoredEvent.key == key
    )
    return ctx.session.scalar(query) is not None
