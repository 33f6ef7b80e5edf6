"""Two processes commit to one book in turn, and tell the mirror in any order."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from growth_engine.context import Parts
from growth_engine.ledger.mirror import BookKey
from growth_engine.ledger.mirroring import DISCOURAGED_SECONDS, PAUSES, Mirroring

DAY = "2026-06-01"


def entries(first: int, last: int) -> list[tuple[int, list[Any]]]:
    """One new member each."""
    return [(seq, [["m", seq, 0, DAY]]) for seq in range(first, last + 1)]


@pytest.fixture
def book(workspace: str, parts: Parts) -> BookKey:
    return BookKey(workspace, parts.ids.new("cmp"))


def test_what_comes_before_is_waited_for(parts: Parts, book: BookKey) -> None:
    rung: list[tuple[str, str]] = []
    ours, theirs = (Mirroring(parts.mirror, lambda *ring: rung.append(ring)) for _ in range(2))
    late = threading.Timer(0.01, theirs, (book.workspace_id, book.campaign_id, entries(1, 3)))
    late.start()
    ours(book.workspace_id, book.campaign_id, entries(4, 5))
    late.join()
    assert parts.mirror.last_seq(book) == 5
    assert rung == []


def test_a_book_that_stays_behind_is_left_to_the_job_and_waited_for_once(parts: Parts, book: BookKey) -> None:
    rung: list[tuple[str, str]] = []
    slept: list[float] = []
    seconds = [0.0]
    ours = Mirroring(
        parts.mirror, lambda *ring: rung.append(ring), sleep=slept.append, seconds=lambda: seconds[0]
    )
    for first in (4, 5):
        ours(book.workspace_id, book.campaign_id, entries(first, first))
    assert slept == list(PAUSES)
    assert rung == [("ledger.mirror", book.workspace_id)] * 2
    parts.mirror.apply(book, entries(1, 5))  # the job has been
    seconds[0] = DISCOURAGED_SECONDS
    ours(book.workspace_id, book.campaign_id, entries(6, 6))
    ours(book.workspace_id, book.campaign_id, entries(8, 8))
    assert slept == list(PAUSES) * 2
    assert parts.mirror.last_seq(book) == 6


def test_an_emptied_mirror_is_not_waited_for_book_after_book(parts: Parts, workspace: str) -> None:
    slept: list[float] = []
    ours = Mirroring(parts.mirror, lambda *_: None, sleep=slept.append)
    for number in range(20):
        ours(workspace, parts.ids.new("cmp"), entries(number + 2, number + 2))
    assert slept == list(PAUSES)


def test_it_does_not_wait_long(parts: Parts, book: BookKey) -> None:
    began = time.monotonic()
    Mirroring(parts.mirror, lambda *_: None)(book.workspace_id, book.campaign_id, entries(2, 2))
    assert time.monotonic() - began < 1
