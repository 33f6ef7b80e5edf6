"""The books of the workspace: where each stands, whether they balance, daily heads, proofs on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.context import Ctx, Parts
from growth_engine.kit import jobs, web
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger import browse_queries, proofs, queries
from growth_engine.ledger.mirror import BookKey, Mirror, MirrorBroken
from growth_engine.ledger.models import Alert, Book
from growth_engine.ledger.money import TITLES
from growth_engine.ledger.proofs import Standing
from growth_engine.ledger.queries import BalanceLine
from growth_engine.plays import queries as plays
from growth_engine.web.navigation import NavItem

bp = Blueprint("books", __name__, url_prefix="/console/books")
log = structlog.get_logger(__name__)

NAV = NavItem(
    "books.listing",
    N_("Books"),
    "book-2",
    45,
    roles=("marketer",),
    blueprints=("book", "book_account", "alerts"),
)

#: Up to so many Entries the legs are added up for every look at the balance; beyond, when asked to.
RECOUNT_AT_ONCE = 20_000
HEAD_DAYS = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Row:
    """A book and what is known of it."""

    book: Book
    title: str
    """Of the campaign; empty for the wallet book."""
    last_at: datetime | None
    behind: int | None
    """Entries the mirror lacks; ``None`` when it cannot be asked now."""
    standing: Standing
    alerts: Sequence[Alert]

    @property
    def verifying(self) -> bool:
        return self.standing.asked_at is not None


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    rows = _rows()
    page = "marketer/_books_rows.html" if web.is_htmx() else "marketer/books.html"
    return render_template(page, part="books", rows=rows, trouble=_trouble(), verifying=_verifying(rows))


def _verifying(rows: Iterable[Row]) -> bool:
    return any(row.verifying for row in rows)


def _rows() -> list[Row]:
    parts, place = web.parts(), web.check_place()
    with web.ctx() as ctx:
        found = queries.books(ctx)
        names = titles(ctx, found)
        last = browse_queries.last_entries(ctx)
        alerts = queries.open_alerts(ctx)
    standings = proofs.standings(parts, place.id, [one.id for one in found])
    return [
        Row(
            one,
            names.get(one.id, ""),
            last.get(one.id),
            _behind(parts, one),
            standings[one.id],
            [alert for alert in alerts if alert.subject == one.id],
        )
        for one in sorted(found, key=lambda one: (one.kind != "wallet", one.id))
    ]


def titles(ctx: Ctx, books: Iterable[Book]) -> Mapping[str, str]:
    """Titles of the campaigns whose books these are, by id."""
    return plays.titles(ctx, [one.id for one in books if one.kind == "campaign"])


def _behind(parts: Parts, book: Book) -> int | None:
    mirror: Mirror = parts.mirror
    try:
        last = mirror.totals(BookKey(book.workspace_id, book.id)).last_seq
    except (Unavailable, MirrorBroken) as error:
        log.warning("books.mirror_away", book=book.id, code=error.code)
        return None
    return max(book.last_seq - last, 0)


def _trouble() -> str:
    """Why the last proof broke off, as long as none has come to its end since."""
    return jobs.failing(web.parts().queue).get(f"ledger.verify {web.check_place().id}", "")


@bp.post("/verify")
@web.require_staff("marketer")
def verify() -> Response:
    """Have books proven now: one of them, or all."""
    wanted = web.form_text("book_id")
    with web.ctx() as ctx:
        known = [one.id for one in queries.books(ctx)]
    chosen = [one for one in known if one == wanted] if wanted else known
    proofs.ask(web.parts(), web.check_place().id, chosen)
    if chosen:
        flash(_("The books are read from their first entry. The result appears here by itself."), "info")
    return redirect(url_for("books.listing"))


# -- does it balance ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One account of the balance, as kept and as added up anew."""

    kept: BalanceLine
    counted: BalanceLine | None
    """``None`` while the legs were not added up."""

    @property
    def agrees(self) -> bool:
        kept, counted = self.kept, self.counted
        return counted is None or (kept.credited, kept.debited, kept.balance) == (
            counted.credited, counted.debited, counted.balance,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """The accounts of one book in one currency; together they must stand at zero."""

    book: Book | None
    """``None`` for the whole workspace."""
    title: str
    currency: str
    lines: Sequence[Line]

    @property
    def total(self) -> int:
        return sum(one.kept.balance for one in self.lines)

    @property
    def credited(self) -> int:
        return sum(one.kept.credited for one in self.lines)

    @property
    def debited(self) -> int:
        return sum(one.kept.debited for one in self.lines)


@bp.get("/balance")
@web.require_staff("marketer")
def balance() -> str:
    """The trial balance: every account, each book's sum, and the same added up from the legs."""
    with web.ctx() as ctx:
        books = {one.id: one for one in queries.books(ctx)}
        names = titles(ctx, books.values())
        small = sum(one.last_seq for one in books.values()) <= RECOUNT_AT_ONCE
        recounted = small or request.args.get("recount") == "1"
        kept = queries.trial_balance(ctx)
        counted = queries.recounted_balance(ctx) if recounted else None
    lines = _lines(kept, counted)
    sections = _sections(lines, books, names)
    return render_template(
        "marketer/books_balance.html",
        part="balance",
        whole=_whole(lines),
        sections=sections,
        recounted=recounted,
        agrees=all(one.agrees for one in lines),
        zero=all(one.total == 0 for one in sections),
        accounts=TITLES,
    )


def _lines(kept: Sequence[BalanceLine], counted: Sequence[BalanceLine] | None) -> list[Line]:
    def place(one: BalanceLine) -> tuple[str, str, str]:
        return one.book_id, one.account, one.currency

    if counted is None:
        return [Line(one, None) for one in kept]
    known, anew = {place(one): one for one in kept}, {place(one): one for one in counted}
    return [
        Line(known.get(key) or _nothing(*key), anew.get(key) or _nothing(*key))
        for key in sorted(known.keys() | anew.keys())
    ]


def _nothing(book_id: str, account: str, currency: str) -> BalanceLine:
    return BalanceLine(book_id, account, currency, 0, 0, 0, 0)


def _sections(lines: Sequence[Line], books: Mapping[str, Book], names: Mapping[str, str]) -> list[Section]:
    found: dict[tuple[str, str], list[Line]] = {}
    for one in lines:
        found.setdefault((one.kept.book_id, one.kept.currency), []).append(one)
    made = [
        Section(books.get(book_id), names.get(book_id, ""), currency, _in_order(mine))
        for (book_id, currency), mine in found.items()
    ]
    return sorted(made, key=lambda one: (one.book is None or one.book.kind != "wallet", one.title))


def _in_order(lines: Iterable[Line]) -> list[Line]:
    """As money goes through the accounts."""
    order = list(TITLES)
    return sorted(lines, key=lambda one: order.index(one.kept.account) if one.kept.account in order else 99)


def _whole(lines: Sequence[Line]) -> list[Section]:
    """All books together, by currency; the border accounts of campaigns and wallet cancel out."""
    by_account: dict[tuple[str, str], Line] = {}
    for one in lines:
        key = (one.kept.currency, one.kept.account)
        known = by_account.get(key)
        by_account[key] = one if known is None else Line(
            _plus(known.kept, one.kept),
            _plus(known.counted, one.counted) if known.counted and one.counted else None,
        )  # fmt: skip
    currencies = sorted({currency for currency, _account in by_account})
    return [
        Section(None, "", currency, _in_order(one for key, one in by_account.items() if key[0] == currency))
        for currency in currencies
    ]


def _plus(one: BalanceLine, other: BalanceLine) -> BalanceLine:
    return BalanceLine(
        "", one.account, one.currency, one.owners + other.owners, one.credited + other.credited,
        one.debited + other.debited, one.balance + other.balance,
    )  # fmt: skip


# -- what was exported -------------------------------------------------------------------------------


@bp.get("/heads")
@web.require_staff("marketer")
def heads() -> str:
    """Where the books stood each day; kept in storage too, so that a rewritten history shows."""
    with web.ctx() as ctx:
        found = queries.heads_since(ctx, (ctx.now() - HEAD_DAYS).date())
        books = queries.books(ctx)
        names = titles(ctx, books)
    return render_template(
        "marketer/books_heads.html",
        part="heads",
        days=sorted(found.items(), reverse=True),
        names=names,
        days_shown=HEAD_DAYS.days,
    )
