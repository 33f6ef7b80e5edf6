"""``growth-engine db …``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from growth_engine.cli import _product
from growth_engine.kit.errors import Misconfigured


@click.group()
def command() -> None:
    """The database schema."""


@command.command()
@_product.data_dir_option
def upgrade(data_dir: Path) -> None:
    """Bring the database up to date, as the owner of its tables (MIGRATION_DATABASE_URL)."""
    from growth_engine.kit import schema

    settings = _product.settings_at(data_dir)
    if not settings.migration_database_url:
        raise Misconfigured(
            "MIGRATION_DATABASE_URL is not set: migrations run as the owner of the tables,"
            " not as the application role (see docs/operations.md)."
        )
    os.environ["GROWTH_APP_ROLE"] = settings.app_role
    schema.upgrade(settings.migration_database_url)
    click.echo(f"The database is at revision {schema.head()}.")
