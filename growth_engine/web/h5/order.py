"""An order's page: how it stands, how to pay, refunds; it looks again by itself. And the list of them."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.kit import web
from growth_engine.orders import queries as orders
from growth_engine.orders import service
from growth_engine.orders.models import Order
from growth_engine.plays.words import reason_text
from growth_engine.web.h5 import limits, wechat_pay
from growth_engine.web.h5.order_view import STANDINGS, fingerprint, order_view, standing_of
from growth_engine.web.h5.owners import check_shop, not_theirs
from growth_engine.web.h5.register import nonce_sent
from growth_engine.web.h5.visit import Answer, Visit, campaign_values, visiting

bp = Blueprint("h5_order", __name__)

PER_PAGE = 20
#: The page looks again after so many seconds, each time a little later.
_FIRST_LOOK, _SLOWEST_LOOK = 3, 30
_MOST_LOOKS = 40


@bp.get("/c/<campaign_id>/orders")
def listing(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        found = orders.orders_page(
            visit.ctx,
            campaign_id=campaign_id,
            contact_ids=visit.family,
            before=request.args.get("before") or None,
            limit=PER_PAGE + 1,
        )
        shown = found[:PER_PAGE]
        lines = orders.lines(visit.ctx, [one.id for one in shown])
        standings = {one.id: STANDINGS[standing_of(one, visit.ctx.now())] for one in shown}
        return render_template(
            "h5/orders.html",
            orders=shown,
            lines=lines,
            standings=standings,
            earlier=_earlier(campaign_id, found),
            **campaign_values(visit.campaign),
        )


@bp.get("/c/<campaign_id>/orders/<order_id>")
def page(campaign_id: str, order_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        assert visit.contact is not None
        view = order_view(visit.ctx, _own(visit, order_id))
        seen = fingerprint(view.order, visit.ctx.now())
        campaign, payer = visit.campaign, wechat_pay.payer_of(visit)
        way = wechat_pay.way_to_pay(visit.ctx, view.order)
    checkout = wechat_pay.checkout(campaign.workspace_id, view.order, payer, way) if view.payable else None
    return render_template(
        "h5/order.html",
        view=view,
        standing=STANDINGS[view.standing],
        checkout=checkout,
        seen=seen,
        look=_look(view.order, seen, 0) if view.payable else None,
        nonce=web.parts().ids.token(24),
        contact=campaign.copy.get("contact", ""),
        **campaign_values(campaign),
    )


@bp.get("/c/<campaign_id>/orders/<order_id>/look")
def look(campaign_id: str, order_id: str) -> Response:
    """For htmx: whether the page it knows still holds. If not it is loaded anew."""
    with visiting(campaign_id) as visit:
        check_shop(visit)
        order = _own(visit, order_id)
        now = fingerprint(order, visit.ctx.now())
    if request.args.get("seen") != now:
        return Response(headers={"HX-Refresh": "true"})
    asked = request.args.get("n", "")
    looks = int(asked) if asked.isdecimal() and len(asked) < 4 else 0
    html = render_template("h5/_look.html", look=_look(order, now, min(looks, _MOST_LOOKS)))
    return make_response(html)


@bp.post("/c/<campaign_id>/orders/<order_id>/cancel")
def cancel(campaign_id: str, order_id: str) -> AnyResponse:
    limits.require_room("write")
    nonce = nonce_sent()
    with visiting(campaign_id) as visit:
        check_shop(visit)
        order, campaign = _own(visit, order_id), visit.campaign
    outcome = service.cancel(web.parts(), campaign.workspace_id, order.id, key=f"h5:{nonce}")
    if outcome.accepted:
        flash(_("Your order is cancelled."), "info")
    for reason in () if outcome.accepted else outcome.reasons:
        flash(reason_text(reason), "warning")
    return redirect(url_for("h5_order.page", campaign_id=campaign_id, order_id=order_id), 303)


def _own(visit: Visit, order_id: str) -> Order:
    """The visitor's own order in this campaign; anybody else's does not exist for them."""
    order = orders.order(visit.ctx, order_id)
    if order.campaign_id != visit.campaign.id or order.contact_id not in visit.family:
        raise orders.UnknownOrder
    return order


def _look(order: Order, seen: str, looks: int) -> tuple[str, int]:
    """(address, seconds until then) of the next look, for a page that shows what ``seen`` stands for."""
    address = url_for(
        "h5_order.look",
        campaign_id=order.campaign_id,
        order_id=order.id,
        seen=seen,
        n=looks + 1,
    )
    return address, min(round(_FIRST_LOOK * 1.25**looks), _SLOWEST_LOOK)


def _earlier(campaign_id: str, found: Sequence[Order]) -> str:
    if len(found) <= PER_PAGE:
        return ""
    return url_for("h5_order.listing", campaign_id=campaign_id, before=found[PER_PAGE - 1].id)
