"""The sandbox is written apart: a mistake in the application must not be repeated by what tests it."""

from __future__ import annotations

import ast
from pathlib import Path

SANDBOX = Path(__file__).parents[2] / "growth_engine" / "sandbox"


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_it_imports_nothing_of_the_application() -> None:
    files = list(SANDBOX.rglob("*.py"))
    assert len(files) > 30
    ours = {name for path in files for name in _imported(path) if name.split(".")[0] in _OURS}
    assert {name for name in ours if not name.startswith("growth_engine.sandbox")} == set()


_OURS = ("growth_engine", "campaigns", "webhooks", "migrations")
