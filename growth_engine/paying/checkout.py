"""Having an order paid: an attempt is written down before WeChat Pay hears of it, and replaced only when the
one before can no longer be paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wechat_pay import NewOrder, Orders
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.orders import queries as orders
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer
from growth_engine.paying import attempts, calls, queries, rules
from growth_engine.paying.models import PayAttempt
from growth_engine.paying.queries import Merchant

log = structlog.get_logger(__name__)

#: Closing one attempt and beginning another takes two rounds; a third for whoever raced us.
ROUNDS = 4


class NotPayable(Conflict):
    code = "order_not_payable"
    message = N_("Nothing can be paid for this order any more.")


class BeingPaid(Conflict):
    code = "order_being_paid"
    message = N_("WeChat Pay has the money for this order already. The page shows it in a moment.")


class UnderReview(Conflict):
    code = "order_under_review"
    message = N_("A payment for this order is being looked at by the merchant. Please do not pay again.")


class WrongCurrency(Conflict):
    code = "wechat_pay_currency"
    message = N_("WeChat Pay takes CNY only.")


class CheckoutRefused(Conflict):
    code = "wechat_pay_refused"
    message = N_("WeChat Pay refused the order (%(number)s).")


class CheckoutBusy(Unavailable):
    code = "wechat_pay_busy"
    message = N_("WeChat Pay does not answer right now. Try again: nothing is paid twice.")


@dataclass(frozen=True, slots=True)
class _Step:
    """What comes next with an attempt."""

    do: Literal["show", "place", "close"]
    attempt: PayAttempt
    merchant: Merchant


def checkout(parts: Parts, workspace_id: str, order_id: str, payer: Payer) -> Checkout:
    """What the buyer's page hands to WeChat: a signed JSAPI request when ``payer`` has an openid in the
    account, else the text of a code to scan.

    Raises ``NotPayable``, ``BeingPaid``, ``UnderReview``, ``WrongCurrency``, ``NotConnected``,
    ``CheckoutRefused``, ``CheckoutBusy``.
    """
    for _ in range(ROUNDS):
        with parts.open(workspace_id) as ctx:
            step = _next_step(ctx, order_id, payer.openid or "")
        if step is None:
            continue
        api = Orders(calls.client(parts, step.merchant))
        if step.do == "close":
            _close(parts, workspace_id, api, step.attempt)
            continue
        if step.do == "show":
            return _shown(api, step.attempt, step.attempt.token)
        token = _place(parts, workspace_id, api, step.attempt)
        if token:
            return _shown(api, step.attempt, token)
    raise CheckoutBusy


def _shown(api: Orders, attempt: PayAttempt, token: str) -> Checkout:
    data = api.page_call(token) if attempt.kind == "jsapi" else {"code_url": token}
    return Checkout(rules.PROVIDER, attempt.kind, data={**data, "number": attempt.number})


# -- what comes next ---------------------------------------------------------------------------------


def _next_step(ctx: Ctx, order_id: str, openid: str) -> _Step | None:
    """Decided on rows as they are now; ``None``: somebody else is a step ahead, look again."""
    order = orders.order(ctx, order_id)
    _require_payable(ctx, order)
    merchant = queries.merchant(ctx)
    before = queries.attempts_of(ctx, order.id, lock=True)
    if any(one.state == "disputed" and one.settled_at is None for one in before):
        raise UnderReview  # there is money somewhere: asking for more would be taking it twice
    if any(one.state == "told" for one in before):
        raise BeingPaid
    live = next((one for one in before if one.state in rules.LIVE), None)
    if live is None:
        made = _begin(ctx, order, merchant, openid, len(before) + 1)
        return _Step("place", made, merchant) if made is not None else None
    if live.state != "closing" and _fits(live, order, merchant, openid):
        if live.state == "open" and live.token_until is not None and live.token_until > ctx.now():
            return _Step("show", live, merchant)
        live.asked_at, live.tries = ctx.now(), 0
        live.next_at = rules.next_look(ctx.now(), 1, live.expires_at)
        return _Step("place", live, merchant)
    if live.state != "closing":
        if live.asked_at + rules.PLACING > ctx.now() and live.state == "placing":
            raise CheckoutBusy  # it may be on its way: closing what has not arrived yet closes nothing
        live.state, live.next_at, live.tries = "closing", ctx.now() + rules.LEASE, 0
    own = queries.merchant(ctx, live.account_id)
    if own.mch_id != live.mch_id:
        raise queries.OtherMerchant  # it may be paid there still, and nobody here could tell
    return _Step("close", live, own)


def _require_payable(ctx: Ctx, order: Order) -> None:
    if order.currency != rules.CURRENCY:
        raise WrongCurrency
    over = order.expires_at is not None and order.expires_at <= ctx.now()
    if order.state != "placed" or order.paid >= order.total or over:
        raise NotPayable


def _fits(attempt: PayAttempt, order: Order, merchant: Merchant, openid: str) -> bool:
    """Whether this attempt asks the same of the same person through the same account."""
    asks = (attempt.account_id, attempt.mch_id, attempt.app_id, attempt.amount, attempt.expires_at)
    due = order.total - order.paid
    wanted = (merchant.account_id, merchant.mch_id, merchant.app_id, due, order.expires_at)
    return asks == wanted and (attempt.kind, attempt.openid) == (_kind(openid), openid)


def _kind(openid: str) -> str:
    return "jsapi" if openid else "native"


def _begin(ctx: Ctx, order: Order, merchant: Merchant, openid: str, turn: int) -> PayAttempt | None:
    lines = orders.lines(ctx, [order.id]).get(order.id, ())
    now = ctx.now()
    row = insert(PayAttempt).values(
        number=rules.trade_number(order.id, turn),
        workspace_id=ctx.workspace_id,
        account_id=merchant.account_id,
        order_id=order.id,
        turn=turn,
        kind=_kind(openid),
        mch_id=merchant.mch_id,
        app_id=merchant.app_id,
        openid=openid,
        amount=order.total - order.paid,
        currency=order.currency,
        description=rules.description([(one.name, one.quantity) for one in lines]),
        notify_url=calls.notify_url(ctx.parts, merchant.account_id),
        expires_at=order.expires_at,
        state="placing",
        token="",
        transaction_id="",
        tries=0,
        next_at=rules.next_look(now, 1, order.expires_at),
        error="",
        made_at=now,
        asked_at=now,
    )
    return ctx.session.scalar(row.on_conflict_do_nothing().returning(PayAttempt))


# -- asking WeChat Pay -------------------------------------------------------------------------------


def _place(parts: Parts, workspace_id: str, api: Orders, attempt: PayAttempt) -> str:
    """Its token; empty when another attempt is called for. Sending it again is the same request."""
    asked_at = parts.clock.now()
    try:
        order = NewOrder(
            out_trade_no=attempt.number,
            description=attempt.description,
            total=attempt.amount,
            notify_url=attempt.notify_url,
            expires_at=attempt.expires_at,
            currency=attempt.currency,
        )
        token = api.place_jsapi(order, attempt.openid) if attempt.kind == "jsapi" else api.place_native(order)
    except GoneForGood as error:
        _refused(parts, workspace_id, attempt, error)
        return ""
    except ChannelError as error:
        with parts.open(workspace_id) as ctx:
            attempts.note_error(ctx, attempt.number, error)
        raise CheckoutBusy from error
    except Invalid as error:  # said by our own check: it was not sent
        with parts.open(workspace_id) as ctx:
            attempts.end(ctx, attempt.number, "refused", str(error))
        raise CheckoutRefused(params={"number": error.params.get("what", error.code)}) from None
    with parts.open(workspace_id) as ctx:
        kept = ctx.session.scalar(
            update(PayAttempt)
            .where(
                PayAttempt.workspace_id == workspace_id,
                PayAttempt.number == attempt.number,
                PayAttempt.state.in_(["placing", "open"]),
            )
            .values(state="open", token=token, token_until=_good_until(attempt, token, asked_at), error="")
            .returning(PayAttempt.number)
        )
        calls.note_success(ctx, attempt.account_id)
    return token if kept else ""


def _good_until(attempt: PayAttempt, token: str, asked_at: datetime) -> datetime:
    """How long a token may be handed out: asked again, WeChat Pay may answer with the one it gave before."""
    if token == attempt.token and attempt.token_until is not None:
        return attempt.token_until
    first = attempt.made_at + rules.TOKEN_LIFE
    return first if not attempt.token and asked_at < first else asked_at + rules.TOKEN_LIFE


def _refused(parts: Parts, workspace_id: str, attempt: PayAttempt, error: GoneForGood) -> None:
    """A signed no: paid meanwhile, closed meanwhile, or never to be."""
    if error.reason is Reason.TOO_LATE:
        with parts.open(workspace_id) as ctx:
            attempts.end(ctx, attempt.number, "closed")
        return
    found = attempts.look(parts, workspace_id, attempt)
    if found in rules.PAID:
        raise BeingPaid
    if found == "absent":
        with parts.open(workspace_id) as ctx:
            attempts.end(ctx, attempt.number, "refused", error.number)
        raise CheckoutRefused(params={"number": error.number})
    if found != "closed":
        raise CheckoutBusy


def _close(parts: Parts, workspace_id: str, api: Orders, attempt: PayAttempt) -> None:
    """Have an attempt closed that another is to follow."""
    outcome = attempts.close(parts, workspace_id, api, attempt)
    if outcome in rules.PAID:
        raise BeingPaid
    if outcome != "closed":
        raise CheckoutBusy
