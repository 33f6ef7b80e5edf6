"""``growth-engine payouts …``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click
from rich.console import Console
from rich.table import Table

from growth_engine.cli import _product

if TYPE_CHECKING:
    from growth_engine.context import Ctx, Parts
    from growth_engine.payouts.models import Payout

state_option = click.option("--state", "states", multiple=True, help="Only this state; may be repeated.")


@click.group()
def command() -> None:
    """Withdrawals: the queue, decisions, lists to pay from and their results.

    The command line counts as one person: what needs two needs somebody at the console too.
    """


@contextmanager
def _at(data_dir: Path, workspace: str) -> Iterator[tuple[Parts, str]]:
    with _product.parts_at(data_dir) as parts:
        yield parts, _product.workspace_id(parts, workspace)


@command.command("list")
@_product.data_dir_option
@_product.workspace_option
@state_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
def list_payouts(data_dir: Path, workspace: str, states: tuple[str, ...], limit: int) -> None:
    """Withdrawals, newest first."""
    from growth_engine.kit.i18n import format_amount
    from growth_engine.payouts import queries

    table = Table("Id", "State", "Amount", "Net", "Contact", "Asked", "Why")
    with _at(data_dir, workspace) as (parts, workspace_id), parts.open(workspace_id) as ctx:
        rows, more = queries.payouts_page(ctx, states=_known(states), limit=limit)
        for row in rows:
            amounts = (format_amount(one, row.currency) for one in (row.amount, row.net))
            asked = f"{row.requested_at:%Y-%m-%d %H:%M}Z"
            table.add_row(row.id, row.state, *amounts, row.contact_id, asked, row.error)
    console = Console()
    console.print(table if rows else "No withdrawals.")
    if more:
        console.print("There are more: raise --limit.")


@command.command()
@_product.data_dir_option
@_product.workspace_option
@click.argument("payout_id")
def show(data_dir: Path, workspace: str, payout_id: str) -> None:
    """One withdrawal: where it goes, what was said about it, what the books did."""
    with _at(data_dir, workspace) as (parts, workspace_id), parts.open(workspace_id) as ctx:
        _show(ctx, payout_id)


def _show(ctx: Ctx, payout_id: str) -> None:
    from growth_engine.payouts import queries, statement

    row = queries.payout(ctx, payout_id)
    click.echo(f"{row.id}  {row.state}")
    for name, value in _facts(row):
        click.echo(f"  {name:<12} {value}")
    for verdict in queries.verdicts_of(ctx, [payout_id])[payout_id]:
        who = verdict.name or verdict.staff_id
        click.echo(f"  {verdict.verdict:<12} {who}, {verdict.at:%Y-%m-%d %H:%M}Z {verdict.note}".rstrip())
    for entry in statement.lines_of_payouts(ctx, [payout_id])[payout_id]:
        click.echo(f"  entry {entry['seq']:<6} {entry['kind']}, {entry['at']:%Y-%m-%d %H:%M}Z")


def _facts(row: Payout) -> Iterator[tuple[str, object]]:
    from growth_engine.kit.i18n import format_amount

    yield "contact", row.contact_id
    for name in ("amount", "tax", "fee", "net"):
        yield name, format_amount(getattr(row, name), row.currency)
    yield "approvals", f"{row.approvals_needed} needed (rules version {row.policy_version})"
    yield "provider", f"{row.provider} {row.provider_ref or ''}".strip()
    for name, told in row.recipient.items():
        yield name, told
    if row.error:
        yield "why", row.error
    if row.attempts:
        yield "unanswered", f"{row.attempts} times"


@command.command()
@_product.data_dir_option
@_product.workspace_option
@click.argument("payout_id")
@click.option("--note", default="", help="For the record.")
def approve(data_dir: Path, workspace: str, payout_id: str, note: str) -> None:
    """Say yes to a withdrawal."""
    from growth_engine.payouts import service

    with _at(data_dir, workspace) as (parts, workspace_id), parts.open(workspace_id) as ctx:
        missing = service.approve(ctx, payout_id, note)
    click.echo(
        "Approved; it is being sent." if not missing else f"Noted. {missing} more person must approve."
    )


@command.command()
@_product.data_dir_option
@_product.workspace_option
@click.argument("payout_id")
@click.option("--note", required=True, help="Why; the owner's wallet shows that it was not approved.")
def reject(data_dir: Path, workspace: str, payout_id: str, note: str) -> None:
    """Say no to a withdrawal: the money goes back to the wallet."""
    from growth_engine.context import SYSTEM
    from growth_engine.payouts import service

    with _at(data_dir, workspace) as (parts, workspace_id):
        key = parts.ids.new("cli")
        outcome = service.reject(parts, workspace_id, payout_id, by=SYSTEM, note=note, key=key)
    if outcome.pending:
        click.echo("Stored; it will be decided within seconds.")
    elif outcome.accepted:
        click.echo("Rejected; the money is back in the wallet.")
    else:
        raise service.PayoutRefused(outcome.reasons)


@command.command()
@_product.data_dir_option
@_product.workspace_option
@state_option
@click.option("--to", "target", type=click.File("w", encoding="utf-8", lazy=True), default="-",
              help="A file; the screen when not given.")  # fmt: skip
def export(data_dir: Path, workspace: str, states: tuple[str, ...], target: TextIO) -> None:
    """Write a list to pay from as CSV; those waiting unless states are named."""
    from growth_engine.payouts import sheets

    with _at(data_dir, workspace) as (parts, workspace_id), parts.open(workspace_id) as ctx:
        target.write(sheets.export(ctx, _known(states) or ["waiting"]).replace("\r\n", "\n"))


@command.command("import")
@_product.data_dir_option
@_product.workspace_option
@click.argument("source", type=click.File("rb"))
def import_results(data_dir: Path, workspace: str, source: BinaryIO) -> None:
    """Take over the results of an exported list: every line, or none when one is wrong."""
    from growth_engine.context import SYSTEM
    from growth_engine.payouts import sheets

    with _at(data_dir, workspace) as (parts, workspace_id):
        try:
            done = sheets.take_results(parts, workspace_id, source.read(), by=SYSTEM)
        except sheets.ResultsRefused as refused:
            for line, words in refused.extra["errors"].items():
                click.echo(f"{line}: {'; '.join(words)}", err=True)
            raise click.ClickException(str(refused)) from None
    click.echo(f"{done.paid} paid, {done.failed} failed, {done.unchanged} known, {done.skipped} blank.")
    for payout_id in done.contested:
        click.echo(f"{payout_id} ended otherwise meanwhile: look at it.")


def _known(states: tuple[str, ...]) -> list[str]:
    from growth_engine.payouts.rules import STATES

    for state in states:
        if state not in STATES:
            raise click.BadParameter(f"{state!r} is none of {', '.join(STATES)}.", param_hint="--state")
    return list(states)
