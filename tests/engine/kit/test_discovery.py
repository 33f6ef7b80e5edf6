"""What was dropped in is found, by its name, once."""

from __future__ import annotations

import ast
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

import growth_engine
from growth_engine.context import Parts
from growth_engine.kit import discovery, jobs
from growth_engine.kit.errors import Misconfigured

ROOT = Path(growth_engine.__file__).parent


def test_jobs_and_reactions_of_every_slice_are_found_and_nothing_else() -> None:
    names = {module.__name__ for module in discovery.find("jobs")}
    expected = {
        "growth_engine." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in ROOT.rglob("jobs.py")
        if path.relative_to(ROOT).parts[0] not in ("kit", "cli", "embedded")
    }
    assert names == expected


def test_a_registry_refuses_two_things_of_one_name_and_loads_once() -> None:
    loads: list[int] = []
    registry: discovery.Registry[int] = discovery.Registry("thing", lambda: loads.append(1))
    registry.add("a", 1)
    with pytest.raises(Misconfigured, match="two things named 'a'"):
        registry.add("a", 2)
    assert dict(registry) == {"a": 1}
    assert len(registry) == 1
    assert loads == [1]


def test_threads_that_ask_while_a_registry_is_loading_see_all_of_it() -> None:
    """Else the first callbacks after a start find nobody who understands them."""
    registry: discovery.Registry[int]

    def load() -> None:
        registry.add("a", 1)
        assert dict(registry) == {"a": 1}, "what is being loaded may look"
        time.sleep(0.05)
        registry.add("b", 2)

    registry = discovery.Registry("thing", load)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: dict(registry), range(8)))
    assert seen == [{"a": 1, "b": 2}] * 8


def _rung_names() -> set[str]:
    """The first argument of every call of a method ``ring`` in the program, where it is a literal."""
    names: set[str] = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("ring", "_ring")
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                names.add(node.args[0].value)
    return names


def test_every_job_rung_anywhere_exists() -> None:
    assert _rung_names() - set(jobs.registry) == set()


def test_every_job_cron_asks_the_database_about_is_one_the_database_tells(parts: Parts) -> None:
    with parts.db.transaction(None) as session:
        source = session.execute(
            text("SELECT prosrc FROM pg_proc WHERE proname = 'ge_due_work'")
        ).scalar_one()
    told = set(re.findall(r"'([a-z_]+\.[a-z_]+)'", source))
    asked = {job.name for job in jobs.registry.values() if job.every and job.scope == "workspace"}
    assert told == asked


def test_the_command_line_finds_its_commands() -> None:
    from click.testing import CliRunner

    from growth_engine.cli import cli

    files = {p.stem for p in (ROOT / "cli").glob("*.py") if not p.stem.startswith("_")}
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert {name for name in files if re.search(rf"^  {name}\b", shown, re.MULTILINE)} == files
