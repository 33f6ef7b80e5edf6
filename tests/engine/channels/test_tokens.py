"""One refresher for all threads of all processes; failures are not asked for a hundred times."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from redis import Redis

from growth_engine.channels.contract import Hosts, OfficialAccountCredentials, Reason
from growth_engine.channels.errors import ChannelError, RetryLater, StopAndAlert
from growth_engine.channels.tokens import Renewed, Tokens, fingerprint
from growth_engine.channels.wechat_oa import OfficialAccount
from growth_engine.channels.wire import Gear
from growth_engine.kit.clock import FixedClock, SystemClock
from growth_engine.kit.ids import Ids
from growth_engine.kit.redis import queue_client


@pytest.fixture
def tokens(queue: Redis, clock: FixedClock) -> Tokens:
    return Tokens(queue, clock, Ids(clock))


class Source:
    """Hands out a1, a2, …; slowly, so that others come while it works."""

    def __init__(self, seconds: int = 7200, *, slow: float = 0.0) -> None:
        self.asked = 0
        self._seconds, self._slow = seconds, slow

    def __call__(self, refused: str | None) -> Renewed:
        self.asked += 1
        time.sleep(self._slow)
        return Renewed(f"a{self.asked}", self._seconds)


def test_a_value_is_fetched_once_and_kept(tokens: Tokens, account: str) -> None:
    source = Source()
    assert [tokens.get(account, source) for _ in range(5)] == ["a1"] * 5


def test_it_is_renewed_a_minute_before_it_ends(tokens: Tokens, account: str, clock: FixedClock) -> None:
    source = Source()
    tokens.get(account, source)
    clock.advance(timedelta(seconds=7200 - 61))
    assert tokens.get(account, source) == "a1"
    clock.advance(timedelta(seconds=1))
    assert tokens.get(account, source) == "a2"


def test_a_short_life_is_used_for_three_quarters(tokens: Tokens, account: str, clock: FixedClock) -> None:
    source = Source(20)
    tokens.get(account, source)
    clock.advance(timedelta(seconds=14))
    assert tokens.get(account, source) == "a1"
    clock.advance(timedelta(seconds=1))
    assert tokens.get(account, source) == "a2"


def test_a_refused_value_is_renewed_once_however_many_were_refused(tokens: Tokens, account: str) -> None:
    source = Source(slow=0.1)
    tokens.get(account, source)
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: tokens.get(account, source, refused="a1"), range(16)))
    assert got == ["a2"] * 16


def test_sixty_four_threads_fetch_once(tokens: Tokens, account: str) -> None:
    source = Source(slow=0.2)
    barrier = threading.Barrier(64)

    def one(_: int) -> str:
        barrier.wait()
        return tokens.get(account, source)

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(one, range(64))) == {"a1"}
    assert source.asked == 1


def test_a_failure_is_told_to_everybody_without_asking_again(tokens: Tokens, account: str) -> None:
    asked = 0

    def wrong_secret(refused: str | None) -> Renewed:
        nonlocal asked
        asked += 1
        time.sleep(0.1)
        raise StopAndAlert(Reason.CREDENTIALS, operation="/cgi-bin/stable_token", number="40125")

    def one(_: int) -> ChannelError:
        with pytest.raises(StopAndAlert) as caught:
            tokens.get(account, wrong_secret)
        return caught.value

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(one, range(16)))
    assert {(error.reason, error.number) for error in told} == {(Reason.CREDENTIALS, "40125")}
    assert asked == 1


def test_a_corrected_secret_has_a_name_of_its_own() -> None:
    assert fingerprint("old") != fingerprint("new")
    assert "old" not in fingerprint("old")


def test_forgotten_means_fetched_anew(tokens: Tokens, account: str) -> None:
    source = Source()
    tokens.get(account, source)
    tokens.forget(account)
    assert tokens.get(account, source) == "a2"


def test_a_holder_that_died_is_waited_out_and_the_wait_ends(
    queue: Redis, clock: FixedClock, account: str
) -> None:
    queue.set(f"ge:channel:{{{account}}}:lock", "somebody", px=60_000)
    waited = 0

    def sleep(_: float) -> None:
        nonlocal waited
        waited += 1
        if waited == 3:
            queue.delete(f"ge:channel:{{{account}}}:lock")  # as its time limit does

    assert Tokens(queue, clock, Ids(clock), sleep).get(account, Source()) == "a1"
    second = f"{account}-2"
    queue.set(f"ge:channel:{{{second}}}:lock", "somebody", px=60_000)
    with pytest.raises(RetryLater):
        Tokens(queue, clock, Ids(clock), lambda _: None).get(second, Source())


def test_who_gets_the_lock_late_takes_what_was_fetched_meanwhile(
    queue: Redis, clock: FixedClock, account: str
) -> None:
    source = Source()

    class Overtaken(Ids):
        """Between our look and our lock another process fetches."""

        def token(self, length: int = 12) -> str:
            Tokens(queue, clock, Ids(clock)).get(account, source)
            return super().token(length)

    assert Tokens(queue, clock, Overtaken(clock)).get(account, source) == "a1"
    assert source.asked == 1


def test_nobody_lets_go_of_a_lock_that_is_no_longer_theirs(
    queue: Redis, clock: FixedClock, account: str
) -> None:
    lock = f"ge:channel:{{{account}}}:lock"

    def slow(refused: str | None) -> Renewed:
        queue.set(lock, "another holder")  # ours ran out meanwhile
        return Renewed("late", 7200)

    assert Tokens(queue, clock, Ids(clock)).get(account, slow) == "late"
    assert queue.get(lock) == b"another holder"


def test_without_the_queue_redis_it_is_later(clock: FixedClock) -> None:
    nobody = queue_client("redis://127.0.0.1:1/0")
    with pytest.raises(RetryLater) as caught:
        Tokens(nobody, clock, Ids(clock)).get("con_x", Source())
    assert caught.value.reason is Reason.BUSY


# ── Real processes, real HTTP ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def token_server() -> Iterator[tuple[str, Callable[[], int]]]:
    """An address that hands out tokens slowly, and how often it was asked."""
    asked = 0
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal asked
            with lock:
                asked += 1
                number = asked
            time.sleep(0.3)
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"access_token": f"t{number}", "expires_in": 7200}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", lambda: asked
    server.shutdown()
    thread.join()
    server.server_close()


def _several_threads(url: str, redis_url: str, account: str, say: multiprocessing.Queue[str]) -> None:
    clock = SystemClock()
    gear = Gear(queue=queue_client(redis_url), clock=clock, ids=Ids(clock), hosts=Hosts(wx_api=url))
    client = OfficialAccount(OfficialAccountCredentials(account, "wx1", "s"), gear)
    with ThreadPoolExecutor(8) as pool:
        for token in pool.map(lambda _: client.token(), range(8)):
            say.put(token)
    gear.close()


def test_three_processes_of_eight_threads_fetch_one_token(
    token_server: tuple[str, Callable[[], int]], valkey_url: str, account: str
) -> None:
    url, asked = token_server
    spawn = multiprocessing.get_context("spawn")
    say: multiprocessing.Queue[str] = spawn.Queue()
    crew = [spawn.Process(target=_several_threads, args=(url, valkey_url, account, say)) for _ in range(3)]
    for process in crew:
        process.start()
    got = {say.get(timeout=60) for _ in range(24)}
    for process in crew:
        process.join(20)
        assert process.exitcode == 0
    say.close()
    say.join_thread()
    assert got == {"t1"}
    assert asked() == 1
