"""Does what is due on the virtual clock: callbacks and their repeats, expiries, results that come later."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from growth_engine.sandbox.clock import VirtualClock
from growth_engine.sandbox.store import Store, Timer

log = logging.getLogger(__name__)

#: How often the clock is looked at when nothing else wakes the runner.
_TICK_SECONDS = 0.05
_THREADS = 24


class Runner:
    """One thread looks for due timers, a pool does them; timers of one lane keep their order.

    A timer is struck off when it is done, so after a crash it is done again: at least once, as the
    platform's own callbacks are.
    """

    def __init__(self, store: Store, clock: VirtualClock, do: Callable[[Timer], None]) -> None:
        self._store = store
        self._clock = clock
        self._do = do
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._running: set[int] = set()
        self._lanes: set[str] = set()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox-timer")
        self._thread = threading.Thread(target=self._loop, name="sandbox-runner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def kick(self) -> None:
        """Something may be due now."""
        self._wake.set()

    def settle(self, seconds: float = 60.0) -> bool:
        """Wait until nothing is due and nothing runs; False when it takes longer than ``seconds``."""
        self.kick()
        with self._idle:
            return self._idle.wait_for(self._is_idle, seconds)

    def advance(self, seconds: float) -> None:
        """Let the clock run ahead, stopping at every timer on the way until it is done."""
        target = self._clock.time() + seconds
        while True:
            self.settle()
            waiting = self._store.timers(target)
            if not waiting:
                break
            self._clock.jump_to(waiting[0].at)
        self._clock.jump_to(target)
        self.settle()

    def _is_idle(self) -> bool:
        return not self._running and not self._store.timers(self._clock.time())

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            if self._stopping.is_set():
                return
            for timer in self._store.timers(self._clock.time()):
                self._launch(timer)

    def _launch(self, timer: Timer) -> None:
        with self._idle:
            if timer.id in self._running or (timer.lane and timer.lane in self._lanes):
                return
            if not self._store.has_timer(timer.id):
                return  # done between our look and now
            self._running.add(timer.id)
            if timer.lane:
                self._lanes.add(timer.lane)
        self._pool.submit(self._run, timer)

    def _run(self, timer: Timer) -> None:
        try:
            self._do(timer)
        except Exception:
            log.exception("the sandbox could not do %s", timer.kind)
        finally:
            with self._store.open():
                self._store.end_timer(timer.id)
            with self._idle:
                self._running.discard(timer.id)
                self._lanes.discard(timer.lane)
                self._idle.notify_all()
            self._wake.set()
