"""The daily bills held against our rows: what is missing is taken in, what does not agree is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from growth_engine.channels.errors import ChannelError
from growth_engine.channels.quota import CHINA
from growth_engine.channels.wechat_pay import Bills, FundFlow, Refund, TradeLine, Transaction
from growth_engine.channels.wechat_pay.bills import READY_AT_HOUR, BillUnreadable
from growth_engine.connections import queries as connections
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.ledger import alerts
from growth_engine.paying import attempts, calls, queries, refunding, rules, transfers
from growth_engine.paying.models import PayBill, PayTransfer

log = structlog.get_logger(__name__)

#: Topics of alerts; their subject is ``<account>:<day>``.
FINDINGS, MISSING = "wechat_pay.bill", "wechat_pay.bill_missing"
#: Days that are made up for after a standstill, and how long the platform keeps bills.
LOOK_BACK, KEPT = timedelta(days=7), timedelta(days=90)
#: Tries before staff hear of it, and before it waits for them.
ALARMED_AFTER, GIVEN_UP_AFTER = 3, 30
LEASE: Final = timedelta(minutes=15)
SOONEST: Final = timedelta(minutes=10)
#: Our clock and the platform's may put what happens at midnight on different days.
MIDNIGHT: Final = timedelta(minutes=10)

_CLAIM = text(
    "WITH due AS MATERIALIZED (SELECT account_id, day FROM pay_bills"
    "  WHERE workspace_id = :workspace_id AND next_at <= :now"
    "  ORDER BY day, account_id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE pay_bills b SET next_at = :until, tries = tries + 1 FROM due"
    " WHERE b.account_id = due.account_id AND b.day = due.day RETURNING b.account_id, b.day"
)


class NoSuchDay(Invalid):
    code = "bill_day"
    message = N_("Give one of the last 90 days; a day's bill is there from 10:00 (China) on the next day.")


# -- when --------------------------------------------------------------------------------------------


def compare_due(parts: Parts, workspace_id: str) -> int:
    """Compare one bill that is due; how many were."""
    now = parts.clock.now()
    names = {"workspace_id": workspace_id, "now": now, "until": now + LEASE}
    with parts.open(workspace_id) as ctx:
        _plan(ctx)
        claimed = ctx.session.execute(_CLAIM, names).first()
    if claimed is None:
        return 0
    _compare(parts, workspace_id, claimed.account_id, claimed.day)
    return 1


def again(ctx: Ctx, account_id: str, day: date) -> PayBill:
    """Have a day compared again. Raises ``UnknownAccount`` (of connections) and ``NoSuchDay``."""
    connections.account(ctx, account_id)
    today = ctx.now().astimezone(CHINA).date()
    if not today - KEPT <= day < today or _ready_at(day) > ctx.now():
        raise NoSuchDay
    _expect(ctx, account_id, day)
    row = queries.bill(ctx, account_id, day, lock=True)
    row.state, row.tries, row.next_at, row.error = "waiting", 0, ctx.now(), ""
    ctx.session.flush()
    ctx.ring("paying.bills")
    return row


def _plan(ctx: Ctx) -> None:
    """A row for every day that is over, of every account in use, since it was connected."""
    yesterday = ctx.now().astimezone(CHINA).date() - timedelta(days=1)
    for account in connections.accounts(ctx, rules.PROVIDER):
        if account.state == "disabled":
            continue
        day = max(account.created_at.astimezone(CHINA).date(), yesterday - LOOK_BACK)
        while day <= yesterday:
            _expect(ctx, account.id, day)
            day += timedelta(days=1)


def _expect(ctx: Ctx, account_id: str, day: date) -> None:
    row = insert(PayBill).values(
        workspace_id=ctx.workspace_id,
        account_id=account_id,
        day=day,
        state="waiting",
        payments=0,
        refunds=0,
        transfers=0,
        foreign_lines=0,
        taken_in=[],
        findings=[],
        error="",
        tries=0,
        next_at=_ready_at(day),
    )
    ctx.session.execute(row.on_conflict_do_nothing())


def _ready_at(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(READY_AT_HOUR), CHINA)


# -- comparing ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """What one comparison found."""

    payments: int = 0
    refunds: int = 0
    transfers: int = 0
    foreign: int = 0
    taken_in: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def took(self, kind: str, number: str, amount: int) -> None:
        self.taken_in.append({"kind": kind, "number": number, "amount": amount})

    def found(self, kind: str, number: str, detail: str) -> None:
        self.findings.append({"kind": kind, "number": number, "detail": detail})


def _compare(parts: Parts, workspace_id: str, account_id: str, day: date) -> None:
    with parts.open(workspace_id) as ctx:
        merchant = queries.merchant(ctx, account_id)
    api = Bills(calls.client(parts, merchant))
    try:
        trades, flows = api.trades(day) or [], api.fund_flow(day) or []
    except (ChannelError, BillUnreadable) as error:
        with parts.open(workspace_id) as ctx:
            _not_yet(ctx, account_id, day, error)
        return
    report = Report()
    with parts.open(workspace_id) as ctx:
        calls.note_success(ctx, account_id)
        told = _payments(ctx, account_id, day, trades, report)
        _refunds(ctx, account_id, day, trades, report)
        _transfers(ctx, account_id, day, flows, report)
        _took_in(queries.bill(ctx, account_id, day, lock=True), report)
    attempts.post_many(parts, workspace_id, told)
    with parts.open(workspace_id) as ctx:
        _keep(ctx, account_id, day, report)


def _payments(ctx: Ctx, account_id: str, day: date, trades: Sequence[TradeLine], report: Report) -> list[str]:
    """Hold payments against attempts; the numbers of those nobody had told us about."""
    lines = {one.transaction_id: one for one in trades if not one.out_refund_no and one.state == "SUCCESS"}
    ours = queries.attempts_named(ctx, {one.out_trade_no for one in lines.values()})
    known = queries.payments_known(ctx, set(lines))
    told = []
    for line in lines.values():
        attempt = ours.get(line.out_trade_no)
        if attempt is None:
            report.foreign += 1
            continue
        report.payments += 1
        if line.transaction_id in known and (line.total, line.currency) == (attempt.amount, attempt.currency):
            continue
        heard = attempts.hear(ctx, _told(line, attempt.mch_id, attempt.app_id))
        if heard == "told":
            told.append(attempt.number)
            report.took("payment", line.out_trade_no, line.total)
        elif attempt.settled_at is None:
            kind = "payment_not_in_books" if heard == "paid" else f"payment_{heard}"
            report.found(kind, line.out_trade_no, f"{line.total} fen, {line.transaction_id}")
    for attempt in queries.paid_between(ctx, account_id, *_bounds(day)):
        if attempt.transaction_id not in lines:
            report.found("payment_not_in_bill", attempt.number, f"{attempt.amount} fen")
    return told


def _told(line: TradeLine, mch_id: str, app_id: str) -> Transaction:
    """A line as the query would have told it; the bill is the merchant's own, so that much is certain."""
    return Transaction(
        out_trade_no=line.out_trade_no,
        mch_id=mch_id,
        app_id=app_id,
        state=line.state,
        transaction_id=line.transaction_id,
        total=line.total,
        currency=line.currency,
        paid_at=line.at,
    )


def _told_back(line: TradeLine) -> Refund:
    return Refund(
        out_refund_no=line.out_refund_no,
        state=line.refund_state,
        refund_id=line.refund_id,
        out_trade_no=line.out_trade_no,
        transaction_id=line.transaction_id,
        refund=line.refund,
        total=line.total,
        refunded_at=line.at,
    )


def _refunds(ctx: Ctx, account_id: str, day: date, trades: Sequence[TradeLine], report: Report) -> None:
    lines = {one.out_refund_no: one for one in trades if one.out_refund_no}
    ours = queries.attempts_named(ctx, {one.out_trade_no for one in lines.values()})
    asked = queries.refunds_named(ctx, set(lines))
    for number, line in lines.items():
        attempt, row = ours.get(line.out_trade_no), asked.get(number)
        if attempt is None:
            report.foreign += 1
            continue
        report.refunds += 1
        if row is None:
            if refunding.adopt(ctx, attempt, number, line.refund):
                report.took("refund", number, line.refund)
        elif row.amount != line.refund:
            report.found("refund_amount", number, f"{line.refund} fen, not {row.amount}")
        elif row.state == "failed" and line.refund_state == "SUCCESS":
            if refunding.hear(ctx, _told_back(line)) == "told":
                report.took("refund", number, line.refund)
        elif row.state in ("failed", "disputed", "surplus") and row.settled_at is None:
            report.found(f"refund_{row.state}", number, f"{line.refund} fen, {line.refund_state}")
        elif row.state != "done" and line.refund_state == "SUCCESS":
            row.next_at = ctx.now()
            ctx.ring("paying.refunds")
    begins, ends = _bounds(day)
    for row in queries.asked_between(ctx, account_id, begins + MIDNIGHT, ends - MIDNIGHT):
        if row.id not in lines and row.requested_by != rules.PROVIDER:
            report.found("refund_not_in_bill", row.id, f"{row.amount} fen")


def _transfers(ctx: Ctx, account_id: str, day: date, flows: Sequence[FundFlow], report: Report) -> None:
    names = {name for one in flows for name in (one.voucher, one.business_id) if name}
    rows = {**queries.transfers_by_bill(ctx, names), **queries.transfers_numbered(ctx, names)}
    states = queries.payout_states(ctx, {one.payout_id for one in rows.values()})
    seen = set()
    for flow in flows:
        row = rows.get(flow.voucher) or rows.get(flow.business_id)
        if row is None:
            ours = next((one for one in (flow.voucher, flow.business_id) if rules.payout_of(one)), "")
            if ours:
                report.found("unknown_transfer", ours, f"{flow.amount} fen")
            continue
        seen.add(row.payout_id)
        if flow.amount < 0:
            report.transfers += 1
        problem = _wrong_with(flow, row, states.get(row.payout_id, ""))
        if problem:
            report.found(problem, row.number, f"{flow.amount} fen, our transfer is of {row.amount} fen")
    begins, ends = _bounds(day)
    for row in queries.transfers_made_between(ctx, account_id, begins + MIDNIGHT, ends - MIDNIGHT):
        if row.payout_id not in seen and row.state != transfers.REFUSED:
            report.found("transfer_not_in_bill", row.number, f"{row.amount} fen")


def _wrong_with(flow: FundFlow, row: PayTransfer, payout_state: str) -> str:
    if abs(flow.amount) != row.amount:
        return "transfer_amount"
    if flow.amount < 0 and row.state == transfers.REFUSED:
        return "refused_but_sent"
    return "paid_but_returned" if flow.amount > 0 and payout_state == "paid" else ""


def _bounds(day: date) -> tuple[datetime, datetime]:
    begins = datetime.combine(day, time(), CHINA)
    return begins, begins + timedelta(days=1)


# -- writing it down ---------------------------------------------------------------------------------


def _keep(ctx: Ctx, account_id: str, day: date, report: Report) -> None:
    row = queries.bill(ctx, account_id, day, lock=True)
    row.state, row.next_at, row.error, row.tries = "compared", None, "", 0
    row.payments, row.refunds, row.transfers = report.payments, report.refunds, report.transfers
    row.foreign_lines = report.foreign
    row.findings, row.compared_at = report.findings, ctx.now()
    subject = f"{account_id}:{day}"
    failing = {FINDINGS: _in_words(report.findings)} if report.findings else {}
    alerts.settle(ctx, subject, failing, [FINDINGS, MISSING])


def _took_in(row: PayBill, report: Report) -> None:
    """Said together with taking it in: comparing again finds it known."""
    known = {(one["kind"], one["number"]) for one in row.taken_in}
    new = [one for one in report.taken_in if (one["kind"], one["number"]) not in known]
    row.taken_in = [*row.taken_in, *new]


def _in_words(findings: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{one['kind']} {one['number']}: {one['detail']}" for one in findings)


def _not_yet(ctx: Ctx, account_id: str, day: date, error: ChannelError | BillUnreadable) -> None:
    row = queries.bill(ctx, account_id, day, lock=True)
    row.error = str(error)[:200]
    retry_at = error.retry_at if isinstance(error, ChannelError) else None
    row.next_at = retry_at or ctx.now() + max(rules.wait(row.tries), SOONEST)
    if isinstance(error, ChannelError):
        calls.note_trouble(ctx, account_id, error)
    if row.tries >= ALARMED_AFTER:
        alerts.raise_alert(ctx, MISSING, f"{account_id}:{day}", row.error)
    if row.tries >= GIVEN_UP_AFTER:
        row.state, row.next_at = "failed", None
