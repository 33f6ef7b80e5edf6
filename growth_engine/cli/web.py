"""``growth-engine web``."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import click

from growth_engine.cli import _product


@click.command()
@_product.data_dir_option
def command(data_dir: Path) -> None:
    """Serve the pages and the API (granian); settings come from the environment."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    from growth_engine.embedded.up import child_environment, require_free_port
    from growth_engine.kit import schema
    from growth_engine.kit.redis import require_reachable
    from growth_engine.ledger.mirror import Mirror

    settings = _product.settings_at(data_dir)
    require_free_port(settings.host, settings.port)
    schema.require_ready(settings.database_url)
    require_reachable(settings.ledger_redis_url, "LEDGER_REDIS_URL")
    with contextlib.closing(Mirror.connect(settings.ledger_redis_url)) as mirror:
        mirror.check_server()
    os.environ.update(child_environment(settings))  # wsgi.py reads it in each web process
    Server(
        "wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_workers,
        blocking_threads=settings.web_threads,
        working_dir=Path(schema.MIGRATIONS).parent,
        log_level=LogLevels.error,  # its one warning is about the threads we chose
        respawn_failed_workers=True,
        workers_kill_timeout=5,
    ).serve()
