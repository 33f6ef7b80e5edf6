"""WeChat Pay's daily bills held against the books: what was taken in, what does not agree."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.connections import queries as connections
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import translate
from growth_engine.kit.pages import Page, write_cursor
from growth_engine.paying import bills, queries
from growth_engine.web.marketer import pay_frame, pay_words

bp = Blueprint("pay_bills", __name__, url_prefix="/console/wechat-pay/bills")


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    with web.ctx() as ctx:
        accounts = {one.id: one.name for one in connections.accounts(ctx, "wechat_pay")}
        account = request.args.get("account", "")
        account = account if account in accounts else ""
        before = pay_frame.place(ask.after, date.fromisoformat)
        rows, last = queries.bills_page(ctx, account_id=account, before=before, limit=ask.limit)
    return render_template(
        "marketer/pay_bills.html",
        part="bills",
        page=Page(rows, write_cursor((last[0].isoformat(), last[1])) if last else None),
        accounts=accounts,
        account=account,
        words=pay_words.BILLS,
        filtered=bool(account or ask.after),
    )


@bp.get("/<account_id>/<day>")
@web.require_staff("marketer")
def show(account_id: str, day: str) -> str:
    with web.ctx() as ctx:
        row = queries.bill(ctx, account_id, _day(day))
        account = connections.account_if_known(ctx, account_id)
        named = {one["number"] for one in (*row.findings, *row.taken_in)}
        attempts, refunds = queries.attempts_named(ctx, named), queries.refunds_named(ctx, named)
    return render_template(
        "marketer/pay_bill.html",
        row=row,
        account=account,
        words=pay_words.BILLS[row.state],
        findings=pay_words.FINDINGS,
        detail=pay_words.detail,
        kinds=pay_words.TAKEN_IN,
        attempts=attempts,
        refunds=refunds,
    )


@bp.post("/<account_id>/<day>/again")
@web.require_staff("marketer")
def again(account_id: str, day: str) -> Response:
    try:
        with web.ctx() as ctx:
            bills.again(ctx, account_id, _day(day))
    except (Conflict, Invalid, Unavailable) as error:
        flash(translate(error.message, error.params), "danger")
    else:
        flash(_("The day is compared again now."), "success")
    return redirect(url_for("pay_bills.show", account_id=account_id, day=day))


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise queries.UnknownBill from None
