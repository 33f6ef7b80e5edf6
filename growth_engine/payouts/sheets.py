"""Lists of payouts for people who pay by hand: written as CSV, and read back with the results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from babel.numbers import get_currency_precision

from growth_engine.context import Actor, Ctx, Parts
from growth_engine.kit.errors import Invalid, Unavailable
from growth_engine.kit.i18n import N_, translate
from growth_engine.ledger.contract import Event, PayloadMismatch
from growth_engine.payouts import providers, queries, rules, sending, service
from growth_engine.payouts.models import Payout

#: Of the exported list; the last three are empty, to be filled in and read back.
COLUMNS = (
    "payout_id", "contact_id", "name", "id_number", "account", "currency", "amount", "withheld",
    "requested_at", "state", "result", "reference", "reason",
)  # fmt: skip
RESULTS = ("paid", "failed")
MOST_LINES = 5_000
MOST_BYTES = 2_000_000
_LONGEST = 200
#: First characters a spreadsheet takes for a formula (OWASP, CSV injection); full-width forms count too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class ResultsRefused(Invalid):
    """``extra["errors"]`` names each wrong line; nothing of the file was done."""

    code = "results_refused"
    message = N_(
        "%(wrong)s lines are not right, so nothing was taken over. Mend them and send the file again."
    )


@dataclass(frozen=True, slots=True)
class Result:
    """One filled-in line."""

    line: int
    payout_id: str
    paid: bool
    detail: str
    """The reference of what was paid, or the reason why it was not."""


@dataclass(slots=True)
class Imported:
    """What became of a file."""

    paid: int = 0
    failed: int = 0
    unchanged: int = 0
    """Said the same before."""
    skipped: int = 0
    """Without a result."""
    contested: list[str] = field(default_factory=list)
    """Payouts that ended otherwise while the file was read."""


# -- writing -----------------------------------------------------------------------------------------


def export(ctx: Ctx, states: Sequence[str] = ("waiting",), provider: str = "") -> str:
    """Payouts in these states as CSV, oldest first, with a mark that tells spreadsheets it is UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in queries.to_export(ctx, states, provider):
        writer.writerow([harmless(cell) for cell in _cells(row)])
    return "\ufeff" + out.getvalue()


def _cells(row: Payout) -> list[str]:
    recipient = row.recipient
    return [
        row.id, row.contact_id, str(recipient.get("name", "")), str(recipient.get("id_number", "")),
        str(recipient.get("account", "")), row.currency, _decimal(row.net, row.currency),
        _decimal(row.tax + row.fee, row.currency), row.requested_at.isoformat(timespec="seconds"), row.state,
        "", "", "",
    ]  # fmt: skip


def harmless(cell: str) -> str:
    """The cell as text: what a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _decimal(minor: int, currency: str) -> str:
    digits = get_currency_precision(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


# -- reading -----------------------------------------------------------------------------------------


def take_results(parts: Parts, workspace_id: str, raw: bytes, *, by: Actor) -> Imported:
    """Take over what people brought back; all of a file or, when a line is wrong, nothing of it.

    Each line ends its payout by an Event named by the payout, so the same file again, or the rest of a
    file after a crash, does only what is left. Raises ``ResultsRefused`` and ``NotAnApprover``.
    """
    wrong: dict[str, list[str]] = {}
    results, skipped = _read(raw, wrong)
    with parts.open(workspace_id, by) as ctx:
        staff_id = service.approver(ctx)
        known = queries.payouts_named(ctx, [one.payout_id for one in results])
    todo, done = _sort_out(results, known, wrong)
    if wrong:
        raise ResultsRefused(params={"wrong": len(wrong)}, fields=wrong)
    imported = Imported(unchanged=done, skipped=skipped)
    now = parts.clock.now()
    events = [
        sending.outcome_event(workspace_id, one.payout_id, now, paid=one.paid, detail=one.detail, by=staff_id)
        for one in todo
    ]
    _post(parts, todo, events, imported)
    return imported


def take_result(
    parts: Parts, workspace_id: str, payout_id: str, *, paid: bool, detail: str, by: Actor
) -> Imported:
    """The same for one payout, without a file; ``detail`` is the reference, or the reason why not."""
    name = "reference" if paid else "reason"
    out = io.StringIO()
    writer = csv.DictWriter(out, ("payout_id", "result", name), lineterminator="\r\n")
    writer.writeheader()
    writer.writerow({"payout_id": payout_id, "result": RESULTS[not paid], name: harmless(detail)})
    return take_results(parts, workspace_id, out.getvalue().encode(), by=by)


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """What a line of a file would do, before anything is done."""

    line: int
    payout_id: str
    payout: Payout | None
    paid: bool
    detail: str
    problems: Sequence[str]
    known: bool
    """It says what is known already."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file would do; with ``wrong`` lines nothing at all."""

    lines: Sequence[PlannedLine]
    skipped: int
    """Without a result."""

    @property
    def wrong(self) -> int:
        return sum(bool(one.problems) for one in self.lines)

    @property
    def todo(self) -> Sequence[PlannedLine]:
        return [one for one in self.lines if not one.problems and not one.known]


def plan(ctx: Ctx, raw: bytes) -> Plan:
    """Read a file as ``take_results`` does, and do nothing. Raises ``Invalid`` for one that is no list."""
    wrong: dict[str, list[str]] = {}
    results, skipped = _read(raw, wrong)
    known = queries.payouts_named(ctx, [one.payout_id for one in results])
    todo, _done = _sort_out(results, known, wrong)
    open_lines = {one.line for one in todo}
    lines: dict[int, PlannedLine] = {}
    for one in results:
        problems = wrong.pop(f"line {one.line}", [])
        said_before = not problems and one.line not in open_lines
        payout = known.get(one.payout_id)
        lines[one.line] = PlannedLine(
            one.line, one.payout_id, payout, one.paid, one.detail, problems, said_before
        )
    for name, problems in wrong.items():  # lines of which not even a result could be read
        line = int(name.removeprefix("line "))
        lines[line] = PlannedLine(line, "", None, False, "", problems, False)
    return Plan([lines[line] for line in sorted(lines)], skipped)


def results_only(plan: Plan) -> str:
    """What is left to do of a file, as a file: nothing in it says who the recipients are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("payout_id", "result", "reference", "reason"))
    for one in plan.todo:
        told = (one.detail, "") if one.paid else ("", one.detail)
        writer.writerow([harmless(cell) for cell in (one.payout_id, RESULTS[not one.paid], *told)])
    return out.getvalue()


def _post(parts: Parts, todo: Sequence[Result], events: Sequence[Event], imported: Imported) -> None:
    for one, future in zip(todo, parts.ledger.enqueue(events), strict=True):
        try:
            future.result(sending.PATIENCE_SECONDS)
        except PayloadMismatch:
            imported.contested.append(one.payout_id)
        except TimeoutError:
            raise Unavailable(N_("The books are busy. Please send the same request again.")) from None
        else:
            imported.paid += one.paid
            imported.failed += not one.paid


def _read(raw: bytes, wrong: dict[str, list[str]]) -> tuple[list[Result], int]:
    """The filled-in lines of a file, and how many have no result."""
    results: list[Result] = []
    seen: dict[str, int] = {}
    skipped = 0
    for line, cells in _rows(raw):
        if not cells["result"]:
            skipped += 1
            continue
        problem = _line_problem(cells, seen)
        if problem is not None:
            _mark(wrong, line, problem)
            continue
        seen[cells["payout_id"]] = line
        paid = cells["result"].lower() == "paid"
        results.append(Result(line, cells["payout_id"], paid, cells["reference" if paid else "reason"]))
    return results, skipped


def _line_problem(cells: Mapping[str, str], seen: Mapping[str, int]) -> str | None:
    if not cells["payout_id"]:
        return translate(N_("The payout_id is missing."))
    if cells["payout_id"] in seen:
        words = N_("This payout stands in line %(line)s already.")
        return translate(words, {"line": seen[cells["payout_id"]]})
    if cells["result"].lower() not in RESULTS:
        return translate(N_("The result must be paid or failed."))
    if cells["result"].lower() == "failed" and not cells["reason"]:
        return translate(N_("Say in the column reason why it failed."))
    return None


def _sort_out(
    results: Sequence[Result], known: Mapping[str, Payout], wrong: dict[str, list[str]]
) -> tuple[list[Result], int]:
    """What is to be done, and how many lines say what is known already."""
    todo: list[Result] = []
    done = 0
    for one in results:
        payout = known.get(one.payout_id)
        if payout is None:
            _mark(wrong, one.line, translate(N_("There is no such withdrawal.")))
        elif payout.state in rules.FINAL:
            if payout.state == ("paid" if one.paid else "failed"):
                done += 1
            else:
                words = N_("This withdrawal has ended already: %(state)s.")
                _mark(wrong, one.line, translate(words, {"state": translate(rules.STATES[payout.state])}))
        elif payout.state not in rules.IN_FLIGHT:
            _mark(wrong, one.line, translate(N_("This withdrawal has not been sent yet.")))
        elif payout.state != "unknown" and _answers_itself(payout.provider):
            # While it is unknown, whoever asked the provider by other ways may say what they were told.
            _mark(wrong, one.line, translate(N_("The result of this one comes from its provider.")))
        else:
            todo.append(one)
    return todo, done


def _answers_itself(provider: str) -> bool:
    """Results of a provider that is no longer there can only come from people."""
    found = providers.registry.get(provider)
    return found is not None and not found.by_hand


def _mark(wrong: dict[str, list[str]], line: int, words: str) -> None:
    wrong.setdefault(f"line {line}", []).append(words)


def _rows(raw: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells of a file; further columns are passed over. Raises ``Invalid``."""
    if len(raw) > MOST_BYTES:
        raise Invalid(N_("This file is too large. Send it in parts."), code="results_too_large")
    reader = csv.reader(io.StringIO(_text(raw), newline=""), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        missing = [name for name in ("payout_id", "result") if name not in header]
        if missing:
            raise Invalid(
                N_("The first line must name the columns; %(missing)s is missing."),
                params={"missing": missing[0]},
                code="results_unreadable",
            )
        for count, row in enumerate(reader):
            if count >= MOST_LINES:
                raise Invalid(N_("This file is too large. Send it in parts."), code="results_too_large")
            cells = dict(zip(header, (_plain(cell) for cell in row), strict=False))
            if any(cells.values()):
                named = {name: cells.get(name, "") for name in ("payout_id", "result", "reference", "reason")}
                yield reader.line_num, named
    except csv.Error as error:
        raise Invalid(
            N_("Line %(line)s cannot be read: %(why)s"),
            params={"line": reader.line_num, "why": str(error)},
            code="results_unreadable",
        ) from None


def _plain(cell: str) -> str:
    """A cell without what spreadsheets put around it."""
    return service.clean_note(cell.removeprefix("'") if cell[1:].startswith(_FORMULA) else cell)[:_LONGEST]


def _text(raw: bytes) -> str:
    """UTF-8, or what Excel writes in China when asked for plain CSV."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            found = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in found:
            return found
    raise Invalid(N_("This is no text file. Save the list as CSV."), code="results_unreadable")
