"""What a running product tells the other terminals."""

from __future__ import annotations

import json
import os
from pathlib import Path

from growth_engine.embedded.run_file import NAME, Process, RunFile, settings_at
from growth_engine.settings import HOSTS

SANDBOX = dict.fromkeys(HOSTS, "http://127.0.0.1:9101")


def written(folder: Path) -> RunFile:
    made = RunFile(
        Process.of(os.getpid()), "postgresql://app@/x", "postgresql://owner@/x", "redis://127.0.0.1:1",
        "redis://127.0.0.1:1", "http://127.0.0.1:8000", "127.0.0.1", 8000, hosts=SANDBOX,
    )  # fmt: skip
    made.write(folder)
    return made


def test_commands_speak_to_the_sandbox_the_product_speaks_to(tmp_path: Path) -> None:
    written(tmp_path)
    settings = settings_at(tmp_path, {})
    assert {name: getattr(settings, name) for name in HOSTS} == SANDBOX


def test_the_file_of_a_product_that_was_started_before_the_update_is_read(tmp_path: Path) -> None:
    written(tmp_path)
    file = tmp_path / NAME
    raw = json.loads(file.read_text())
    del raw["hosts"]
    file.write_text(json.dumps(raw))
    assert settings_at(tmp_path, {}).wx_api_base == "https://api.weixin.qq.com"
