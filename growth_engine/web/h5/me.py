"""A participant's own page: days, poster, link, friends, rank, ladder, history; and the poster's progress."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from growth_engine.connections import queries as connections
from growth_engine.kit import web
from growth_engine.plays import queries
from growth_engine.plays.words import reason_text
from growth_engine.posters import queries as posters
from growth_engine.web.h5 import joining, limits, notice, wechat_visitor
from growth_engine.web.h5.landing_view import clock_to
from growth_engine.web.h5.me_view import me_view, poster_view
from growth_engine.web.h5.visit import (
    Answer,
    Shown,
    Visit,
    campaign_values,
    invite_token,
    share_values,
    visiting,
)

bp = Blueprint("h5_me", __name__)

_LARGEST_NUMBER = 10**12


@bp.get("/c/<campaign_id>/me")
def page(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
        if visit.erased:
            return notice.answer(campaign, "erased")
        if me is None or visit.contact is None:
            return _who(visit) or _to_invite(campaign)
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
        may_name=not visit.contact.nickname and me.state == "active" and wechat_visitor.here() is not None,
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


def _who(visit: Visit) -> str | None:
    """Somebody an employee has in WeCom opens the page in the welcome: WeChat names them by another id, and
    says who they are only when they let it (unionid, sheet §2.11). None: nothing to ask."""
    ctx, here = visit.ctx, wechat_visitor.here()
    known = wechat_visitor.proven(ctx.workspace_id) if here else None
    bound = queries.campaign(ctx, visit.campaign.id).channel_account_id
    if known is None or known.unionid or not bound or connections.account(ctx, bound).provider != "wecom":
        return None
    return render_template(
        "h5/who.html",
        stranger=url_for("h5_landing.public", campaign_id=visit.campaign.id),
        **campaign_values(visit.campaign),
    )


def _to_invite(campaign: Shown) -> Response:
    token = invite_token(campaign)
    if token:
        return redirect(url_for("h5_landing.invite", token=token))
    return redirect(url_for("h5_landing.public", campaign_id=campaign.id))


def _before() -> int | None:
    """``?before=`` of the list of friends; anything but a number starts from the newest."""
    text = request.args.get("before", "")
    return min(int(text), _LARGEST_NUMBER) if text.isascii() and text.isdigit() and len(text) < 19 else None
