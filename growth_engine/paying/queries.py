"""Selects of WeChat Pay's rows: attempts, refunds asked for, transfers, bills."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select, text

from growth_engine.channels.contract import PayCredentials
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.connections.queries import Connection
from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.orders.models import Payment, Refund
from growth_engine.paying import rules
from growth_engine.paying.models import PayAttempt, PayBill, PayTransfer, RefundRequest
from growth_engine.payouts.models import Payout
from growth_engine.people import queries as people


class NotConnected(Unavailable):
    code = "wechat_pay_not_connected"
    message = N_("WeChat Pay is not connected yet.")


class OtherMerchant(NotConnected):
    code = "wechat_pay_other_merchant"
    message = N_("The merchant number of the account was changed while money was under way.")


class UnknownRefund(NotFound):
    code = "refund_request_not_found"
    message = N_("There is no such refund.")


class UnknownTransfer(NotFound):
    code = "transfer_not_found"
    message = N_("This withdrawal has not been sent through WeChat Pay.")


class UnknownBill(NotFound):
    code = "bill_not_found"
    message = N_("There is no bill of this account and day.")


# -- the merchant's account --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Merchant:
    """A connected account as calls need it."""

    account_id: str
    credentials: PayCredentials
    settings: Mapping[str, str]

    @property
    def mch_id(self) -> str:
        return self.credentials.mch_id

    @property
    def app_id(self) -> str:
        return self.credentials.app_id


def merchants(ctx: Ctx) -> list[Merchant]:
    """The merchant accounts that are in use, the oldest first."""
    return [_merchant(one) for one in connections.connections(ctx, rules.PROVIDER)]


def merchant(ctx: Ctx, account_id: str = "") -> Merchant:
    """One of them; without a name the one that new business goes through. Raises ``NotConnected``.

    A disabled one is found by its name: what was begun through it must come to its end.
    """
    if account_id:
        return _merchant(connections.connection(ctx, account_id))
    found = merchants(ctx)
    if not found:
        raise NotConnected
    return found[0]


def ready(ctx: Ctx) -> bool:
    """Whether buyers can pay through WeChat Pay and withdrawals be sent through it."""
    return any(row.state != "disabled" for row in connections.accounts(ctx, rules.PROVIDER))


def _merchant(of: Connection) -> Merchant:
    return Merchant(of.id, credentials.pay(of), of.settings)


#: Followers carry the account they follow; the page that signs people in proves openids as well.
_OPENID = text(
    "SELECT f.person FROM followers f JOIN channel_accounts a ON a.id = f.account_id"
    " WHERE f.contact_id = ANY(:family) AND a.provider = 'wechat_oa' AND a.ids->>'appid' = :app_id"
    " ORDER BY f.here DESC, f.first_seen_at DESC LIMIT 1"
)


def openid_of(ctx: Ctx, contact_id: str, app_id: str) -> str:
    """Who a contact is in the Official Account ``app_id``; empty when that is not known."""
    family = people.contact_family(ctx, contact_id)
    found: str | None = ctx.session.scalar(_OPENID, {"family": family, "app_id": app_id})
    if found:
        return found
    known = [
        one for rows in people.identities_of(ctx, family).values() for one in rows if one.kind == "openid"
    ]
    # Proven ones first, then the latest: nothing says which account an identity is of.
    known.sort(key=lambda one: (one.verified_at is not None, one.created_at), reverse=True)
    return known[0].value if known else ""


# -- attempts ----------------------------------------------------------------------------------------


def attempt(ctx: Ctx, number: str, *, lock: bool = False) -> PayAttempt | None:
    query = select(PayAttempt).where(PayAttempt.workspace_id == ctx.workspace_id, PayAttempt.number == number)
    return ctx.session.scalar(
        query.with_for_update() if lock else query, execution_options={"populate_existing": True}
    )


def attempts_of(ctx: Ctx, order_id: str, *, lock: bool = False) -> Sequence[PayAttempt]:
    """Of an order, the first one first."""
    query = select(PayAttempt).where(
        PayAttempt.workspace_id == ctx.workspace_id, PayAttempt.order_id == order_id
    )
    query = query.order_by(PayAttempt.turn)
    return ctx.session.scalars(
        query.with_for_update() if lock else query, execution_options={"populate_existing": True}
    ).all()


def attempts_named(ctx: Ctx, numbers: Collection[str]) -> Mapping[str, PayAttempt]:
    query = select(PayAttempt).where(
        PayAttempt.workspace_id == ctx.workspace_id, PayAttempt.number.in_(numbers)
    )
    return {one.number: one for one in ctx.session.scalars(query)}


def paid_between(ctx: Ctx, account_id: str, begins: datetime, ends: datetime) -> Sequence[PayAttempt]:
    """Attempts whose money came, as the platform says, in a span of time."""
    query = select(PayAttempt).where(
        PayAttempt.account_id == account_id, PayAttempt.paid_at >= begins, PayAttempt.paid_at < ends
    )
    return ctx.session.scalars(query.order_by(PayAttempt.number)).all()


def payments_known(ctx: Ctx, transaction_ids: Collection[str]) -> set[str]:
    """Those of WeChat Pay's transactions that the books have."""
    query = select(Payment.external_id).where(
        Payment.workspace_id == ctx.workspace_id,
        Payment.provider == rules.PROVIDER,
        Payment.external_id.in_(transaction_ids),
    )
    return set(ctx.session.scalars(query))


# -- refunds -----------------------------------------------------------------------------------------


def refund(ctx: Ctx, refund_id: str, *, lock: bool = False) -> RefundRequest | None:
    query = select(RefundRequest).where(
        RefundRequest.workspace_id == ctx.workspace_id, RefundRequest.id == refund_id
    )
    return ctx.session.scalar(
        query.with_for_update() if lock else query, execution_options={"populate_existing": True}
    )


def refunds_of(ctx: Ctx, order_id: str) -> Sequence[RefundRequest]:
    """Of an order, the first one first."""
    query = select(RefundRequest).where(
        RefundRequest.workspace_id == ctx.workspace_id, RefundRequest.order_id == order_id
    )
    return ctx.session.scalars(query.order_by(RefundRequest.requested_at, RefundRequest.id)).all()


def refunds_named(ctx: Ctx, ids: Collection[str]) -> Mapping[str, RefundRequest]:
    query = select(RefundRequest).where(
        RefundRequest.workspace_id == ctx.workspace_id, RefundRequest.id.in_(ids)
    )
    return {one.id: one for one in ctx.session.scalars(query)}


def asked_between(ctx: Ctx, account_id: str, begins: datetime, ends: datetime) -> Sequence[RefundRequest]:
    """Refunds that were sent in a span of time and that WeChat Pay took."""
    query = select(RefundRequest).where(
        RefundRequest.account_id == account_id,
        RefundRequest.asked_at >= begins,
        RefundRequest.asked_at < ends,
        RefundRequest.refund_id != "",
    )
    return ctx.session.scalars(query.order_by(RefundRequest.id)).all()


def refunds_in_books(ctx: Ctx, ids: Collection[str]) -> set[str]:
    query = select(Refund.external_id).where(
        Refund.workspace_id == ctx.workspace_id,
        Refund.provider == rules.PROVIDER,
        Refund.external_id.in_(ids),
    )
    return set(ctx.session.scalars(query))


# -- transfers ---------------------------------------------------------------------------------------


def transfer(ctx: Ctx, payout_id: str, *, lock: bool = False) -> PayTransfer | None:
    query = select(PayTransfer).where(
        PayTransfer.workspace_id == ctx.workspace_id, PayTransfer.payout_id == payout_id
    )
    return ctx.session.scalar(
        query.with_for_update() if lock else query, execution_options={"populate_existing": True}
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the phone page needs to have a withdrawal confirmed."""

    payout_id: str
    amount: int
    """In fen."""
    until: datetime | None
    call: Mapping[str, str]
    """Arguments of WeChat's ``requestMerchantTransfer``: mchId, appId, package."""


def confirmation(ctx: Ctx, payout_id: str) -> Confirmation | None:
    """What a person still has to confirm; ``None``: nothing (any more)."""
    row = transfer(ctx, payout_id)
    if row is None or row.state != rules.WAITS_FOR_PERSON or not row.package:
        return None
    if row.confirm_until is not None and row.confirm_until <= ctx.now():
        return None
    call = {"mchId": row.mch_id, "appId": row.app_id, "package": row.package}
    return Confirmation(row.payout_id, row.amount, row.confirm_until, call)


def transfers_numbered(ctx: Ctx, numbers: Collection[str]) -> Mapping[str, PayTransfer]:
    query = select(PayTransfer).where(
        PayTransfer.workspace_id == ctx.workspace_id, PayTransfer.number.in_(numbers)
    )
    return {one.number: one for one in ctx.session.scalars(query)}


def transfers_by_bill(ctx: Ctx, bill_numbers: Collection[str]) -> Mapping[str, PayTransfer]:
    query = select(PayTransfer).where(
        PayTransfer.workspace_id == ctx.workspace_id, PayTransfer.bill_no.in_(bill_numbers)
    )
    return {one.bill_no: one for one in ctx.session.scalars(query)}


def transfers_made_between(
    ctx: Ctx, account_id: str, begins: datetime, ends: datetime
) -> Sequence[PayTransfer]:
    query = select(PayTransfer).where(
        PayTransfer.account_id == account_id, PayTransfer.made_at >= begins, PayTransfer.made_at < ends
    )
    return ctx.session.scalars(query.order_by(PayTransfer.payout_id)).all()


def payout_states(ctx: Ctx, payout_ids: Collection[str]) -> Mapping[str, str]:
    query = select(Payout.id, Payout.state).where(
        Payout.workspace_id == ctx.workspace_id, Payout.id.in_(payout_ids)
    )
    return dict(ctx.session.execute(query).all())


# -- bills -------------------------------------------------------------------------------------------


def bill(ctx: Ctx, account_id: str, day: date, *, lock: bool = False) -> PayBill:
    """Raises ``UnknownBill``."""
    query = select(PayBill).where(
        PayBill.workspace_id == ctx.workspace_id, PayBill.account_id == account_id, PayBill.day == day
    )
    found = ctx.session.scalar(
        query.with_for_update() if lock else query, execution_options={"populate_existing": True}
    )
    if found is None:
        raise UnknownBill
    return found


def bills_page(
    ctx: Ctx, *, account_id: str = "", before: tuple[date, str] | None = None, limit: int = 50
) -> tuple[Sequence[PayBill], tuple[date, str] | None]:
    """Reports, the latest day first, and the ``before`` of the next page."""
    query = select(PayBill).where(PayBill.workspace_id == ctx.workspace_id)
    if account_id:
        query = query.where(PayBill.account_id == account_id)
    if before is not None:
        query = query.where(func.row(PayBill.day, PayBill.account_id) < func.row(*before))
    rows = ctx.session.scalars(
        query.order_by(PayBill.day.desc(), PayBill.account_id.desc()).limit(limit + 1)
    ).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], (last.day, last.account_id) if last is not None else None
