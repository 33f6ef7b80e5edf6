"""``run.json`` in the data folder: which processes run there, and where other terminals find them."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil

from growth_engine.kit.errors import Misconfigured
from growth_engine.settings import Settings, from_env

NAME = "run.json"
_URLS = ("database_url", "migration_database_url", "ledger_redis_url", "queue_redis_url")


@dataclass(frozen=True, slots=True)
class Process:
    """A process and not just its number: numbers are given again after a while."""

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The living process, or ``None``."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.born) < 0.5 and found.status() != psutil.STATUS_ZOMBIE:
                return found
        except psutil.NoSuchProcess:
            pass
        return None


@dataclass(slots=True)
class RunFile:
    """What a running ``growth-engine up`` tells the other terminals."""

    supervisor: Process
    database_url: str
    migration_database_url: str
    ledger_redis_url: str
    queue_redis_url: str
    public_url: str
    host: str
    port: int
    children: dict[str, Process] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    """Where WeChat's servers are for it: the sandbox's addresses, so that no command asks the real ones."""

    def write(self, data_dir: Path) -> None:
        half = data_dir / f"{NAME}.half"
        half.touch(mode=0o600)
        half.write_text(json.dumps(asdict(self), indent=1))
        half.replace(data_dir / NAME)


def read(data_dir: Path) -> RunFile | None:
    """The file as it stands (its writer may be dead), or ``None``."""
    try:
        raw: dict[str, Any] = json.loads((data_dir / NAME).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"{data_dir / NAME} cannot be read ({error}): remove it and start again."
        ) from error
    raw["supervisor"] = Process(**raw["supervisor"])
    raw["children"] = {name: Process(**child) for name, child in raw["children"].items()}
    return RunFile(**raw)


def running(data_dir: Path) -> RunFile | None:
    """The product that runs on this data folder now, or ``None``."""
    found = read(data_dir)
    return found if found and found.supervisor.find() else None


def settings_at(data_dir: Path, environ: Mapping[str, str]) -> Settings:
    """Settings of the product to work on: of the environment, else of what runs on ``data_dir``."""
    if environ.get("DATABASE_URL"):
        return from_env(environ, data_dir=data_dir)
    found = running(data_dir)
    if found is None:
        raise Misconfigured(
            f"Nothing runs on the data folder {data_dir}: start it with make run or growth-engine up,"
            " name another with --data-dir, or set DATABASE_URL."
        )
    urls = {name: getattr(found, name) for name in _URLS}
    return from_env(
        environ,
        **urls,
        **found.hosts,
        secret_key=secret_key(data_dir),
        public_url=found.public_url,
        host=found.host,
        port=found.port,
        data_dir=data_dir,
    )


def secret_key(data_dir: Path) -> str:
    """The key of this data folder, made at the first start and kept."""
    path = data_dir / "secret_key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as new:
        key = secrets.token_urlsafe(48)
        new.write(key + "\n")
    return key


def lock(data_dir: Path) -> TextIO:
    """Hold the data folder for this process (until it ends or closes the file)."""
    file = (data_dir / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        found = running(data_dir)
        where = f" (process {found.supervisor.pid}, {found.public_url})" if found else ""
        raise Misconfigured(
            f"Growth Engine already runs on the data folder {data_dir}{where}:"
            " stop it first, or choose another folder with --data-dir."
        ) from None
    return file
