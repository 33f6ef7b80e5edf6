"""Leaving, with a page to confirm it; and taking part again: coming back, or helping a second friend."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.kit import web
from growth_engine.plays import participation
from growth_engine.plays.participation import JoinAsk, JoinOutcome
from growth_engine.plays.words import reason_text
from growth_engine.web.h5 import joining, limits
from growth_engine.web.h5.register import nonce_sent
from growth_engine.web.h5.visit import Answer, campaign_values, invite_token, visiting

bp = Blueprint("h5_leave", __name__)


@bp.get("/c/<campaign_id>/leave")
def confirm(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
    if me is None or me.state != "active":
        return _to_me(campaign_id)
    nonce = web.parts().ids.token(24)
    return render_template("h5/leave.html", nonce=nonce, **campaign_values(campaign))


@bp.post("/c/<campaign_id>/leave")
def leave(campaign_id: str) -> Answer:
    """One leaves the merchant, not a page: the invites one gave stop counting everywhere."""
    limits.require_room("write")
    nonce = nonce_sent()
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
    if me is not None and me.state == "active":
        participation.leave(
            web.parts(), campaign.workspace_id, me.contact_id, source=joining.SOURCE, key=f"{me.id}:{nonce}"
        )
        flash(_("You have left. You can come back at any time."), "info")
    return _to_me(campaign_id)


@bp.post("/c/<campaign_id>/again")
def again(campaign_id: str) -> Answer:
    """Whoever the cookie names takes part again; with ``?i=`` for the friend whose link they opened."""
    limits.require_room("write")
    nonce = nonce_sent()
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
        token = invite_token(campaign)
    if me is None:
        return redirect(url_for("h5_register.form", campaign_id=campaign_id, i=token or None), 303)
    ask = JoinAsk(
        contact_id=me.contact_id,
        invite_token=token or None,
        device=web.visitor_id(),
        address=request.remote_addr,
    )
    key = f"again:{me.id}:{nonce}"
    outcome = participation.join(
        web.parts(), campaign.workspace_id, campaign_id, ask, source=joining.SOURCE, key=key
    )
    flash(*_said(outcome))
    return _to_me(campaign_id)


def _said(outcome: JoinOutcome) -> tuple[str, str]:
    """What became of it: text and kind of note."""
    if outcome.pending:
        return _("We have your wish. It is decided in a moment."), "info"
    if "came_back" in {reason.code for reason in outcome.reasons}:
        return _("Welcome back!"), "success"
    if outcome.accepted:
        return _("Done: your help counts for your friend."), "success"
    return " ".join(reason_text(reason) for reason in outcome.reasons), "warning"


def _to_me(campaign_id: str) -> Response:
    return redirect(url_for("h5_me.page", campaign_id=campaign_id), 303)
