"""Refunds through WeChat Pay: what was asked for, how it stands there, and what does not agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from babel.numbers import get_currency_precision
from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.connections import queries as connections
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import N_, translate
from growth_engine.kit.pages import page_of
from growth_engine.orders import queries as orders
from growth_engine.paying import console_queries, rules, settling
from growth_engine.paying.models import RefundRequest
from growth_engine.web import form_money
from growth_engine.web.marketer import csv_files, pay_words
from growth_engine.web.marketer.pay_attempts import wanted, why

bp = Blueprint("pay_refunds", __name__, url_prefix="/console/wechat-pay/refunds")

GROUPS: Mapping[str, str] = {
    "look": N_("To look at"),
    "open": N_("Under way"),
    "done": N_("Given back"),
    "over": N_("Not given back"),
    "settled": N_("Settled by hand"),
}
COLUMNS = (
    "id", "order_id", "payment_number", "requested_at", "requested_by", "state", "currency", "amount",
    "reason", "refund_id", "refunded_at", "error", "settled_at", "settled_by", "settled_note",
)  # fmt: skip


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    group, search = wanted(GROUPS)
    with web.ctx() as ctx:
        found = console_queries.refunds_page(
            ctx, group=group, search=search, before=_place(ask.after), limit=ask.limit + 1
        )
        page = page_of(found, ask.limit, lambda one: (one.requested_at.isoformat(), one.id))
        about = orders.orders_named(ctx, {one.order_id for one in page.items})
        counts = console_queries.refund_counts(ctx)
        connected = bool(connections.accounts(ctx, "wechat_pay"))
    return render_template(
        "marketer/pay_refunds.html",
        part="refunds",
        page=page,
        orders=about,
        counts=counts,
        groups=GROUPS,
        group=group,
        search=search,
        words=pay_words.REFUNDS,
        trouble=pay_words.trouble,
        connected=connected,
        filtered=bool(group or search or ask.after),
    )


def _place(after: tuple[str | int, ...] | None) -> tuple[datetime, str] | None:
    """Where a page goes on; from the start for a cursor of another list."""
    if after is None or len(after) != 2:
        return None
    try:
        return datetime.fromisoformat(str(after[0])), str(after[1])
    except ValueError:
        return None


@bp.get("/all.csv")
@web.require_staff("marketer")
def export() -> Response:
    """The filtered refunds, the latest first."""
    return csv_files.answer("wechat-pay-refunds", COLUMNS, _rows(*wanted(GROUPS)))


def _rows(group: str, search: str) -> Iterator[Sequence[Sequence[str]]]:
    before: tuple[datetime, str] | None = None
    while True:
        with web.ctx() as ctx:
            found = console_queries.refunds_page(
                ctx, group=group, search=search, before=before, limit=csv_files.BATCH
            )
        yield [_cells(one) for one in found]
        if len(found) < csv_files.BATCH:
            return
        before = found[-1].requested_at, found[-1].id


def _cells(one: RefundRequest) -> list[str]:
    amount = form_money.written(one.amount, get_currency_precision(one.currency))
    return [
        one.id, one.order_id, one.number, csv_files.moment(one.requested_at), one.requested_by, one.state,
        one.currency, amount, one.reason, one.refund_id, csv_files.moment(one.refunded_at), one.error,
        csv_files.moment(one.settled_at), one.settled_by, one.settled_note,
    ]  # fmt: skip


@bp.get("/<refund_id>")
@web.require_staff("marketer")
def show(refund_id: str) -> str:
    with web.ctx() as ctx:
        row = console_queries.refund(ctx, refund_id)
        order = orders.orders_named(ctx, {row.order_id}).get(row.order_id)
        account = connections.account_if_known(ctx, row.account_id)
    return render_template(
        "marketer/pay_refund.html",
        row=row,
        order=order,
        account=account,
        words=pay_words.REFUNDS[row.state],
        trouble=pay_words.trouble(row.error, row.currency),
        may_ask=row.state not in rules.REFUND_ENDED,
        may_settle=row.state in console_queries.REFUNDS["look"] and row.settled_at is None,
    )


@bp.post("/<refund_id>/ask")
@web.require_staff("marketer")
def ask(refund_id: str) -> AnyResponse:
    """Ask WeChat Pay how it stands, now."""
    try:
        answer = settling.ask_refund(web.parts(), web.check_place().id, refund_id)
    except (Conflict, Invalid, Unavailable) as error:
        return _back(refund_id, translate(error.message, error.params), "danger")
    kind = {"done": "success", "unknown": "warning", "disputed": "warning", "surplus": "warning"}
    return _back(refund_id, translate(pay_words.REFUND_ANSWERS.get(answer, answer)), kind.get(answer, "info"))


@bp.post("/<refund_id>/settle")
@web.require_staff("marketer")
def settle(refund_id: str) -> AnyResponse:
    try:
        with web.ctx() as ctx:
            settling.settle_refund(ctx, refund_id, web.form_text("note"))
    except (Conflict, Invalid, Unavailable) as error:
        return _back(refund_id, why(error), "danger")
    return _back(refund_id, _("It is marked as settled."), "success")


def _back(refund_id: str, told: str, kind: str) -> AnyResponse:
    flash(told, kind)
    return redirect(url_for("pay_refunds.show", refund_id=refund_id))
