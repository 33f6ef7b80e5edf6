"""What WeChat Pay answers and notifies, as values of ours; amounts in fen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# States are kept as the platform spells them; values unknown today are accepted (sheet §4.4).

PAID = "SUCCESS"
#: An order in one of these will not be paid any more.
UNPAID_FOR_GOOD = frozenset({"CLOSED", "REVOKED", "PAYERROR"})


@dataclass(frozen=True, slots=True)
class Transaction:
    out_trade_no: str
    mch_id: str
    app_id: str
    state: str
    """NOTPAY, SUCCESS, CLOSED, REFUND …"""
    transaction_id: str = ""
    total: int = 0
    """What the order costs, in fen."""
    payer_total: int = 0
    currency: str = "CNY"
    openid: str = field(default="", repr=False)
    paid_at: datetime | None = None
    attach: str = ""
    trade_type: str = ""

    @property
    def paid(self) -> bool:
        """Money arrived; REFUND means that it did, and that some went back."""
        return self.state in (PAID, "REFUND")


@dataclass(frozen=True, slots=True)
class Refund:
    out_refund_no: str
    state: str
    """PROCESSING, SUCCESS, CLOSED or ABNORMAL (the payer's account takes nothing: somebody must act)."""
    refund_id: str = ""
    out_trade_no: str = ""
    transaction_id: str = ""
    refund: int = 0
    """In fen."""
    total: int = 0
    refunded_at: datetime | None = None


#: Money has arrived, or certainly never will; anything else may still change (sheet §4.7).
TRANSFERRED = "SUCCESS"
TRANSFER_FAILED = frozenset({"FAIL", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Transfer:
    out_bill_no: str
    state: str
    """ACCEPTED, PROCESSING, WAIT_USER_CONFIRM, TRANSFERING (sic), SUCCESS, FAIL, CANCELING, CANCELLED."""
    bill_no: str = ""
    amount: int | None = None
    """In fen; absent in the answer to a new transfer."""
    openid: str = field(default="", repr=False)
    fail_reason: str = ""
    package: str = field(default="", repr=False)
    """For the page on which the person confirms; only while it waits for that."""
    mch_id: str = ""
    app_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def arrived(self) -> bool:
        return self.state == TRANSFERRED

    @property
    def failed(self) -> bool:
        """Confirmed: only now may the money be sent again under another number."""
        return self.state in TRANSFER_FAILED


def transaction_of(found: Mapping[str, Any]) -> Transaction:
    """From an answer or an opened ``TRANSACTION.…`` notice."""
    amount, payer = found.get("amount") or {}, found.get("payer") or {}
    return Transaction(
        out_trade_no=str(found["out_trade_no"]),
        mch_id=str(found.get("mchid") or ""),
        app_id=str(found.get("appid") or ""),
        state=str(found["trade_state"]),
        transaction_id=str(found.get("transaction_id") or ""),
        total=int(amount.get("total") or 0),
        payer_total=int(amount.get("payer_total") or 0),
        currency=str(amount.get("currency") or "CNY"),
        openid=str(payer.get("openid") or ""),
        paid_at=moment(found.get("success_time")),
        attach=str(found.get("attach") or ""),
        trade_type=str(found.get("trade_type") or ""),
    )


def refund_of(found: Mapping[str, Any]) -> Refund:
    """From an answer (``status``) or an opened ``REFUND.…`` notice (``refund_status``)."""
    amount = found.get("amount") or {}
    return Refund(
        out_refund_no=str(found["out_refund_no"]),
        state=str(found.get("status") or found["refund_status"]),
        refund_id=str(found.get("refund_id") or ""),
        out_trade_no=str(found.get("out_trade_no") or ""),
        transaction_id=str(found.get("transaction_id") or ""),
        refund=int(amount.get("refund") or 0),
        total=int(amount.get("total") or 0),
        refunded_at=moment(found.get("success_time")),
    )


def transfer_of(found: Mapping[str, Any]) -> Transfer:
    """From an answer or an opened ``MCHTRANSFER.BILL.FINISHED`` notice."""
    amount = found.get("transfer_amount")
    return Transfer(
        out_bill_no=str(found["out_bill_no"]),
        state=str(found["state"]),
        bill_no=str(found.get("transfer_bill_no") or ""),
        amount=int(amount) if amount is not None else None,
        openid=str(found.get("openid") or ""),
        fail_reason=str(found.get("fail_reason") or ""),
        package=str(found.get("package_info") or ""),
        mch_id=str(found.get("mch_id") or ""),
        app_id=str(found.get("appid") or ""),
        created_at=moment(found.get("create_time")),
        updated_at=moment(found.get("update_time")),
    )


def moment(text: object) -> datetime | None:
    """RFC 3339 with its offset (``2026-06-08T10:34:56+08:00``)."""
    if not isinstance(text, str) or not text:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without its offset")
    return at
