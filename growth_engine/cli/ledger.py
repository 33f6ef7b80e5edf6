"""``growth-engine ledger …``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from growth_engine.cli import _product
from growth_engine.kit.errors import GrowthError, NotFound
from growth_engine.kit.i18n import format_amount

if TYPE_CHECKING:
    from growth_engine.context import Parts
    from growth_engine.ledger.verify import Report

book_option = click.option(
    "--book",
    "--campaign",
    "book",
    default="",
    help="One book: a campaign's id or a wallet's; all when not given.",
)
workspace_option = click.option("--workspace", default="", help="Slug or id; all workspaces when not given.")


@click.group()
def command() -> None:
    """The books: prove them whole, read them, export them, build the live mirror anew."""


@command.command()
@_product.data_dir_option
@workspace_option
@book_option
def verify(data_dir: Path, workspace: str, book: str) -> None:
    """Check everything about every book: sequence, hash chain, legs, accounts, commissions, payouts, exported
    heads, tables and mirror. Exit code 1 when something is wrong."""
    from growth_engine.ledger.remedies import WORDS

    console = Console()
    faults = entries = 0
    with _product.parts_at(data_dir) as parts:
        books = _books(parts, workspace, book)
        for report in _verified(console, parts, books):
            entries += report.entries
            faults += len(report.faults)
            state = "clean" if report.clean else f"{len(report.faults)} faults"
            _say(console, f"{report.book_id}  {report.entries} entries  {state}")
            for fault in report.faults:
                _say(console, f"  {fault.check}: {fault.detail}")
                _say(console, f"    {WORDS[fault.check].remedy}")
    _say(console, f"{len(books)} books, {entries} entries, {faults} faults.")
    if faults:
        raise click.exceptions.Exit(1)


def _verified(console: Console, parts: Parts, books: list[tuple[str, str]]) -> Iterator[Report]:
    from growth_engine.ledger import service

    def unreachable(error: GrowthError) -> None:
        console.print(f"The mirror could not be caught up: {error}", highlight=False)

    for workspace_id, found in groupby(books, itemgetter(0)):
        yield from service.verify_each(
            parts,
            workspace_id,
            [book_id for _, book_id in found],
            watch=lambda book_id: _bar(console, f"verify {book_id}"),
            unreachable=unreachable,
        )


@command.command()
@_product.data_dir_option
@workspace_option
@book_option
def rebuild(data_dir: Path, workspace: str, book: str) -> None:
    """Build the mirror anew from the journal under a new epoch, then switch readers to it."""
    from growth_engine.ledger import service

    console = Console()
    entries = 0
    with _product.parts_at(data_dir) as parts:
        books = _books(parts, workspace, book)
        for workspace_id, book_id in books:
            with _bar(console, f"rebuild {book_id}") as progress:
                entries += service.rebuild(parts, workspace_id, book_id, progress)
    _say(console, f"{len(books)} books rebuilt from {entries} entries.")


@command.command("trial-balance")
@_product.data_dir_option
@workspace_option
@book_option
def trial_balance(data_dir: Path, workspace: str, book: str) -> None:
    """The accounts of every book, counted anew from the legs. Exit code 1 when they differ from the accounts
    kept, or do not sum to zero."""
    from growth_engine.ledger import queries

    console = Console()
    wrong = False
    with _product.parts_at(data_dir) as parts:
        for workspace_id, book_id in _books(parts, workspace, book):
            with parts.open(workspace_id) as ctx:
                counted = queries.recounted_balance(ctx, book_id)
                kept = queries.trial_balance(ctx, book_id)
            if not counted and not kept:
                continue
            table = Table("account", "currency", "owners", "in", "out", "balance", title=book_id)
            for line in counted:
                amounts = (line.credited, line.debited, line.balance)
                cells = [format_amount(amount, line.currency) for amount in amounts]
                table.add_row(line.account, line.currency, str(line.owners), *cells)
            console.print(table)
            if [*counted] != [*kept]:
                wrong = True
                _say(console, f"{book_id}: the accounts kept say something else; see ledger verify.")
            for currency in sorted({line.currency for line in counted}):
                total = sum(line.balance for line in counted if line.currency == currency)
                wrong = wrong or total != 0
                _say(console, f"{book_id}: {format_amount(total, currency)} in all")
    if wrong:
        raise click.exceptions.Exit(1)


@command.command("heads")
@_product.data_dir_option
@workspace_option
def export_heads(data_dir: Path, workspace: str) -> None:
    """Export today's heads, if that was not done yet, and list what was exported: day, entry, hash.

    Keep a copy somewhere else: with it, anybody can show that history was not rewritten.
    """
    from growth_engine.ledger import heads

    console = Console()
    with _product.parts_at(data_dir) as parts:
        for place in _places(parts, workspace):
            heads.export(parts, place)
            for book_id, stood in sorted(heads.exported(parts.storage, place).items()):
                for one in stood:
                    _say(console, f"{one.day}  {book_id}  {one.seq}  {one.head.hex()}")


@command.command()
@_product.data_dir_option
@workspace_option
@click.option("--book", required=True, help="The book: a campaign's id or a wallet's.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
def export(data_dir: Path, workspace: str, book: str, out: Path) -> None:
    """Write a book's journal as JSON lines: every entry with its legs and its hash.

    A line's hash is SHA-256(hash of the line before || its "entry", keys sorted, no spaces), the first
    before it 32 zero bytes; so the chain can be checked without this program.
    """
    import orjson

    from growth_engine.ledger import journal
    from growth_engine.ledger.verify import snapshot

    console = Console()
    entries = 0
    with _product.parts_at(data_dir) as parts:
        ((workspace_id, book_id),) = _books(parts, workspace, book)
        with snapshot(parts, workspace_id) as conn, out.open("wb") as file:
            for entry, hash_ in journal.entries_after(conn, book_id, 0):
                line = {"entry": orjson.Fragment(entry.canonical()), "hash": hash_.hex()}
                file.write(orjson.dumps(line) + b"\n")
                entries += 1
    _say(console, f"{entries} entries of {book_id} written to {out}.")


def _say(console: Console, line: str) -> None:
    """For people and for programs that read along: no colours, no line breaks of our own."""
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def _places(parts: Parts, workspace: str) -> list[str]:
    return [_product.workspace_id(parts, workspace)] if workspace else _product.workspaces(parts)


def _books(parts: Parts, workspace: str, wanted: str) -> list[tuple[str, str]]:
    """(workspace id, book id) of the books asked for."""
    from growth_engine.ledger import queries

    found = []
    for place in _places(parts, workspace):
        with parts.open(place) as ctx:
            found += [(place, book.id) for book in queries.books(ctx)]
    chosen = [one for one in found if not wanted or one[1] == wanted]
    if wanted and not chosen:
        raise NotFound("There is no book %(id)s.", params={"id": wanted})
    return chosen


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for as long as the work takes; silent where no terminal is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
