"""Refunds through WeChat Pay: what was asked for, how it stands there, and what does not agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from flask import Blueprint, Response, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import page_of
from growth_engine.paying import console_queries, rules, settling
from growth_engine.paying.models import RefundRequest
from growth_engine.web.marketer import csv_files, pay_frame, pay_words

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
    group, search = pay_frame.wanted(GROUPS)
    with web.ctx() as ctx:
        found = console_queries.refunds_page(
            ctx,
            group=group,
            search=search,
            before=pay_frame.place(ask.after, datetime.fromisoformat),
            limit=ask.limit + 1,
        )
        page = page_of(found, ask.limit, lambda one: (one.requested_at.isoformat(), one.id))
        frame = pay_frame.of_list(ctx, page, ask, GROUPS, console_queries.refund_counts(ctx))
    return render_template("marketer/pay_refunds.html", part="refunds", words=pay_words.REFUNDS, **frame)


@bp.get("/all.csv")
@web.require_staff("marketer")
def export() -> Response:
    """The filtered refunds, the latest first."""
    group, search = pay_frame.wanted(GROUPS)

    def read(ctx: Ctx, last: RefundRequest | None) -> Sequence[RefundRequest]:
        before = (last.requested_at, last.id) if last else None
        return console_queries.refunds_page(
            ctx, group=group, search=search, before=before, limit=csv_files.BATCH
        )

    return csv_files.answer("wechat-pay-refunds", COLUMNS, pay_frame.batches(read, _cells))


def _cells(one: RefundRequest) -> list[str]:
    return [
        one.id, one.order_id, one.number, csv_files.moment(one.requested_at), one.requested_by, one.state,
        one.currency, pay_frame.amount_cell(one), one.reason, one.refund_id,
        csv_files.moment(one.refunded_at), one.error, csv_files.moment(one.settled_at), one.settled_by,
        one.settled_note,
    ]  # fmt: skip


@bp.get("/<refund_id>")
@web.require_staff("marketer")
def show(refund_id: str) -> str:
    with web.ctx() as ctx:
        row = console_queries.refund(ctx, refund_id)
        frame = pay_frame.of_row(ctx, row, console_queries.REFUNDS["look"])
    return render_template(
        "marketer/pay_refund.html",
        words=pay_words.REFUNDS[row.state],
        may_ask=row.state not in rules.REFUND_ENDED,
        **frame,
    )


@bp.post("/<refund_id>/ask")
@web.require_staff("marketer")
def ask(refund_id: str) -> AnyResponse:
    """Ask WeChat Pay how it stands, now."""
    return pay_frame.asked(settling.ask_refund, refund_id, pay_words.REFUND_ANSWERS, _address(refund_id))


@bp.post("/<refund_id>/settle")
@web.require_staff("marketer")
def settle(refund_id: str) -> AnyResponse:
    return pay_frame.settled(settling.settle_refund, refund_id, _address(refund_id))


def _address(refund_id: str) -> str:
    return url_for("pay_refunds.show", refund_id=refund_id)
