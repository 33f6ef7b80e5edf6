"""Lists as files for spreadsheets, written while they are read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Response, stream_with_context

from growth_engine.kit import web
from growth_engine.payouts.sheets import harmless

#: Rows read at once while a file is written.
BATCH = 500


def answer(name: str, columns: Sequence[str], rows: Iterator[Sequence[Sequence[str]]]) -> Response:
    """A file called ``name``; ``rows`` gives batches of rows. Names of columns are for programs and stay the
    same in every language."""
    response = Response(stream_with_context(_written(columns, rows)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _written(columns: Sequence[str], rows: Iterator[Sequence[Sequence[str]]]) -> Iterator[str]:
    yield "\ufeff" + line(columns)  # the mark tells spreadsheets that it is UTF-8
    for batch in rows:
        yield "".join(line(cells) for cells in batch)


def line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def moment(at: datetime | None) -> str:
    """A moment in the workspace's zone; empty for none."""
    return at.astimezone(ZoneInfo(web.zone())).strftime("%Y-%m-%d %H:%M:%S") if at else ""
