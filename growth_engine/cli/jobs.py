"""``growth-engine jobs …``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from growth_engine.cli import _product

if TYPE_CHECKING:
    from growth_engine.context import Ctx

#: A provider that has left so many questions open (about half an hour) wants a person to look.
_UNANSWERED = 7


@click.group()
def command() -> None:
    """Background work: what there is, what is stuck."""


@command.command("list")
def list_jobs() -> None:
    """Every job and every reaction found."""
    from growth_engine.kit import jobs, outbox

    table = Table("Job", "Rung by cron", "For", "Queue")
    for job in jobs.registry.values():
        every = f"every {job.every:g} s" if job.every else "-"
        table.add_row(job.name, every, job.scope.replace("_", " "), job.queue)
    console = Console()
    console.print(table)
    table = Table("Event", "Reaction")
    for handler in sorted(outbox.registry.values(), key=lambda h: (h.event.__name__, h.name)):
        table.add_row(handler.event.__name__, handler.name)
    console.print(table)


@command.command()
@_product.data_dir_option
def stuck(data_dir: Path) -> None:
    """What gave up after many tries, and jobs whose last run failed. Exit code 1 when there is any."""
    from growth_engine.kit import jobs

    table = Table("Workspace", "What", "Tries", "Why", title="Stuck")
    with _product.parts_at(data_dir) as parts:
        for workspace in _product.workspaces(parts):
            with parts.open(workspace) as ctx:
                for what, tries, why in _stuck_rows(ctx):
                    table.add_row(workspace, what, str(tries), why or "")
        for name, error in sorted(jobs.failing(parts.queue).items()):
            job, _, workspace = name.partition(" ")
            table.add_row(workspace, f"job {job}", "", error)
    if not table.row_count:
        click.echo("Nothing is stuck.")
        return
    Console().print(table)
    raise click.exceptions.Exit(1)


def _stuck_rows(ctx: Ctx) -> Iterator[tuple[str, int, str | None]]:
    """What each slice has put aside: what it is, tries, the last error."""
    from growth_engine.inbox import queries as inbox
    from growth_engine.kit import outbox
    from growth_engine.ledger import queries as ledger
    from growth_engine.membership import queries as membership
    from growth_engine.payouts import queries as payouts
    from growth_engine.posters import queries as posters

    for event in outbox.stuck(ctx.session):
        yield f"event {event.name} {event.id}", event.attempts, event.error
    for pending, stored in ledger.parked_events(ctx):
        yield f"{stored.kind} {pending.event_id}", pending.attempts, pending.error
    for grant in membership.stuck_grants(ctx):
        yield f"grant {grant.id}", grant.attempts, grant.error
    for message in inbox.failed(ctx):
        yield f"inbox {message.kind} {message.id}", message.attempts, message.error
    for payout in payouts.stuck(ctx, _UNANSWERED):
        yield f"payout {payout.id}", payout.attempts, f"no answer from {payout.provider}: {payout.error}"
    for poster in posters.failed(ctx):
        yield f"poster {poster.id}", poster.attempts, poster.error


@command.command()
@_product.data_dir_option
@_product.workspace_option
def retry(data_dir: Path, workspace: str) -> None:
    """Let everything that is stuck in a workspace try again now."""
    from growth_engine.inbox import service as inbox
    from growth_engine.kit import outbox
    from growth_engine.ledger import service as ledger
    from growth_engine.membership import service as membership
    from growth_engine.posters import service as posters

    with _product.parts_at(data_dir) as parts:
        workspace_id = _product.workspace_id(parts, workspace)
        count = outbox.retry(parts, workspace_id) + ledger.retry_parked(parts, workspace_id)
        with parts.open(workspace_id) as ctx:
            count += membership.retry_stuck(ctx) + posters.retry_failed(ctx) + inbox.retry_failed(ctx)
    click.echo(f"{count} try again.")
