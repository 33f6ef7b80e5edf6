"""Payments through WeChat Pay: every attempt, what WeChat Pay says of it, and what does not agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint, Response, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import page_of
from growth_engine.paying import console_queries, settling
from growth_engine.paying.models import PayAttempt
from growth_engine.web.marketer import csv_files, pay_frame, pay_words
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


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    group, search = pay_frame.wanted(GROUPS)
    with web.ctx() as ctx:
        found = console_queries.attempts_page(
            ctx,
            group=group,
            search=search,
            before=str(ask.after[0]) if ask.after else "",
            limit=ask.limit + 1,
        )
        page = page_of(found, ask.limit, lambda one: (one.number,))
        frame = pay_frame.of_list(ctx, page, ask, GROUPS, console_queries.attempt_counts(ctx))
    return render_template("marketer/pay_attempts.html", part="payments", words=pay_words.ATTEMPTS, **frame)


@bp.get("/payments.csv")
@web.require_staff("marketer")
def export() -> Response:
    """The filtered attempts, newest first."""
    group, search = pay_frame.wanted(GROUPS)

    def read(ctx: Ctx, last: PayAttempt | None) -> Sequence[PayAttempt]:
        before = last.number if last else ""
        return console_queries.attempts_page(
            ctx, group=group, search=search, before=before, limit=csv_files.BATCH
        )

    return csv_files.answer("wechat-pay-payments", COLUMNS, pay_frame.batches(read, _cells))


def _cells(one: PayAttempt) -> list[str]:
    return [
        one.number, one.order_id, csv_files.moment(one.made_at), one.state, one.kind, one.currency,
        pay_frame.amount_cell(one), one.transaction_id, csv_files.moment(one.paid_at), one.error,
        csv_files.moment(one.settled_at), one.settled_by, one.settled_note,
    ]  # fmt: skip


@bp.get("/payments/<attempt_no>")
@web.require_staff("marketer")
def show(attempt_no: str) -> str:
    with web.ctx() as ctx:
        row = console_queries.attempt(ctx, attempt_no)
        frame = pay_frame.of_row(ctx, row, console_queries.ATTEMPTS["look"])
    return render_template(
        "marketer/pay_attempt.html",
        words=pay_words.ATTEMPTS[row.state],
        may_ask=row.state not in ("paid", "refused"),
        **frame,
    )


@bp.post("/payments/<attempt_no>/ask")
@web.require_staff("marketer")
def ask(attempt_no: str) -> AnyResponse:
    """Ask WeChat Pay how it stands, now."""
    return pay_frame.asked(settling.ask_attempt, attempt_no, pay_words.ANSWERS, _address(attempt_no))


@bp.post("/payments/<attempt_no>/settle")
@web.require_staff("marketer")
def settle(attempt_no: str) -> AnyResponse:
    return pay_frame.settled(settling.settle_attempt, attempt_no, _address(attempt_no))


def _address(attempt_no: str) -> str:
    return url_for("pay_attempts.show", attempt_no=attempt_no)
