"""Accounts of a book: their owners by balance, one owner's statement with the balance after each movement."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime

from babel.numbers import get_currency_precision
from flask import Blueprint, Response, flash, redirect, render_template, request, stream_with_context, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.commissions import queries as commissions
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid, NotFound
from growth_engine.kit.i18n import N_, format_amount, format_moment
from growth_engine.kit.pages import Page, page_of, write_cursor
from growth_engine.ledger import browse_queries, queries
from growth_engine.ledger.models import Account, Book
from growth_engine.ledger.money import AVAILABLE, TITLES
from growth_engine.ledger.queries import StatementLine
from growth_engine.payouts import service
from growth_engine.payouts.reasons import reason_text
from growth_engine.payouts.sheets import harmless
from growth_engine.web import form_money
from growth_engine.web.form_problems import problem_of
from growth_engine.web.marketer import book as books
from growth_engine.web.marketer import campaign_entries, money_words

bp = Blueprint("book_account", __name__, url_prefix="/console/books")

#: Lines read at once while a file is written.
_BATCH = 500
COLUMNS = ("entry", "line", "at", "kind", "amount", "balance", "currency", "reference")


class UnknownAccount(NotFound):
    code = "account_not_found"
    message = N_("This book has no such account.")


@bp.get("/<book_id>/accounts/<account>")
@web.require_staff("marketer")
def show(book_id: str, account: str) -> str:
    """Without an owner the list of owners, unless the account belongs to nobody."""
    owner = request.args.get("owner")
    with web.ctx() as ctx:
        book = books.book_of(ctx, book_id)
        if account not in TITLES:
            raise UnknownAccount
        mine = browse_queries.accounts_of(ctx, book_id, account, owner or "")
        if owner is None and not mine:
            return _owners(ctx, book, account)
        if not mine:
            raise UnknownAccount
        return _statement(ctx, book, account, owner or "", mine)


def _owners(ctx: Ctx, book: Book, account: str) -> str:
    ask = web.page_ask(50)
    offset = ask.after[0] if ask.after and isinstance(ask.after[0], int) else 0
    offset = max(0, min(offset, 10_000_000))
    found = browse_queries.accounts_page(ctx, book.id, account, offset=offset, limit=ask.limit + 1)
    more = len(found) > ask.limit
    rows = found[: ask.limit]
    return render_template(
        "marketer/book_owners.html",
        book=book,
        title=books.title_of(ctx, book),
        account=account,
        account_title=books.account_title(account),
        page=Page(rows, write_cursor((offset + ask.limit,)) if more else None),
        names=books.names_of(ctx, book, [(account, one.owner) for one in rows]),
    )


def _statement(ctx: Ctx, book: Book, account: str, owner: str, mine: Sequence[Account]) -> str:
    ask = web.page_ask(50)
    wanted = request.args.get("currency", "")
    chosen = next((one for one in mine if one.currency == wanted), mine[0])
    found = queries.account_statement(
        ctx, book.id, account, owner, currency=chosen.currency, before=_before(ask.after), limit=ask.limit + 1
    )
    return render_template(
        "marketer/book_account.html",
        book=book,
        title=books.title_of(ctx, book),
        account=account,
        account_title=books.account_title(account),
        owner=owner,
        owner_name=books.names_of(ctx, book, [(account, owner)]).of(account, owner) if owner else "",
        accounts=mine,
        chosen=chosen,
        page=page_of(found, ask.limit, lambda one: (one.seq, one.line)),
        kinds={**campaign_entries.SELLING, **money_words.WALLET_KINDS},
        shares=commissions.commissions_named(ctx, [one.ref for one in found]),
        debt=-chosen.balance if account == AVAILABLE and chosen.balance < 0 else 0,
        admin=web.check_staff().role == "admin",
        typed=form_money.written(abs(chosen.balance), get_currency_precision(chosen.currency)),
        key=web.parts().ids.new("key"),
    )


def _before(after: tuple[str | int, ...] | None) -> tuple[int, int] | None:
    if after is None or len(after) != 2:
        return None
    seq, line = after
    return (seq, line) if isinstance(seq, int) and isinstance(line, int) else None


# -- the file ----------------------------------------------------------------------------------------


@bp.get("/<book_id>/accounts/<account>.csv")
@web.require_staff("marketer")
def export(book_id: str, account: str) -> Response:
    """The whole statement, newest first, written while it is read."""
    owner, currency = request.args.get("owner", ""), request.args.get("currency", "")
    with web.ctx() as ctx:
        books.book_of(ctx, book_id)
        mine = browse_queries.accounts_of(ctx, book_id, account, owner)
    if not any(one.currency == currency for one in mine):
        raise UnknownAccount
    response = Response(stream_with_context(_file(book_id, account, owner, currency)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{account}-{book_id}.csv"'
    return response


def _file(book_id: str, account: str, owner: str, currency: str) -> Iterator[str]:
    yield "\ufeff" + _line(COLUMNS)  # the mark tells spreadsheets that it is UTF-8
    before: tuple[int, int] | None = None
    places, zone = get_currency_precision(currency), web.zone()
    while True:
        with web.ctx() as ctx:
            found = queries.account_statement(
                ctx, book_id, account, owner, currency=currency, before=before, limit=_BATCH
            )
        yield "".join(_line(_cells(one, places, zone)) for one in found)
        if len(found) < _BATCH:
            return
        before = (found[-1].seq, found[-1].line)


def _cells(one: StatementLine, places: int, zone: str) -> list[str]:
    amounts = (form_money.written(one.amount, places), form_money.written(one.balance, places))
    return [str(one.seq), str(one.line), _at(one.at, zone), one.kind, *amounts, one.currency, one.ref]


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    # An amount below zero is a number, whatever spreadsheets are afraid of.
    csv.writer(out, lineterminator="\r\n").writerow(
        [cell if cell.lstrip("-").replace(".", "", 1).isdecimal() else harmless(cell) for cell in cells]
    )
    return out.getvalue()


def _at(moment: datetime, zone: str) -> str:
    return format_moment(moment, zone, seconds=True)


# -- debts -------------------------------------------------------------------------------------------


@bp.post("/<book_id>/accounts/available/write-off")
@web.require_staff("admin")
def write_off(book_id: str) -> AnyResponse:
    """Let go of what somebody owes after a refund took back what they had withdrawn."""
    owner, currency = web.form_text("owner"), web.form_text("currency")
    back = redirect(url_for("book_account.show", book_id=book_id, account=AVAILABLE, owner=owner))
    with web.ctx() as ctx:
        books.book_of(ctx, book_id)
        if not any(
            one.currency == currency for one in browse_queries.accounts_of(ctx, book_id, AVAILABLE, owner)
        ):
            raise UnknownAccount
        actor = ctx.actor
    amount = form_money.read(web.form_text("amount"), get_currency_precision(currency))
    if not isinstance(amount, int):
        flash(_("Give an amount above zero in %(currency)s.", currency=currency), "danger")
        return back
    try:
        outcome = service.write_off(
            web.parts(), web.check_place().id, owner, amount=amount, currency=currency,
            by=actor, note=web.form_text("note"), key=web.form_text("key")[:64] or web.parts().ids.new("key"),
        )  # fmt: skip
    except (Invalid, Conflict) as error:
        flash(problem_of(error), "danger")
        return back
    if outcome.pending:
        flash(_("The books are busy: your answer is stored and takes effect within seconds."), "info")
    elif outcome.accepted:
        flash(_("%(amount)s of debt are let go.", amount=format_amount(amount, currency)), "success")
    else:
        flash(" ".join(reason_text(one) for one in outcome.reasons), "danger")
    return back
