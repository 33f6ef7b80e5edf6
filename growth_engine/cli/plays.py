"""``growth-engine plays``."""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """Every play found in campaigns/."""
    from growth_engine.plays.registry import plays

    for slug, play in plays().items():
        click.echo(f"{slug:14} {play.title}: {play.summary}")
