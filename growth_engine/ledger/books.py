"""A book itself: opened once, held while rows it guards are changed from outside."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import text

from growth_engine.context import Ctx
from growth_engine.ledger.journal import GENESIS

_OPEN = text(
    "INSERT INTO books (id, workspace_id, kind, last_seq, head, members, created_at)"
    " VALUES (:id, :workspace_id, :kind, 0, :head, 0, :at) ON CONFLICT (id) DO NOTHING"
)
_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))")


def open_book(ctx: Ctx, book_id: str, kind: Literal["campaign", "wallet"]) -> None:
    """Make a book when it is not there yet."""
    values = {"id": book_id, "workspace_id": ctx.workspace_id, "kind": kind, "head": GENESIS, "at": ctx.now()}
    ctx.session.execute(_OPEN, values)


def hold_book(ctx: Ctx, book_id: str) -> None:
    """Wait for what the poster is deciding in this book now, and let nothing begin until we are done.

    Take this lock before the rows it guards, and never hand an Event to the poster while holding it.
    """
    ctx.session.execute(_HOLD, {"id": book_id})
