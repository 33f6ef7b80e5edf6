"""What happens around every request: id, broken text refused, who it is, language, CSRF, headers, log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from flask import Flask, Response, g, request

from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.ids import Ids
from growth_engine.settings import Settings

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_YEAR_SECONDS = 365 * 24 * 3600
#: A request that takes longer is worth a line in the log.
_SLOW_SECONDS = 1.0

#: No inline script or style anywhere; ``blob:`` and ``data:`` pictures are posters and the icons inside
#: Tabler's and WeUI's style sheets. Our own pages may frame each other: the phone preview in the editor.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-src 'self'",
        "frame-ancestors 'self'",
    ]
)


def policy_with_script(origin: str) -> str:
    """The same for a page that loads one script of somebody else's: WeChat's, inside WeChat."""
    return POLICY.replace("script-src 'self'", f"script-src 'self' {origin}")


HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

#: Endpoints that need neither session nor language: files, the health check, and the platforms' callbacks,
#: which are signed and kept even when their text is broken.
_PLAIN_ENDPOINTS = frozenset({"assets.file", "ops.healthz", "ops.metrics", "webhooks.receive"})


class BrokenText(web.BadRequest):
    code = "broken_text"
    message = N_("The request contains characters that are not valid text.")


def protect(app: Flask, identify: Callable[[], None]) -> None:
    """Install the hooks; ``identify`` finds the signed-in member of staff from the session cookie."""

    def before() -> None:
        _begin()
        if request.endpoint in _PLAIN_ENDPOINTS:
            refuse_broken_address()
            return
        web.choose_locale()
        refuse_broken_address()
        identify()
        if web.signed_in():
            web.choose_locale()
        refuse_broken_body()
        web.check_csrf()

    app.before_request(before)
    app.after_request(_finish)


def request_id(given: str, ids: Ids) -> str:
    """What the request is called in the log and in the answer: the caller's name for it, or a new one."""
    return given if _REQUEST_ID.fullmatch(given) else ids.new("req")


def headers(settings: Settings) -> Mapping[str, str]:
    """The headers of every answer that sets none of its own."""
    if not settings.secure_cookies:
        return HEADERS
    return {**HEADERS, "Strict-Transport-Security": f"max-age={_YEAR_SECONDS}; includeSubDomains"}


def _begin() -> None:
    g.request_id = request_id(request.headers.get("X-Request-Id", ""), web.parts().ids)
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    web.speak(web.parts().settings.default_locale)


def _finish(response: Response) -> Response:
    web.keep_visitor(response)
    web.keep_language(response)
    # `setdefault` walks through all headers twice for each one: 40 µs of every answer.
    present = {name.lower() for name, _ in response.headers}
    for name, value in headers(web.parts().settings).items():
        if name.lower() not in present:
            response.headers.add(name, value)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    if "Cache-Control" not in response.headers:
        # Pages carry the visitor's CSRF token; those of staff must not outlive the sign-out.
        response.headers["Cache-Control"] = "no-store" if web.signed_in() else "private, no-cache"
    response.headers.add("Vary", "Cookie, Accept-Language")
    route = request.url_rule.rule if request.url_rule else "-"
    log_request(request.method, route, response.status_code, g.get("started", time.perf_counter()))
    return response


def log_request(method: str, route: str, status: int, began: float) -> None:
    """A line for each refused or slow request, by route and not by address: addresses hold tokens and ids.

    The others are counted by /metrics; a line each would cost a tenth of the time they take.
    """
    seconds = time.perf_counter() - began
    if status >= 400 or seconds >= _SLOW_SECONDS:
        log.info("http", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


# -- text that is none -------------------------------------------------------------------------------


def refuse_broken_address() -> None:
    """Refuse NUL characters and invalid UTF-8 in the path or query: PostgreSQL could not store them."""
    if is_broken_address(request.environ):
        raise BrokenText


def is_broken_address(environ: Mapping[str, Any]) -> bool:
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace")
    query = unquote_to_bytes(environ.get("QUERY_STRING", "").encode("latin-1", "replace"))
    return _is_broken(path) or _is_broken(query)


def refuse_broken_body() -> None:
    """The same for the fields of a form and the strings of a JSON body."""
    kind = request.mimetype
    if kind == "application/x-www-form-urlencoded":
        # Kept for the form's own reading, which would write invalid bytes out as %FF.
        _strict(unquote_to_bytes(request.get_data()))
    elif kind == "multipart/form-data":
        for name, value in request.form.items(multi=True):
            _strict_text(name)
            _strict_text(value)
        for name, file in request.files.items(multi=True):
            _strict_text(name)
            _strict_text(file.filename or "")
    elif kind == "application/json" or kind.endswith("+json"):
        _refuse_broken_json(request.get_data())


def _refuse_broken_json(body: bytes) -> None:
    """NUL and lone surrogates come escaped; a body that is no JSON at all is refused by whoever reads it."""
    surrogates = b"\\ud" in body or b"\\uD" in body
    if not surrogates and b"\\u0000" not in body:
        return
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        if surrogates:  # orjson refuses a lone one, the standard library's reader would let it through
            raise BrokenText from None
        return
    for text in _strings(document):
        if "\0" in text:
            raise BrokenText


def _strings(value: Any) -> Iterable[str]:
    """Without recursion: what is nested a thousand deep must not use up the stack."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            left += one.keys()
            left += one.values()
        elif isinstance(one, list):
            left += one


def _strict(raw: bytes) -> None:
    if _is_broken(raw):
        raise BrokenText


def _is_broken(raw: bytes) -> bool:
    try:
        return "\0" in raw.decode()
    except UnicodeDecodeError:
        return True


def _strict_text(text: str) -> None:
    # Werkzeug has replaced invalid UTF-8 by U+FFFD already; typed by hand it is broken text all the same.
    if "\0" in text or "\ufffd" in text:
        raise BrokenText
