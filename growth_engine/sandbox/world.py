"""What all services of the sandbox share: store, time, randomness, options, and work that is due later."""

from __future__ import annotations

import hashlib
import ssl
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from growth_engine.sandbox.clock import VirtualClock
from growth_engine.sandbox.runner import Runner
from growth_engine.sandbox.store import Doc, Store, Timer

#: How a timer's kind is done; modules add theirs when imported (``@timer("…")``).
Handler = Callable[["World", Doc], None]
_HANDLERS: dict[str, Handler] = {}

LETTERS = string.ascii_letters + string.digits

#: Behaviours that are an option because the platform's own is not known or differs (``/_sandbox/options``).
DEFAULT_OPTIONS: Doc = {
    "callback_timeout": 5.0,
    "oa_retry_signature": "fresh",
    "oauth_unionid_with_base": False,
    "transfer_expiry_state": "FAIL",
    "transfer_expiry_reason": "OVERDUE_CLOSE",
    "signature_clock": "virtual",
    "group_lag": 2.0,
    "frames": False,
}


@cache
def _authorities() -> ssl.SSLContext:
    """Read once a process: it takes longer than all else at the start."""
    return ssl.create_default_context()


def timer(kind: str) -> Callable[[Handler], Handler]:
    """Register how timers of a kind are done. They run outside any transaction."""

    def remember(handler: Handler) -> Handler:
        assert kind not in _HANDLERS, kind
        _HANDLERS[kind] = handler
        return handler

    return remember


class World:
    """One sandbox. ``with world.open():`` is one step that happens wholly or not at all."""

    def __init__(self, path: Path | None, clock: VirtualClock, seed: int) -> None:
        self.clock = clock
        self.store = Store(path)
        self.seed = seed
        self.runner = Runner(self.store, clock, self._do)
        self.store.on_commit = self.runner.kick
        self.http = httpx.Client(
            trust_env=False, verify=_authorities(), limits=httpx.Limits(max_connections=128)
        )
        self.urls: dict[str, str] = {}
        self.stopping = threading.Event()

    def start(self) -> None:
        self.runner.start()

    def stop(self) -> None:
        self.stopping.set()
        self.runner.stop()
        self.close()

    def close(self) -> None:
        with self.open():
            ahead = max(self.clock.time() - self.clock.wall(), 0.0)
            self.store.put("options", "clock", {"ahead": ahead})
        self.http.close()
        self.store.close()

    @contextmanager
    def open(self) -> Iterator[None]:
        with self.store.open():
            yield

    # -- time --------------------------------------------------------------------------------------

    def now(self) -> int:
        """Seconds since 1970 on the virtual clock."""
        return int(self.clock.time())

    def transport_now(self) -> int:
        """The time signatures carry: the virtual one, or the wall's for an application that lives by it."""
        wall = self.option("signature_clock") == "wall"
        return int(self.clock.wall() if wall else self.clock.time())

    def later(self, seconds: float, kind: str, payload: Doc, lane: str = "") -> int:
        """Have something done in ``seconds``; the timer's number."""
        assert kind in _HANDLERS, kind
        return self.store.add_timer(self.clock.time() + seconds, kind, lane, payload)

    def _do(self, due: Timer) -> None:
        try:
            _HANDLERS[due.kind](self, due.payload)
        except Exception as error:
            with self.open():
                self.store.note(
                    self.clock.time(), "sandbox", "error", f"{due.kind}: {error!r}", {"payload": due.payload}
                )
            raise

    # -- randomness --------------------------------------------------------------------------------

    def random_bytes(self, count: int) -> bytes:
        """Bytes that are the same in every run with the same seed and the same steps."""
        number = self.store.next("random")
        made, block = b"", 0
        while len(made) < count:
            made += hashlib.sha256(f"{self.seed}/{number}/{block}".encode()).digest()
            block += 1
        return made[:count]

    def random_text(self, length: int, alphabet: str = LETTERS) -> str:
        return "".join(alphabet[byte % len(alphabet)] for byte in self.random_bytes(length))

    def digits(self, length: int) -> str:
        """A number as text, its first digit not 0."""
        return self.random_text(1, "123456789") + self.random_text(length - 1, string.digits)

    def derived(self, *parts: str) -> bytes:
        """32 bytes that belong to these names in this sandbox."""
        return hashlib.sha256("/".join([str(self.seed), *parts]).encode()).digest()

    # -- options -----------------------------------------------------------------------------------

    def option(self, name: str) -> Any:
        chosen = self.store.get("options", "all") or {}
        return chosen.get(name, DEFAULT_OPTIONS[name])

    def set_options(self, **values: Any) -> Doc:
        unknown = values.keys() - DEFAULT_OPTIONS.keys()
        if unknown:
            raise ValueError(f"unknown option {sorted(unknown)[0]}")
        with self.open():
            chosen = (self.store.get("options", "all") or {}) | values
            self.store.put("options", "all", chosen)
            return DEFAULT_OPTIONS | chosen

    # -- quotas ------------------------------------------------------------------------------------

    def use(self, name: str, limit: int, seconds: int) -> bool:
        """Count one use in the present span of ``seconds``; False when the limit was reached already."""
        counter = f"quota/{name}/{self.now() // seconds}"
        if self.store.counted(counter) >= limit:
            return False
        self.store.next(counter)
        return True

    def use_today(self, name: str, limit: int) -> bool:
        """Count one use on the present day in China; False when the day's limit was reached already."""
        counter = f"quota/{name}/day/{(self.now() + 8 * 3600) // 86400}"
        if self.store.counted(counter) >= limit:
            return False
        self.store.next(counter)
        return True
