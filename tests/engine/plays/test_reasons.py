"""Every reason a decision gives has words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import growth_engine.plays
from growth_engine.plays.reasons import REASONS

PLAYS = Path(growth_engine.plays.__file__).parent
CAMPAIGNS = PLAYS.parent.parent / "campaigns"


def _codes(path: Path) -> Iterator[str]:
    """The codes a file names literally in ``Reason("…")``, also as ``"one" if … else "other"``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason" and node.args:
            given = node.args[0]
            for one in [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]:
                if isinstance(one, ast.Constant):
                    yield str(one.value)


def test_no_decision_gives_a_reason_without_words() -> None:
    files = [*PLAYS.rglob("*.py"), *CAMPAIGNS.glob("*.py")]
    found = {code: path.name for path in files for code in _codes(path)}
    assert len(found) > 20
    missing = {code: name for code, name in found.items() if code not in REASONS}
    assert missing == {}
