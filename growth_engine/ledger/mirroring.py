"""Tells the mirror what was committed, in the order of the books whichever process committed it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from growth_engine.kit.errors import GrowthError
from growth_engine.ledger.mirror import BookKey, Mirror

log = structlog.get_logger(__name__)

#: Another process has committed what comes before, and tells the mirror in a moment: waited for so long.
PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
#: Who was waited for in vain is not coming, or the mirror was emptied: no other book is waited for so long.
DISCOURAGED_SECONDS = 1.0


class Mirroring:
    """What the poster calls after a commit: the journal is safe, a mirror in trouble catches up later.

    ``ring(job, workspace_id)`` wakes the job that does it. A book that stayed behind is not waited for again
    before it has caught up, so that an emptied mirror does not hold up the poster book after book.
    """

    def __init__(
        self,
        mirror: Mirror,
        ring: Callable[[str, str], None],
        sleep: Callable[[float], None] = time.sleep,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mirror, self._ring, self._sleep, self._seconds = mirror, ring, sleep, seconds
        self._behind: set[BookKey] = set()
        self._patient_from = float("-inf")

    def __call__(self, workspace_id: str, book_id: str, entries: Sequence[tuple[int, list[Any]]]) -> None:
        book = BookKey(workspace_id, book_id)
        if self._applied(book, entries):
            self._behind.discard(book)
        else:
            self._behind.add(book)
            self._ring("ledger.mirror", workspace_id)

    def _applied(self, book: BookKey, entries: Sequence[tuple[int, list[Any]]]) -> bool:
        try:
            if not self._mirror.apply(book, entries).gap:
                return True
            if book in self._behind or self._seconds() < self._patient_from:
                return False
            for pause in PAUSES:
                self._sleep(pause)
                if not self._mirror.apply(book, entries).gap:
                    return True
            self._patient_from = self._seconds() + DISCOURAGED_SECONDS
        except GrowthError as error:
            log.warning("mirror.behind", workspace=book.workspace_id, book=book.campaign_id, code=error.code)
        return False
