"""Money back through WeChat Pay: asked for under a number that never changes, followed to its end, posted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wechat_pay import NewRefund, Refund, Refunds
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger import alerts
from growth_engine.ledger.contract import PayloadMismatch
from growth_engine.orders import queries as orders
from growth_engine.orders import rules as order_rules
from growth_engine.orders import service
from growth_engine.paying import attempts, calls, queries, rules
from growth_engine.paying.models import PayAttempt, RefundRequest

log = structlog.get_logger(__name__)

BATCH = 20
#: Without money, or while a person must act, asking more often changes nothing.
SLOW = timedelta(minutes=30)
#: Topics of alerts, their subject is the refund's number.
ABNORMAL, DISPUTED = "wechat_pay.refund_abnormal", "wechat_pay.refund_disputed"
SURPLUS = "wechat_pay.refund_surplus"

_CLAIM = text(
    "WITH due AS MATERIALIZED (SELECT id FROM refund_requests"
    "  WHERE workspace_id = :workspace_id AND next_at <= :now"
    "  AND (CAST(:id AS text) IS NULL OR id = :id)"
    "  ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE refund_requests SET next_at = :until, asked_at = CASE state WHEN 'asked'"
    "   THEN coalesce(asked_at, :now) ELSE asked_at END"
    " FROM due WHERE refund_requests.workspace_id = :workspace_id AND refund_requests.id = due.id"
    " RETURNING refund_requests.id"
)
#: One refund of an order is decided about at a time.
_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended('refund:' || :order_id, 0))")


class NothingToRefund(Conflict):
    code = "nothing_to_refund"
    message = N_("Of what came through WeChat Pay at most %(left)s fen can go back at once.")


class RefundCollided(Conflict):
    code = "payload_mismatch"
    status = 422
    message = N_("There is a refund of this number already, of another amount or order.")


# -- asking ------------------------------------------------------------------------------------------


def request(
    parts: Parts,
    workspace_id: str,
    order_id: str,
    *,
    refund_id: str,
    amount: int,
    reason: str,
    by: str,
    restock: bool = False,
) -> RefundRequest:
    """Give ``amount`` fen of an order back through WeChat Pay; the request as it stands after a first try.

    The same ``refund_id`` again is the same refund. Raises ``UnknownOrder``, ``NothingToRefund``,
    ``RefundCollided``, ``Invalid``.
    """
    order_rules.check_amount(amount)
    with parts.open(workspace_id) as ctx:
        ctx.session.execute(_HOLD, {"order_id": order_id})
        row = queries.refund(ctx, refund_id)
        if row is None:
            row = _begin(ctx, order_id, refund_id, amount, reason[:200], by, restock=restock)
        elif (row.order_id, row.amount) != (order_id, amount):
            raise RefundCollided
    if row.next_at is not None:
        settle_one(parts, workspace_id, refund_id)
        with parts.open(workspace_id) as ctx:
            row = queries.refund(ctx, refund_id) or row
    return row


def _begin(
    ctx: Ctx, order_id: str, refund_id: str, amount: int, reason: str, by: str, *, restock: bool
) -> RefundRequest:
    order = orders.order(ctx, order_id)
    earlier = queries.refunds_of(ctx, order_id)
    paid = [one for one in queries.attempts_of(ctx, order_id) if one.state == "paid"]
    under_way = sum(one.amount for one in earlier if one.state not in rules.REFUND_ENDED)
    left = {one.number: one.amount - _gone(one, earlier) for one in paid}
    most = min(max(left.values(), default=0), order.total - order.refunded - under_way)
    if amount > most:
        raise NothingToRefund(params={"left": max(most, 0)})
    attempt = next(one for one in reversed(paid) if left[one.number] >= amount)
    last = max(
        (one.asked_at or one.requested_at for one in earlier if one.number == attempt.number), default=None
    )
    now = ctx.now()
    row = insert(RefundRequest).values(
        workspace_id=ctx.workspace_id,
        id=refund_id,
        order_id=order_id,
        account_id=attempt.account_id,
        number=attempt.number,
        total=attempt.amount,
        amount=amount,
        currency=attempt.currency,
        reason=reason,
        restock=restock,
        state="asked",
        refund_id="",
        error="",
        tries=0,
        # WeChat Pay wants them a minute apart: this one waits for its turn.
        next_at=now if last is None else max(now, last + rules.REFUNDS_APART),
        requested_by=by,
        requested_at=now,
    )
    return ctx.session.scalars(row.returning(RefundRequest)).one()


def _gone(attempt: PayAttempt, earlier: Sequence[RefundRequest]) -> int:
    return sum(one.amount for one in earlier if one.number == attempt.number and one.state != "failed")


def adopt(ctx: Ctx, attempt: PayAttempt, refund_id: str, amount: int) -> bool:
    """Take in a refund somebody made on the merchant platform; the job asks for it and posts it.

    False when it is known already.
    """
    row = insert(RefundRequest).values(
        workspace_id=ctx.workspace_id,
        id=refund_id,
        order_id=attempt.order_id,
        account_id=attempt.account_id,
        number=attempt.number,
        total=attempt.amount,
        amount=amount,
        currency=attempt.currency,
        reason="",
        state="processing",
        refund_id="",
        error="",
        tries=0,
        next_at=ctx.now(),
        requested_by=rules.PROVIDER,
        requested_at=ctx.now(),
    )
    made = ctx.session.scalar(row.on_conflict_do_nothing().returning(RefundRequest.id))
    if made is not None:
        ctx.ring("paying.refunds")
    return made is not None


# -- following it to its end -------------------------------------------------------------------------


def settle_due(parts: Parts, workspace_id: str) -> int:
    """Look at what is due, a batch of it; how many."""
    for done in range(BATCH):
        if not settle_one(parts, workspace_id):
            return done
    return BATCH


def settle_one(parts: Parts, workspace_id: str, refund_id: str | None = None) -> bool:
    """Look at one that is due (this one, if named); False when there is none."""
    now = parts.clock.now()
    names = {"workspace_id": workspace_id, "now": now, "until": now + rules.LEASE, "id": refund_id}
    with parts.open(workspace_id) as ctx:
        claimed = ctx.session.scalar(_CLAIM, names)
        row = queries.refund(ctx, claimed) if claimed else None
        paid = queries.attempt(ctx, row.number) if row is not None else None
        merchant = calls.same_merchant(ctx, paid.account_id, paid.mch_id) if paid is not None else None
        if row is not None and merchant is None:
            _later(ctx, row, error=queries.OtherMerchant.code)
    if row is None:
        return False
    if row.state != "told" and merchant is not None:
        api = Refunds(calls.client(parts, merchant))
        _ask(parts, workspace_id, api, row)
    post(parts, workspace_id, row.id)
    return True


def _ask(parts: Parts, workspace_id: str, api: Refunds, row: RefundRequest) -> None:
    """Send it, or ask how it stands. On any doubt the same number is sent again (sheet §4.6)."""
    try:
        if row.state == "asked":
            found: Refund | None = api.ask(
                NewRefund(
                    out_refund_no=row.id,
                    out_trade_no=row.number,
                    refund=row.amount,
                    total=row.total,
                    reason=row.reason[: rules.LONGEST_REASON],
                    notify_url=calls.notify_url_if_any(parts, row.account_id),
                    currency=row.currency,
                )
            )
        else:
            found = api.find(row.id)
    except ChannelError as error:
        with parts.open(workspace_id) as ctx:
            _failed(ctx, row, error)
        return
    with parts.open(workspace_id) as ctx:
        calls.note_success(ctx, row.account_id, spent=row.state == "asked")
        if found is None:
            _later(ctx, row, error="not found")
        else:
            hear(ctx, found)


def _failed(ctx: Ctx, row: RefundRequest, error: ChannelError) -> None:
    if isinstance(error, GoneForGood) and row.state == "asked":
        # Signed: there is no refund of this number, and there will be none.
        _to(ctx, row.id, ("asked",), state="failed", error=error.number, next_at=None, finished_at=ctx.now())
        return
    calls.note_trouble(ctx, row.account_id, error)
    slow = SLOW if error.reason is Reason.FUNDS else timedelta(0)
    _later(ctx, row, error=f"{error.operation}: {error.number}", at_least=slow)


def hear(ctx: Ctx, told: Refund) -> str:
    """WeChat Pay says how a refund stands: believed when it is the one we know; its state, or ``foreign``."""
    row = queries.refund(ctx, told.out_refund_no, lock=True)
    if row is None:
        return "foreign"
    # Refused, and done after all: another request of ours was slower on its way. The money has moved.
    after_all = row.state == "failed" and told.state == "SUCCESS"
    if row.state in ("told", *rules.REFUND_ENDED) and not after_all:
        return row.state
    wrong = rules.wrong_with_refund(told, row.number, row.id, row.amount)
    if wrong:
        detail = "; ".join(wrong)
        if row.settled_at is None:
            alerts.raise_alert(ctx, DISPUTED, row.id, f"order {row.order_id}: {detail}")
        row.state, row.error, row.next_at = "disputed", detail[:200], None
        return row.state
    row.refund_id, row.error = told.refund_id or row.refund_id, ""
    row.asked_at = row.asked_at or ctx.now()
    match told.state:
        case "SUCCESS":
            row.state, row.refunded_at = "told", told.refunded_at or ctx.now()
            row.tries, row.next_at, row.finished_at = 0, ctx.now(), None
            ctx.ring("paying.refunds")
        case "CLOSED":
            row.state, row.error, row.next_at, row.finished_at = "failed", "closed", None, ctx.now()
        case "ABNORMAL":
            row.state = "abnormal"
            alerts.raise_alert(
                ctx,
                ABNORMAL,
                row.id,
                f"order {row.order_id}: the buyer's account does not take {row.amount} fen",
            )
            _plan(ctx, row, SLOW)
        case _:
            row.state = "processing"
            _plan(ctx, row)
    return row.state


def post(parts: Parts, workspace_id: str, refund_id: str) -> str:
    """Take a refund that was told to the books; its state then."""
    with parts.open(workspace_id) as ctx:
        row = queries.refund(ctx, refund_id)
        attempt = queries.attempt(ctx, row.number) if row is not None else None
    if row is None or row.state != "told":
        return row.state if row is not None else "foreign"
    if attempt is not None and attempt.state not in rules.KNOWN:
        attempts.look(parts, workspace_id, attempt)  # what goes back came before: nobody told us
    with parts.open(workspace_id) as ctx:
        if _never_in_books(ctx, row):
            return _given_back(ctx, row)
    try:
        outcome = service.give_refund(
            parts,
            workspace_id,
            row.order_id,
            provider=rules.PROVIDER,
            external_id=row.id,
            amount=row.amount,
            currency=row.currency,
            reason=row.reason,
            restock=row.restock,
        )
    except Unavailable:
        return "told"  # the books are busy; the lease runs out and it is sent again
    except (PayloadMismatch, Invalid) as error:
        with parts.open(workspace_id) as ctx:
            alerts.raise_alert(ctx, DISPUTED, row.id, f"order {row.order_id}: {error.code}")
            _to(ctx, row.id, ("told",), state="disputed", error=error.code, next_at=None)
        return "disputed"
    codes = ", ".join(one.code for one in outcome.reasons)
    state = "done" if outcome.accepted else "surplus"
    with parts.open(workspace_id) as ctx:
        _to(
            ctx, row.id, ("told",), state=state, error="" if outcome.accepted else codes, next_at=None,
            finished_at=ctx.now(),
        )  # fmt: skip
        alerts.clear(ctx, ABNORMAL, row.id)
        if not outcome.accepted:
            alerts.raise_alert(
                ctx, SURPLUS, row.id, f"{row.amount} fen went back for {row.order_id}: {codes}"
            )
    return state


def _never_in_books(ctx: Ctx, row: RefundRequest) -> bool:
    """Whether the money that went back is money the books never took: paid twice, or not what we asked for.
    The order knows nothing of it, so its own payment and what it earned stand."""
    attempt = queries.attempt(ctx, row.number)
    return attempt is not None and attempt.state in ("surplus", "disputed")


def _given_back(ctx: Ctx, row: RefundRequest) -> str:
    """Staff gave back what was too much; once all of it is back nobody needs to look any more."""
    _to(ctx, row.id, ("told",), state="done", error="", next_at=None, finished_at=ctx.now())
    alerts.clear(ctx, ABNORMAL, row.id)
    earlier = queries.refunds_of(ctx, row.order_id)
    back = sum(one.amount for one in earlier if (one.number, one.state) == (row.number, "done"))
    if back >= row.total:
        alerts.clear(ctx, attempts.SURPLUS, row.number)
    return "done"


# -- writing it down ---------------------------------------------------------------------------------


def _plan(ctx: Ctx, row: RefundRequest, at_least: timedelta = timedelta(0)) -> None:
    row.tries += 1
    row.next_at = ctx.now() + max(rules.wait(row.tries - 1), at_least)


def _later(ctx: Ctx, row: RefundRequest, *, error: str, at_least: timedelta = timedelta(0)) -> None:
    due = ctx.now() + max(rules.wait(row.tries), at_least)
    _to(
        ctx, row.id, ("asked", "processing", "abnormal"), tries=row.tries + 1, next_at=due, error=error[:200]
    )  # fmt: skip


def _to(ctx: Ctx, refund_id: str, before: Sequence[str], **values: object) -> None:
    """Change a row that is in one of these states still."""
    ctx.session.execute(
        update(RefundRequest)
        .where(
            RefundRequest.workspace_id == ctx.workspace_id,
            RefundRequest.id == refund_id,
            RefundRequest.state.in_(before),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
