"""``growth-engine ledger …``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from growth_engine.cli import _product
from growth_engine.kit.errors import GrowthError, NotFound

if TYPE_CHECKING:
    from growth_engine.context import Parts

campaign_option = click.option("--campaign", default="", help="One campaign (its id); all when not given.")
workspace_option = click.option("--workspace", default="", help="Slug or id; all workspaces when not given.")


@click.group()
def command() -> None:
    """The books: prove them whole, build the live mirror anew."""


@command.command()
@_product.data_dir_option
@workspace_option
@campaign_option
def verify(data_dir: Path, workspace: str, campaign: str) -> None:
    """Check sequence, hash chain, tables and mirror of every book. Exit code 1 when something is wrong."""
    from growth_engine.ledger import service
    from growth_engine.ledger.verify import verify as verify_book

    console = Console()
    faults = entries = 0
    with _product.parts_at(data_dir) as parts:
        books = _books(parts, workspace, campaign)
        for workspace_id in dict.fromkeys(place for place, _ in books):
            try:
                service.catch_up_all(parts, workspace_id)  # a moment behind is no fault
            except GrowthError as error:
                console.print(f"The mirror could not be caught up: {error}", highlight=False)
        for workspace_id, book_id in books:
            with _bar(console, f"verify {book_id}") as progress:
                report = verify_book(parts, workspace_id, book_id, progress)
            entries += report.entries
            faults += len(report.faults)
            state = "clean" if report.clean else f"{len(report.faults)} faults"
            console.print(f"{book_id}  {report.entries} entries  {state}", highlight=False, soft_wrap=True)
            for fault in report.faults:
                console.print(f"  {fault.check}: {fault.detail}", highlight=False, soft_wrap=True)
    console.print(f"{len(books)} books, {entries} entries, {faults} faults.", highlight=False)
    if faults:
        raise click.exceptions.Exit(1)


@command.command()
@_product.data_dir_option
@workspace_option
@campaign_option
def rebuild(data_dir: Path, workspace: str, campaign: str) -> None:
    """Build the mirror anew from the journal under a new epoch, then switch readers to it."""
    from growth_engine.ledger import service

    console = Console()
    entries = 0
    with _product.parts_at(data_dir) as parts:
        books = _books(parts, workspace, campaign)
        for workspace_id, book_id in books:
            with _bar(console, f"rebuild {book_id}") as progress:
                entries += service.rebuild(parts, workspace_id, book_id, progress)
    console.print(f"{len(books)} books rebuilt from {entries} entries.", highlight=False)


def _books(parts: Parts, workspace: str, campaign: str) -> list[tuple[str, str]]:
    """(workspace id, book id) of the campaign books asked for."""
    from growth_engine.ledger import queries

    places = [_product.workspace_id(parts, workspace)] if workspace else _product.workspaces(parts)
    found = []
    for place in places:
        with parts.open(place) as ctx:
            found += [(place, book.id) for book in queries.books(ctx) if book.kind == "campaign"]
    wanted = [one for one in found if not campaign or one[1] == campaign]
    if campaign and not wanted:
        raise NotFound("There is no book of a campaign %(id)s.", params={"id": campaign})
    return wanted


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for as long as the work takes; silent where no terminal is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
