"""HTTP to the platforms: https or loopback, short timeouts, no repeats, nothing secret in logs or errors."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from redis import Redis

from growth_engine.channels.contract import Hosts, Reason
from growth_engine.channels.errors import OutcomeUnknown, RetryLater
from growth_engine.kit.clock import Clock
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.i18n import N_
from growth_engine.kit.ids import Ids

CONNECT_SECONDS = 3.0
#: The platforms answer within a second; a worker must not hang on one that does not.
ANSWER_SECONDS = 8.0
POOL_SECONDS = 5.0
#: Answers are small JSON; a bill may be large (``bills.py`` asks for more).
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024

_TIMEOUT = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16)
#: Never through a proxy of the environment: the sandbox is on this machine.
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
#: With these the request has not left: it may be repeated whatever it was.
_NOT_MADE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _NoQueries(logging.Filter):
    """httpx tells every URL at INFO, with the access token in its query: keep the path only."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                str(item.copy_with(query=None)) if isinstance(item, httpx.URL) else item
                for item in record.args
            )
        return True


_NO_QUERIES = _NoQueries()


class Gear:
    """What all clients of a process share: connections, the queue Redis, clock, ids, addresses."""

    def __init__(
        self,
        *,
        queue: Redis,
        clock: Clock,
        ids: Ids,
        hosts: Hosts,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        for name in ("wx_api", "wx_mp", "wx_open", "wecom_api", "wxpay_api"):
            _require_safe(name, getattr(hosts, name))
        logging.getLogger("httpx").addFilter(_NO_QUERIES)
        self.queue, self.clock, self.ids, self.hosts = queue, clock, ids, hosts
        self._http = httpx.Client(
            timeout=_TIMEOUT,
            limits=_LIMITS,
            follow_redirects=False,
            transport=transport,
            mounts=dict.fromkeys(_LOOPBACK),
            headers={"User-Agent": "growth-engine"},
        )

    def exchange(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        operation: str,
        safe: bool,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        files: Any = None,
        largest: int = LARGEST_ANSWER_BYTES,
    ) -> Answer:
        """One request, one answer, whatever its status.

        ``safe`` says that doing it twice does no harm: a lost answer is then RetryLater, else
        OutcomeUnknown. RetryLater when the request was certainly not made.
        """
        request = self._http.build_request(
            method, url, content=content, params=params, headers=headers, files=files
        )
        try:
            return self._read(self._http.send(request, stream=True), operation, safe, largest)
        except httpx.HTTPError as error:
            # ``from None``: the httpx error holds the request, and with it tokens and secrets.
            name = type(error).__name__
            if safe or isinstance(error, _NOT_MADE):
                raise RetryLater(Reason.UNREACHABLE, operation=operation, number=name) from None
            raise OutcomeUnknown(Reason.UNREACHABLE, operation=operation, number=name) from None

    def _read(self, response: httpx.Response, operation: str, safe: bool, largest: int) -> Answer:
        body = bytearray()
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > largest:
                    kind = RetryLater if safe else OutcomeUnknown
                    raise kind(Reason.OTHER, operation=operation, number="answer too large")
        finally:
            response.close()
        return Answer(response.status_code, response.headers, bytes(body))

    def close(self) -> None:
        self._http.close()


def _require_safe(name: str, address: str) -> None:
    parts = urlsplit(address)
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username or not parts.hostname:
        # A signature covers path and query only: under a prefix it could not be right (sheet §0.1).
        raise Misconfigured(N_("%(name)s must be an address without a path."), params={"name": name.upper()})
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return
    raise Misconfigured(
        N_("%(name)s must start with https:// (http:// is accepted on this machine only)."),
        params={"name": name.upper()},
    )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
