"""Withdrawals as transfers to people: one number each, confirmed by the person within a day, or back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert

from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wechat_pay import NewTransfer, Transfer, Transfers
from growth_engine.channels.wechat_pay.shapes import TRANSFERRED
from growth_engine.channels.wechat_pay.transfers import (
    NAME_REQUIRED_FROM,
    REPORTS,
    SCENE_COMMISSION,
    SMALLEST,
)
from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.ledger import alerts
from growth_engine.paying import calls, queries, rules
from growth_engine.paying.models import PayTransfer
from growth_engine.paying.queries import Merchant, NotConnected, OtherMerchant
from growth_engine.payouts import queries as payouts
from growth_engine.payouts import sending, texts
from growth_engine.payouts.providers import Ask, Failed, Found, Paid, Sent, Unknown, Unseen
from growth_engine.payouts.rules import FINAL
from growth_engine.people import queries as people
from growth_engine.people.models import Message

log = structlog.get_logger(__name__)

BATCH = 50
#: Topic of alerts whose subject is the withdrawal: what the platform says is not what we sent.
DISPUTED: Final = "wechat_pay.transfer_disputed"
#: Before the platform's first word, and after it refused for good.
SENDING, REFUSED = "SENDING", "REFUSED"
#: What the scene wants reported, and what the person reads, unless the account's settings say otherwise.
DEFAULTS: Final[Mapping[str, str]] = {
    "transfer_scene": SCENE_COMMISSION,
    "transfer_job": "推广员",
    "transfer_note": "推广佣金",
}

_DUE = text(
    "WITH due AS MATERIALIZED (SELECT payout_id FROM pay_transfers"
    "  WHERE workspace_id = :workspace_id AND next_at <= :now"
    "  ORDER BY next_at, payout_id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE pay_transfers SET next_at = :until FROM due WHERE pay_transfers.payout_id = due.payout_id"
    " RETURNING pay_transfers.payout_id"
)


class CannotCancel(Conflict):
    code = "transfer_not_cancellable"
    message = N_("WeChat Pay does not take this transfer back any more (%(state)s).")


# -- sending -----------------------------------------------------------------------------------------


def send(parts: Parts, ask: Ask) -> Sent:
    """Send a withdrawal, or send it again: the same number, the same fields, the same transfer."""
    with parts.open(ask.workspace_id) as ctx:
        row = queries.transfer(ctx, ask.id)
        try:
            merchant = _own(ctx, row) if row is not None else queries.merchant(ctx)
        except NotConnected as error:
            return Unknown(error.code)  # stays reserved: it goes out as soon as an account is connected
        if merchant is None:
            return Unknown(OtherMerchant.code)
        pinned = row if row is not None else _begin(ctx, ask, merchant)
    if isinstance(pinned, Failed):
        return pinned
    if pinned.state == REFUSED:
        return Failed(pinned.error)
    row = pinned
    api = Transfers(calls.client(parts, merchant))
    try:
        made = api.make(_new(row, ask))
    except GoneForGood as error:
        return _refused(parts, row, error)
    except ChannelError as error:
        return _unanswered(parts, row, error)
    with parts.open(ask.workspace_id) as ctx:
        calls.note_success(ctx, row.account_id, spent=True)
        return _heard(ctx, row.payout_id, made)


def _own(ctx: Ctx, row: PayTransfer) -> Merchant | None:
    return calls.same_merchant(ctx, row.account_id, row.mch_id)


def _begin(ctx: Ctx, ask: Ask, merchant: Merchant) -> PayTransfer | Failed:
    """Everything that will be sent, written down first; ``Failed`` when WeChat Pay could not take it."""
    if ask.currency != rules.CURRENCY:
        return Failed("wechat_pay_currency")
    if ask.amount < SMALLEST:
        return Failed("below_least_transfer")
    if ask.amount >= NAME_REQUIRED_FROM and not ask.recipient.get("name"):
        return Failed("real_name_needed")
    openid = str(ask.recipient.get("openid") or "") or queries.openid_of(ctx, ask.contact_id, merchant.app_id)
    if not openid:
        return Failed("not_known_in_wechat")
    settings = {**DEFAULTS, **{name: value for name, value in merchant.settings.items() if value}}
    row = insert(PayTransfer).values(
        payout_id=ask.id,
        workspace_id=ask.workspace_id,
        account_id=merchant.account_id,
        number=rules.bill_number(ask.id),
        mch_id=merchant.mch_id,
        app_id=merchant.app_id,
        openid=openid,
        amount=ask.amount,
        scene=settings["transfer_scene"],
        reports=_reports(settings),
        remark=settings["transfer_note"],
        notify_url=calls.notify_url_if_any(ctx.parts, merchant.account_id),
        state=SENDING,
        bill_no="",
        package="",
        fail_reason="",
        error="",
        sent_at=ctx.now(),
    )
    made = ctx.session.scalar(row.on_conflict_do_nothing().returning(PayTransfer))
    pinned = made or queries.transfer(ctx, ask.id)
    assert pinned is not None, "the same workspace's, for the payout is its own"
    return pinned


def _reports(settings: Mapping[str, str]) -> dict[str, str]:
    """(what the scene asks → our words): 岗位类型 and 报酬说明, or 活动名称 and 奖励说明."""
    asked = REPORTS.get(settings["transfer_scene"], ())
    return dict(zip(asked, (settings["transfer_job"], settings["transfer_note"]), strict=False))


def _new(row: PayTransfer, ask: Ask) -> NewTransfer:
    return NewTransfer(
        out_bill_no=row.number,
        openid=row.openid,
        amount=row.amount,
        scene_id=row.scene,
        reports=tuple(row.reports.items()),
        remark=row.remark,
        name=str(ask.recipient.get("name") or ""),
        notify_url=row.notify_url,
    )


def _refused(parts: Parts, row: PayTransfer, error: GoneForGood) -> Failed:
    """Signed: there is no transfer of this number. Only this lets the money go back without an end."""
    why = error.number or error.reason.value
    with parts.open(row.workspace_id) as ctx:
        _change(ctx, row.payout_id, state=REFUSED, error=why, openid="", finished_at=ctx.now())
    return Failed(why)


def _unanswered(parts: Parts, row: PayTransfer, error: ChannelError) -> Unknown:
    with parts.open(row.workspace_id) as ctx:
        calls.note_trouble(ctx, row.account_id, error)
        _change(ctx, row.payout_id, error=f"{error.operation}: {error.number}"[:200])
    return Unknown(error.number or error.reason.value)


# -- asking ------------------------------------------------------------------------------------------


def query(parts: Parts, ask: Ask) -> Found:
    """How a withdrawal stands. ``Unseen`` only when nothing was ever sent, or WeChat Pay says, signed and
    within the time it remembers, that it knows no such number."""
    with parts.open(ask.workspace_id) as ctx:
        row = queries.transfer(ctx, ask.id)
        if row is None:
            return Unseen()
        if row.state == REFUSED:
            return Failed(row.error)
        merchant = _own(ctx, row)
    if merchant is None:
        return Unknown(OtherMerchant.code)
    api = Transfers(calls.client(parts, merchant))
    try:
        found = api.find(row.number)
    except ChannelError as error:
        return _unanswered(parts, row, error)
    if found is None:
        if parts.clock.now() - row.sent_at > rules.KNOWN_FOR:
            with parts.open(ask.workspace_id) as ctx:
                detail = "WeChat Pay forgets transfers after 30 days: look into its bills by hand"
                alerts.raise_alert(ctx, DISPUTED, row.payout_id, detail)
            return Unknown("forgotten")
        return Unseen()
    if found.state == rules.WAITS_FOR_PERSON and not row.package:
        # The answer that held what the person confirms with was lost: the same request gives it again.
        return send(parts, ask)
    with parts.open(ask.workspace_id) as ctx:
        calls.note_success(ctx, row.account_id)
        return _heard(ctx, row.payout_id, found)


def _heard(ctx: Ctx, payout_id: str, told: Transfer) -> Sent:
    """What WeChat Pay says about a transfer, written down, and what it means."""
    row = queries.transfer(ctx, payout_id, lock=True)
    assert row is not None
    wrong = _wrong_with(row, told)
    if wrong:
        alerts.raise_alert(ctx, DISPUTED, payout_id, "; ".join(wrong))
        _keep_doubt(row, wrong)
        return Unknown("disputed")
    _note(ctx, row, told)
    over = rules.end_of(told, cancel_asked=row.cancel_asked_at is not None)
    return over if over is not None else rules.waiting(told, ctx.now(), row.confirm_until)


def _wrong_with(row: PayTransfer, told: Transfer) -> list[str]:
    said: dict[str, Any] = {"out_bill_no": told.out_bill_no}
    if told.amount is not None:
        said["amount"] = told.amount
    if told.openid and row.openid:
        said["openid"] = told.openid
    if told.mch_id:
        said["mchid"] = told.mch_id
    asked = {"out_bill_no": row.number, "amount": row.amount, "openid": row.openid, "mchid": row.mch_id}
    wrong = rules.differences(said, asked)
    wrong = [one if not one.startswith("openid") else "openid is another" for one in wrong]
    if row.state == REFUSED and not told.failed:
        # The money is back in the wallet since, and the person may have it as well.
        wrong.append(f"state is {told.state}, but it was refused ({row.error})")
    return wrong


def _keep_doubt(row: PayTransfer, wrong: list[str]) -> None:
    if row.state != REFUSED:  # there it says what the withdrawal failed with
        row.error = "; ".join(wrong)[:200]


def _note(ctx: Ctx, row: PayTransfer, told: Transfer) -> None:
    row.state, row.error = told.state, ""
    row.bill_no = told.bill_no or row.bill_no
    row.fail_reason = told.fail_reason
    row.made_at = row.made_at or told.created_at or ctx.now()
    if told.package and told.package != row.package:
        row.package = told.package
    if told.state == rules.WAITS_FOR_PERSON and row.confirm_until is None:
        row.confirm_until = rules.confirm_until(row.made_at)
        _ask_to_confirm(ctx, row)
    if told.arrived or told.failed:
        # Who was paid is in the payout; here nothing is asked of them any more.
        row.package, row.openid, row.finished_at = "", "", row.finished_at or ctx.now()


def _ask_to_confirm(ctx: Ctx, row: PayTransfer) -> None:
    """Tell the person, once, that money waits for their yes: nobody else does, and after a day it is gone."""
    payout = payouts.payout(ctx, row.payout_id)
    try:
        owner = people.contact(ctx, payout.contact_id)
    except people.UnknownContact:  # erased since; what is under way still arrives
        return
    told = insert(Message).values(
        id=ctx.new_id("msg"),
        workspace_id=ctx.workspace_id,
        contact_id=owner.id,
        template=texts.TO_CONFIRM,
        params={"amount": row.amount, "currency": payout.currency},
        key=f"{texts.TO_CONFIRM}:{payout.id}",
        created_at=ctx.now(),
    )
    ctx.session.execute(told.on_conflict_do_nothing())


# -- notices -----------------------------------------------------------------------------------------


def hear(ctx: Ctx, told: Transfer) -> str:
    """A notice about a transfer: believed when it is the one we sent. ``foreign``, ``disputed``, or its
    state; the job takes an end to the books."""
    payout_id = rules.payout_of(told.out_bill_no)
    row = queries.transfer(ctx, payout_id, lock=True) if payout_id is not None else None
    if row is None:
        return "foreign"
    wrong = _wrong_with(row, told)
    if wrong:
        alerts.raise_alert(ctx, DISPUTED, row.payout_id, "; ".join(wrong))
        _keep_doubt(row, wrong)
        return "disputed"
    ended = row.state in ("SUCCESS", "FAIL", "CANCELLED")
    if ended and row.state != told.state and (told.arrived or told.failed):
        alerts.raise_alert(ctx, DISPUTED, row.payout_id, f"state is {told.state}, was {row.state}")
        return "disputed"
    if ended:
        return row.state
    _note(ctx, row, told)
    if told.arrived or told.failed:
        row.next_at = ctx.now()
        ctx.ring("paying.transfers")
    return told.state


def settle_due(parts: Parts, workspace_id: str) -> int:
    """Take ends that were told to the books, a batch; how many."""
    for done in range(BATCH):
        now = parts.clock.now()
        names = {"workspace_id": workspace_id, "now": now, "until": now + rules.LEASE}
        with parts.open(workspace_id) as ctx:
            payout_id = ctx.session.scalar(_DUE, names)
            row = queries.transfer(ctx, payout_id) if payout_id else None
        if row is None:
            return done
        match rules.end_of(_as_told(row), cancel_asked=row.cancel_asked_at is not None):
            case Paid(ref):
                sending.finish(parts, workspace_id, row.payout_id, paid=True, detail=ref)
            case Failed(reason):
                sending.finish(parts, workspace_id, row.payout_id, paid=False, detail=reason)
            case None:
                log.error("transfer.not_over", payout_id=row.payout_id, state=row.state)
        with parts.open(workspace_id) as ctx:
            _change(ctx, row.payout_id, next_at=None)
            _hold_against_books(ctx, row)
    return BATCH


def _hold_against_books(ctx: Ctx, row: PayTransfer) -> None:
    """Somebody may have brought another result by hand: the first word stands, and people must hear."""
    known = queries.payout_states(ctx, [row.payout_id]).get(row.payout_id, "")
    if known in FINAL and (known == "paid") != (row.state == TRANSFERRED):
        detail = f"WeChat Pay says {row.state}, the withdrawal counts as {known}"
        alerts.raise_alert(ctx, DISPUTED, row.payout_id, detail)


def _as_told(row: PayTransfer) -> Transfer:
    return Transfer(
        out_bill_no=row.number,
        state=row.state,
        bill_no=row.bill_no,
        fail_reason=row.fail_reason,
        created_at=row.made_at,
        updated_at=row.finished_at,
    )


# -- taking it back ----------------------------------------------------------------------------------


def cancel(parts: Parts, workspace_id: str, payout_id: str) -> PayTransfer:
    """Ask WeChat Pay to take a transfer back that nobody has confirmed; the job learns what became of it.

    Raises ``UnknownTransfer``, ``CannotCancel``; ``ChannelError`` when no answer came.
    """
    with parts.open(workspace_id) as ctx:
        row = queries.transfer(ctx, payout_id, lock=True)
        if row is None:
            raise queries.UnknownTransfer
        merchant = queries.merchant(ctx, row.account_id)
        if merchant.mch_id != row.mch_id:
            raise OtherMerchant
        if row.finished_at is not None:
            raise CannotCancel(params={"state": row.state})
        row.cancel_asked_at = row.cancel_asked_at or ctx.now()
    try:
        told = Transfers(calls.client(parts, merchant)).cancel(row.number)
    except GoneForGood as error:
        with parts.open(workspace_id) as ctx:
            _change(ctx, payout_id, cancel_asked_at=None)
        raise CannotCancel(params={"state": error.number}) from None
    with parts.open(workspace_id) as ctx:
        held = queries.transfer(ctx, payout_id, lock=True)
        if held is not None and held.finished_at is None:  # a notice may have been quicker than the answer
            held.state, held.package = told.state, ""
        ctx.session.execute(_ASK_SOON, {"id": payout_id, "at": ctx.now() + timedelta(seconds=5)})
        found = queries.transfer(ctx, payout_id)
    assert found is not None
    return found


#: The payout job asks the provider; this only brings forward when.
_ASK_SOON = text(
    "UPDATE payouts SET next_at = least(next_at, :at) WHERE id = :id AND state IN ('waiting', 'unknown')"
)


def _change(ctx: Ctx, payout_id: str, **values: object) -> None:
    ctx.session.execute(
        update(PayTransfer)
        .where(PayTransfer.workspace_id == ctx.workspace_id, PayTransfer.payout_id == payout_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
