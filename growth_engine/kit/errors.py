"""The tree of errors a caller may see: each has a code, an HTTP status and a message to act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class GrowthError(Exception):
    """Base of every expected error; rendered once, as problem JSON or as a page (``web/errors.py``).

    ``message`` is an English message id, translated when rendered, with ``params`` interpolated
    (``%(name)s``). ``extra`` holds further members of the problem document.
    """

    code = "error"
    status = 500
    message = "Something went wrong on our side. Please try again."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        params: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.code = code or type(self).code
        self.params = dict(params or {})
        self.extra = dict(extra or {})
        super().__init__(self.message % self.params if self.params else self.message)


class Invalid(GrowthError):
    """The request was understood and is wrong; ``fields`` says where."""

    code = "invalid"
    status = 422
    message = "Some fields are not right."

    def __init__(
        self, message: str | None = None, *, fields: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(message, **kwargs)
        if fields:
            self.extra["errors"] = dict(fields)


class Unauthorized(GrowthError):
    code = "unauthorized"
    status = 401
    message = "Sign in or send a valid API token."


class Forbidden(GrowthError):
    code = "forbidden"
    status = 403
    message = "You are not allowed to do this."


class NotFound(GrowthError):
    code = "not_found"
    status = 404
    message = "There is nothing here."


class Conflict(GrowthError):
    code = "conflict"
    status = 409
    message = "This does not fit the present state."


class TooMany(GrowthError):
    code = "too_many_requests"
    status = 429
    message = "Too many requests. Please wait a little."


class Unavailable(GrowthError):
    code = "unavailable"
    status = 503
    message = "This is not available right now. Please try again in a moment."


class Misconfigured(GrowthError):
    """The program cannot start as configured; the message is one line that says what to do."""

    code = "misconfigured"
    status = 500
