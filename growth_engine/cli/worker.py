"""``growth-engine worker``."""

from __future__ import annotations

from pathlib import Path

import click

from growth_engine.cli import _product


@click.command()
@_product.data_dir_option
@click.option("--burst", is_flag=True, help="Leave when there is nothing more to do.")
def command(data_dir: Path, burst: bool) -> None:
    """Do the background work (RQ); start as many as you like."""
    from growth_engine.worker import work

    with _product.parts_at(data_dir) as parts:
        work(parts, burst=burst)
