"""A stand-in for the application: takes callbacks, keeps them, answers as a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Received:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes]


@dataclass
class Application:
    """``answer`` decides over POSTs, ``verify`` over GETs; ``received`` are the POSTs in order."""

    answer: Callable[[Received], Answer] = lambda _: (200, b"")
    verify: Callable[[Received], Answer] = lambda got: (200, got.query.get("echostr", "").encode())
    received: list[Received] = field(default_factory=list)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def slow(self, seconds: float) -> None:
        """From now on every answer takes so long."""

        def answer(_: Received) -> Answer:
            time.sleep(seconds)
            return 200, b""

        self.answer = answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        application = self

        class Handler(BaseHTTPRequestHandler):
            def _got(self) -> Received:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return Received(parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body)

            def _send(self, answer: Answer) -> None:
                try:
                    self.send_response(answer[0])
                    self.end_headers()
                    self.wfile.write(answer[1])
                except ConnectionError:
                    pass  # the sandbox did not wait: that is what some tests are about

            def do_GET(self) -> None:
                self._send(application.verify(self._got()))

            def do_POST(self) -> None:
                got = self._got()
                with application._lock:
                    application.received.append(got)
                    application._now += 1
                    application.most_at_once = max(application.most_at_once, application._now)
                try:
                    self._send(application.answer(got))
                finally:
                    with application._lock:
                        application._now -= 1

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        return Handler
