"""``growth-engine openapi``."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from growth_engine.cli import _product


@click.command()
@_product.data_dir_option
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
def command(data_dir: Path, to: Path | None) -> None:
    """The OpenAPI description of the REST API, as it is served at /api/v1/openapi.json."""
    from growth_engine.app import create_app
    from growth_engine.kit import rest

    with _product.parts_at(data_dir) as parts:
        document = rest.description(create_app(parts))
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"
    if to is None:
        click.echo(text, nl=False)
    else:
        to.write_text(text, encoding="utf-8")
