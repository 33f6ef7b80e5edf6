"""docs/settings.md and the Settings object name the same settings with the same defaults."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from growth_engine.settings import Settings, environment_name

DOC = Path(__file__).parent.parent.parent / "docs" / "settings.md"
ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>[^|]+?) \| (?P<meaning>[^|]+?) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, str]]:
    """Default and meaning by environment name, as the tables have them."""
    rows = ROW.findall(DOC.read_text(encoding="utf-8"))
    assert len(rows) == len({name for name, _, _ in rows}), "a setting stands in two rows"
    return {name: (default, meaning) for name, default, meaning in rows}


def as_written(field: dataclasses.Field[object]) -> str:
    """How the document writes the default of a field."""
    if field.default is dataclasses.MISSING:
        return "none, needed"
    return f"`{field.default}`" if str(field.default) else "empty"


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert set(documented()) == {environment_name(field.name) for field in dataclasses.fields(Settings)}


def test_defaults_are_those_of_the_code() -> None:
    written = {name: default for name, (default, _) in documented().items()}
    assert written == {environment_name(f.name): as_written(f) for f in dataclasses.fields(Settings)}


def test_every_setting_says_what_it_means() -> None:
    assert all(meaning.endswith(".") for _, meaning in documented().values())
