"""Logs: one line per happening, console or JSON, without personal data, with the id of the request."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog
from structlog.typing import Processor

REDACTED = "[redacted]"

#: Never written, whatever they hold: who somebody is, and what opens a door.
PERSONAL = {"phone", "nickname", "real_name", "email", "avatar", "address", "ip", "remote_addr", "device"}
PERSONAL |= {"openid", "unionid", "external_userid", "external_id", "identity", "identities", "contact"}
#: What a caller sent, whole: anything may be in it.
PERSONAL |= {"body", "payload", "form", "facts"}
SECRET = {"password", "secret", "secret_key", "token", "invite_token", "cookie", "authorization", "api_key"}

_HIDDEN = PERSONAL | SECRET
_BOUND = "growth_bound"
# Phone numbers in free text (an error message, a statement): +8613800138000, 13800138000.
_PHONE = re.compile(r"\+\d{8,15}\b|(?<![\w.-])1[3-9]\d{9}(?![\w.-])")
# PostgreSQL quotes the offending row: `DETAIL:  Key (kind, value)=(phone, …) already exists.`
_DETAIL = re.compile(r"(DETAIL|CONTEXT): .*")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


def configure(form: Literal["console", "json"] | str, level: int = logging.INFO) -> None:
    """Set up logging for this process: ours and every library's go through the same lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redact,
        _renderer(form),
    ]
    handler = logging.StreamHandler(sys.stderr)
    foreign = [_merge_bound, *shared[1:]]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=render))
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, handler)
    listener.start()
    atexit.register(listener.stop)
    root = logging.getLogger()
    root.handlers[:] = [_HandOver(lines)]
    root.setLevel(level)
    for noisy in ("rq.worker", "alembic", "httpx", "_granian", "granian"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _HandOver(logging.handlers.QueueHandler):
    """Leaves a line to one writing thread.

    Written by the request's own thread, every line makes the others queue for the stream's lock: 32
    threads then answered at half their speed (benchmarks/joins.py).
    """

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Same process: structlog's formatter wants the record as it is. What is bound to the request
        # must be taken along, the writing thread knows nothing of it.
        record.__dict__[_BOUND] = structlog.contextvars.get_contextvars()
        return record


def _merge_bound(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The request's id for lines of other libraries (ours carry it already)."""
    for key, value in getattr(event.get("_record"), _BOUND, {}).items():
        event.setdefault(key, value)
    return event


def _renderer(form: str) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide personal values by their name, and phone numbers and addresses in any text."""
    for key, value in event.items():
        event[key] = _clean(key, value)
    return event


def _clean(key: str, value: Any) -> Any:
    if key.lower() in _HIDDEN and value not in (None, "", 0):
        return REDACTED
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {inner: _clean(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", item) for item in value]
    return value


def scrub(text: str) -> str:
    """Free text without phone numbers, mail addresses and quoted rows."""
    text = _DETAIL.sub(rf"\1: {REDACTED}", text)
    return _EMAIL.sub(REDACTED, _PHONE.sub(REDACTED, text))
