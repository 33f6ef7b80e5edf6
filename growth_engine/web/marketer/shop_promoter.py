"""One promoter: what they sold and earned, their branch, the buyers bound to them, decisions about them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from flask import Blueprint, render_template

from growth_engine.access import queries as access
from growth_engine.commissions import queries
from growth_engine.commissions.models import Promoter
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Unavailable
from growth_engine.ledger import queries as ledger
from growth_engine.ledger.mirror import BookKey, MemberView, Mirror, MirrorBroken
from growth_engine.plays import figures
from growth_engine.plays.queries import UnknownParticipant
from growth_engine.web.marketer import campaign_frame
from growth_engine.web.marketer.shop_promoters import tiers_of

bp = Blueprint("shop_promoter", __name__, url_prefix="/console/campaigns")

log = structlog.get_logger(__name__)

BUYERS = 20
COMMISSIONS = 20
DECISIONS = 20


@dataclass(frozen=True, slots=True)
class Live:
    """What the mirror says of a promoter; amounts in minor units."""

    view: MemberView
    earned: int
    earned_rank: int | None
    branch: int
    """Net sales to the two levels below."""


@bp.get("/<campaign_id>/promoters/<int(max=9_999_999_999):number>")
@web.require_staff("marketer")
def show(campaign_id: str, number: int) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        promoter = queries.promoter(ctx, campaign_id, number)
        commissions = queries.commissions_page(
            ctx, campaign_id=campaign_id, member=number, limit=COMMISSIONS + 1
        )
        bound = queries.bound_to(ctx, campaign_id, number, limit=BUYERS)
        own_binding = queries.binding(ctx, campaign_id, number)
        decisions = ledger.entries_page(ctx, campaign_id, member=number, kinds=("promoter",), limit=DECISIONS)
        buyers = [one.buyer for one in bound]
        numbers = {number, *buyers, *([own_binding.promoter] if own_binding else [])}
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
        if number not in people:
            raise UnknownParticipant
        values = {
            "spent": queries.promoters_by_number(ctx, campaign_id, buyers),
            "bound_count": queries.bound_count(ctx, campaign_id, number),
            "makers": {one.id: one.name for one in access.all_staff(ctx.session)},
            "live": _live(ctx, campaign_id, number),
        }
    return render_template(
        "marketer/shop_promoter.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_promoters.listing",
        number=number,
        person=people[number],
        promoter=promoter,
        actions=_actions(promoter),
        tiers=tiers_of(frame),
        commissions=commissions[:COMMISSIONS],
        more_commissions=len(commissions) > COMMISSIONS,
        bound=bound,
        own_binding=own_binding,
        decisions=decisions,
        people=people,
        said=campaign_frame.said,
        key=web.parts().ids.new("key"),
        **values,
    )


def _actions(promoter: Promoter | None) -> tuple[str, ...]:
    """What may be decided in each state; the engine refuses the rest."""
    state = promoter.state if promoter else "none"
    return {
        "applied": ("approve", "reject", "block"),
        "approved": ("reject", "block"),
        "rejected": ("approve", "block"),
        "blocked": ("unblock",),
    }.get(state, ("approve", "block"))


def _live(ctx: Ctx, campaign_id: str, number: int) -> Live | None:
    """``None`` when it cannot be read now; the page says so and shows the rest."""
    key = BookKey(ctx.workspace_id, campaign_id)
    mirror: Mirror = ctx.parts.mirror
    try:
        views, _seq = figures.of_members(ctx, campaign_id, [number])
        earned = mirror.earned_of(key, [number])[0]
        branch = mirror.branch(key, [number])[number]
    except (Unavailable, MirrorBroken) as error:
        log.warning("campaign.figures_away", campaign=campaign_id, code=error.code)
        return None
    return Live(views[number], earned.amount, earned.rank, branch)
