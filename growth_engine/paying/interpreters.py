"""What WeChat Pay's notices mean: hints, held against our own rows; the jobs do what follows."""

from __future__ import annotations

from growth_engine.channels.wechat_pay import Refund, Transaction, Transfer
from growth_engine.context import Ctx
from growth_engine.inbox.contract import Inbound
from growth_engine.inbox.interpreting import interprets
from growth_engine.inbox.payloads import PaymentNotice, RefundNotice, TransferNotice
from growth_engine.ledger import alerts
from growth_engine.paying import attempts, queries, refunding, rules, transfers

#: Topic of alerts: a genuine notice about something none of our rows knows. Its subject is the number.
STRANGE = "wechat_pay.unknown_notice"


@interprets("wechat_pay", "payment")
def hear_payment(ctx: Ctx, inbound: Inbound) -> None:
    notice = inbound.payload
    assert isinstance(notice, PaymentNotice)
    told = Transaction(
        out_trade_no=notice.out_trade_no,
        mch_id=notice.mch_id,
        app_id=notice.app_id,
        state=notice.trade_state,
        transaction_id=notice.transaction_id,
        total=notice.total or 0,
        payer_total=notice.payer_total or 0,
        currency=notice.currency or rules.CURRENCY,
        openid=notice.openid,
        paid_at=notice.success_time,
        trade_type=notice.trade_type,
    )
    if told.paid and attempts.hear(ctx, told) == "foreign":
        _strange(ctx, notice.out_trade_no, f"payment {notice.transaction_id} of {notice.total} fen")


@interprets("wechat_pay", "refund")
def hear_refund(ctx: Ctx, inbound: Inbound) -> None:
    notice = inbound.payload
    assert isinstance(notice, RefundNotice)
    told = Refund(
        out_refund_no=notice.out_refund_no,
        state=notice.status,
        refund_id=notice.refund_id,
        out_trade_no=notice.out_trade_no,
        transaction_id=notice.transaction_id,
        refund=notice.refund or 0,
        total=notice.total or 0,
        refunded_at=notice.success_time,
    )
    if refunding.hear(ctx, told) != "foreign":
        return
    attempt = queries.attempt(ctx, notice.out_trade_no)
    if attempt is None or not notice.refund:
        _strange(ctx, notice.out_refund_no, f"refund of {notice.refund} fen for {notice.out_trade_no}")
    else:  # made on the merchant platform: taken in, and asked about before it counts
        refunding.adopt(ctx, attempt, notice.out_refund_no, notice.refund)


@interprets("wechat_pay", "transfer")
def hear_transfer(ctx: Ctx, inbound: Inbound) -> None:
    notice = inbound.payload
    assert isinstance(notice, TransferNotice)
    told = Transfer(
        out_bill_no=notice.out_bill_no,
        state=notice.state,
        bill_no=notice.transfer_bill_no,
        amount=notice.amount,
        openid=notice.openid,
        fail_reason=notice.fail_reason,
        mch_id=notice.mch_id,
        updated_at=notice.updated_at,
    )
    if transfers.hear(ctx, told) == "foreign":
        _strange(ctx, notice.out_bill_no, f"transfer of {notice.amount} fen is {notice.state}")


def _strange(ctx: Ctx, number: str, detail: str) -> None:
    alerts.raise_alert(ctx, STRANGE, number[:128], detail)
