"""The root of the process tree: starts children in order, keeps them alive, stops them in reverse."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import psutil
import structlog

from growth_engine.embedded.child import Child
from growth_engine.embedded.run_file import NAME, Process, RunFile
from growth_engine.kit.errors import Misconfigured

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.1
#: A child that dies so often while the product starts will not do better later.
START_TRIES = 4


class StopAsked(BaseException):
    """Ctrl-C or SIGTERM while starting."""


class Supervisor:
    """Watches over children; runs in the main thread only (a child dies with the thread that made it)."""

    def __init__(self, data_dir: Path, run_file: RunFile) -> None:
        self._data_dir = data_dir
        self._run_file = run_file
        self._tiers: list[list[Child]] = []
        self._asked = 0
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self._on_signal)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def start(self, *children: Child) -> None:
        """Launch children that belong together: they are stopped together, before those started earlier."""
        self._check_asked()
        self._tiers.append(list(children))
        for child in children:
            child.launch()
        self._note()

    def wait_until(
        self, ready: Callable[[], bool], seconds: float, why_not: Callable[[], str], waiting_for: list[Child]
    ) -> None:
        """Keep the tree alive until ``ready()``; Misconfigured when it takes too long or a child gives up."""
        deadline = time.monotonic() + seconds
        while not ready():
            self._check_asked()
            self._watch()
            failed = [child for child in waiting_for if child.early_deaths >= START_TRIES]
            if failed:
                raise Misconfigured(f"{failed[0].name} does not start: {why_not()}")
            if time.monotonic() > deadline:
                raise Misconfigured(f"{waiting_for[0].name} is not up after {seconds:.0f} s: {why_not()}")
            time.sleep(POLL_SECONDS / 2)

    def run(self) -> None:
        """Keep the tree alive until Ctrl-C or SIGTERM."""
        while not self._asked:
            self._watch()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop everything, the last started first; a second Ctrl-C makes it short."""
        first = self._asked
        hurry = lambda: self._asked > max(first, 1)  # noqa: E731
        for tier in reversed(self._tiers):
            for child in tier:
                child.ask_to_stop()
            for child in tier:
                child.wait_stopped(hurry)
        self._tiers.clear()
        (self._data_dir / NAME).unlink(missing_ok=True)

    def _check_asked(self) -> None:
        if self._asked:
            raise StopAsked

    def _watch(self) -> None:
        changed = [child.name for tier in self._tiers for child in tier if child.watch()]
        if changed:
            self._note()

    def _note(self) -> None:
        """Write down who runs, for other terminals and for the next start after a crash of this process."""
        living = [child for tier in self._tiers for child in tier if child.pid is not None and child.alive]
        self._run_file.children = {}
        for child in living:
            try:
                self._run_file.children[child.name] = Process.of(child.pid or 0)
            except psutil.NoSuchProcess:
                continue  # died in between; the next look notices
        try:
            self._run_file.write(self._data_dir)
        except OSError as error:
            log.warning("run.json could not be written", error=str(error))


def end_leftovers(found: RunFile, seconds: float = 10.0) -> None:
    """End what a supervisor that was killed left behind (its children usually end by themselves)."""
    left = {name: process for name, child in found.children.items() if (process := child.find())}
    _, stubborn = psutil.wait_procs(list(left.values()), timeout=seconds / 2)
    if not stubborn:
        return
    log.warning("ending processes left over from a run that was killed", names=sorted(left))
    for name, process in left.items():
        if process in stubborn:
            # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
            process.send_signal(signal.SIGINT if name == "PostgreSQL" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(stubborn, timeout=seconds)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=5)
