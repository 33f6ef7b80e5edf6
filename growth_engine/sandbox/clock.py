"""The time of the sandbox: as on the wall until somebody moves it, or standing still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class VirtualClock:
    """Seconds since 1970. ``frozen`` stands still between jumps; otherwise it runs, ``offset`` ahead.

    It never runs backwards: token lives and retry plans would mean nothing.
    """

    def __init__(
        self, *, at: float | None = None, frozen: bool = False, wall: Callable[[], float] = time.time
    ) -> None:
        self._wall = wall
        self._frozen = frozen
        self._lock = threading.Lock()
        self._at = wall() if at is None else at
        self._offset = self._at - wall()

    @property
    def frozen(self) -> bool:
        return self._frozen

    def time(self) -> float:
        with self._lock:
            return self._at if self._frozen else self._wall() + self._offset

    def wall(self) -> float:
        """What the time is outside."""
        return self._wall()

    def jump_to(self, at: float) -> None:
        """Move on to ``at``; a moment that is past already changes nothing."""
        with self._lock:
            now = self._at if self._frozen else self._wall() + self._offset
            if at <= now:
                return
            self._at = at
            self._offset = at - self._wall()
