"""``growth-engine staff …``."""

from __future__ import annotations

from pathlib import Path

import click

from growth_engine.cli import _product
from growth_engine.kit.errors import Conflict


@click.group()
def command() -> None:
    """People who work in the console."""


@command.command()
@_product.data_dir_option
@click.option("--email", required=True, help="Email address of the member of staff.")
@click.option("--workspace", default="", help="Slug or id, when the address is known in several workspaces.")
def link(data_dir: Path, email: str, workspace: str) -> None:
    """Print a one-time sign-in link, good for 15 minutes."""
    from growth_engine.access import links, queries, rules

    with _product.parts_at(data_dir) as parts:
        if workspace:
            places = [_product.workspace_id(parts, workspace)]
        else:
            with parts.db.transaction(None) as session:
                places = [a.workspace_id for a in queries.accounts_of(session, rules.tidy_email(email))]
        if not places:
            raise links.NoSuchStaff("Nobody has the email address %(email)s.", params={"email": email})
        if len(places) > 1:
            raise Conflict(
                "%(email)s works in %(count)s workspaces: name one with --workspace.",
                params={"email": email, "count": len(places)},
            )
        click.echo(links.create_sign_in_link(parts, places[0], email))


@command.command()
@_product.data_dir_option
@_product.workspace_option
@click.option("--email", required=True)
@click.option("--name", required=True)
@click.option("--role", type=click.Choice(["admin", "marketer", "sales"]), required=True)
def add(data_dir: Path, workspace: str, email: str, name: str, role: str) -> None:
    """Add a member of staff; prints a one-time sign-in link for them."""
    from growth_engine.access import links, service

    with _product.parts_at(data_dir) as parts:
        workspace_id = _product.workspace_id(parts, workspace)
        with parts.open(workspace_id) as ctx:
            service.create_staff(ctx, email=email, name=name, role=role)
        click.echo(links.create_sign_in_link(parts, workspace_id, email))
