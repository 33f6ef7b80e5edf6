"""HTTP to the platforms: where it may go, what is known when it breaks, what is never written down."""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from redis import Redis
from structlog.testing import capture_logs

from growth_engine.channels import wire
from growth_engine.channels.contract import (
    Hosts,
    OfficialAccountCredentials,
    PayCredentials,
    Reason,
    WecomCredentials,
)
from growth_engine.channels.errors import ChannelError, OutcomeUnknown, RetryLater
from growth_engine.channels.wechat_oa import OAuth, OfficialAccount, Visitor
from growth_engine.channels.wecom import Customers, Wecom
from growth_engine.channels.wire import Gear
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.ids import Ids
from tests.factories.platforms import Scripted


@pytest.mark.parametrize(
    "address",
    [
        "http://api.weixin.qq.com",
        "http://10.0.0.1:9000",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "https://api.weixin.qq.com/prefix",
        "https://user:pass@api.weixin.qq.com",
        "https://api.weixin.qq.com?x=1",
        "ftp://127.0.0.1",
        "127.0.0.1:9000",
        "",
    ],
)
def test_plain_http_goes_to_this_machine_only(queue: Redis, clock: FixedClock, address: str) -> None:
    with pytest.raises(Misconfigured):
        Gear(queue=queue, clock=clock, ids=Ids(clock), hosts=Hosts(wx_api=address))


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9000", "http://localhost:9000/", "http://[::1]:9000", "https://a.example"]
)
def test_these_addresses_are_fine(queue: Redis, clock: FixedClock, address: str) -> None:
    Gear(queue=queue, clock=clock, ids=Ids(clock), hosts=Hosts(wxpay_api=address)).close()


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


@pytest.fixture
def real(queue: Redis, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gear]:
    monkeypatch.setattr(wire, "_TIMEOUT", httpx.Timeout(0.4, connect=0.4))
    # A proxy of the environment must not be asked for this machine.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    built = Gear(queue=queue, clock=clock, ids=Ids(clock), hosts=Hosts())
    yield built
    built.close()


def error_of(gear: Gear, url: str, *, safe: bool) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        gear.exchange("POST", f"{url}/x?access_token=sesame", operation="/x", safe=safe, content=b"{}")
    return caught.value


def test_nobody_there_means_certainly_not_done(real: Gear) -> None:
    for safe in (True, False):
        error = error_of(real, "http://127.0.0.1:1", safe=safe)
        assert isinstance(error, RetryLater)
        assert error.reason is Reason.UNREACHABLE


@pytest.mark.parametrize("safe", [True, False])
def test_a_lost_answer_is_unknown_unless_repeating_is_harmless(real: Gear, safe: bool) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(10_000)

    def silent(connection: socket.socket) -> None:
        connection.recv(10_000)
        time.sleep(0.8)

    def half(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    for serve in (hang_up, silent, half):
        with listening(serve) as url:
            assert type(error_of(real, url, safe=safe)) is (RetryLater if safe else OutcomeUnknown)


def test_an_endless_answer_is_cut_off(real: Gear, monkeypatch: pytest.MonkeyPatch) -> None:
    def flood(connection: socket.socket) -> None:
        connection.recv(10_000)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                connection.sendall(b"x" * 100_000)
        except OSError:
            pass

    with listening(flood) as url:
        error = error_of(real, url, safe=False)
    assert isinstance(error, OutcomeUnknown)
    assert error.number == "answer too large"


def test_redirects_are_not_followed(real: Gear) -> None:
    def elsewhere(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )

    with listening(elsewhere) as url:
        assert real.exchange("GET", url, operation="/x", safe=True).status == 302


APP, CORP, TOKEN, PERSON, V3, CODE = SECRETS = [
    f"{name}-never" for name in ("app", "corp", "token", "openid", "v3", "code")
]


def test_secrets_are_in_no_log_no_error_and_no_repr(
    gear: Gear, platform: Scripted, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # httpx tells its URLs at INFO
    oa = OfficialAccountCredentials(account, "wx1", APP)
    wecom = WecomCredentials(account, "ww1", CORP)
    pay = PayCredentials(account, "16", "wx1", "5F", V3, V3)
    token = {"access_token": TOKEN, "expires_in": 7200}
    errmsg = f"{PERSON} {TOKEN} rid: 5f3ded7d-01234567-89abcdef"
    platform.on("/cgi-bin/stable_token", token).on("/cgi-bin/gettoken", token)
    platform.on("/cgi-bin/user/info", {"errcode": 40003, "errmsg": errmsg}, httpx.ReadTimeout("x"))
    platform.on("/cgi-bin/externalcontact/list", httpx.Response(502, text=f"{CORP} {TOKEN}"))
    platform.on("/sns/oauth2/access_token", {"errcode": 40029, "errmsg": f"{CODE}, {APP}"})
    platform.on("/sns/userinfo", {"errcode": 48001, "errmsg": TOKEN})
    calls: list[Callable[[], object]] = [
        lambda: OfficialAccount(oa, gear).follower(PERSON),
        lambda: OfficialAccount(oa, gear).follower(PERSON),
        lambda: Customers(Wecom(wecom, gear)).of("anna"),
        lambda: OAuth(oa, gear).visitor(CODE),
        lambda: OAuth(oa, gear).person(Visitor(PERSON, access_token=TOKEN)),
    ]
    told = [repr(oa), repr(wecom), repr(pay), repr(Visitor(PERSON, access_token=TOKEN))]
    with capture_logs() as lines:
        for call in calls:
            with pytest.raises(ChannelError) as caught:
                call()
            told += [str(caught.value), repr(caught.value), repr(caught.value.extra)]
            told += traceback.format_exception(caught.value)
    told += [repr(line) for line in lines] + [record.getMessage() for record in caplog.records]
    assert any("/cgi-bin/user/info" in text for text in told)
    assert "5f3ded7d-01234567-89abcdef" in repr(lines)  # what the platform's support asks for
    for text in told:
        for secret in SECRETS:
            assert secret not in text
