"""Holding up the books of a campaign, as a slow database or a long batch would."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import TextClause, text

from growth_engine.context import Parts


@contextmanager
def holding(parts: Parts, book_id: str) -> Iterator[Callable[[], None]]:
    """Nobody posts to the book until what this yields is called (or the block ends)."""
    statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    with _holding(parts, statement, name=book_id) as let_go:
        yield let_go


@contextmanager
def locking(parts: Parts, table: str) -> Iterator[Callable[[], None]]:
    """Nobody writes to the table until what this yields is called (or the block ends)."""
    with _holding(parts, text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")) as let_go:
        yield let_go


@contextmanager
def _holding(parts: Parts, statement: TextClause, **values: str) -> Iterator[Callable[[], None]]:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with parts.db.transaction(None) as session:
            session.execute(statement, values)
            held.set()
            let_go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield let_go.set
    finally:
        let_go.set()
        thread.join()
