"""Selects for the console's queue of withdrawals: its pages, who asks, and what speaks for a second look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from growth_engine.context import Ctx
from growth_engine.payouts.models import Payout, WalletPolicy

#: A recipient known for less than this when they asked is new.
NEW_DAYS = 7


def queue_page(
    ctx: Ctx,
    *,
    states: Sequence[str],
    contact_ids: Sequence[str] = (),
    after: str = "",
    limit: int = 50,
    oldest_first: bool,
) -> Sequence[Payout]:
    """Payouts in these states; what waits is worked off oldest first, what is over is read newest first."""
    query = select(Payout).where(Payout.workspace_id == ctx.workspace_id, Payout.state.in_(states))
    if contact_ids:
        query = query.where(Payout.contact_id.in_(contact_ids))
    if after:
        query = query.where(Payout.id > after if oldest_first else Payout.id < after)
    order = Payout.id.asc() if oldest_first else Payout.id.desc()
    return ctx.session.scalars(query.order_by(order).limit(limit)).all()


def policy_version(ctx: Ctx, version: int) -> WalletPolicy | None:
    """One version of the rules; ``None`` for the defaults (0)."""
    return ctx.session.get(WalletPolicy, (ctx.workspace_id, version))


@dataclass(frozen=True, slots=True)
class Owner:
    """A contact as pages about money name them."""

    id: str
    name: str
    """Empty when unknown or erased."""
    blocked: bool
    since: datetime
    """When the workspace met them first."""


def owners(ctx: Ctx, contact_ids: Iterable[str]) -> Mapping[str, Owner]:
    """Contacts by id; a merged one shows the name of who they turned out to be."""
    rows = ctx.session.execute(_OWNERS, {"ids": sorted(set(contact_ids))})
    return {row.asked: Owner(row.id, row.nickname, row.blocked, row.first_seen_at) for row in rows}


_OWNERS = text(
    "SELECT c.id AS asked, k.id, k.nickname, k.blocked_at IS NOT NULL AS blocked, k.first_seen_at"
    " FROM contacts c JOIN contacts k ON k.id = coalesce(c.merged_into, c.id) WHERE c.id = ANY(:ids)"
)


@dataclass(frozen=True, slots=True)
class Risk:
    """What whoever decides should look at before money leaves."""

    first: bool
    """Nothing was ever paid to them before."""
    refunds: int
    """Given since they asked, for orders they earned from."""
    is_new: bool
    """Known for less than ``NEW_DAYS`` days when they asked."""
    blocked: bool
    shared: int
    """Other people who had money sent to the same account."""

    @property
    def any(self) -> bool:
        return bool(self.first or self.refunds or self.is_new or self.blocked or self.shared)


#: Tables of slices beside and above are asked in words of SQL, as ``payouts.statement`` does.
_RISKS = text(
    "WITH asked AS MATERIALIZED (SELECT * FROM payouts WHERE id = ANY(:ids)),"
    " alike AS (SELECT a.id, count(DISTINCT o.contact_id) AS people FROM asked a"
    "  JOIN payouts o ON o.recipient ->> 'account' = a.recipient ->> 'account'"
    "  WHERE o.workspace_id = a.workspace_id AND o.contact_id <> a.contact_id"
    "   AND a.recipient ->> 'account' <> '' GROUP BY a.id)"
    " SELECT a.id,"
    "  NOT EXISTS (SELECT FROM payouts o WHERE o.contact_id = a.contact_id AND o.state = 'paid'"
    "   AND o.id <> a.id) AS first,"
    "  (SELECT count(DISTINCT r.id) FROM commissions m JOIN refunds r ON r.order_id = m.order_id"
    "   WHERE m.contact_id = a.contact_id AND r.at > a.requested_at) AS refunds,"
    "  a.requested_at - c.first_seen_at < make_interval(days => :new_days) AS is_new,"
    "  c.blocked_at IS NOT NULL AS blocked, coalesce(alike.people, 0) AS shared"
    " FROM asked a JOIN contacts c ON c.id = a.contact_id LEFT JOIN alike ON alike.id = a.id"
)


def risks(ctx: Ctx, payout_ids: Sequence[str]) -> Mapping[str, Risk]:
    """By payout; of those that are over there is nothing left to weigh, so leave them out."""
    rows = ctx.session.execute(_RISKS, {"ids": list(payout_ids), "new_days": NEW_DAYS}) if payout_ids else ()
    return {row.id: Risk(row.first, row.refunds, row.is_new, row.blocked, row.shared) for row in rows}
