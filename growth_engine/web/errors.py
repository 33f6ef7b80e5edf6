"""Every error of every request, rendered in one place: problem JSON for programs, a page for people."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.kit import web
from growth_engine.kit.errors import GrowthError, Unavailable
from growth_engine.kit.i18n import N_, translate

log = structlog.get_logger(__name__)

#: What went wrong and what to do, for statuses Flask and Werkzeug raise by themselves.
_HTTP = {
    400: ("bad_request", N_("The request could not be understood.")),
    401: ("unauthorized", N_("Sign in or send a valid API token.")),
    403: ("forbidden", N_("You are not allowed to do this.")),
    404: ("not_found", N_("There is nothing at this address. The link may be incomplete.")),
    405: ("method_not_allowed", N_("This address does not take this kind of request.")),
    406: ("not_acceptable", N_("This is not available in the form you asked for.")),
    408: ("timeout", N_("The request took too long to arrive. Please try again.")),
    413: ("too_large", N_("What you sent is too large.")),
    414: ("address_too_long", N_("The address is too long.")),
    415: ("unsupported_media_type", N_("This kind of content is not accepted here.")),
    422: ("invalid", N_("Some fields are not right.")),
    429: ("too_many_requests", N_("Too many requests. Please wait a little.")),
    431: ("headers_too_large", N_("The request's headers are too large.")),
    500: ("error", N_("Something went wrong on our side. Please try again.")),
    503: ("unavailable", N_("This is not available right now. Please try again in a moment.")),
}
#: Default messages of ``kit.errors`` that are not above; marked here, for that module imports nothing.
_DEFAULTS = (N_("There is nothing here."), N_("This does not fit the present state."))
_TITLES = {
    400: N_("That did not work"),
    401: N_("Please sign in"),
    403: N_("No access"),
    404: N_("Not found"),
    405: N_("That did not work"),
    409: N_("Not possible now"),
    413: N_("Too large"),
    415: N_("Wrong kind of content"),
    422: N_("Please check your entries"),
    429: N_("A moment, please"),
    500: N_("Our mistake"),
    503: N_("Back in a moment"),
}
_ICONS = {403: "lock", 404: "map-search", 429: "clock", 500: "alert-triangle", 503: "clock"}


def register(app: Flask) -> None:
    """Called last, so that these handlers win over those of the API library."""
    app.register_error_handler(GrowthError, _expected)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RedisError, _store_down)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(Exception, _unexpected)


def _expected(error: Exception) -> AnyResponse:
    assert isinstance(error, GrowthError)
    if error.status >= 500:
        log.error("http.failed", code=error.code, exc_info=error)
    if isinstance(error, web.SignInNeeded) and request.method == "GET" and not web.wants_json():
        return redirect(url_for("signin.form", next=request.full_path.rstrip("?")))
    response = render(error.status, error.code, translate(error.message, error.params), error.extra)
    if isinstance(error, web.SignInNeeded) and web.is_htmx():
        response.headers["HX-Redirect"] = url_for("signin.form")
    if "retry_after" in error.extra:
        response.headers["Retry-After"] = str(error.extra["retry_after"])
    return response


def _http(error: Exception) -> AnyResponse:
    assert isinstance(error, HTTPException)
    status = error.code or 500
    if status < 400:  # a redirect Werkzeug raised (a missing slash)
        return error.get_response(request.environ)
    code, message = _HTTP.get(status, ("error", error.name))
    data: dict[str, Any] = getattr(error, "data", None) or {}  # of webargs: which field is wrong
    extra = {"errors": data["messages"]} if data.get("messages") else {}
    response = render(status, code, translate(data.get("message") or message), extra)
    for name, value in error.get_headers(request.environ):
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    for name, value in (data.get("headers") or {}).items():
        response.headers[name] = value
    return response


def _store_down(error: Exception) -> AnyResponse:
    log.error("redis.unavailable", error=type(error).__name__)
    return _expected(Unavailable())


def _database(error: Exception) -> AnyResponse:
    assert isinstance(error, DBAPIError)
    if not error.connection_invalidated and type(error).__name__ != "OperationalError":
        return _unexpected(error)
    log.error("database.unavailable", error=type(error.orig).__name__)
    return _expected(Unavailable())


def _unexpected(error: Exception) -> AnyResponse:
    log.error("http.crashed", error=type(error).__name__, exc_info=error)
    code, message = _HTTP[500]
    return render(500, code, translate(message), {})


def render(status: int, code: str, detail: str, extra: dict[str, Any]) -> Response:
    """The error as problem JSON (RFC 9457) or as a page in the look of its area."""
    if web.wants_json():
        problem = {
            **extra,
            "type": f"urn:growth-engine:problem:{code}",
            "title": translate(_TITLES[status]) if status in _TITLES else HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": detail,
            "request_id": g.get("request_id", ""),
        }
        return Response(orjson.dumps(problem, default=str), status, mimetype="application/problem+json")
    page = render_template(
        f"errors/{_area()}.html",
        status=status,
        title=translate(_TITLES.get(status, _TITLES[400])),
        detail=detail,
        icon_name=_ICONS.get(status, "alert-circle"),
        request_id=g.get("request_id", ""),
        fields=extra.get("errors") if isinstance(extra.get("errors"), dict) else None,
    )
    return make_response(page, status)


def _area() -> str:
    """The look of the area the error happened in."""
    if request.path.startswith(("/console", "/sales")) and web.signed_in():
        return "console"
    if request.path.startswith(("/console", "/sales", "/sign-in")):
        return "plain"
    return "phone"
