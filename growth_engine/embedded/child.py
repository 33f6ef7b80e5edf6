"""One process under supervision: started, watched, started again after growing pauses, stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
#: Whoever lived so long starts again at once; whoever dies younger waits longer each time.
GOOD_LIFE = 10.0


@dataclass(slots=True)
class Child:
    """A process of the tree. ``seconds`` is what it gets for a clean stop before it is killed."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    stop_signal: signal.Signals = signal.SIGTERM
    kill_signal: signal.Signals = signal.SIGKILL
    seconds: float = 6.0
    process: subprocess.Popen[bytes] | None = None
    early_deaths: int = 0
    _born: float = 0.0
    _next_start: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        self._born = time.monotonic()
        self.process = self.start()

    def watch(self) -> bool:
        """Notice a death, start again when the pause is over; has anything changed?"""
        if self.process is None:
            if time.monotonic() < self._next_start:
                return False
            self.launch()
            log.info(f"{self.name} started again", pid=self.pid)
            return True
        code = self.process.poll()
        if code is None:
            return False
        self._mourn(code)
        return True

    def _mourn(self, code: int) -> None:
        lived = time.monotonic() - self._born
        self.early_deaths = 0 if lived >= GOOD_LIFE else self.early_deaths + 1
        pause = min(FIRST_PAUSE * 2 ** max(self.early_deaths - 1, 0), LONGEST_PAUSE)
        log.warning(f"{self.name} {_cause(code)}; starting it again", pid=self.pid, pause=pause)
        self.process = None
        self._next_start = time.monotonic() + pause

    def ask_to_stop(self) -> None:
        if self.alive:
            self._send(self.stop_signal)

    def wait_stopped(self, hurry: Callable[[], bool]) -> None:
        """Wait for the end, at most ``seconds``, less when ``hurry()``; then kill."""
        deadline = time.monotonic() + self.seconds
        while self.alive and time.monotonic() < deadline and not hurry():
            time.sleep(0.02)
        if self.alive:
            log.warning(f"{self.name} did not stop in time and is killed", pid=self.pid)
            self._send(self.kill_signal)
        if self.process:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def _send(self, sig: signal.Signals) -> None:
        if self.process:
            with suppress(ProcessLookupError):  # it was quicker
                self.process.send_signal(sig)


def _cause(code: int) -> str:
    if code >= 0:
        return f"ended by itself (exit code {code})"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
