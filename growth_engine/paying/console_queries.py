"""Selects of the console's lists of attempts and refunds: by what is to be done about them, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.orders.models import Order
from growth_engine.paying import queries
from growth_engine.paying.models import PayAttempt, RefundRequest

#: By group: the states in it. What a person has settled stands apart.
ATTEMPTS: Final[Mapping[str, Sequence[str]]] = {
    "look": ("disputed", "surplus"),
    "open": ("placing", "open", "closing", "told"),
    "paid": ("paid",),
    "over": ("closed", "refused"),
}
REFUNDS: Final[Mapping[str, Sequence[str]]] = {
    "look": ("disputed", "surplus", "abnormal"),
    "open": ("asked", "processing", "told"),
    "done": ("done",),
    "over": ("failed",),
}
SETTLED: Final = "settled"


class UnknownAttempt(NotFound):
    code = "payment_attempt_not_found"
    message = N_("There is no such payment.")


def attempt(ctx: Ctx, number: str, *, lock: bool = False) -> PayAttempt:
    """Raises ``UnknownAttempt``."""
    found = queries.attempt(ctx, number, lock=lock)
    if found is None:
        raise UnknownAttempt
    return found


def refund(ctx: Ctx, refund_id: str, *, lock: bool = False) -> RefundRequest:
    """Raises ``UnknownRefund``."""
    found = queries.refund(ctx, refund_id, lock=lock)
    if found is None:
        raise queries.UnknownRefund
    return found


def attempts_page(
    ctx: Ctx, *, group: str = "", search: str = "", before: str = "", limit: int = 50
) -> Sequence[PayAttempt]:
    """Attempts of the newest orders first; ``search`` is an order's number or id, or WeChat Pay's number."""
    query = _mine(ctx, PayAttempt, ATTEMPTS, group)
    if search:
        named = or_(PayAttempt.number == search, PayAttempt.transaction_id == search)
        query = query.where(or_(named, _of_order(ctx, PayAttempt.order_id, search)))
    if before:
        query = query.where(PayAttempt.number < before)
    found: Sequence[PayAttempt] = ctx.session.scalars(
        query.order_by(PayAttempt.number.desc()).limit(limit)
    ).all()
    return found


def refunds_page(
    ctx: Ctx,
    *,
    group: str = "",
    search: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> Sequence[RefundRequest]:
    """Refunds asked for, the latest first; ``search`` as for attempts."""
    query = _mine(ctx, RefundRequest, REFUNDS, group)
    if search:
        named = or_(
            RefundRequest.id == search, RefundRequest.refund_id == search, RefundRequest.number == search
        )
        query = query.where(or_(named, _of_order(ctx, RefundRequest.order_id, search)))
    if before is not None:
        place = func.row(RefundRequest.requested_at, RefundRequest.id)
        query = query.where(place < func.row(*before))
    order = (RefundRequest.requested_at.desc(), RefundRequest.id.desc())
    found: Sequence[RefundRequest] = ctx.session.scalars(query.order_by(*order).limit(limit)).all()
    return found


def attempt_counts(ctx: Ctx) -> Mapping[str, int]:
    """How many attempts are in each group."""
    return _counts(ctx, PayAttempt, ATTEMPTS)


def refund_counts(ctx: Ctx) -> Mapping[str, int]:
    """How many refunds are in each group."""
    return _counts(ctx, RefundRequest, REFUNDS)


def _mine(ctx: Ctx, rows: Any, groups: Mapping[str, Sequence[str]], group: str) -> Select[Any]:
    query = select(rows).where(rows.workspace_id == ctx.workspace_id)
    if group == SETTLED:
        return query.where(rows.settled_at.is_not(None))
    return query.where(rows.state.in_(groups[group]), rows.settled_at.is_(None)) if group else query


def _counts(ctx: Ctx, rows: Any, groups: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
    settled = rows.settled_at.is_not(None)
    found = ctx.session.execute(
        select(rows.state, settled, func.count())
        .where(rows.workspace_id == ctx.workspace_id)
        .group_by(rows.state, settled)
    )
    of = {state: group for group, states in groups.items() for state in states}
    counts: dict[str, int] = {}
    for state, is_settled, count in found:
        group = SETTLED if is_settled else of[state]
        counts[group] = counts.get(group, 0) + count
    return counts


def _of_order(ctx: Ctx, column: InstrumentedAttribute[str], search: str) -> ColumnElement[bool]:
    if not search.isascii() or not search.isdigit() or len(search) >= 19:
        return column == search if search else false()
    numbered = select(Order.id).where(Order.workspace_id == ctx.workspace_id, Order.number == int(search))
    return column.in_(numbered)
