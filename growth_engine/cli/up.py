"""``growth-engine up``."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from growth_engine.kit import log


@click.command()
@click.option(
    "--data-dir",
    envvar="GROWTH_DATA_DIR",
    default=".data",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where everything is kept; made if absent.",
)
@click.option("--port", envvar="PORT", default=8000, show_default=True, type=click.IntRange(1, 65535))
def command(data_dir: Path, port: int) -> None:
    """Run everything on this machine: databases, web, workers and cron.

    Uses PostgreSQL and Valkey of its own, or the servers of DATABASE_URL, LEDGER_REDIS_URL and
    QUEUE_REDIS_URL when these are set. Ctrl-C stops everything.
    """
    from growth_engine.embedded.up import up

    log.configure(os.environ.get("GROWTH_LOG_FORMAT") or "console")
    up(data_dir, port, os.environ, Console(stderr=False))
