"""Tables of WeChat Pay: attempts at paying orders, refunds asked for, transfers of withdrawals, bills."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Json, Moment, PrimaryId


class PayAttempt(Base):
    """One order as WeChat Pay knows it. Everything that was sent stays as it was sent, so that sending it
    again is the same request."""

    __tablename__ = "pay_attempts"

    number: Mapped[PrimaryId]
    """``out_trade_no``: the order's id and the turn (``rules.trade_number``)."""
    workspace_id: Mapped[Id]
    account_id: Mapped[Id]
    """The connected account it goes through, whatever is connected later."""
    order_id: Mapped[Id]
    turn: Mapped[int]
    kind: Mapped[str]
    """jsapi (on a page in WeChat) or native (a code to scan)."""
    mch_id: Mapped[str]
    app_id: Mapped[str]
    openid: Mapped[str]
    """Who pays on a page in WeChat; emptied when the attempt is over."""
    amount: Mapped[Count]
    """In fen."""
    currency: Mapped[str]
    description: Mapped[str]
    notify_url: Mapped[str]
    expires_at: Mapped[datetime | None]
    state: Mapped[str]
    """placing (sent, or about to be), open (can be paid), closing, told (paid, not in the books yet), paid,
    closed (can no longer be paid), refused (never existed there), disputed (the platform says something
    else than we asked for), surplus (paid, and the books refused it). The first three are live."""
    token: Mapped[str]
    """prepay_id, or the text of the code."""
    token_until: Mapped[datetime | None]
    transaction_id: Mapped[Id]
    paid_at: Mapped[datetime | None]
    """When the platform says it was paid."""
    tries: Mapped[int]
    next_at: Mapped[datetime | None]
    """When the job looks at it next; ``None``: it is over, or waits for a person."""
    error: Mapped[str]
    made_at: Mapped[Moment]
    asked_at: Mapped[Moment]
    """When it was last sent to be placed."""
    finished_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    """Of one that is disputed or surplus: when a person said that it is dealt with."""
    settled_by: Mapped[str] = mapped_column(server_default="")
    settled_note: Mapped[str] = mapped_column(server_default="")


class RefundRequest(Base):
    """A refund WeChat Pay was asked for, or one that somebody made there and a bill told us."""

    __tablename__ = "refund_requests"

    workspace_id: Mapped[PrimaryId]
    id: Mapped[PrimaryId]
    """``out_refund_no``: never changes."""
    order_id: Mapped[Id]
    account_id: Mapped[Id]
    number: Mapped[Id]
    """Of the attempt whose money goes back."""
    total: Mapped[Count]
    """What that attempt brought, in fen; WeChat Pay wants to hear it again."""
    amount: Mapped[Count]
    currency: Mapped[str]
    reason: Mapped[str]
    state: Mapped[str]
    """asked (sent, or about to be), processing, abnormal (the buyer's account takes nothing: somebody must
    act), told (the money is back, not in the books yet), done, failed (no money moved), disputed, surplus
    (the money is back, and the books refused it)."""
    refund_id: Mapped[Id]
    """WeChat Pay's own number."""
    error: Mapped[str]
    tries: Mapped[int]
    next_at: Mapped[datetime | None]
    requested_by: Mapped[Id]
    """Staff, token, ``system``, or ``wechat_pay`` for one made on the merchant platform."""
    requested_at: Mapped[Moment]
    asked_at: Mapped[datetime | None]
    """When it was first sent."""
    refunded_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    restock: Mapped[bool] = mapped_column(server_default="false")
    """The goods go back into stock when the refund leaves nothing paid."""
    settled_at: Mapped[datetime | None]
    """Of one that is disputed, surplus or abnormal: when a person said that it is dealt with."""
    settled_by: Mapped[str] = mapped_column(server_default="")
    settled_note: Mapped[str] = mapped_column(server_default="")


class PayTransfer(Base):
    """A withdrawal as WeChat Pay knows it; pinned before it is first sent, as ``PayAttempt`` is."""

    __tablename__ = "pay_transfers"

    payout_id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    account_id: Mapped[Id]
    number: Mapped[Id]
    """``out_bill_no``, made of the payout's id (``rules.bill_number``)."""
    mch_id: Mapped[str]
    app_id: Mapped[str]
    openid: Mapped[str]
    """Emptied when the transfer is over."""
    amount: Mapped[Count]
    """In fen."""
    scene: Mapped[str]
    reports: Mapped[Json]
    remark: Mapped[str]
    notify_url: Mapped[str]
    state: Mapped[str]
    """As the platform spells it; ``SENDING`` before its first word, ``REFUSED`` when it never took it."""
    bill_no: Mapped[Id]
    package: Mapped[str]
    """What the page hands to WeChat to have it confirmed."""
    confirm_until: Mapped[datetime | None]
    fail_reason: Mapped[str]
    cancel_asked_at: Mapped[datetime | None]
    error: Mapped[str]
    next_at: Mapped[datetime | None]
    """Set when a notice told its end: the job takes it to the books."""
    sent_at: Mapped[Moment]
    made_at: Mapped[datetime | None]
    """When the platform says it took it."""
    finished_at: Mapped[datetime | None]


class PayBill(Base):
    """The bills of one account and one day in China, held against our rows."""

    __tablename__ = "pay_bills"

    workspace_id: Mapped[Id]
    account_id: Mapped[PrimaryId]
    day: Mapped[date] = mapped_column(primary_key=True)
    state: Mapped[str]
    """waiting, compared, or failed (tried again by hand)."""
    payments: Mapped[int]
    """Lines about payments of ours."""
    refunds: Mapped[int]
    transfers: Mapped[int]
    foreign_lines: Mapped[int]
    """Lines about business of the merchant's that is none of ours."""
    taken_in: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """What we did not know and took in: kind, number, amount."""
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """What does not agree and needs a person: kind, number, detail."""
    error: Mapped[str]
    tries: Mapped[int]
    next_at: Mapped[datetime | None]
    compared_at: Mapped[datetime | None]
