"""The ground every test stands on: real PostgreSQL and Valkey from the wheels, a clock that stands still."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import event

from growth_engine.app import build_parts, create_app
from growth_engine.context import Ctx, Parts
from growth_engine.embedded.postgres import DATABASE, OWNER, Postgres, postgres
from growth_engine.embedded.valkey import Valkey, valkey
from growth_engine.kit import i18n, jobs, schema
from growth_engine.kit.clock import FixedClock
from growth_engine.sandbox import Sandbox, start
from growth_engine.settings import Settings
from tests.factories.workspaces import make_workspace
from tests.live import Live

START = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)
"""What the clock of every test says at first: 1 June 2026, 10:00 in Shanghai."""

PRISTINE = "growth_pristine"
"""The migrated database before any test wrote to it."""

SECRET = "a secret key for tests, long enough to be one"

hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """No test may reach beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            assert host == "localhost" or ipaddress.ip_address(host).is_loopback, f"a test called {host}"
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Logs as plain lines: structlog's own default draws the variables of every frame, megabytes of them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(autouse=True)
def _speaks_english() -> None:
    """A page that an earlier test looked at must not decide the language of this one."""
    i18n.set_locale("en")


class _Server(Protocol):
    def start(self) -> subprocess.Popen[bytes]: ...
    def ready(self) -> bool: ...
    def complaint(self) -> str: ...


def _running(server: _Server) -> Callable[[], None]:
    """Start a server and wait until it answers; returns what stops it."""
    process = server.start()
    deadline = time.monotonic() + 30
    while not server.ready():
        assert process.poll() is None, server.complaint()
        assert time.monotonic() < deadline, server.complaint()
        time.sleep(0.02)

    def stop() -> None:
        process.send_signal(signal.SIGINT)
        process.wait(20)

    return stop


@pytest.fixture(scope="session")
def _ground() -> Iterator[Path]:
    """A folder that the database's own user can reach too (root's tests)."""
    folder = Path(tempfile.mkdtemp(prefix="ge-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgres(_ground: Path) -> Iterator[Postgres]:
    server = postgres(_ground, hasty=True)
    server.initialise()
    stop = _running(server)
    server.create_database()
    schema.upgrade(server.url(OWNER))
    server.create_database(PRISTINE, template=DATABASE)
    yield server
    stop()


@pytest.fixture(scope="session")
def pg_url(_postgres: Postgres) -> str:
    """A migrated database, as the application role."""
    return _postgres.url()


@pytest.fixture(scope="session")
def owner_url(_postgres: Postgres) -> str:
    """The same database, as the owner of its tables."""
    return _postgres.url(OWNER)


@pytest.fixture(scope="session")
def empty_database(_postgres: Postgres) -> Callable[[str], str]:
    """Makes a further, empty database; returns its URL as the owner."""

    def make(name: str) -> str:
        _postgres.create_database(name)
        return _postgres.url(OWNER, name)

    return make


@pytest.fixture(scope="session")
def pristine_database(_postgres: Postgres) -> Callable[[str], str]:
    """Makes a further database, migrated, with no row of another test; its URL as the application role.

    For what works through everything there is (workers, cron): the one all tests share grows.
    """

    def make(name: str) -> str:
        _postgres.create_database(name, template=PRISTINE)
        return _postgres.url(database=name)

    return make


@pytest.fixture(scope="session")
def _valkey(_ground: Path) -> Iterator[Valkey]:
    server = valkey(_ground, hasty=True)
    stop = _running(server)
    yield server
    stop()


@pytest.fixture(scope="session")
def valkey_url(_valkey: Valkey) -> str:
    """A real Valkey; database 0, which serves as ledger and queue."""
    return _valkey.url()


@pytest.fixture(scope="session")
def second_valkey_url(_valkey: Valkey) -> str:
    """Its database 1, for who empties it: others keep what they have."""
    return _valkey.url(1)


@pytest.fixture(name="valkey")
def _valkey_alias(valkey_url: str) -> str:
    """Another name of ``valkey_url``."""
    return valkey_url


@pytest.fixture(scope="session")
def _standing_clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def clock(_standing_clock: FixedClock) -> FixedClock:
    """The clock of ``parts``, at its start again; move it with ``advance`` and ``set``."""
    _standing_clock.set(START)
    return _standing_clock


@pytest.fixture(scope="session")
def settings(pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        database_url=pg_url,
        ledger_redis_url=valkey_url,
        queue_redis_url=valkey_url,
        secret_key=SECRET,
        data_dir=tmp_path_factory.mktemp("data"),
    )


@pytest.fixture(scope="session")
def _standing(settings: Settings, _standing_clock: FixedClock) -> Iterator[Parts]:
    """One product for all tests of a worker: building it takes longer than most of what is tried."""
    built = build_parts(settings, clock=_standing_clock)
    yield built
    built.close()


@pytest.fixture(scope="session")
def _standing_app(_standing: Parts) -> Flask:
    flask = create_app(_standing)
    flask.testing = True
    return flask


@pytest.fixture
def parts(_standing: Parts, clock: FixedClock) -> Parts:
    """Everything a process of the product holds, real, with a clock that stands still.

    One for all tests, and the database keeps what earlier ones wrote: work in a workspace of your own
    (``workspace``), and never close what others go on with (build your own with ``build_parts``).
    """
    return _standing


@pytest.fixture
def statements(parts: Parts) -> Iterator[list[str]]:
    """What ``parts`` send to the database through SQLAlchemy, from the start of the test; ``clear`` it."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(parts.db.engine, "before_cursor_execute", note)
    yield sent
    event.remove(parts.db.engine, "before_cursor_execute", note)


@pytest.fixture
def workspace(parts: Parts) -> str:
    """The id of a fresh workspace."""
    return make_workspace(parts)


@pytest.fixture
def ctx(parts: Parts, workspace: str) -> Iterator[Ctx]:
    """One open transaction in the fresh workspace, committed after the test."""
    with parts.open(workspace) as opened:
        yield opened


@pytest.fixture
def run_jobs(parts: Parts) -> Callable[..., int]:
    """``run_jobs(workspace, "grants.drain", …)``: drain these jobs (all, when none is named), as workers do.

    Runs until a whole pass does nothing; returns the number of rows done.
    """

    def run(workspace_id: str, *names: str) -> int:
        wanted = names or tuple(jobs.registry)
        total = 0
        while True:
            done = sum(jobs.drain(parts, name, workspace_id)[0] for name in wanted)
            total += done
            if not done:
                return total

    return run


@pytest.fixture
def app(_standing_app: Flask, parts: Parts) -> Flask:
    """The pages and the API around ``parts``; one for all tests too."""
    return _standing_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for each file of tests; its clock stands still too. ``reset`` it for each test."""
    with start(at=START.timestamp(), frozen=True) as running:
        yield running


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    """The whole product as a process tree on a free port: ``live.url``, ``live.cli("token", …)``."""
    product = Live()
    try:
        yield product.start()
    finally:
        product.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the running product printed last stands beside the failure of a test that used it."""
    report = yield
    product = getattr(item, "funcargs", {}).get("live")
    if report.failed and isinstance(product, Live):
        report.sections.append(("printed by the product", product.screen[-8_000:]))
        report.sections.append(("its inbox", product.said("inbox", "list")))
    return report


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium on this machine. Without one the test is skipped, on CI it fails."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found:
        return found
    missing = "no Chromium on this machine: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield running
        running.close()


@pytest.fixture
def phone_page(browser: Browser, live: Live) -> Iterator[Page]:
    """A page of phone size, with cookies of its own; paths are relative to the live product."""
    context = browser.new_context(
        base_url=live.url,
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
        locale="en-US",
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def desk_page(browser: Browser, live: Live) -> Iterator[Page]:
    """A page of desktop size, with cookies of its own; paths are relative to the live product."""
    context = browser.new_context(base_url=live.url, viewport={"width": 1366, "height": 900}, locale="en-US")
    yield context.new_page()
    context.close()
