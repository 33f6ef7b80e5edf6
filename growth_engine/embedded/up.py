"""``growth-engine up``: the whole product on one machine, from an empty folder to a sign-in link."""

from __future__ import annotations

import dataclasses
import errno
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from growth_engine.embedded import folders, run_file, wechat
from growth_engine.embedded.child import Child
from growth_engine.embedded.leash import leash
from growth_engine.embedded.postgres import OWNER, Postgres, postgres
from growth_engine.embedded.run_file import Process, RunFile
from growth_engine.embedded.supervisor import StopAsked, Supervisor, end_leftovers
from growth_engine.embedded.valkey import Valkey, valkey
from growth_engine.kit import schema
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.redis import require_reachable
from growth_engine.settings import HOSTS, Settings, environment_name, from_env

DEMO = "demo"
DEMO_EMAIL = "admin@demo.example"

SERVER_SECONDS = 60.0
WEB_SECONDS = 90.0
#: Less free space than this and the embedded servers would stop in the middle of something.
FREE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the data lives: embedded servers of ours, or what the environment names."""

    database_url: str
    migration_database_url: str
    ledger_redis_url: str
    queue_redis_url: str
    postgres: Postgres | None = None
    valkey: Valkey | None = None


def up(data_dir: Path, port: int, environ: Mapping[str, str], console: Console) -> None:
    """Run the product until Ctrl-C or SIGTERM; Misconfigured is one line that says what to do."""
    data_dir = _prepare(data_dir)
    with run_file.lock(data_dir):
        require_free_port(environ.get("GROWTH_HOST") or "127.0.0.1", port)
        left = run_file.read(data_dir)
        if left:
            end_leftovers(left)
        stores = _stores(data_dir, environ)
        settings = _settings(stores, data_dir, port, environ)
        sandbox = stores.postgres is not None and wechat.wanted(environ, settings)
        if sandbox:
            settings = wechat.turned_to_sandbox(settings)
        supervisor = Supervisor(data_dir, _run_file(stores, settings))
        try:
            _start(supervisor, stores, settings, console, sandbox=sandbox)
            supervisor.run()
        except StopAsked:
            pass
        finally:
            console.print("Stopping …")
            supervisor.stop()
            console.print("Stopped. Everything is kept; the next start goes on from here.")


def _prepare(data_dir: Path) -> Path:
    # Root's PostgreSQL runs as another user, who must walk through; the secrets inside are closed files.
    data_dir = folders.make(data_dir, 0o711 if os.geteuid() == 0 else 0o700).resolve()
    free = shutil.disk_usage(data_dir).free
    if free < FREE_BYTES:
        raise Misconfigured(
            f"Only {free // 1024**2} MB are free where the data folder {data_dir} lies and"
            f" {FREE_BYTES // 1024**2} MB are needed: make room, or choose another with --data-dir"
            " or GROWTH_DATA_DIR."
        )
    return data_dir


def require_free_port(host: str, port: int) -> None:
    """Refuse a port that somebody listens on (the web server itself would share it without a word)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                reason = "another program listens there"
            raise Misconfigured(
                f"Port {port} on {host} cannot be used ({reason}): choose another with --port or PORT."
            ) from error


def _stores(data_dir: Path, environ: Mapping[str, str]) -> Stores:
    if not environ.get("DATABASE_URL"):
        for name in ("LEDGER_REDIS_URL", "QUEUE_REDIS_URL", "MIGRATION_DATABASE_URL"):
            if environ.get(name):
                raise Misconfigured(
                    f"{name} is set but DATABASE_URL is not: set all of them to use servers of your own,"
                    " or none to use the embedded ones."
                )
        pg, cache = postgres(data_dir), valkey(data_dir)
        return Stores(pg.url(), pg.url(OWNER), cache.url(), cache.url(), pg, cache)
    outside = from_env(environ, secret_key=run_file.secret_key(data_dir))
    schema.connect(outside.database_url, "DATABASE_URL").close()
    require_reachable(outside.ledger_redis_url, "LEDGER_REDIS_URL")
    require_reachable(outside.queue_redis_url, "QUEUE_REDIS_URL")
    return Stores(
        outside.database_url,
        outside.migration_database_url,
        outside.ledger_redis_url,
        outside.queue_redis_url,
    )


def _settings(stores: Stores, data_dir: Path, port: int, environ: Mapping[str, str]) -> Settings:
    host = environ.get("GROWTH_HOST") or "127.0.0.1"
    return from_env(
        environ,
        database_url=stores.database_url,
        migration_database_url=stores.migration_database_url,
        ledger_redis_url=stores.ledger_redis_url,
        queue_redis_url=stores.queue_redis_url,
        secret_key=environ.get("GROWTH_SECRET_KEY") or run_file.secret_key(data_dir),
        public_url=environ.get("GROWTH_PUBLIC_URL") or f"http://{_reachable(host)}:{port}",
        host=host,
        port=port,
        data_dir=data_dir,
    )


def _reachable(host: str) -> str:
    """The name to put into addresses for a listening address (``0.0.0.0`` is no place to go to)."""
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def _run_file(stores: Stores, settings: Settings) -> RunFile:
    return RunFile(
        supervisor=Process.of(os.getpid()),
        database_url=stores.database_url,
        migration_database_url=stores.migration_database_url,
        ledger_redis_url=stores.ledger_redis_url,
        queue_redis_url=stores.queue_redis_url,
        public_url=settings.public_url,
        host=settings.host,
        port=settings.port,
        hosts={name: getattr(settings, name) for name in HOSTS},
    )


def _start(
    supervisor: Supervisor, stores: Stores, settings: Settings, console: Console, *, sandbox: bool
) -> None:
    if stores.postgres:
        _start_postgres(supervisor, stores.postgres, console)
    if stores.valkey:
        console.print("Valkey 9 starts …")
        server = Child("Valkey", stores.valkey.start)
        supervisor.start(server)
        supervisor.wait_until(stores.valkey.ready, SERVER_SECONDS, stores.valkey.complaint, [server])
    if stores.migration_database_url:
        schema.upgrade(stores.migration_database_url)
    schema.require_ready(stores.database_url)
    environment = child_environment(settings)
    link = _welcome(environment)
    if sandbox:
        console.print("The sandbox starts …")
        stand_in = _program("sandbox", wechat.command(settings), environment)
        supervisor.start(stand_in)
        supervisor.wait_until(
            wechat.is_up(settings), SERVER_SECONDS, lambda: "see its lines above", [stand_in]
        )
    console.print("Web, workers, callbacks and cron start …")
    web = _program("web", ["web"], environment)
    others = [_program(f"worker {n + 1}", ["worker"], environment) for n in range(settings.rq_workers)]
    others += [_program(name, [name], environment) for name in ("callbacks", "cron")]
    supervisor.start(web, *others)
    supervisor.wait_until(_healthy(settings), WEB_SECONDS, lambda: "see its lines above", [web, *others])
    if sandbox:
        _connect_sandbox(settings, environment)
    _show(settings, link, console, sandbox=sandbox)


def _start_postgres(supervisor: Supervisor, server: Postgres, console: Console) -> None:
    if server.user:
        console.print(
            f"PostgreSQL runs as the system user {server.user}, because it refuses to run as root.",
            soft_wrap=True,
        )
        console.print(f"Its files are in {server.home}.", soft_wrap=True)
    console.print("PostgreSQL 18 starts …")
    server.initialise()
    child = Child(
        "PostgreSQL", server.start, stop_signal=signal.SIGINT, kill_signal=signal.SIGQUIT, seconds=10.0
    )
    supervisor.start(child)
    supervisor.wait_until(server.ready, SERVER_SECONDS, server.complaint, [child])
    server.create_database()


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of web, workers and cron: every setting that is not the default, and nobody else's."""
    ours = {environment_name(field.name) for field in dataclasses.fields(Settings)}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        # The owner's connection is for migrations alone.
        if value != field.default and field.name != "migration_database_url":
            environment[environment_name(field.name)] = str(value)
    return environment


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "growth_engine.cli", *arguments]


def _program(name: str, arguments: list[str], environment: dict[str, str]) -> Child:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            _command(arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            # A session of its own: Ctrl-C reaches the supervisor alone, which stops all in order.
            start_new_session=True,
            preexec_fn=leash(signal.SIGTERM),
        )

    return Child(name, start)


def _welcome(environment: dict[str, str]) -> str:
    """Make the workspace ``demo`` if it is missing; a one-time sign-in link for its administrator."""
    arguments = ["workspace", "create", DEMO, "--name", "Demo", "--email", DEMO_EMAIL, "--if-missing"]
    done = subprocess.run(  # noqa: S603
        _command(arguments),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Misconfigured("The workspace demo could not be made: see the lines above.")
    return done.stdout.strip()


def _connect_sandbox(settings: Settings, environment: dict[str, str]) -> None:
    """Connect the workspace ``demo`` to the sandbox, both ways."""
    arguments = ["connections", "sandbox", "--workspace", DEMO, "--url", wechat.control(settings)]
    done = subprocess.run(  # noqa: S603
        _command(arguments), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise Misconfigured("The workspace demo could not be connected to the sandbox: see the lines above.")


def _healthy(settings: Settings) -> Callable[[], bool]:
    def ask() -> bool:
        host = _reachable(settings.host).strip("[]")
        connection = http.client.HTTPConnection(host, settings.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask


def _as_called() -> str:
    """The program as it can be called from here: `make run` leaves it in .venv/bin, off the PATH."""
    if shutil.which("growth-engine"):
        return "growth-engine"
    called = Path(sys.argv[0]).resolve()
    return os.path.relpath(called) if called.name == "growth-engine" else "growth-engine"


def _show(settings: Settings, link: str, console: Console, *, sandbox: bool) -> None:
    base = settings.public_url
    phone = [f"WeChat       {wechat.phone(settings)}  (a simulated phone; no account, no internet)"]
    lines = [
        f"Console      {base}/console",
        f"Phone pages  {base}/c/…  (each campaign shows its address and QR code in the console)",
        f"API          {base}/api/v1/docs",
        f"Health       {base}/healthz",
        *(phone if sandbox else ()),
        "",
        "Sign in once with this link (it is good for a short time; there is no default password):",
        link,
        "",
        f"Another one: {_as_called()} staff link --email {DEMO_EMAIL}",
        "Ctrl-C stops everything.",
    ]
    if console.is_terminal:
        console.print(
            Panel.fit("\n".join(lines), title="Growth Engine", border_style="green"), soft_wrap=True
        )
    else:
        console.print("\n".join(["Growth Engine is up.", *lines]), soft_wrap=True, highlight=False)
