"""``growth-engine routes``."""

from __future__ import annotations

from pathlib import Path

import click

from growth_engine.cli import _product


@click.command()
@_product.data_dir_option
def command(data_dir: Path) -> None:
    """Every address the web server answers, and the view behind it."""
    from growth_engine.app import create_app

    with _product.parts_at(data_dir) as parts:
        rules = sorted(create_app(parts).url_map.iter_rules(), key=lambda rule: rule.rule)
    width = max(len(rule.rule) for rule in rules)
    for rule in rules:
        methods = ",".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        click.echo(f"{methods:8} {rule.rule:{width}}  {rule.endpoint}")
