"""WeChat Pay APIv3 (微信支付): how it notifies us (sheet §4.2, §4.3, §4.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from growth_engine.channels.protocol import documents, pay_crypto
from growth_engine.channels.protocol.documents import Fields, Unreadable
from growth_engine.channels.protocol.pay_crypto import (
    PlatformKeys,
    ResourceUnreadable,
    SignatureProblem,
    SignatureRefused,
)
from growth_engine.inbox import payloads
from growth_engine.inbox.contract import (
    MOST_ID,
    Account,
    Inbound,
    PassiveReply,
    Refused,
    Reply,
    Request,
    Verified,
)
from growth_engine.inbox.payloads import Payload
from growth_engine.kit.i18n import N_

slug = "wechat_pay"
title = N_("WeChat Pay")
#: All that the signature needs, besides the body.
headers = (
    "wechatpay-timestamp",
    "wechatpay-nonce",
    "wechatpay-signature",
    "wechatpay-serial",
    "wechatpay-signature-type",
)
#: 200 or 204 within 5 s; otherwise it comes again 15 times within a day (§4.5).
answer_seconds = 5.0

_WHY: Mapping[SignatureProblem, str] = {
    SignatureProblem.HEADERS_MISSING: N_("The headers of WeChat Pay's signature are missing."),
    SignatureProblem.STALE: N_("The notice is older than 5 minutes, or the clock of this server is wrong."),
    SignatureProblem.UNKNOWN_SERIAL: N_(
        "Signed with a key that is not known here. Enter the platform's public key or certificate."
    ),
    SignatureProblem.PROBE: N_("WeChat Pay probed whether signatures are checked. All is well."),
    SignatureProblem.WRONG: N_("The signature is wrong."),
}


# ── Is it the platform? ─────────────────────────────────────────────────────────────────────────────────


def challenge(_request: Request, _account: Account) -> Reply:
    raise Refused(N_("WeChat Pay never asks with GET."), code="method", status=405)


def verify(request: Request, account: Account) -> Verified:
    """Headers, time, serial, signature over the raw bytes, and only then the seal (rule 17)."""
    now = int(request.received_at.timestamp())
    try:
        pay_crypto.verify(_keys(account.platform_keys), request.headers, request.body, now=now)
    except SignatureRefused as error:
        code = f"signature_{error.problem.value}"
        raise Refused(_WHY[error.problem], code=code, status=error.status) from None
    try:
        notice = documents.read_json(request.body)
        resource = notice.pop("resource", None)
        notice["original_type"] = resource.get("original_type") if isinstance(resource, dict) else None
        notice["resource"] = documents.read_json(_opened(account, resource))
    except (ResourceUnreadable, Unreadable) as error:
        raise Refused(error.message, code=error.code, status=error.status) from None
    return Verified(orjson.dumps(notice), "json")


def refuse(error: Refused) -> Reply:
    """Every 4xx and 5xx makes the platform send it again (§4.5)."""
    body = orjson.dumps({"code": "FAIL", "message": error.code})
    return Reply(body, error.status, "application/json")


@lru_cache(maxsize=64)
def _keys(pems: tuple[tuple[str, str], ...]) -> PlatformKeys:
    return pay_crypto.platform_keys(pems)


def _opened(account: Account, resource: object) -> bytes:
    """With the present APIv3 key, or the one before it while it is being changed."""
    if not isinstance(resource, dict):
        raise Unreadable
    for key in account.api_v3_keys:
        try:
            return pay_crypto.decrypt_resource(key, resource)
        except ResourceUnreadable:
            continue
    raise ResourceUnreadable


# ── What does it say? ───────────────────────────────────────────────────────────────────────────────────


def parse(content: bytes, account: str) -> list[Inbound]:
    """``content`` is the notice with its resource opened, as ``verify`` leaves it."""
    notice = Fields(documents.read_json(content))
    number, happened_at = notice.text("id", most=MOST_ID), _moment(notice, "create_time")
    if not number or happened_at is None:
        raise Unreadable
    event = notice.text("event_type")
    about = notice.part("resource")
    read = _EVENTS.get(event)
    kind, payload = read(about) if read else ("unknown", payloads.Unknown(event[:MOST_ID], about.values))
    return [
        Inbound(
            provider=slug,
            account=account,
            identity=f"ntf:{number}",
            kind=kind,
            occurred_at=happened_at,
            sender=_openid(about),
            receiver=about.text("mchid", most=MOST_ID) or about.text("mch_id", most=MOST_ID),
            payload=payload,
        )
    ]


def _openid(about: Fields) -> str:
    return about.part("payer").text("openid", most=MOST_ID) or about.text("openid", most=MOST_ID)


def _moment(about: Fields, name: str) -> datetime | None:
    """RFC 3339, in UTC; None when it is missing, names no zone, or lies beyond every calendar."""
    try:
        found = datetime.fromisoformat(about.text(name))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _payment(about: Fields) -> tuple[str, Payload]:
    amount = about.part("amount")
    return "payment", payloads.PaymentNotice(
        app_id=about.text("appid"),
        mch_id=about.text("mchid"),
        out_trade_no=about.text("out_trade_no", most=MOST_ID),
        transaction_id=about.text("transaction_id", most=MOST_ID),
        trade_type=about.text("trade_type"),
        trade_state=about.text("trade_state"),
        openid=_openid(about),
        total=amount.number("total"),
        payer_total=amount.number("payer_total"),
        currency=amount.text("currency"),
        attach=about.text("attach"),
        success_time=_moment(about, "success_time"),
    )


def _refund(about: Fields) -> tuple[str, Payload]:
    amount = about.part("amount")
    return "refund", payloads.RefundNotice(
        mch_id=about.text("mchid"),
        out_trade_no=about.text("out_trade_no", most=MOST_ID),
        transaction_id=about.text("transaction_id", most=MOST_ID),
        out_refund_no=about.text("out_refund_no", most=MOST_ID),
        refund_id=about.text("refund_id", most=MOST_ID),
        status=about.text("refund_status"),
        total=amount.number("total"),
        refund=amount.number("refund"),
        success_time=_moment(about, "success_time"),
    )


def _transfer(about: Fields) -> tuple[str, Payload]:
    return "transfer", payloads.TransferNotice(
        mch_id=about.text("mch_id") or about.text("mchid"),
        out_bill_no=about.text("out_bill_no", most=MOST_ID),
        transfer_bill_no=about.text("transfer_bill_no", most=MOST_ID),
        state=about.text("state"),
        openid=_openid(about),
        amount=about.number("transfer_amount"),
        fail_reason=about.text("fail_reason"),
        updated_at=_moment(about, "update_time"),
    )


_EVENTS: Mapping[str, Callable[[Fields], tuple[str, Payload]]] = {
    "TRANSACTION.SUCCESS": _payment,
    "REFUND.SUCCESS": _refund,
    "REFUND.ABNORMAL": _refund,
    "REFUND.CLOSED": _refund,
    "MCHTRANSFER.BILL.FINISHED": _transfer,
}


# ── What do we answer? ──────────────────────────────────────────────────────────────────────────────────


def acknowledge(
    _account: Account,
    _verified: Verified,
    answer: tuple[Inbound, PassiveReply] | None = None,  # noqa: ARG001 - the contract's; nobody reads it here
    *,
    now: datetime,  # noqa: ARG001
    random: bytes,  # noqa: ARG001
) -> Reply:
    return Reply(b'{"code":"SUCCESS"}', content_type="application/json")
