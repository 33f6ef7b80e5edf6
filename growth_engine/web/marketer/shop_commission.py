"""One commission: why it is this amount, what moved for it, and what a person may do about it."""

from __future__ import annotations

from flask import Blueprint, render_template

from growth_engine.commissions import queries
from growth_engine.commissions.models import Commission
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.ledger.money import TITLES
from growth_engine.orders import queries as orders
from growth_engine.plays import shares
from growth_engine.web.marketer import campaign_frame

bp = Blueprint("shop_commission", __name__, url_prefix="/console/campaigns")

#: What a person may do in each state; the engine refuses the rest.
_FITTING = {
    "waiting": ("void",),
    "pending": ("hold", "mature", "void"),
    "held": ("release", "mature", "void"),
    "matured": ("void",),
}


@bp.get("/<campaign_id>/commissions/<commission_id>")
@web.require_staff("marketer")
def show(campaign_id: str, commission_id: str) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        commission = _commission(ctx, campaign_id, commission_id)
        order = orders.order(ctx, commission.order_id)
        steps = shares.because(ctx, commission)
        moved = queries.movements(ctx, commission_id)
        numbers = {commission.member, order.buyer}
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
    return render_template(
        "marketer/shop_commission.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_commissions.listing",
        commission=commission,
        order=order,
        person=people.get(commission.member),
        buyer=people.get(order.buyer),
        steps=steps,
        moved=moved,
        accounts=TITLES,
        actions=_FITTING.get(commission.state, ()),
        key=web.parts().ids.new("key"),
    )


def _commission(ctx: Ctx, campaign_id: str, commission_id: str) -> Commission:
    commission = queries.commission(ctx, commission_id)
    if commission.campaign_id != campaign_id:
        raise queries.UnknownCommission
    return commission
