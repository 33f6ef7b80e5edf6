"""What the screens of payments and refunds through WeChat Pay share: a list, one of it, what people do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from babel.numbers import get_currency_precision
from flask import flash, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.connections import queries as connections
from growth_engine.context import Ctx, Parts
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import translate
from growth_engine.kit.pages import Page, PageAsk
from growth_engine.orders import queries as orders
from growth_engine.paying.models import PayAttempt, RefundRequest
from growth_engine.web import form_money
from growth_engine.web.form_problems import problem_of
from growth_engine.web.marketer import csv_files, pay_words

T = TypeVar("T")
Row = TypeVar("Row", PayAttempt, RefundRequest)

#: The kind of message an answer is; all others only inform.
_KINDS: Mapping[str, str] = {
    "paid": "success",
    "done": "success",
    "unknown": "warning",
    "disputed": "warning",
    "surplus": "warning",
}


# -- lists -------------------------------------------------------------------------------------------


def wanted(groups: Mapping[str, str]) -> tuple[str, str]:
    """(group, search) of the address."""
    group = request.args.get("group", "")
    return group if group in groups else "", request.args.get("q", "").strip()[:100]


def place(after: tuple[str | int, ...] | None, read: Callable[[str], T]) -> tuple[T, str] | None:
    """Where a list by date goes on; from the start for a cursor of another list."""
    if after is None or len(after) != 2:
        return None
    try:
        return read(str(after[0])), str(after[1])
    except ValueError:
        return None


def of_list(
    ctx: Ctx, page: Page[Row], ask: PageAsk, groups: Mapping[str, str], counts: Mapping[str, int]
) -> dict[str, Any]:
    """What the template of a list is given, beside its own words; ``counts`` by group."""
    group, search = wanted(groups)
    return {
        "page": page,
        "orders": orders.orders_named(ctx, {one.order_id for one in page.items}),
        "groups": groups,
        "group": group,
        "counts": counts,
        "search": search,
        "filtered": bool(group or search or ask.after),
        "trouble": pay_words.trouble,
        "connected": bool(connections.accounts(ctx, "wechat_pay")),
    }


def batches(
    read: Callable[[Ctx, Row | None], Sequence[Row]], cells: Callable[[Row], Sequence[str]]
) -> Iterator[Sequence[Sequence[str]]]:
    """A list as rows of a file; ``read`` gives at most ``csv_files.BATCH`` after the row it is told."""
    last: Row | None = None
    while True:
        with web.ctx() as ctx:
            found = read(ctx, last)
        yield [cells(one) for one in found]
        if len(found) < csv_files.BATCH:
            return
        last = found[-1]


def amount_cell(one: PayAttempt | RefundRequest) -> str:
    return form_money.written(one.amount, get_currency_precision(one.currency))


# -- one payment or refund ---------------------------------------------------------------------------


def of_row(ctx: Ctx, row: PayAttempt | RefundRequest, to_look_at: Collection[str]) -> dict[str, Any]:
    """What the template of one is given; ``to_look_at``: the states in which people settle it by hand."""
    return {
        "row": row,
        "order": orders.orders_named(ctx, {row.order_id}).get(row.order_id),
        "account": connections.account_if_known(ctx, row.account_id),
        "trouble": pay_words.trouble(row.error, row.currency),
        "may_settle": row.state in to_look_at and row.settled_at is None,
    }


def asked(
    ask: Callable[[Parts, str, str], str], number: str, answers: Mapping[str, str], back: str
) -> Response:
    """Have WeChat Pay asked how one stands, then show it with the answer. ``answers``: message ids."""
    try:
        answer = ask(web.parts(), web.check_place().id, number)
    except (Conflict, Invalid, Unavailable) as error:
        flash(translate(error.message, error.params), "danger")
    else:
        flash(translate(answers.get(answer, answer)), _KINDS.get(answer, "info"))
    return redirect(back)


def settled(settle: Callable[[Ctx, str, str], object], number: str, back: str) -> Response:
    """Mark one as dealt with, as the form says, then show it."""
    try:
        with web.ctx() as ctx:
            settle(ctx, number, web.form_text("note"))
    except (Conflict, Invalid, Unavailable) as error:
        flash(problem_of(error), "danger")
    else:
        flash(_("It is marked as settled."), "success")
    return redirect(back)
