"""Shapes of the REST API about WeChat Pay."""

from __future__ import annotations

from marshmallow import fields, validate

from growth_engine.kit.rest import Document, Moment, PageQuery
from growth_engine.orders.rules import MOST_AMOUNT

_ID = validate.Length(min=1, max=128)


def _fen(description: str) -> fields.Integer:
    return fields.Integer(required=True, metadata={"description": f"{description}, in fen."})


class CheckoutAsk(Document):
    """Who pays."""

    openid = fields.String(
        load_default="",
        validate=validate.Length(max=128),
        metadata={
            "description": "The payer in the connected Official Account: they pay on a page in WeChat."
            " Without it they scan a code."
        },
    )


class CheckoutShape(Document):
    """What the page does next."""

    number = fields.String(required=True, metadata={"description": "out_trade_no."})
    kind = fields.String(required=True, validate=validate.OneOf(["jsapi", "native"]))
    data = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "jsapi: arguments of getBrandWCPayRequest, signed; native: code_url."},
    )


class AttemptShape(Document):
    """One order as WeChat Pay knows it."""

    number = fields.String(required=True, metadata={"description": "out_trade_no."})
    order_id = fields.String(required=True)
    account_id = fields.String(required=True)
    kind = fields.String(required=True)
    amount = _fen("What is to be paid")
    currency = fields.String(required=True)
    state = fields.String(
        required=True,
        metadata={
            "description": "placing, open, closing, told (paid, not in the books yet), paid, closed, refused,"
            " disputed (what came is not what was asked for), surplus (paid, and the books refused it)."
        },
    )
    transaction_id = fields.String(required=True)
    error = fields.String(required=True)
    made_at = Moment(required=True)
    expires_at = Moment(required=True, allow_none=True)
    paid_at = Moment(required=True, allow_none=True)


class AttemptsShape(Document):
    items = fields.List(fields.Nested(AttemptShape), required=True)


class RefundAsk(Document):
    """Money to give back through WeChat Pay."""

    amount = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(min=1, max=MOST_AMOUNT),
        metadata={"description": "In fen."},
    )
    reason = fields.String(
        load_default="",
        validate=validate.Length(max=80),
        metadata={"description": "The buyer reads it."},
    )
    restock = fields.Boolean(
        load_default=False,
        metadata={"description": "The goods go back into stock, if nothing that was paid is left after it."},
    )


class RefundRequestShape(Document):
    """A refund WeChat Pay was asked for, or one made there."""

    id = fields.String(required=True, metadata={"description": "out_refund_no."})
    order_id = fields.String(required=True)
    account_id = fields.String(required=True)
    number = fields.String(
        required=True, metadata={"description": "Of the payment attempt whose money goes back."}
    )
    amount = _fen("What goes back")
    currency = fields.String(required=True)
    reason = fields.String(required=True)
    state = fields.String(
        required=True,
        metadata={
            "description": "asked, processing, abnormal (the buyer's account takes nothing: act on the"
            " merchant platform), told (back, not in the books yet), done, failed, disputed, surplus."
        },
    )
    refund_id = fields.String(required=True)
    error = fields.String(required=True)
    requested_by = fields.String(required=True)
    requested_at = Moment(required=True)
    refunded_at = Moment(required=True, allow_none=True)


class RefundRequestsShape(Document):
    items = fields.List(fields.Nested(RefundRequestShape), required=True)


class TransferShape(Document):
    """A withdrawal as WeChat Pay knows it."""

    payout_id = fields.String(required=True)
    account_id = fields.String(required=True)
    number = fields.String(required=True, metadata={"description": "out_bill_no."})
    bill_no = fields.String(required=True, metadata={"description": "transfer_bill_no."})
    amount = _fen("What is sent")
    state = fields.String(required=True, metadata={"description": "As WeChat Pay spells it."})
    fail_reason = fields.String(required=True)
    error = fields.String(required=True)
    sent_at = Moment(required=True)
    confirm_until = Moment(required=True, allow_none=True)
    cancel_asked_at = Moment(required=True, allow_none=True)
    finished_at = Moment(required=True, allow_none=True)


class BillQuery(PageQuery):
    account_id = fields.String(load_default="", validate=validate.Length(max=128))


class BillAsk(Document):
    """A day to compare again."""

    account_id = fields.String(required=True, validate=_ID)
    day = fields.Date(required=True, metadata={"description": "A day in China, one of the last 90."})


class BillTakenIn(Document):
    kind = fields.String(required=True, metadata={"description": "payment or refund."})
    number = fields.String(required=True)
    amount = _fen("What it was")


class BillFinding(Document):
    kind = fields.String(required=True)
    number = fields.String(required=True)
    detail = fields.String(required=True)


class BillShape(Document):
    """One account's bills of one day, held against our rows."""

    account_id = fields.String(required=True)
    day = fields.Date(required=True)
    state = fields.String(required=True, metadata={"description": "waiting, compared or failed."})
    payments = fields.Integer(required=True)
    refunds = fields.Integer(required=True)
    transfers = fields.Integer(required=True)
    foreign_lines = fields.Integer(
        required=True, metadata={"description": "Lines about business that did not go through us."}
    )
    taken_in = fields.List(fields.Nested(BillTakenIn), required=True)
    findings = fields.List(fields.Nested(BillFinding), required=True)
    error = fields.String(required=True)
    compared_at = Moment(required=True, allow_none=True)
