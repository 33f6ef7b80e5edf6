"""A participant's own page: days, poster, link, friends, rank, ladder, history; and the poster's progress."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from growth_engine.kit import web
from growth_engine.plays.words import reason_text
from growth_engine.posters import queries as posters
from growth_engine.web.h5 import joining, limits, notice
from growth_engine.web.h5.landing_view import clock_to
from growth_engine.web.h5.me_view import me_view, poster_view
from growth_engine.web.h5.visit import Answer, Shown, campaign_values, invite_token, share_values, visiting

bp = Blueprint("h5_me", __name__)

_LARGEST_NUMBER = 10**12


@bp.get("/c/<campaign_id>/me")
def page(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
        if visit.erased:
            return notice.answer(campaign, "erased")
        if me is None or visit.contact is None:
            return _to_invite(campaign)
        if request.args.get("i") != me.invite_token:
            # WeChat shares the address of the page one is on: with the token in it, friends who are sent
            # this page are led to the invite.
            return redirect(url_for("h5_me.page", campaign_id=campaign_id, i=me.invite_token))
        if me.state == "blocked" or visit.contact.blocked_at is not None:
            return notice.answer(campaign, "blocked")
        view = me_view(visit, friends_before=_before())
        clock = clock_to(campaign.ends_at, visit.ctx.now()) if campaign.closed is None else None
    return render_template(
        "h5/me.html",
        me=view,
        copy=campaign.copy,
        clock=clock,
        closed=campaign.closed.code if campaign.closed else "",
        reason_text=reason_text,
        nonce=web.parts().ids.token(24),
        **share_values(campaign, url_for("h5_landing.invite", token=me.invite_token)),
        **campaign_values(campaign),
    )


@bp.get("/c/<campaign_id>/me/poster")
def poster(campaign_id: str) -> dict[str, Any] | tuple[dict[str, Any], int]:
    """How far the poster is, for the page's script."""
    with visiting(campaign_id) as visit:
        if visit.me is None:
            return {"state": "none", "url": ""}, 404
        view = poster_view(visit.campaign, posters.poster_of(visit.ctx, visit.me.id))
    return {"state": view.state, "url": view.url}


@bp.post("/c/<campaign_id>/me/poster")
def request_poster(campaign_id: str) -> Response:
    limits.require_room("write")
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
    if me is not None and me.state == "active":
        joining.request_poster(campaign, me.id)
    return redirect(url_for("h5_me.page", campaign_id=campaign_id, _anchor="poster"), 303)


def _to_invite(campaign: Shown) -> Response:
    token = invite_token(campaign)
    if token:
        return redirect(url_for("h5_landing.invite", token=token))
    return redirect(url_for("h5_landing.public", campaign_id=campaign.id))


def _before() -> int | None:
    """``?before=`` of the list of friends; anything but a number starts from the newest."""
    text = request.args.get("before", "")
    return min(int(text), _LARGEST_NUMBER) if text.isascii() and text.isdigit() and len(text) < 19 else None
