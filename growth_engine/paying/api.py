"""REST: paying orders, giving money back and following withdrawals through WeChat Pay; its daily bills."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import g

from growth_engine.context import Ctx
from growth_engine.kit import rest, web
from growth_engine.kit.pages import Page
from growth_engine.orders import queries as orders
from growth_engine.orders.providers import Payer
from growth_engine.paying import bills, checkout, queries, refunding, transfers
from growth_engine.paying.schemas import (
    AttemptsShape,
    BillAsk,
    BillQuery,
    BillShape,
    CheckoutAsk,
    CheckoutShape,
    RefundAsk,
    RefundRequestShape,
    RefundRequestsShape,
    TransferShape,
)
from growth_engine.payouts import queries as payouts

blp = rest.Blueprint(
    "wechat_pay", __name__, description="Payments, refunds and transfers through WeChat Pay."
)


# -- paying ------------------------------------------------------------------------------------------


@blp.post("/orders/<order_id>/payment-attempts")
@rest.scope("orders:write")
@rest.takes(CheckoutAsk)
@rest.answers(200, CheckoutShape)
@rest.refuses(503)
@rest.outside_transaction
def pay_order(order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Have an order paid. Asking again gives the same attempt as long as it can be paid.

    An attempt of somebody else, or of another amount, is closed first: an order is never paid twice.
    """
    payer = Payer("", body["openid"] or None)
    found = checkout.checkout(web.parts(), g.workspace_id, order_id, payer)
    data = {name: str(value) for name, value in found.data.items() if name != "number"}
    return {"number": found.data["number"], "kind": found.kind, "data": data}


@blp.get("/orders/<order_id>/payment-attempts")
@rest.scope("orders:read")
@rest.answers(200, AttemptsShape)
def list_attempts(ctx: Ctx, order_id: str) -> dict[str, Any]:
    """Every attempt at paying an order, the first one first."""
    orders.order(ctx, order_id)
    return {"items": [_shown(one, _ATTEMPT) for one in queries.attempts_of(ctx, order_id)]}


# -- refunds -----------------------------------------------------------------------------------------


@blp.post("/orders/<order_id>/refund-requests")
@rest.scope("orders:write")
@rest.takes(RefundAsk)
@rest.answers(202, RefundRequestShape)
@rest.refuses(503)
@rest.outside_transaction
def request_refund(order_id: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Give money back through WeChat Pay. It goes on for minutes or days: look at `state`.

    A refund made in another way is only reported (`POST /orders/{order_id}/refunds`). Refused with 409
    `nothing_to_refund` when less than that came through WeChat Pay and is still there.
    """
    row = refunding.request(
        web.parts(),
        g.workspace_id,
        order_id,
        refund_id=_number(rest.event_key(order_id, "refund")),
        amount=body["amount"],
        reason=body["reason"],
        by=g.actor.id,
        restock=body["restock"],
    )
    return _shown(row, _REFUND), 202


@blp.get("/orders/<order_id>/refund-requests")
@rest.scope("orders:read")
@rest.answers(200, RefundRequestsShape)
def list_refunds(ctx: Ctx, order_id: str) -> dict[str, Any]:
    """Every refund of an order through WeChat Pay, the first one first."""
    orders.order(ctx, order_id)
    return {"items": [_shown(one, _REFUND) for one in queries.refunds_of(ctx, order_id)]}


@blp.get("/refund-requests/<refund_id>")
@rest.scope("orders:read")
@rest.answers(200, RefundRequestShape)
def get_refund(ctx: Ctx, refund_id: str) -> dict[str, Any]:
    """How a refund stands."""
    row = queries.refund(ctx, refund_id)
    if row is None:
        raise queries.UnknownRefund
    return _shown(row, _REFUND)


def _number(key: str) -> str:
    """``out_refund_no`` for a request: the same for every try under one Idempotency-Key."""
    return f"rfd_{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"


# -- withdrawals -------------------------------------------------------------------------------------


@blp.get("/payouts/<payout_id>/transfer")
@rest.scope("payouts:read")
@rest.answers(200, TransferShape)
def get_transfer(ctx: Ctx, payout_id: str) -> dict[str, Any]:
    """How a withdrawal stands at WeChat Pay."""
    payouts.payout(ctx, payout_id)
    row = queries.transfer(ctx, payout_id)
    if row is None:
        raise queries.UnknownTransfer
    return _shown(row, _TRANSFER)


@blp.post("/payouts/<payout_id>/transfer/cancel")
@rest.scope("payouts:write")
@rest.answers(200, TransferShape)
@rest.refuses(503)
@rest.outside_transaction
def cancel_transfer(payout_id: str) -> dict[str, Any]:
    """Take back a transfer that the recipient has not confirmed yet.

    Refused with 409 `transfer_not_cancellable`. The money is back in the wallet when the withdrawal says so.
    """
    with web.ctx() as ctx:
        payouts.payout(ctx, payout_id)
    return _shown(transfers.cancel(web.parts(), g.workspace_id, payout_id), _TRANSFER)


# -- bills -------------------------------------------------------------------------------------------


@blp.get("/wechat-pay/bills")
@rest.scope("orders:read")
@rest.asks(BillQuery)
@rest.answers(200, rest.page_of(BillShape))
def list_bills(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """The daily bills as compared with the books, the latest day first."""
    after = rest.after(query["cursor"], str, str)
    before = (_day(after[0]), after[1]) if after else None
    rows, last = queries.bills_page(ctx, account_id=query["account_id"], before=before, limit=query["limit"])
    place = (last[0].isoformat(), last[1]) if last else (None,)
    return rest.page([_shown(one, _BILL) for one in rows], *place)


@blp.post("/wechat-pay/bills")
@rest.scope("orders:write")
@rest.takes(BillAsk)
@rest.answers(202, BillShape)
def compare_again(ctx: Ctx, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Have a day compared again. What was taken in once is not taken in twice."""
    return _shown(bills.again(ctx, body["account_id"], body["day"]), _BILL), 202


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise rest.ForeignCursor from None


# -- shapes ------------------------------------------------------------------------------------------

_ATTEMPT = (
    "number", "order_id", "account_id", "kind", "amount", "currency", "state", "transaction_id", "error",
    "made_at", "expires_at", "paid_at",
)  # fmt: skip
_REFUND = (
    "id", "order_id", "account_id", "number", "amount", "currency", "reason", "state", "refund_id", "error",
    "requested_by", "requested_at", "refunded_at",
)  # fmt: skip
_TRANSFER = (
    "payout_id", "account_id", "number", "bill_no", "amount", "state", "fail_reason", "error", "sent_at",
    "confirm_until", "cancel_asked_at", "finished_at",
)  # fmt: skip
_BILL = (
    "account_id", "day", "state", "payments", "refunds", "transfers", "foreign_lines", "taken_in", "findings",
    "error", "compared_at",
)  # fmt: skip


def _shown(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
