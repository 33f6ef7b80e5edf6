"""What becomes of attempts: asked about until they are paid or can no longer be, then taken to the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import text, update

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wechat_pay import Orders, Transaction
from growth_engine.channels.wechat_pay.shapes import UNPAID_FOR_GOOD
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Invalid, Unavailable
from growth_engine.ledger import alerts
from growth_engine.ledger.contract import PayloadMismatch
from growth_engine.orders import queries as orders
from growth_engine.orders import service
from growth_engine.orders.service import Came, Outcome
from growth_engine.paying import calls, queries, rules
from growth_engine.paying.models import PayAttempt
from growth_engine.paying.rules import Asked

log = structlog.get_logger(__name__)

BATCH = 20
#: Topics of alerts: a payment that is not the one asked for, one the books refused, one for what is gone.
DISPUTED, SURPLUS = "wechat_pay.payment_disputed", "wechat_pay.payment_surplus"
SOLD_OUT = "wechat_pay.sold_out"

_CLAIM = text(
    "WITH due AS MATERIALIZED (SELECT number FROM pay_attempts"
    "  WHERE workspace_id = :workspace_id AND next_at <= :now"
    "  ORDER BY next_at, number LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE pay_attempts SET next_at = :until FROM due WHERE pay_attempts.number = due.number"
    " RETURNING pay_attempts.number"
)


def settle_due(parts: Parts, workspace_id: str) -> int:
    """Look at what is due, a batch of it; how many."""
    for done in range(BATCH):
        now = parts.clock.now()
        names = {"workspace_id": workspace_id, "now": now, "until": now + rules.LEASE}
        with parts.open(workspace_id) as ctx:
            number = ctx.session.scalar(_CLAIM, names)
            row = queries.attempt(ctx, number) if number else None
        if row is None:
            return done
        _settle(parts, workspace_id, row)
    return BATCH


def _settle(parts: Parts, workspace_id: str, row: PayAttempt) -> None:
    if row.state == "told":
        post(parts, workspace_id, row.number)
        return
    found = look(parts, workspace_id, row)
    if found == "absent":
        _absent(parts, workspace_id, row)
    elif found == "open" and not _is_wanted(parts, workspace_id, row):
        with parts.open(workspace_id) as ctx:
            closing = _to(ctx, row.number, ("placing", "open"), state="closing")
            merchant = queries.merchant(ctx, row.account_id)
        if closing or row.state == "closing":
            close(parts, workspace_id, Orders(calls.client(parts, merchant)), row)


def _absent(parts: Parts, workspace_id: str, row: PayAttempt) -> None:
    """WeChat Pay knows no such order: it never arrived, and nobody will have it paid by itself."""
    wanted = row.state == "placing" and _is_wanted(parts, workspace_id, row)
    with parts.open(workspace_id) as ctx:
        if wanted:
            _later(ctx, row)
        else:
            end(ctx, row.number, "closed", "absent")


def _is_wanted(parts: Parts, workspace_id: str, row: PayAttempt) -> bool:
    """Whether the order still waits for this very payment."""
    with parts.open(workspace_id) as ctx:
        order = orders.order(ctx, row.order_id)
        due = order.state == "placed" and order.total - order.paid == row.amount
        over = row.expires_at is not None and row.expires_at <= ctx.now()
        return due and not over and row.state != "closing"


# -- asking ------------------------------------------------------------------------------------------


def look(parts: Parts, workspace_id: str, row: PayAttempt) -> str:
    """Ask WeChat Pay how an attempt stands and write it down: paid, told, closed, disputed, open, absent
    (it knows no such order), or unknown (no answer)."""
    with parts.open(workspace_id) as ctx:
        merchant = calls.same_merchant(ctx, row.account_id, row.mch_id)
        if merchant is None:
            _later(ctx, row)
            return "unknown"
    try:
        found = Orders(calls.client(parts, merchant)).by_number(row.number)
    except ChannelError as error:
        with parts.open(workspace_id) as ctx:
            note_error(ctx, row.number, error)
            _later(ctx, row)
        return "unknown"
    if found is None:
        return "absent"
    with parts.open(workspace_id) as ctx:
        calls.note_success(ctx, row.account_id)
        if found.paid:
            told = hear(ctx, found)
        elif found.state in UNPAID_FOR_GOOD:
            end(ctx, row.number, "closed")
            return "closed"
        else:
            _later(ctx, row)
            return "open"
    return post(parts, workspace_id, row.number) if told == "told" else told


def close(parts: Parts, workspace_id: str, api: Orders, row: PayAttempt) -> str:
    """Have an attempt closed that is marked so; what became of it, in the words of ``look``."""
    try:
        api.close(row.number)
    except GoneForGood as error:
        if error.reason is Reason.ALREADY_DONE:
            return look(parts, workspace_id, row)  # somebody was quicker: pay against close
        if error.reason not in (Reason.TOO_LATE, Reason.NOT_FOUND):
            with parts.open(workspace_id) as ctx:
                note_error(ctx, row.number, error)
                _later(ctx, row)
            return "unknown"
    except ChannelError as error:
        with parts.open(workspace_id) as ctx:
            note_error(ctx, row.number, error)
            _later(ctx, row)
        return "unknown"
    with parts.open(workspace_id) as ctx:
        end(ctx, row.number, "closed")
    return "closed"


# -- what was said -----------------------------------------------------------------------------------


def hear(ctx: Ctx, told: Transaction) -> str:
    """WeChat Pay says that an attempt is paid: believed when it is what we asked for (rule 18).

    ``told`` (the job takes it to the books), ``paid`` or ``surplus`` (known before), ``disputed`` (an alert
    says why), or ``foreign`` (no attempt of ours).
    """
    row = queries.attempt(ctx, told.out_trade_no, lock=True)
    if row is None:
        return "foreign"
    asked = Asked(row.number, row.mch_id, row.app_id, row.amount, row.currency)
    wrong = rules.wrong_with_payment(told, asked)
    known = row.transaction_id
    if known and known != told.transaction_id:
        wrong.append(f"transaction_id is {told.transaction_id}, not {known}")
    if not told.transaction_id:
        wrong.append("no transaction_id")
    if wrong:
        dispute(ctx, row, wrong)
        return "disputed"
    if row.state in ("paid", "surplus"):
        return row.state
    row.state, row.transaction_id = "told", told.transaction_id
    row.paid_at = row.paid_at or told.paid_at or ctx.now()
    row.tries, row.next_at, row.error = 0, ctx.now(), ""
    ctx.ring("paying.attempts")
    return "told"


def dispute(ctx: Ctx, row: PayAttempt, wrong: Sequence[str]) -> None:
    """What was said is not what we asked for: nothing is taken to the books, people look at it."""
    detail = "; ".join(wrong)
    if row.settled_at is None:
        alerts.raise_alert(ctx, DISPUTED, row.number, f"order {row.order_id}: {detail}")
    row.error = detail[:200]
    if row.state in rules.PAID:
        return  # what was right before stays
    row.state, row.next_at, row.finished_at = "disputed", None, ctx.now()


def post(parts: Parts, workspace_id: str, number: str) -> str:
    """Take a payment that was told to the books; the attempt's state then."""
    with parts.open(workspace_id) as ctx:
        row = queries.attempt(ctx, number)
    if row is None or row.state != "told":
        return row.state if row is not None else "foreign"
    try:
        outcome = service.take_payment(
            parts,
            workspace_id,
            row.order_id,
            provider=rules.PROVIDER,
            external_id=row.transaction_id,
            amount=row.amount,
            currency=row.currency,
        )
    except Unavailable:
        return "told"  # the books are busy; the lease runs out and it is sent again
    except (PayloadMismatch, Invalid) as error:
        with parts.open(workspace_id) as ctx:
            detail = f"transaction {row.transaction_id} cannot go into the books: {error.code}"
            alerts.raise_alert(ctx, DISPUTED, number, detail)
            end(ctx, number, "disputed", error.code)
        return "disputed"
    with parts.open(workspace_id) as ctx:
        return _posted(ctx, row, outcome)


def post_many(parts: Parts, workspace_id: str, numbers: Sequence[str]) -> None:
    """The same for many at once (a bill that holds what no notice told)."""
    with parts.open(workspace_id) as ctx:
        rows = [one for one in queries.attempts_named(ctx, numbers).values() if one.state == "told"]
    came = [Came(one.order_id, rules.PROVIDER, one.transaction_id, one.amount, one.currency) for one in rows]
    try:
        outcomes = service.take_payments(parts, workspace_id, came) if came else []
    except (Unavailable, PayloadMismatch, Invalid):
        for row in rows:  # one of them is at fault: each by itself
            post(parts, workspace_id, row.number)
        return
    with parts.open(workspace_id) as ctx:
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is not None:
                _posted(ctx, row, outcome)


def _posted(ctx: Ctx, row: PayAttempt, outcome: Outcome) -> str:
    codes = [one.code for one in outcome.reasons]
    if not outcome.accepted:
        end(ctx, row.number, "surplus", ",".join(codes))
        detail = f"{row.amount} {row.currency} came for {row.order_id}: {', '.join(codes)}"
        alerts.raise_alert(ctx, SURPLUS, row.number, detail)
        return "surplus"
    end(ctx, row.number, "paid")
    alerts.clear(ctx, DISPUTED, row.number)
    if "sold_out_paid" in codes:
        alerts.raise_alert(ctx, SOLD_OUT, row.order_id, f"{row.number} was paid and there is nothing left")
    return "paid"


# -- writing it down ---------------------------------------------------------------------------------


def end(ctx: Ctx, number: str, state: str, error: str = "") -> None:
    """An attempt is over; who wanted to pay is forgotten."""
    before = ("told",) if state in ("paid", "surplus", "disputed") else ("placing", "open", "closing")
    _to(
        ctx, number, before, state=state, error=error[:200], next_at=None, finished_at=ctx.now(), openid="",
        token="",
    )  # fmt: skip


def note_error(ctx: Ctx, number: str, error: ChannelError) -> None:
    row = queries.attempt(ctx, number)
    if row is not None and row.state in rules.LIVE:
        row.error = f"{error.operation}: {error.number}"[:200]
        calls.note_trouble(ctx, row.account_id, error)


def _later(ctx: Ctx, row: PayAttempt) -> None:
    now: datetime = ctx.now()
    due = rules.next_look(now, row.tries + 1, row.expires_at)
    _to(ctx, row.number, ("placing", "open", "closing"), tries=row.tries + 1, next_at=due)


def _to(ctx: Ctx, number: str, before: Sequence[str], **values: object) -> bool:
    """Change a row that is in one of these states still; whether it was."""
    changed = ctx.session.scalar(
        update(PayAttempt)
        .where(
            PayAttempt.workspace_id == ctx.workspace_id,
            PayAttempt.number == number,
            PayAttempt.state.in_(before),
        )
        .values(**values)
        .returning(PayAttempt.number)
        .execution_options(synchronize_session=False)
    )
    return changed is not None
