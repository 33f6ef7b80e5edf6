"""``growth-engine jobs …``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from growth_engine.cli import _product


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
    from growth_engine.kit import jobs, outbox

    table = Table("Workspace", "What", "Tries", "Why", title="Stuck")
    with _product.parts_at(data_dir) as parts:
        for workspace in _product.workspaces(parts):
            with parts.db.transaction(workspace) as session:
                for event in outbox.stuck(session):
                    table.add_row(
                        workspace, f"event {event.name} {event.id}", str(event.attempts), event.error
                    )
                for row in session.execute(_STUCK_ROWS):
                    table.add_row(workspace, f"{row.what} {row.id}", str(row.attempts), row.error or "")
        for name, error in sorted(jobs.failing(parts.queue).items()):
            job, _, workspace = name.partition(" ")
            table.add_row(workspace, f"job {job}", "", error)
    if not table.row_count:
        click.echo("Nothing is stuck.")
        return
    Console().print(table)
    raise click.exceptions.Exit(1)


@command.command()
@_product.data_dir_option
@_product.workspace_option
def retry(data_dir: Path, workspace: str) -> None:
    """Let everything that is stuck in a workspace try again now."""
    from growth_engine.kit import outbox

    with _product.parts_at(data_dir) as parts:
        workspace_id = _product.workspace_id(parts, workspace)
        events = outbox.retry(parts, workspace_id)
        rows = 0
        with parts.open(workspace_id) as ctx:
            for job, statement in _RETRY_ROWS.items():
                rows += len(ctx.session.execute(statement, {"now": ctx.now()}).all())
                ctx.ring(job)
    click.echo(f"{events} events and {rows} rows try again.")


# What each slice parks when it gives up, read-only and by state alone.
_STUCK_ROWS = text(
    "SELECT 'grant' AS what, id, attempts, error FROM grants WHERE state = 'stuck'"
    " UNION ALL SELECT 'poster', id, attempts, error FROM posters WHERE state = 'failed'"
    " UNION ALL SELECT 'parked event', event_id, attempts, error FROM pending_events"
    "  WHERE parked_at IS NOT NULL"
    " ORDER BY 1, 2 LIMIT 500"
)
_RETRY_ROWS = {
    "grants.drain": text(
        "UPDATE grants SET state = 'pending', attempts = 0, next_at = :now WHERE state = 'stuck' RETURNING id"
    ),
    "posters.render": text(
        "UPDATE posters SET state = 'queued', attempts = 0, next_at = :now"
        " WHERE state = 'failed' RETURNING id"
    ),
    "ledger.sweep": text(
        "UPDATE pending_events SET parked_at = NULL, attempts = 0, next_at = :now"
        " WHERE parked_at IS NOT NULL RETURNING event_id"
    ),
}
