"""``growth-engine cron``."""

from __future__ import annotations

from pathlib import Path

import click

from growth_engine.cli import _product


@click.command()
@_product.data_dir_option
def command(data_dir: Path) -> None:
    """Ring the doorbell for whatever is due; one is enough, a second does no harm."""
    from growth_engine.worker import cron

    with _product.parts_at(data_dir) as parts:
        cron(parts)
