"""After a commit: the mirror is told, then whoever waits; beside the next batch where that is worth it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: Batches from this size on are told by a thread of their own while the next is decided. Smaller ones are
#: told at once: handing them over costs more than it gains, and callers who come back together make larger
#: batches.
BESIDE = 100
#: Batches that may wait to be told; the poster then waits with them, so that no caller waits for long.
_MOST = 2

Mirrored = Callable[[str, str, Sequence[tuple[int, list[Any]]]], None]
ByBook = Mapping[str, Sequence[tuple[int, list[Any]]]]


class Teller:
    """Tells in the order of the commits: no batch overtakes another on its way to the mirror.

    Used by one thread (the poster's).
    """

    def __init__(self, mirrored: Mirrored, ring: Callable[[str, str], None], beside: int = BESIDE) -> None:
        self._mirrored = mirrored
        self._ring = ring
        self._beside = beside
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._room = threading.Semaphore(_MOST)
        self._thread: threading.Thread | None = None

    def tell(
        self, workspace_id: str, size: int, books: ByBook, jobs: Sequence[str], answer: Callable[[], None]
    ) -> None:
        """Mirror the Entries of ``books``, ring for ``jobs``, then ``answer`` the callers.

        ``size``: Events of the batch. Large ones are told later, in their turn.
        """

        def work() -> None:
            for book_id, entries in books.items():
                _safely(self._mirrored, workspace_id, book_id, entries)
            for job in jobs:
                _safely(self._ring, job, workspace_id)
            answer()

        if size < self._beside:
            self._drain()
            work()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger-teller", daemon=True)
            self._thread.start()
        self._room.acquire()
        self._queue.put(work)

    def close(self) -> None:
        """Tell what waits, then stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _drain(self) -> None:
        """Wait until everything handed over is told."""
        if self._thread is not None:
            for _ in range(_MOST):
                self._room.acquire()
            self._room.release(_MOST)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:  # the thread must outlive every failure
                log.exception("ledger.answering_failed")
            finally:
                self._room.release()


def _safely(do: Callable[..., None], *arguments: Any) -> None:
    """What is committed is answered whatever fails here; jobs bring the mirror up and ring again."""
    try:
        do(*arguments)
    except Exception:
        log.exception("ledger.telling_failed")
