"""``growth-engine callbacks``."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from growth_engine.cli import _product
from growth_engine.kit import alive

#: Messages that did not go with others are understood on so many threads.
PLACES = 8


@click.command()
@_product.data_dir_option
def command(data_dir: Path) -> None:
    """Understand the platforms' callbacks beside the web processes, which do it themselves without."""
    from growth_engine.inbox.beside import Serving, require_server
    from growth_engine.inbox.interpreting import registry
    from growth_engine.inbox.understanding import Understanding

    stop = alive.told_to_stop()
    with _product.parts_at(data_dir) as parts:
        require_server(parts.queue)
        registry.values()  # found now, not by the first callback
        gc.collect()
        gc.freeze()  # see wsgi.py
        Serving(parts, Understanding(parts, PLACES)).run(stop)
