"""What people do about payments and refunds that do not agree: ask WeChat Pay again, or settle them."""

from __future__ import annotations

from datetime import timedelta

from growth_engine.channels.errors import ChannelError
from growth_engine.channels.wechat_pay import Refunds
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.ledger import alerts
from growth_engine.paying import attempts, calls, console_queries, queries, refunding, rules
from growth_engine.paying.models import PayAttempt, RefundRequest

LONGEST_NOTE = 500


class NothingToSettle(Conflict):
    code = "nothing_to_settle"
    message = N_("Only what is disputed, or what the books refused, can be marked as settled, and only once.")


def settle_attempt(ctx: Ctx, number: str, note: str) -> PayAttempt:
    """A person says that a disputed or surplus payment is dealt with, and how; the alert is over.

    Nothing moves in the books. Raises ``UnknownAttempt``, ``Invalid`` without a note, ``NothingToSettle``.
    """
    row = console_queries.attempt(ctx, number, lock=True)
    _settle(ctx, row, row.state in console_queries.ATTEMPTS["look"], note)
    for topic in (attempts.DISPUTED, attempts.SURPLUS):
        alerts.clear(ctx, topic, number)
    return row


def settle_refund(ctx: Ctx, refund_id: str, note: str) -> RefundRequest:
    """The same of a refund; one the buyer's account does not take is not followed any more."""
    row = console_queries.refund(ctx, refund_id, lock=True)
    _settle(ctx, row, row.state in console_queries.REFUNDS["look"], note)
    row.next_at = None
    for topic in (refunding.DISPUTED, refunding.SURPLUS, refunding.ABNORMAL):
        alerts.clear(ctx, topic, refund_id)
    return row


def _settle(ctx: Ctx, row: PayAttempt | RefundRequest, open_: bool, note: str) -> None:
    said = note.strip()
    if not 1 <= len(said) <= LONGEST_NOTE:
        raise Invalid(fields={"note": [N_("Say how it was dealt with, in at most 500 characters.")]})
    if row.settled_at is not None or not open_:
        raise NothingToSettle
    row.settled_at, row.settled_by, row.settled_note = ctx.now(), ctx.actor.id, said


def ask_attempt(parts: Parts, workspace_id: str, number: str) -> str:
    """Ask WeChat Pay how a payment stands, now; the answer in the words of ``attempts.look``.

    Raises ``UnknownAttempt``.
    """
    with parts.open(workspace_id) as ctx:
        row = console_queries.attempt(ctx, number)
    if row.state == "told":
        return attempts.post(parts, workspace_id, number)
    return attempts.look(parts, workspace_id, row)


def ask_refund(parts: Parts, workspace_id: str, refund_id: str) -> str:
    """The same of a refund; its state then, or ``unknown`` when there was no answer."""
    with parts.open(workspace_id) as ctx:
        row = console_queries.refund(ctx, refund_id, lock=True)
        merchant = queries.merchant(ctx, row.account_id)
        if row.state in rules.REFUND_ENDED:
            return row.state
        if row.state != "disputed":
            row.next_at = ctx.now() - timedelta(seconds=1)
    if row.state != "disputed":
        refunding.settle_one(parts, workspace_id, refund_id)
    else:
        try:
            found = Refunds(calls.client(parts, merchant)).find(refund_id)
        except ChannelError:
            return "unknown"
        if found is not None:
            with parts.open(workspace_id) as ctx:
                refunding.hear(ctx, found)
            refunding.post(parts, workspace_id, refund_id)
    with parts.open(workspace_id) as ctx:
        return console_queries.refund(ctx, refund_id).state
