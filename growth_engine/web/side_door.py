"""The side door for callbacks: in a storm Flask's own machinery would take five times what they need."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import structlog

from growth_engine.context import Parts
from growth_engine.inbox.contract import Reply, Request
from growth_engine.inbox.reception import Desk
from growth_engine.kit import i18n
from growth_engine.web import guard, ops

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Where the error of a callback lies that came by the side door, for the one place that renders errors.
ERROR = "growth.callback_error"

_ADDRESS = re.compile(r"/webhooks/([a-z0-9_]{1,32})/([A-Za-z0-9_]{1,64})")
_SIZE = re.compile(r"[1-9][0-9]{0,8}")
_STATUS = {one.value: f"{one.value} {one.phrase}" for one in HTTPStatus}


class SideDoor:
    """Takes ordinary callbacks, and leaves everything else, errors too, to the application behind it.

    Ordinary: a POST to a plain address, of a size that is said and allowed, whose query is valid text.
    Nothing a callback lacks is done for it (session, visitor's cookie, language, CSRF token); id, log,
    headers and figures are those of every answer (``web/guard.py``).
    """

    def __init__(self, parts: Parts, desk: Desk, behind: WSGIApplication, most_bytes: int) -> None:
        self._parts, self._desk, self._behind = parts, desk, behind
        self._most_bytes = most_bytes
        self._headers = [*guard.headers(parts.settings).items(), ("Cache-Control", "no-store")]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            # A proxy in between may send a body in pieces. The server ends it; Werkzeug, not told so, would
            # take it for an empty one.
            environ["wsgi.input_terminated"] = True
        address = _ADDRESS.fullmatch(environ.get("PATH_INFO", ""))
        if address is None or environ["REQUEST_METHOD"] != "POST" or not self._is_ordinary(environ):
            return self._behind(environ, start_response)
        return self._answer(environ, start_response, address[1], address[2])

    def _is_ordinary(self, environ: WSGIEnvironment) -> bool:
        size = environ.get("CONTENT_LENGTH", "")
        if not _SIZE.fullmatch(size) or int(size) > self._most_bytes or environ.get("SCRIPT_NAME"):
            return False
        return environ.get("QUERY_STRING", "").isascii() and not guard.is_broken_address(environ)

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, provider: str, account_id: str
    ) -> Iterable[bytes]:
        began = time.perf_counter()
        request_id = guard.request_id(environ.get("HTTP_X_REQUEST_ID", ""), self._parts.ids)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        i18n.set_locale(self._parts.settings.default_locale)
        size = int(environ["CONTENT_LENGTH"])
        body: bytes = environ["wsgi.input"].read(size)
        if len(body) != size:  # cut short: Werkzeug says so
            return self._behind({**environ, "wsgi.input": io.BytesIO(body)}, start_response)
        try:
            reply = self._desk.receive(provider, account_id, self._request(environ, body))
        except Exception as error:
            # Rendered, logged and counted where all errors are.
            again = {"HTTP_X_REQUEST_ID": request_id, "wsgi.input": io.BytesIO(body), ERROR: error}
            return self._behind({**environ, **again}, start_response)
        ops.count("webhooks.receive", "POST", reply.status, time.perf_counter() - began)
        guard.log_request("POST", "/webhooks/<provider>/<account_id>", reply.status, began)
        start_response(_STATUS[reply.status], self._headers_of(reply, request_id))
        return [reply.body]

    def _headers_of(self, reply: Reply, request_id: str) -> list[tuple[str, str]]:
        return [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            ("X-Request-Id", request_id),
            *self._headers,
        ]

    def _request(self, environ: WSGIEnvironment, body: bytes) -> Request:
        # As Werkzeug reads it; of a name said twice the first one counts.
        pairs = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, errors="strict")
        return Request(
            method="POST",
            query=dict(reversed(pairs)),
            headers=_headers_in(environ),
            body=body,
            received_at=self._parts.clock.now(),
        )


def _headers_in(environ: WSGIEnvironment) -> dict[str, str]:
    given: dict[str, Any] = environ
    found = {
        name[5:].replace("_", "-").lower(): value for name, value in given.items() if name.startswith("HTTP_")
    }
    if "CONTENT_TYPE" in given:
        found["content-type"] = given["CONTENT_TYPE"]
    return found
