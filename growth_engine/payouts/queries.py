"""Selects over payouts and the rules for withdrawals; wallets themselves are read in ``statement.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import func, select

from growth_engine.access.models import ApiToken, Staff, Workspace
from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.payouts.models import Payout, PayoutApproval, WalletPolicy
from growth_engine.payouts.rules import RETURNED, Policy

#: Payouts on one exported list.
MOST_EXPORTED = 5_000


class UnknownPayout(NotFound):
    code = "payout_not_found"
    message = N_("There is no such withdrawal.")


# -- the policy --------------------------------------------------------------------------------------


def policy(ctx: Ctx) -> Policy:
    """The rules in force; the defaults (version 0) while nobody has set any."""
    row = ctx.session.scalars(select(WalletPolicy).order_by(WalletPolicy.version.desc()).limit(1)).first()
    return _policy_of(row) if row else Policy()


def policies(ctx: Ctx, *, limit: int = 50) -> Sequence[WalletPolicy]:
    """Every version there was, newest first."""
    return ctx.session.scalars(select(WalletPolicy).order_by(WalletPolicy.version.desc()).limit(limit)).all()


def _policy_of(row: WalletPolicy) -> Policy:
    return Policy(**{one.name: getattr(row, one.name) for one in fields(Policy)})


def place(ctx: Ctx) -> tuple[str, str]:
    """Zone and currency of the workspace."""
    row = ctx.session.execute(
        select(Workspace.timezone, Workspace.currency).where(Workspace.id == ctx.workspace_id)
    ).one()
    return row[0], row[1]


# -- payouts -----------------------------------------------------------------------------------------


def payout(ctx: Ctx, payout_id: str) -> Payout:
    """One payout. Raises ``UnknownPayout``."""
    found = ctx.session.get(Payout, payout_id, populate_existing=True) if payout_id.isprintable() else None
    if found is None:
        raise UnknownPayout
    return found


def payout_locked(ctx: Ctx, payout_id: str) -> Payout:
    """One payout, held against the job and the poster until the transaction ends."""
    payout(ctx, payout_id)
    return ctx.session.scalars(
        select(Payout).where(Payout.id == payout_id).with_for_update(),
        execution_options={"populate_existing": True},
    ).one()


def payouts_page(
    ctx: Ctx,
    *,
    states: Sequence[str] = (),
    contact_ids: Sequence[str] = (),
    provider: str = "",
    before: str = "",
    limit: int = 50,
) -> tuple[Sequence[Payout], str | None]:
    """Payouts, newest first, and the ``before`` of the next page (``None`` on the last one)."""
    query = select(Payout).where(Payout.workspace_id == ctx.workspace_id)
    if states:
        query = query.where(Payout.state.in_(states))
    if contact_ids:
        query = query.where(Payout.contact_id.in_(contact_ids))
    if provider:
        query = query.where(Payout.provider == provider)
    if before:
        query = query.where(Payout.id < before)
    rows = ctx.session.scalars(query.order_by(Payout.id.desc()).limit(limit + 1)).all()
    return rows[:limit], (rows[limit - 1].id if len(rows) > limit else None)


def payouts_named(ctx: Ctx, payout_ids: Sequence[str]) -> Mapping[str, Payout]:
    """Those of these payouts that exist, by id."""
    rows = ctx.session.scalars(
        select(Payout).where(Payout.id.in_(payout_ids)), execution_options={"populate_existing": True}
    )
    return {row.id: row for row in rows}


def to_export(ctx: Ctx, states: Sequence[str], provider: str = "") -> Sequence[Payout]:
    """Payouts for a list on paper, oldest first."""
    query = select(Payout).where(Payout.workspace_id == ctx.workspace_id, Payout.state.in_(states))
    if provider:
        query = query.where(Payout.provider == provider)
    return ctx.session.scalars(query.order_by(Payout.id).limit(MOST_EXPORTED)).all()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many payouts are in a state, and what they come to in minor units."""

    state: str
    currency: str
    count: int
    amount: int


def tallies(ctx: Ctx) -> list[Tally]:
    """By state and currency: the tabs of the payout queue."""
    rows = ctx.session.execute(
        select(Payout.state, Payout.currency, func.count(), func.sum(Payout.amount))
        .where(Payout.workspace_id == ctx.workspace_id)
        .group_by(Payout.state, Payout.currency)
        .order_by(Payout.state, Payout.currency)
    )
    return [Tally(state, currency, count, int(amount)) for state, currency, count, amount in rows]


def used_today(ctx: Ctx, contact_ids: Sequence[str], day: tuple[datetime, datetime]) -> tuple[int, int]:
    """(count, amount) a person asked for on a day; what was given back does not count."""
    row = ctx.session.execute(
        select(func.count(), func.coalesce(func.sum(Payout.amount), 0)).where(
            Payout.contact_id.in_(contact_ids),
            Payout.requested_at >= day[0],
            Payout.requested_at < day[1],
            Payout.state.not_in(RETURNED),
        )
    ).one()
    return row[0], int(row[1])


def stuck(ctx: Ctx, attempts: int) -> Sequence[Payout]:
    """Payouts whose provider has not answered after so many questions."""
    query = select(Payout).where(
        Payout.workspace_id == ctx.workspace_id, Payout.state == "unknown", Payout.attempts >= attempts
    )
    return ctx.session.scalars(query.order_by(Payout.id).limit(500)).all()


# -- approvals ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a member of staff said about a payout."""

    staff_id: str
    name: str
    """Empty for the command line."""
    verdict: str
    note: str
    at: datetime


def verdicts_of(ctx: Ctx, payout_ids: Sequence[str]) -> Mapping[str, list[Verdict]]:
    """What was said about each payout, oldest first."""
    said: dict[str, list[Verdict]] = defaultdict(list)
    rows = ctx.session.execute(
        select(PayoutApproval, Staff.name)
        .outerjoin(Staff, Staff.id == PayoutApproval.staff_id)
        .where(PayoutApproval.payout_id.in_(payout_ids))
        .order_by(PayoutApproval.at, PayoutApproval.staff_id)
    )
    for row, name in rows:
        said[row.payout_id].append(Verdict(row.staff_id, name or "", row.verdict, row.note, row.at))
    return said


def maker_of(ctx: Ctx, token_id: str) -> str:
    """The member of staff an API token speaks for; ``system`` for one made on the command line."""
    found = ctx.session.scalar(select(ApiToken.created_by).where(ApiToken.id == token_id))
    return found or ""


def is_administrator(ctx: Ctx, staff_id: str) -> bool:
    query = select(Staff.id).where(Staff.id == staff_id, Staff.role == "admin", Staff.disabled_at.is_(None))
    return ctx.session.scalar(query) is not None
