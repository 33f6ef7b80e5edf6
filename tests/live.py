"""The whole product as a process tree, for browser tests and drills."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

OURS = ("GROWTH_", "DATABASE_URL", "MIGRATION_DATABASE_URL", "LEDGER_REDIS_URL", "QUEUE_REDIS_URL", "PORT")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_ground() -> Path:
    """A folder the database's own user can reach too (root's tests)."""
    folder = Path(tempfile.mkdtemp(prefix="ge-live-"))
    folder.chmod(0o711)
    return folder


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | extra


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "growth_engine.cli", *arguments]


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What ``condition`` returns once it is true; fails naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return found


@dataclass
class Live:
    """``growth-engine up`` on a folder and a port of its own."""

    data_dir: Path = field(default_factory=lambda: make_ground() / "data")
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def screen_file(self) -> Path:
        return self.data_dir.parent / "screen.log"

    @property
    def screen(self) -> str:
        """Everything the product has printed so far."""
        return self.screen_file.read_text(errors="replace") if self.screen_file.exists() else ""

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "start() comes first"
        return self.process

    def start(self, *, wait: bool = True) -> Live:
        with self.screen_file.open("ab") as screen:
            self.process = subprocess.Popen(
                command("up", "--data-dir", str(self.data_dir), "--port", str(self.port)),
                env=clean_environment(**self.environment),
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            seen = len(self.screen)
            until(lambda: self._is_up(seen), 120, "the product is up")
        return self

    def _is_up(self, _seen: int) -> bool:
        assert self.running.poll() is None, self.screen
        return self.healthy() and "Growth Engine is up." in self.screen

    def stop(self, sig: signal.Signals = signal.SIGTERM, seconds: float = 25) -> int:
        self.running.send_signal(sig)
        return self.running.wait(seconds)

    def remove(self) -> None:
        """Stop if need be, and leave nothing behind."""
        if self.process and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.data_dir.parent, ignore_errors=True)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def health(self) -> tuple[int, dict[str, str]]:
        """Status and parts of /healthz; 0 when nobody answers."""
        try:
            status, body = self.get("/healthz")
        except (OSError, http.client.HTTPException):
            return 0, {}
        return status, json.loads(body)["parts"]

    def healthy(self) -> bool:
        return self.health()[0] == 200

    def cli(self, *arguments: str) -> str:
        """Run a command on this product, as in a second terminal; what it printed."""
        done = self._command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def said(self, *arguments: str) -> str:
        """Whatever a command printed, well or not."""
        done = self._command(*arguments)
        return done.stdout + done.stderr

    def _command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments, "--data-dir", str(self.data_dir)),
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def kill(self, victim: str) -> None:
        """SIGKILL for a child by its name, or for ``web server``, the process under granian's own."""
        if victim == "web server":
            [server] = psutil.Process(self.pid("web")).children()
            server.kill()
        else:
            os.kill(self.pid(victim), signal.SIGKILL)

    def run_json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "run.json").read_text())
        return found

    def pid(self, child: str) -> int:
        """The process id of a child by its name: PostgreSQL, Valkey, web, worker 1, callbacks, cron."""
        return int(self.run_json()["children"][child]["pid"])
