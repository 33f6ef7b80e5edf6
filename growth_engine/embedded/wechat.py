"""The stand-in for WeChat that the embedded default starts, so that everything can be tried at once."""

from __future__ import annotations

import dataclasses
import errno
import http.client
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from growth_engine.settings import HOSTS, Settings, environment_name

HOST = "127.0.0.1"
#: Official Account, WeCom, Pay.
_SERVICES = 3
#: How many neighbouring places are tried when somebody listens at the first.
_TRIES = 20


def wanted(environ: Mapping[str, str], settings: Settings) -> bool:
    """Whether the sandbox is to run: nobody named a platform's host, and it was not switched off."""
    return settings.sandbox_port > 0 and not any(environ.get(environment_name(name)) for name in HOSTS)


def turned_to_sandbox(settings: Settings) -> Settings:
    """The settings with the platforms' hosts on three free ports, from ``sandbox_port`` on."""
    port = _free(settings.sandbox_port)
    oa, wecom, pay = (f"http://{HOST}:{port + n}" for n in range(_SERVICES))
    return dataclasses.replace(
        settings,
        sandbox_port=port,
        wx_api_base=oa,
        wx_mp_base=oa,
        wx_open_base=oa,
        wecom_api_base=wecom,
        wxpay_api_base=pay,
    )


def command(settings: Settings) -> list[str]:
    """Arguments of the program."""
    place = ["--host", HOST, "--port", str(settings.sandbox_port), "--app", settings.public_url]
    return ["sandbox", "--data-dir", str(settings.data_dir), *place]


def control(settings: Settings) -> str:
    return f"http://{HOST}:{settings.sandbox_port}/_sandbox"


def phone(settings: Settings) -> str:
    return f"{control(settings)}/"


def is_up(settings: Settings) -> Callable[[], bool]:
    def ask() -> bool:
        connection = http.client.HTTPConnection(HOST, settings.sandbox_port, timeout=5)
        try:
            connection.request("GET", "/_sandbox/credentials")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask


def _free(first: int) -> int:
    for port in range(first, first + _TRIES * _SERVICES, _SERVICES):
        if all(_is_free(port + n) for n in range(_SERVICES)):
            return port
    return first  # the program says what is wrong with it


def _is_free(port: int) -> bool:
    with ExitStack() as stack:
        probe = stack.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True
