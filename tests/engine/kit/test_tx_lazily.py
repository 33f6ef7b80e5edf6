"""A transaction that begins with its first statement sees one workspace only, like any other."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from tests.factories.workspaces import make_workspace


def test_it_asks_nothing_of_the_database_before_the_first_statement(parts: Parts, workspace: str) -> None:
    with parts.open(workspace, lazily=True) as ctx:
        assert not ctx.session.in_transaction()
        before = parts.db.engine.pool.checkedout()  # type: ignore[attr-defined]
        assert before == 0


def test_it_is_fenced_and_commits_like_any_other(parts: Parts, workspace: str) -> None:
    stranger = make_workspace(parts)
    with parts.open(workspace, lazily=True) as ctx:
        assert ctx.session.scalar(text("SELECT count(*) FROM workspaces")) == 1
        assert ctx.session.in_transaction()
        ctx.session.execute(text("UPDATE workspaces SET name = 'Mine'"))
    for one, name in ((workspace, "Mine"), (stranger, "Test shop")):
        with parts.open(one, lazily=True) as ctx:
            assert ctx.session.scalar(text("SELECT name FROM workspaces")) == name


def test_it_rolls_back_like_any_other(parts: Parts, workspace: str) -> None:
    def break_down() -> None:
        with parts.open(workspace, lazily=True) as ctx:
            ctx.session.execute(text("UPDATE workspaces SET name = 'Broken'"))
            assert 1 / 0

    with pytest.raises(ZeroDivisionError):
        break_down()
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT name FROM workspaces")) == "Test shop"
