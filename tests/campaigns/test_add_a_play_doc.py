"""The play that docs/add-a-play.md builds works: dropped in, tested as told, and played to the end."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from flask import Flask

import campaigns
from growth_engine.context import Parts
from growth_engine.ledger.service import verify_all
from growth_engine.plays import registry, templates
from growth_engine.plays.contract import Play
from tests.factories.campaigns import Actors, make_campaign
from tests.factories.phones import Phone, publish_campaign

ROOT = Path(__file__).parent.parent.parent
DOC = ROOT / "docs" / "add-a-play.md"
_BLOCK = re.compile(r"^```(?:python|json) (?P<path>\S+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

PLAY = "campaigns/stamp_card.py"
TEMPLATE = "campaigns/templates/stamp-card.json"
TESTS = "tests/campaigns/test_stamp_card.py"


def files() -> dict[str, str]:
    """The files the document tells to write: its blocks of one name, one after the other."""
    found: dict[str, list[str]] = {}
    for path, code in _BLOCK.findall(DOC.read_text(encoding="utf-8")):
        found.setdefault(path, []).append(code)
    return {path: ("\n" if path.endswith(".json") else "\n\n").join(blocks) for path, blocks in found.items()}


def _forget() -> None:
    registry.plays.cache_clear()
    templates.templates.cache_clear()
    sys.modules.pop("campaigns.stamp_card", None)
    vars(campaigns).pop("stamp_card", None)


@pytest.fixture
def dropped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The play as if its files lay in ``campaigns/``."""
    written = files()
    (tmp_path / "templates").mkdir()
    (tmp_path / "stamp_card.py").write_text(written[PLAY], encoding="utf-8")
    (tmp_path / "templates" / "stamp-card.json").write_text(written[TEMPLATE], encoding="utf-8")
    monkeypatch.setattr(campaigns, "__path__", [*campaigns.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    _forget()
    yield importlib.import_module("campaigns.stamp_card")
    monkeypatch.undo()
    _forget()


def test_the_document_tells_to_write_three_files() -> None:
    assert set(files()) == {PLAY, TEMPLATE, TESTS}


@pytest.mark.parametrize("path", [PLAY, TESTS])
def test_its_code_is_as_clean_as_ours(path: str) -> None:
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(ROOT / path), "-"],
            input=files()[path],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_play_imports_what_a_play_may() -> None:
    imported = {
        node.module for node in ast.walk(ast.parse(files()[PLAY])) if isinstance(node, ast.ImportFrom)
    }
    assert {name for name in imported if name and name.startswith("growth_engine")} == {
        "growth_engine.kit.i18n",
        "growth_engine.plays.contract",
    }


def test_it_is_found_beside_ours(dropped_in: ModuleType) -> None:
    assert registry.plays()["stamp_card"] is cast(Play, dropped_in)
    assert "referral" in registry.plays()
    assert templates.template("stamp-card").play == "stamp_card"


def test_its_config_survives_being_stored(dropped_in: ModuleType) -> None:
    for given in ({}, {"cards": 5, "stamps": 2}):
        loaded = dropped_in.Config().load(given)
        assert dropped_in.Config().load(json.loads(json.dumps(loaded))) == loaded


def test_its_own_tests_pass(dropped_in: ModuleType) -> None:
    assert dropped_in
    scope: dict[str, Any] = {}
    exec(compile(files()[TESTS], TESTS, "exec"), scope)
    tests = [one for name, one in scope.items() if name.startswith("test_")]
    assert len(tests) >= 4
    for one in tests:
        one()


def test_it_is_played_through_the_books(dropped_in: ModuleType, parts: Parts, workspace: str) -> None:
    assert dropped_in
    config = {"stamps": 2, "card_days": 40, "friend_days": 10, "cards": 1}
    cast_ = Actors(parts, workspace, make_campaign(parts, workspace, config, slug="stamp_card"))
    cast_.join("ann")
    for friend in ("bob", "cid", "dan"):
        assert cast_.join(friend, "ann").reasons == ()
    cast_.do("leave", "bob")
    assert cast_.join("eve", "ann").reasons == ()  # three again: no second card yet
    sold_out = cast_.join("fay", "ann")
    assert [reason.code for reason in sold_out.reasons] == ["sold_out"]
    friends = [("friend", who, 10) for who in ("bob", "cid", "dan", "eve", "fay")]
    assert cast_.grants() == [*friends, ("tier", "ann", 40)]
    assert [report.faults for report in verify_all(parts, workspace) if not report.clean] == []


def test_its_ready_campaign_is_published_and_joined_on_phones(
    dropped_in: ModuleType, app: Flask, parts: Parts, workspace: str, run_jobs: Callable[..., int]
) -> None:
    assert dropped_in
    campaign = publish_campaign(parts, workspace, template="stamp-card", config={"stamps": 1})
    ann, ben = Phone(app), Phone(app, address="198.51.100.2")
    assert ann.get(f"/c/{campaign}").status_code == 200
    assert "60 days for every full card" in ann.text()
    token = ann.join(campaign, "13800138001", "Ann")
    ben.join(campaign, "13800138002", "Ben", token)
    run_jobs(workspace, "grants.drain")
    ann.get(f"/c/{campaign}/me")
    ann.follow()
    assert "60 days left" in ann.text()
