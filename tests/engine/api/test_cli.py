"""``growth-engine openapi``."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from growth_engine.cli.openapi import command
from tests.engine.api.test_description import COMMITTED


def test_the_description_is_printed_and_written_with_nothing_running(tmp_path: Path) -> None:
    printed = CliRunner().invoke(command, [])
    written = tmp_path / "openapi.json"
    CliRunner().invoke(command, ["--to", str(written)], catch_exceptions=False)

    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.output) == json.loads(COMMITTED.read_text("utf-8"))
    assert written.read_text("utf-8") == COMMITTED.read_text("utf-8")
