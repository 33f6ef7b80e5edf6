"""Calls to WeChat Pay for an account of the merchant's, and what to do when it does not do what was asked."""

from __future__ import annotations

from growth_engine.channels.contract import WAITS_FOR_STAFF, Reason
from growth_engine.channels.errors import ChannelError
from growth_engine.channels.wechat_pay import WechatPay, forms
from growth_engine.connections import rules as connections
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Invalid
from growth_engine.ledger import alerts
from growth_engine.paying import queries, rules
from growth_engine.paying.queries import Merchant

#: Topics of alerts about an account: it is out of money, or its credentials or permissions are wrong.
FUNDS, ACCOUNT = "wechat_pay.funds", "wechat_pay.account"
#: Its subject is the account and the merchant number that money is under way with.
OTHER_MERCHANT = "wechat_pay.other_merchant"


def client(parts: Parts, merchant: Merchant) -> WechatPay:
    return WechatPay(merchant.credentials, parts.gear)


def same_merchant(ctx: Ctx, account_id: str, mch_id: str) -> Merchant | None:
    """The account something was begun through, if it is still that merchant's.

    Another merchant, asked, says that it knows no such number: that must never be taken for "nothing was
    paid". ``None``: staff are alarmed, and what is under way waits.
    """
    merchant, subject = queries.merchant(ctx, account_id), f"{account_id}:{mch_id}"
    if merchant.mch_id == mch_id:
        alerts.clear(ctx, OTHER_MERCHANT, subject)
        return merchant
    detail = f"money is under way with merchant {mch_id}, the account is {merchant.mch_id}'s now"
    alerts.raise_alert(ctx, OTHER_MERCHANT, subject, detail)
    return None


def notify_url(parts: Parts, account_id: str) -> str:
    """Where WeChat Pay tells us what became of orders, refunds and transfers of an account."""
    return connections.callback_url(parts.settings.public_url, rules.PROVIDER, account_id)


def notify_url_if_any(parts: Parts, account_id: str) -> str:
    """The same where an address is welcome and not needed: empty when WeChat Pay would not take ours."""
    url = notify_url(parts, account_id)
    try:
        forms.require_notify_url(url)
    except Invalid:
        return ""  # the jobs ask; they do so anyway
    return url


def note_trouble(ctx: Ctx, account_id: str, error: ChannelError) -> None:
    """Alarm staff when nothing but them will help."""
    if error.reason not in WAITS_FOR_STAFF:
        return
    topic = FUNDS if error.reason is Reason.FUNDS else ACCOUNT
    detail = f"{error.operation}: {error.number} ({error.reason.value}) {error.trace}".rstrip()
    alerts.raise_alert(ctx, topic, account_id, detail)


def note_success(ctx: Ctx, account_id: str, *, spent: bool = False) -> None:
    """A call went through: its credentials are good, and when it ``spent`` money there was enough."""
    alerts.clear(ctx, ACCOUNT, account_id)
    if spent:
        alerts.clear(ctx, FUNDS, account_id)
