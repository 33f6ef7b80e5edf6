"""The wallet book of a workspace: opened once, held while payouts are changed."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.ledger import books
from growth_engine.ledger.money import wallet_book


def open_book(ctx: Ctx) -> str:
    """The id of the workspace's wallet book, made when it is not there yet."""
    book_id = wallet_book(ctx.workspace_id)
    books.open_book(ctx, book_id, "wallet")
    return book_id


def hold_book(ctx: Ctx) -> None:
    """``ledger.books.hold_book`` of the wallet book: before rows of payouts."""
    books.hold_book(ctx, wallet_book(ctx.workspace_id))
