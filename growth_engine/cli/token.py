"""``growth-engine token …``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from growth_engine.cli import _product


@click.group()
def command() -> None:
    """Tokens of the REST API."""


@command.command()
@_product.data_dir_option
@click.option("--workspace", required=True, help="Slug or id of the workspace.")
@click.option("--scopes", required=True, help="Scopes, separated by spaces or commas; '*' means all.")
@click.option("--name", default="command line", show_default=True, help="What it is for.")
def create(data_dir: Path, workspace: str, scopes: str, name: str) -> None:
    """Print a new API token and nothing else; it is stored hashed and cannot be shown again."""
    from growth_engine.access import service

    with _product.parts_at(data_dir) as parts:
        workspace_id = _product.workspace_id(parts, workspace)
        click.echo(service.create_token(parts, workspace_id, re.split(r"[\s,]+", scopes), name))
