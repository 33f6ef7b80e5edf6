"""A participant as somebody who recommends: whether they may, what is missing, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from growth_engine.commissions import queries as commissions
from growth_engine.commissions.models import Commission
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.ledger.mirror import MirrorBroken, MirrorUnavailable
from growth_engine.orders import queries as orders
from growth_engine.payouts import statement
from growth_engine.payouts.statement import Balance
from growth_engine.plays import queries
from growth_engine.plays.promoting import may_promote
from growth_engine.web.h5 import names
from growth_engine.web.h5.visit import Shown, Visit

log = structlog.get_logger(__name__)

#: How a share of an order stands, for whoever earns it: (message id, whether it is good news).
STATES: Mapping[str, tuple[str, bool]] = {
    "waiting": (N_("Not paid yet"), False),
    "pending": (N_("On hold"), True),
    "held": (N_("Being looked at"), False),
    "matured": (N_("In the wallet"), True),
    "reversed": (N_("Taken back"), False),
    "void": (N_("Taken away"), False),
}
#: The same, of an order nobody pays any more.
CANCELLED = (N_("Cancelled"), False)


@dataclass(frozen=True, slots=True)
class Promoting:
    """``rule`` as in the campaign's rules (everyone, approved, buyers, spenders); amounts in minor units."""

    allowed: bool
    state: str
    """none, applied, approved, rejected or blocked."""
    rule: str
    note: str
    """What was written about the application: by the applicant, later by whoever decided."""
    applied_at: datetime | None
    spent: int
    threshold: int
    currency: str
    orders: int
    """Paid orders of buyers they brought."""
    sales: int
    earned: int
    """Commission in this campaign, less what was taken back."""
    rank: int | None
    """Place on the leaderboard, by friends; ``None`` when it cannot be told, or nobody was brought."""
    buyers: int

    @property
    def may_apply(self) -> bool:
        return self.rule == "approved" and self.state == "none"

    @property
    def missing(self) -> int:
        """Still to be spent on own purchases."""
        return max(0, self.threshold - self.spent)


@dataclass(frozen=True, slots=True)
class Sale:
    """A share of one order of somebody who was brought."""

    commission: Commission
    number: int
    """Of the order."""
    buyer: str
    """Masked; empty for somebody erased."""
    initial: str
    state: str
    """Message id."""
    good: bool


def promoting(visit: Visit) -> Promoting:
    """How things stand for the participant who visits; there must be one."""
    campaign, me = visit.campaign, visit.me
    assert me is not None
    config = campaign.config
    row = commissions.promoter(visit.ctx, campaign.id, me.number)
    state, spent = (row.state, row.spent) if row else ("none", 0)
    return Promoting(
        allowed=me.state == "active" and may_promote(config, state, spent),
        state=state,
        rule=str(config["who_promotes"]),
        note=row.note if row else "",
        applied_at=row.applied_at if row else None,
        spent=spent,
        threshold=int(config["spend_threshold"]),
        currency=str(config["currency"]),
        orders=row.orders if row else 0,
        sales=row.sales if row else 0,
        earned=row.earned if row else 0,
        rank=_rank(campaign, me.number),
        buyers=commissions.bound_count(visit.ctx, campaign.id, me.number),
    )


def _rank(campaign: Shown, number: int) -> int | None:
    try:
        found = web.parts().mirror.member(campaign.book, number)
    except (MirrorUnavailable, MirrorBroken) as error:
        log.warning("h5.no_rank", campaign=campaign.id, code=error.code)
        return None
    return found.rank if found else None


def sales(
    visit: Visit, *, states: Sequence[str] = (), before: str | None = None, limit: int = 20
) -> tuple[list[Sale], str | None]:
    """Shares of the visiting participant in this campaign, newest first, and ``before`` of the next page."""
    me = visit.me
    assert me is not None
    campaign_id = visit.campaign.id
    found = commissions.commissions_page(
        visit.ctx, campaign_id=campaign_id, member=me.number, states=states, before=before, limit=limit + 1
    )
    last = found[limit - 1].id if len(found) > limit else None
    return named(visit.ctx, campaign_id, found[:limit]), last


def named(ctx: Ctx, campaign_id: str, found: Sequence[Commission]) -> list[Sale]:
    """Shares of one campaign with their orders' numbers and buyers, names masked."""
    about = orders.orders_named(ctx, {one.order_id for one in found})
    people = queries.by_numbers(ctx, campaign_id, {one.buyer for one in about.values()})
    sales = []
    for one in found:
        order = about[one.order_id]
        nickname = people[order.buyer][1] if order.buyer in people else ""
        given_up = one.state == "waiting" and order.state == "cancelled"
        state, good = CANCELLED if given_up else STATES[one.state]
        sales.append(Sale(one, order.number, names.masked(nickname), names.initial(nickname), state, good))
    return sales


def balance(visit: Visit) -> Balance:
    """The visitor's wallet in the campaign's currency; commission of every campaign of the merchant."""
    assert visit.contact is not None
    currency = str(visit.campaign.config["currency"])
    found = {one.currency: one for one in statement.wallet(visit.ctx, visit.contact.id)}
    return found.get(currency, Balance(currency))
