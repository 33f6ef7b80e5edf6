"""Payments through WeChat Pay: every attempt, what WeChat Pay says of it, and what does not agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from babel.numbers import get_currency_precision
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.connections import queries as connections
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, GrowthError, Invalid, Unavailable
from growth_engine.kit.i18n import N_, translate
from growth_engine.kit.pages import page_of
from growth_engine.orders import queries as orders
from growth_engine.paying import console_queries, settling
from growth_engine.paying.models import PayAttempt
from growth_engine.web import form_money
from growth_engine.web.form_problems import in_words
from growth_engine.web.marketer import csv_files, pay_words
from growth_engine.web.navigation import NavItem

bp = Blueprint("pay_attempts", __name__, url_prefix="/console/wechat-pay")

NAV = NavItem(
    "pay_attempts.listing",
    N_("WeChat Pay"),
    "credit-card",
    45,
    roles=("marketer",),
    blueprints=("pay_refunds", "pay_bills"),
)

GROUPS: Mapping[str, str] = {
    "look": N_("To look at"),
    "open": N_("Under way"),
    "paid": N_("Paid"),
    "over": N_("Not paid"),
    "settled": N_("Settled by hand"),
}
COLUMNS = (
    "number", "order_id", "made_at", "state", "kind", "currency", "amount", "transaction_id", "paid_at",
    "error", "settled_at", "settled_by", "settled_note",
)  # fmt: skip


def wanted(groups: Mapping[str, str]) -> tuple[str, str]:
    """(group, search) of the address."""
    group = request.args.get("group", "")
    return group if group in groups else "", request.args.get("q", "").strip()[:100]


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    group, search = wanted(GROUPS)
    with web.ctx() as ctx:
        found = console_queries.attempts_page(
            ctx,
            group=group,
            search=search,
            before=str(ask.after[0]) if ask.after else "",
            limit=ask.limit + 1,
        )
        page = page_of(found, ask.limit, lambda one: (one.number,))
        about = orders.orders_named(ctx, {one.order_id for one in page.items})
        counts = console_queries.attempt_counts(ctx)
        connected = bool(connections.accounts(ctx, "wechat_pay"))
    return render_template(
        "marketer/pay_attempts.html",
        part="payments",
        page=page,
        orders=about,
        counts=counts,
        groups=GROUPS,
        group=group,
        search=search,
        words=pay_words.ATTEMPTS,
        trouble=pay_words.trouble,
        connected=connected,
        filtered=bool(group or search or ask.after),
    )


@bp.get("/payments.csv")
@web.require_staff("marketer")
def export() -> Response:
    """The filtered attempts, newest first."""
    return csv_files.answer("wechat-pay-payments", COLUMNS, _rows(*wanted(GROUPS)))


def _rows(group: str, search: str) -> Iterator[Sequence[Sequence[str]]]:
    before = ""
    while True:
        with web.ctx() as ctx:
            found = console_queries.attempts_page(
                ctx, group=group, search=search, before=before, limit=csv_files.BATCH
            )
        yield [_cells(one) for one in found]
        if len(found) < csv_files.BATCH:
            return
        before = found[-1].number


def _cells(one: PayAttempt) -> list[str]:
    amount = form_money.written(one.amount, get_currency_precision(one.currency))
    return [
        one.number, one.order_id, csv_files.moment(one.made_at), one.state, one.kind, one.currency, amount,
        one.transaction_id, csv_files.moment(one.paid_at), one.error, csv_files.moment(one.settled_at),
        one.settled_by, one.settled_note,
    ]  # fmt: skip


@bp.get("/payments/<attempt_no>")
@web.require_staff("marketer")
def show(attempt_no: str) -> str:
    with web.ctx() as ctx:
        row = console_queries.attempt(ctx, attempt_no)
        order = orders.orders_named(ctx, {row.order_id}).get(row.order_id)
        account = connections.account_if_known(ctx, row.account_id)
    return render_template(
        "marketer/pay_attempt.html",
        row=row,
        order=order,
        account=account,
        words=pay_words.ATTEMPTS[row.state],
        trouble=pay_words.trouble(row.error, row.currency),
        may_ask=row.state not in ("paid", "refused"),
        may_settle=row.state in console_queries.ATTEMPTS["look"] and row.settled_at is None,
    )


@bp.post("/payments/<attempt_no>/ask")
@web.require_staff("marketer")
def ask(attempt_no: str) -> AnyResponse:
    """Ask WeChat Pay how it stands, now."""
    try:
        answer = settling.ask_attempt(web.parts(), web.check_place().id, attempt_no)
    except (Conflict, Invalid, Unavailable) as error:
        return _back(attempt_no, translate(error.message, error.params), "danger")
    kind = {"paid": "success", "unknown": "warning", "disputed": "warning", "surplus": "warning"}
    return _back(attempt_no, translate(pay_words.ANSWERS.get(answer, answer)), kind.get(answer, "info"))


@bp.post("/payments/<attempt_no>/settle")
@web.require_staff("marketer")
def settle(attempt_no: str) -> AnyResponse:
    try:
        with web.ctx() as ctx:
            settling.settle_attempt(ctx, attempt_no, web.form_text("note"))
    except (Conflict, Invalid, Unavailable) as error:
        return _back(attempt_no, why(error), "danger")
    return _back(attempt_no, _("It is marked as settled."), "success")


def why(error: GrowthError) -> str:
    """What was wrong with a form, in the language spoken now."""
    problems = in_words(error.extra.get("errors")) if isinstance(error, Invalid) else []
    return " ".join(problems) or translate(error.message, error.params)


def _back(attempt_no: str, told: str, kind: str) -> AnyResponse:
    flash(told, kind)
    return redirect(url_for("pay_attempts.show", attempt_no=attempt_no))
