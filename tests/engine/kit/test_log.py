"""Nothing personal reaches a log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from growth_engine.kit import log
from tests.live import until


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process logs, as JSON lines; logging is put back as it was."""
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    log.configure("json")
    yield stream
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


def _last(lines: io.StringIO) -> dict[str, object]:
    until(lambda: lines.getvalue().endswith("\n"), 5, "the line is written (by a thread of its own)")
    found: dict[str, object] = json.loads(lines.getvalue().strip().splitlines()[-1])
    return found


def test_personal_values_and_secrets_are_hidden_by_name(lines: io.StringIO) -> None:
    structlog.get_logger("t").info(
        "joined", phone="13800138000", nickname="小明", token="ge_x", member=7, who={"openid": "o1", "n": 1}
    )
    said = _last(lines)
    assert said["phone"] == said["nickname"] == said["token"] == log.REDACTED
    assert said["who"] == {"openid": log.REDACTED, "n": 1}
    assert (said["member"], said["event"], said["level"]) == (7, "joined", "info")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("call +8613800138000 now", "call [redacted] now"),
        ("13800138000", "[redacted]"),
        ("mail li@example.com please", "mail [redacted] please"),
        ("DETAIL:  Key (kind, value)=(phone, 1) exists", "DETAIL: [redacted]"),
        ("evt_01m80xv0cg1z58stb7ddz4spas took 12345678901 ns", None),
        ("2026-11-22T06:07:11.824939Z", None),
    ],
)
def test_free_text_loses_phone_numbers_addresses_and_quoted_rows(text: str, kept: str | None) -> None:
    assert log.scrub(text) == (kept or text)


def test_tracebacks_and_other_libraries_are_cleaned_too(lines: io.StringIO) -> None:
    try:
        int("no such contact: +8613912345678")
    except ValueError:
        logging.getLogger("some.library").exception("failed for %s", "a@b.example")
    assert "ValueError" in str(_last(lines)["exception"])
    assert "13912345678" not in lines.getvalue()
    assert "a@b.example" not in lines.getvalue()


def test_the_id_of_the_request_stands_in_every_line(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        logging.getLogger("some.library").warning("slow")
    assert _last(lines)["request_id"] == "req_1"
