"""``growth-engine workspace …``."""

from __future__ import annotations

from pathlib import Path

import click

from growth_engine.cli import _product


@click.group()
def command() -> None:
    """Workspaces: one for each merchant."""


@command.command("list")
@_product.data_dir_option
def list_workspaces(data_dir: Path) -> None:
    """Id, slug, membership with the platform and name of every workspace."""
    from growth_engine.access import queries

    with _product.parts_at(data_dir) as parts:
        for workspace_id in _product.workspaces(parts):
            with parts.db.transaction(workspace_id) as session:
                found = queries.workspace(session, workspace_id)
            if found:
                click.echo(f"{found.id}  {found.slug}  {found.merchant_tier}  {found.name}")


@command.command()
@_product.data_dir_option
@click.argument("slug")
@click.option("--name", required=True, help="Name the customers know.")
@click.option("--email", required=True, help="Email address of its first administrator.")
@click.option("--timezone", default="Asia/Shanghai", show_default=True, help="Its days begin and end there.")
@click.option("--locale", default="", help="zh or en; the server's default when not given.")
@click.option("--currency", default="CNY", show_default=True, help="It sells in it and pays it out.")
@click.option("--if-missing", is_flag=True, help="Keep a workspace and administrator that exist already.")
def create(
    data_dir: Path,
    slug: str,
    name: str,
    email: str,
    timezone: str,
    locale: str,
    currency: str,
    if_missing: bool,
) -> None:
    """Make a workspace with its first administrator; prints a one-time sign-in link for them."""
    from growth_engine.access import links, queries, service

    with _product.parts_at(data_dir) as parts:
        with parts.db.transaction(None) as session:
            workspace_id = queries.workspace_id_of(session, slug) if if_missing else None
        if workspace_id is None:
            workspace_id = service.create_workspace(
                parts, slug, name, timezone, locale=locale, currency=currency
            )
        with parts.open(workspace_id) as ctx:
            if not (if_missing and queries.staff_by_email(ctx.session, email)):
                service.create_staff(ctx, email=email, name=name, role="admin")
        click.echo(links.create_sign_in_link(parts, workspace_id, email))


@command.command()
@_product.data_dir_option
@click.argument("slug")
@click.argument("tier", type=click.Choice(["free", "member"]))
def tier(data_dir: Path, slug: str, tier: str) -> None:
    """Say what membership a merchant has: new orders are charged the platform's fee for it."""
    from growth_engine.access import queries, service

    with _product.parts_at(data_dir) as parts:
        with parts.db.transaction(None) as session:
            workspace_id = queries.workspace_id_of(session, slug)
        if workspace_id is None:
            raise click.ClickException(f"There is no workspace called {slug}.")
        with parts.open(workspace_id) as ctx:
            service.set_merchant_tier(ctx, tier)
        click.echo(f"{slug}: {tier}")
