"""``growth-engine inbox …``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from growth_engine.cli import _product

if TYPE_CHECKING:
    from growth_engine.inbox.models import InboxMessage

_STATES = ("received", "done", "unknown", "failed", "refused")


@click.group()
def command() -> None:
    """What WeChat, WeCom and WeChat Pay told us: list, show, try again."""


@command.command("list")
@_product.data_dir_option
@_product.workspace_option
@click.option("--state", type=click.Choice(_STATES), help="Only messages in this state.")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 1000))
def list_messages(data_dir: Path, workspace: str, state: str | None, limit: int) -> None:
    """The newest messages."""
    from growth_engine.inbox import queries

    table = Table("Number", "Came (UTC)", "Provider", "What", "State", "Sent", "Why")
    with _product.parts_at(data_dir) as parts, parts.open(_product.workspace_id(parts, workspace)) as ctx:
        for one in queries.page(ctx, state=state or "", limit=limit)[:limit]:
            came = f"{one.received_at:%Y-%m-%d %H:%M:%S}"
            why = (one.error or "").splitlines()
            table.add_row(
                one.id, came, one.provider, one.kind or "-", one.state, f"{one.deliveries}×", *why[:1]
            )
    if not table.row_count:
        click.echo("Nothing.")
        return
    # The number is there to be copied: it must not be cut.
    table.columns[0].no_wrap, table.columns[0].min_width = True, 30
    Console().print(table)


@command.command()
@_product.data_dir_option
@_product.workspace_option
@click.argument("message_id")
def show(data_dir: Path, workspace: str, message_id: str) -> None:
    """Everything about one message, its content as it came."""
    from growth_engine.inbox import queries

    with _product.parts_at(data_dir) as parts, parts.open(_product.workspace_id(parts, workspace)) as ctx:
        message = queries.message(ctx, message_id)
    for name, value in _facts(message):
        click.echo(f"{name:<12} {value}")
    click.echo()
    click.echo((message.content or message.raw).decode("utf-8", "replace"))


def _facts(one: InboxMessage) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("number", one.id),
        ("account", f"{one.provider} {one.account_id}"),
        ("what", one.kind or "refused callback"),
        ("about", one.sender or "-"),
        ("state", one.state),
        ("identity", one.identity),
        ("happened", one.occurred_at.isoformat()),
        ("came", one.received_at.isoformat()),
        ("sent", f"{one.deliveries} times, {one.altered} of them with other words"),
        ("attempts", one.attempts),
    ]
    if one.handled_at:
        facts.append(("done", one.handled_at.isoformat()))
    if one.error:
        facts.append(("why", one.error))
    return facts


@command.command()
@_product.data_dir_option
@_product.workspace_option
@click.argument("message_ids", nargs=-1)
@click.option("--failed", is_flag=True, help="Everything that was given up.")
def replay(data_dir: Path, workspace: str, message_ids: tuple[str, ...], failed: bool) -> None:
    """Try messages again; refused ones are verified again with the keys of today."""
    from growth_engine.inbox import service

    if not message_ids and not failed:
        raise click.UsageError("Name messages, or say --failed.")
    with _product.parts_at(data_dir) as parts:
        workspace_id = _product.workspace_id(parts, workspace)
        count = len(message_ids)
        for message_id in message_ids:
            with parts.open(workspace_id) as ctx:
                service.replay(ctx, message_id)
        if failed:
            with parts.open(workspace_id) as ctx:
                count += service.retry_failed(ctx)
    click.echo(f"{count} try again.")
