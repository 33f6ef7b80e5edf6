"""``growth-engine openapi``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import orjson


@click.command()
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
def command(to: Path | None) -> None:
    """The OpenAPI description of the REST API, as it is served at /api/v1/openapi.json.

    Needs nothing to be running: the description is in the code.
    """
    text = orjson.dumps(_described(), option=orjson.OPT_INDENT_2).decode() + "\n"
    if to is None:
        click.echo(text, nl=False)
    else:
        to.write_text(text, encoding="utf-8")


def _described() -> dict[str, object]:
    from growth_engine.app import build_parts, create_app
    from growth_engine.kit import rest
    from growth_engine.settings import Settings

    nowhere = "redis://127.0.0.1:1/0"
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database_url="postgresql://nobody@127.0.0.1:1/nothing",
            ledger_redis_url=nowhere,
            queue_redis_url=nowhere,
            secret_key="nothing is signed with this" * 2,
            data_dir=Path(folder),
        )
        parts = build_parts(settings)
        try:
            return rest.description(create_app(parts))
        finally:
            parts.close()
