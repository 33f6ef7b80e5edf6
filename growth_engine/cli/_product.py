"""How a command finds the product it works on: the environment, or what runs on the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import text

from growth_engine.embedded import run_file
from growth_engine.kit import log
from growth_engine.kit.errors import NotFound
from growth_engine.settings import Settings

if TYPE_CHECKING:
    from growth_engine.context import Parts

data_dir_option = click.option(
    "--data-dir",
    envvar="GROWTH_DATA_DIR",
    default=".data",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Data folder of the running product (not used when DATABASE_URL is set).",
)

workspace_option = click.option(
    "--workspace", default="demo", show_default=True, help="Slug or id of the workspace."
)


def settings_at(data_dir: Path) -> Settings:
    """Settings of the product this command works on, with logging set up after them."""
    settings = run_file.settings_at(data_dir, os.environ)
    log.configure(settings.log_format)
    return settings


@contextmanager
def parts_at(data_dir: Path) -> Iterator[Parts]:
    """The parts of the product this command works on, closed afterwards."""
    from growth_engine.app import build_parts
    from growth_engine.kit import schema

    settings = settings_at(data_dir)
    schema.require_ready(settings.database_url)
    parts = build_parts(settings)
    try:
        yield parts
    finally:
        parts.close()


def workspace_id(parts: Parts, name: str) -> str:
    """The id of the workspace with this slug or id."""
    with parts.db.transaction(None) as session:
        known = set(session.execute(text("SELECT ge_workspaces()")).scalars())
        found = session.execute(text("SELECT ge_workspace_by_slug(:slug)"), {"slug": name}).scalar()
    if name in known:
        return name
    if found is None:
        raise NotFound("There is no workspace %(name)s.", params={"name": repr(name)})
    return str(found)


def workspaces(parts: Parts) -> list[str]:
    """The ids of all workspaces."""
    with parts.db.transaction(None) as session:
        return list(session.execute(text("SELECT ge_workspaces()")).scalars())
