"""The process tree under fire: kills, Ctrl-C, taken ports, bad folders, wrong addresses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.live import Live, clean_environment, command, free_port, make_ground, until

pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def tree() -> Iterator[Live]:
    """A product that the tests of this file may hurt."""
    product = Live(environment={"GROWTH_RQ_WORKERS": "2"})
    try:
        yield product.start()
    finally:
        product.remove()


def _family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still live, of which there should be none."""
    return psutil.wait_procs(processes, timeout=15)[1]


# -- kill -9 of every child ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "child", ["web", "worker 1", "worker 2", "callbacks", "cron", "Valkey", "PostgreSQL"]
)
def test_a_killed_child_is_noticed_within_a_second_and_started_again(tree: Live, child: str) -> None:
    until(tree.healthy, 60, "all parts are up before the kill")
    old, seen = tree.pid(child), len(tree.screen)
    below = psutil.Process(old).children(recursive=True)
    os.kill(old, signal.SIGKILL)
    until(lambda: f"{child} was ended by SIGKILL" in tree.screen[seen:], 1.5, "the death is noticed")
    until(
        lambda: tree.run_json()["children"].get(child, {}).get("pid", old) != old, 20, "it is started again"
    )
    until(tree.healthy, 60, "all parts are up again")
    assert tree.screen[seen:].count(f"{child} was ended by SIGKILL") == 1
    assert _gone(below) == []


def test_the_web_server_process_under_granian_comes_back_too(tree: Live) -> None:
    until(tree.healthy, 60, "all parts are up before the kill")
    [server] = [p for p in psutil.Process(tree.pid("web")).children() if p.is_running()]
    server.kill()
    until(lambda: not server.is_running(), 5, "it is dead")
    until(tree.healthy, 60, "the web answers again")


def test_health_names_the_part_that_is_down(tree: Live) -> None:
    until(tree.healthy, 60, "all parts are up before")
    cron = psutil.Process(tree.pid("cron"))
    cron.suspend()
    try:
        status, parts = until(
            lambda: found if (found := tree.health())[0] == 503 else None, 15, "health tells"
        )
    finally:
        cron.resume()
    assert status == 503
    assert parts["cron"].startswith("down")
    assert parts["database"] == "up"
    until(tree.healthy, 30, "all parts are up again")


# -- stopping and starting ----------------------------------------------------------------------------


@pytest.fixture
def product() -> Iterator[Live]:
    made = Live()
    try:
        yield made
    finally:
        made.remove()


def test_ctrl_c_leaves_no_process_and_the_next_start_has_the_same_data(product: Live) -> None:
    product.start()
    token = product.cli("token", "create", "--workspace", "demo", "--scopes", "*")
    assert token.startswith("ge_")
    assert "\n" not in token
    link = product.cli("staff", "link", "--email", "admin@demo.example")
    assert link.startswith(product.url)
    workspaces = product.cli("workspace", "list")
    family = _family(product.running.pid)
    assert len(family) >= 5

    began = time.monotonic()
    assert product.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 12
    assert _gone(family) == []
    assert not (product.data_dir / "run.json").exists()

    product.start()
    assert product.cli("workspace", "list") == workspaces
    second = subprocess.run(
        command("up", "--data-dir", str(product.data_dir), "--port", str(free_port())),
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    _assert_one_clear_line(second, "already runs", "--data-dir")

    # The root of the tree itself is killed: nobody may be left, and the data folder may be used again.
    family = _family(product.running.pid)
    product.running.kill()
    product.running.wait()
    assert _gone(family) == []
    product.start()
    assert product.stop() == 0


def test_a_second_ctrl_c_does_not_wait(tree: Live) -> None:
    until(tree.healthy, 60, "all parts are up before")
    family = _family(tree.running.pid)
    psutil.Process(tree.pid("web")).suspend()  # it will not stop by itself
    tree.running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    tree.stop(signal.SIGINT)
    assert time.monotonic() - began < 5
    assert _gone(family) == []


# -- what cannot work says what to do -----------------------------------------------------------------


def _up(data_dir: Path, port: int | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("up", "--data-dir", str(data_dir), "--port", str(port or free_port())),
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _assert_one_clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("growth-engine: ")
    for word in words:
        assert word in lines[0]


@pytest.fixture
def ground() -> Iterator[Path]:
    product = Live(data_dir=make_ground() / "data")
    yield product.data_dir
    product.remove()


def test_a_taken_port_is_said(ground: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        _assert_one_clear_line(_up(ground, port), str(port), "--port")


def test_a_data_folder_that_cannot_be_made_is_said(ground: Path) -> None:
    ground.write_text("a file where the folder should be")
    _assert_one_clear_line(_up(ground), "data folder", "--data-dir")


def test_a_read_only_data_folder_is_said(ground: Path, mounted: Callable[..., Path]) -> None:
    _assert_one_clear_line(_up(mounted("ro") / "data"), "data folder", "--data-dir")


def test_a_full_data_folder_is_said(ground: Path, mounted: Callable[..., Path]) -> None:
    _assert_one_clear_line(_up(mounted("size=8m") / "data"), "make room", "--data-dir")


@pytest.fixture
def mounted(ground: Path) -> Iterator[Callable[..., Path]]:
    """Makes a small or read-only file system; an ordinary user gets a closed folder where that will do."""
    made: list[Path] = []

    def mount(option: str) -> Path:
        ground.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(ground)], capture_output=True, check=False
        )
        if done.returncode == 0:
            made.append(ground)
        elif option == "ro" and os.geteuid() != 0:
            ground.chmod(0o500)
        else:
            pytest.skip("this machine lets us mount nothing")
        return ground

    yield mount
    for folder in made:
        subprocess.run(["umount", str(folder)], check=True)
    if ground.exists():
        ground.chmod(0o700)


WRONG_DATABASES = {
    "nobody listens": "postgresql://someone:secret@127.0.0.1:1/growth",
    "no such host": "postgresql://someone:secret@no-such-host.invalid/growth",
    "another kind": "mysql://someone:secret@127.0.0.1/growth",
}


@pytest.mark.parametrize("url", WRONG_DATABASES.values(), ids=WRONG_DATABASES)
def test_a_wrong_database_address_is_said_without_its_password(ground: Path, valkey: str, url: str) -> None:
    done = _up(ground, DATABASE_URL=url, LEDGER_REDIS_URL=valkey, QUEUE_REDIS_URL=valkey)
    _assert_one_clear_line(done, "DATABASE_URL")
    assert "secret" not in done.stderr


def test_a_wrong_redis_address_is_said(ground: Path, pg_url: str, valkey: str) -> None:
    nowhere = "redis://:secret@127.0.0.1:1"
    done = _up(ground, DATABASE_URL=pg_url, LEDGER_REDIS_URL=nowhere, QUEUE_REDIS_URL=valkey)
    _assert_one_clear_line(done, "LEDGER_REDIS_URL")
    assert "secret" not in done.stderr


def test_the_owner_of_the_tables_is_refused_as_the_application_role(
    ground: Path, owner_url: str, valkey: str
) -> None:
    done = _up(ground, DATABASE_URL=owner_url, LEDGER_REDIS_URL=valkey, QUEUE_REDIS_URL=valkey)
    _assert_one_clear_line(done, "growth_owner", "row-level security")


def test_a_misspelt_setting_is_said(ground: Path) -> None:
    _assert_one_clear_line(_up(ground, GROWTH_RQ_WORKER="3"), "GROWTH_RQ_WORKER")


def test_a_command_on_a_folder_where_nothing_runs_says_so(ground: Path) -> None:
    done = subprocess.run(
        command("staff", "link", "--email", "a@b.example", "--data-dir", str(ground)),
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    _assert_one_clear_line(done, "Nothing runs", "make run")


# -- servers of one's own -----------------------------------------------------------------------------


def test_given_addresses_are_used_instead_of_embedded_servers(
    product: Live, empty_database: Callable[[str], str], pg_url: str, valkey: str
) -> None:
    owner = empty_database("outside")
    product.environment = {
        "DATABASE_URL": pg_url.replace("/growth?", "/outside?"),
        "MIGRATION_DATABASE_URL": owner,
        "LEDGER_REDIS_URL": valkey,
        "QUEUE_REDIS_URL": valkey,
    }
    product.start()
    assert set(product.run_json()["children"]) == {"web", "worker 1", "callbacks", "cron"}
    assert not (product.data_dir / "pg").exists()
    assert product.stop() == 0
