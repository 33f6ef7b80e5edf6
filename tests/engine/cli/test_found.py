"""What is found by name is held by a list in the repository, so that nothing appears or vanishes unseen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from growth_engine.kit import jobs, outbox
from growth_engine.plays.registry import plays

LISTS = Path(__file__).parent / "found"


def _jobs(app: Flask) -> list[str]:
    return [f"{job.name} {job.scope} {job.queue} {job.every or '-'}" for job in jobs.registry.values()]


def _reactions(app: Flask) -> list[str]:
    return sorted(f"{handler.event.__name__} {handler.name}" for handler in outbox.registry.values())


def _plays(app: Flask) -> list[str]:
    return list(plays())


def _routes(app: Flask) -> list[str]:
    return sorted(
        f"{rule.rule} {','.join(sorted((rule.methods or set()) - {'HEAD', 'OPTIONS'}))} {rule.endpoint}"
        for rule in app.url_map.iter_rules()
    )


@pytest.mark.parametrize("look", [_jobs, _reactions, _plays, _routes], ids=lambda look: look.__name__[1:])
def test_what_is_found_is_what_the_list_says(app: Flask, look: Callable[[Flask], list[str]]) -> None:
    path = LISTS / f"{look.__name__[1:]}.txt"
    found = "".join(f"{line}\n" for line in look(app))
    if os.environ.get("UPDATE_FOUND"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text(), "if this is meant: make found"
