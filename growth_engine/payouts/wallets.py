"""The wallet book of a workspace: opened once, held while rows it guards are changed from outside."""

from __future__ import annotations

from sqlalchemy import text

from growth_engine.context import Ctx
from growth_engine.ledger.journal import GENESIS
from growth_engine.ledger.money import wallet_book

_OPEN = text(
    "INSERT INTO books (id, workspace_id, kind, last_seq, head, members, created_at)"
    " VALUES (:id, :workspace_id, 'wallet', 0, :head, 0, :at) ON CONFLICT (id) DO NOTHING"
)
_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))")


def open_book(ctx: Ctx) -> str:
    """The id of the workspace's wallet book, made when it is not there yet."""
    book_id = wallet_book(ctx.workspace_id)
    names = {"id": book_id, "workspace_id": ctx.workspace_id, "head": GENESIS, "at": ctx.now()}
    ctx.session.execute(_OPEN, names)
    return book_id


def hold_book(ctx: Ctx) -> None:
    """Wait for what the poster is deciding about wallets now, and let nothing begin until we are done.

    Take this lock before rows of payouts, and never hand an Event to the poster while holding it.
    """
    ctx.session.execute(_HOLD, {"id": wallet_book(ctx.workspace_id)})
