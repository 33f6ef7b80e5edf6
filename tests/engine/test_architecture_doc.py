"""docs/architecture.md is kept true: its layers, jobs, tables and functions are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit import jobs

ROOT = Path(__file__).parent.parent.parent
DOC = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", DOC, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def first_cells(table: str) -> list[list[str]]:
    """The names in code of each row's first cell."""
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return [names for row in rows if (names := re.findall(r"`([^`]+)`", row))]


def test_the_layers_are_those_the_contract_enforces() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(one for one in project["tool"]["importlinter"]["contracts"] if one["id"] == "layers")
    layers = [re.split(r" [:|] ", layer) for layer in contract["layers"]]
    enforced = [[name.split(".")[-1] for name in layer] for layer in layers]
    assert first_cells(section("Rooms and layers"))[: len(enforced)] == enforced


def test_every_package_is_a_layer_and_every_layer_is_there() -> None:
    named = {name for layer in first_cells(section("Rooms and layers")) for name in layer}
    package = ROOT / "growth_engine"
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert packages - named == set()
    slice_files = {"rules", "models", "queries", "service", "schemas", "api", "jobs", "reactions"}
    missing = {name for name in named - slice_files if not any(package.glob(f"{name}*"))}
    assert missing == set()


def test_the_jobs_are_those_found() -> None:
    assert sorted(name for row in first_cells(section("Background work")) for name in row) == list(
        jobs.registry
    )


def test_the_tables_are_those_of_the_database(parts: Parts, workspace: str) -> None:
    listed = re.findall(r"^\| \w+ \| (.*?) \|$", section("Tables"), re.MULTILINE)
    documented = sorted(name for row in listed for name in re.findall(r"`(\w+)`", row))
    with parts.open(workspace) as ctx:
        statement = text(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        assert documented == sorted(ctx.session.scalars(statement))


def test_the_directory_functions_are_those_of_the_database(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        statement = text("SELECT proname FROM pg_proc WHERE prosecdef AND proname LIKE 'ge!_%' ESCAPE '!'")
        assert set(re.findall(r"`(ge_\w+)`", section("Tables"))) == set(ctx.session.scalars(statement))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.(?:py|lua|md|json))`", DOC))))
def test_every_file_it_names_exists(name: str) -> None:
    """Named from the root, from the package, or, beside its neighbours, by its last part."""
    found = (ROOT / name).exists() or (ROOT / "growth_engine" / name).exists()
    assert found or any((ROOT / "growth_engine").rglob(f"*/{name}")), name
