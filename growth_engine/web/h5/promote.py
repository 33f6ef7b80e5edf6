"""Recommending what is sold: whether one may, the application, and the orders one's friends placed."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from growth_engine.commissions import service
from growth_engine.kit import web
from growth_engine.plays.words import reason_text
from growth_engine.web.h5 import limits, notice, promote_view
from growth_engine.web.h5.owners import check_shop, is_blocked
from growth_engine.web.h5.register import nonce_sent
from growth_engine.web.h5.visit import Answer, campaign_values, visiting

bp = Blueprint("h5_promote", __name__)

#: What may be shown of the list: by (state of a share) one asks for.
FILTERS = {
    "": (),
    "hold": ("waiting", "pending", "held"),
    "wallet": ("matured",),
    "gone": ("reversed", "void"),
}
#: As the form says too.
LONGEST_NOTE = 300


@bp.get("/c/<campaign_id>/promote")
def page(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        check_shop(visit)
        campaign = visit.campaign
        if visit.me is None or visit.contact is None:
            return redirect(url_for("h5_me.page", campaign_id=campaign_id), 303)
        if is_blocked(visit):
            return notice.answer(campaign, "blocked")
        chosen = request.args.get("show", "")
        chosen = chosen if chosen in FILTERS else ""
        sales, last = promote_view.sales(
            visit, states=FILTERS[chosen], before=request.args.get("before") or None
        )
        standing = promote_view.promoting(visit)
    return render_template(
        "h5/promote.html",
        standing=standing,
        sales=sales,
        chosen=chosen,
        earlier=url_for("h5_promote.page", campaign_id=campaign_id, show=chosen or None, before=last)
        if last
        else "",
        nonce=web.parts().ids.token(24),
        **campaign_values(campaign),
    )


@bp.post("/c/<campaign_id>/promote")
def apply(campaign_id: str) -> Answer:
    """Sent twice the second answer says that the first one is on its way."""
    limits.require_room("write")
    nonce_sent()
    with visiting(campaign_id) as visit:
        check_shop(visit)
        campaign, me = visit.campaign, visit.me
        if is_blocked(visit):
            return notice.answer(campaign, "blocked")
    if me is not None and me.state == "active":
        note = " ".join(web.form_text("note").split())[:LONGEST_NOTE]
        posted = service.apply_to_promote(
            web.parts(), campaign.workspace_id, campaign_id, me.contact_id, note=note
        )
        if posted.accepted:
            flash(_("Thank you. The merchant looks at it; you read the answer here."), "success")
        else:
            flash(" ".join(reason_text(reason) for reason in posted.reasons), "info")
    return redirect(url_for("h5_promote.page", campaign_id=campaign_id), 303)
