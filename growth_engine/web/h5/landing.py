"""Where invite links and public links lead: what the campaign offers, and a button to register."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from flask import Blueprint, render_template, request, url_for
from redis.exceptions import RedisError

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import current_locale
from growth_engine.ledger.mirror import MirrorBroken, MirrorUnavailable
from growth_engine.people import queries as people
from growth_engine.plays import participation, queries
from growth_engine.plays.contract import Step
from growth_engine.plays.models import Participant
from growth_engine.web.h5 import limits, notice, shop_view
from growth_engine.web.h5.landing_view import Addresses, Visitor, landing_view, selling_view
from growth_engine.web.h5.visit import (
    Shown,
    UnknownInvite,
    Visit,
    landing_values,
    share_values,
    viewer,
    visiting,
)

bp = Blueprint("h5_landing", __name__)
log = structlog.get_logger(__name__)

_DAY_SECONDS = 24 * 3600


@bp.get("/i/<token>")
def invite(token: str) -> str:
    """What a poster's QR code carries."""
    found = queries.invite(web.parts().db, token)
    if found is None:
        raise UnknownInvite
    return _page(found.campaign_id, token)


@bp.get("/c/<campaign_id>")
def public(campaign_id: str) -> str:
    return _page(campaign_id, None)


def _page(campaign_id: str, token: str | None) -> str:
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
        if campaign.closed:
            return notice.closed(visit)
        view = landing_view(
            campaign,
            campaign.promise,
            now=visit.ctx.now(),
            brand=campaign.brand,
            steps=steps_for_strangers(visit.ctx, campaign),
            visitor=_visitor(visit, token),
            joined=_joined(campaign),
            addresses=_addresses(visit, token),
            selling=selling_view(campaign.promise, current_locale(), shop_view.offers(visit))
            if campaign.sells
            else None,
        )
    if request.method == "GET":
        _count_visit(campaign)
    return render_template("h5/landing.html", **landing_values(view))


def steps_for_strangers(ctx: Ctx, campaign: Shown) -> Sequence[Step]:
    """The reward ladder as nobody has climbed it yet, with what is sold out."""
    return campaign.play.page({}, campaign.config, viewer(ctx, campaign.id, 0, 0)).steps


def _visitor(visit: Visit, token: str | None) -> Visitor:
    if token is None:
        return Visitor()
    inviter = queries.participant_by_token(visit.ctx, token)
    own = visit.me is not None and inviter is not None and inviter.id == visit.me.id
    again = visit.campaign.config.get("helps") == "once_per_inviter"
    taking_part = visit.me is not None and visit.me.state == "active"
    return Visitor(
        invited=True,
        inviter=_inviter_name(visit.ctx, inviter),
        own=own,
        may_help=again and taking_part and not own,
    )


def _inviter_name(ctx: Ctx, inviter: Participant | None) -> str:
    """Only of somebody who agreed to be named and still takes part."""
    if inviter is None or inviter.state != "active":
        return ""
    try:
        contact = people.contact(ctx, inviter.contact_id)
    except people.UnknownContact:  # erased since
        return ""
    agreed = people.has_consented(ctx, contact.id, participation.CONSENT_PURPOSE)
    return contact.nickname if agreed else ""


def _joined(campaign: Shown) -> int | None:
    try:
        totals = web.parts().mirror.totals(campaign.book)
    except (MirrorUnavailable, MirrorBroken) as error:
        log.warning("h5.no_totals", campaign=campaign.id, code=error.code)
        return None
    return int(totals.active)


def _addresses(visit: Visit, token: str | None) -> Addresses:
    id_ = visit.campaign.id
    here = (
        url_for("h5_landing.invite", token=token) if token else url_for("h5_landing.public", campaign_id=id_)
    )
    share = share_values(visit.campaign, _own_link(visit) or here)
    return Addresses(
        register=url_for("h5_register.form", campaign_id=id_, i=token),
        rules=url_for("h5_rules.page", campaign_id=id_, i=token),
        leaderboard=url_for("h5_leaderboard.page", campaign_id=id_, i=token),
        me=url_for("h5_me.page", campaign_id=id_) if visit.me else "",
        help=url_for("h5_leave.again", campaign_id=id_, i=token) if visit.me else "",
        link=share["share_link"],
        image=share["share_image"],
        shop=url_for("h5_shop.page", campaign_id=id_, i=token) if visit.campaign.sells else "",
    )


def _own_link(visit: Visit) -> str:
    """Who takes part and passes the page on invites for themselves; empty for everybody else."""
    if visit.me is None or visit.me.state != "active":
        return ""
    return url_for("h5_landing.invite", token=visit.me.invite_token)


def _count_visit(campaign: Shown) -> None:
    """A visitor's first look goes into the funnel; one address cannot fill the books with its looks."""
    parts = web.parts()
    visitor = keyed_digest(parts.settings.secret_key, f"visit {web.visitor_id()}")
    try:
        if not parts.queue.set(f"ge:h5:visit:{campaign.id}:{visitor}", 1, nx=True, ex=_DAY_SECONDS):
            return
        if not limits.take(parts, "visit", limits.address(), parts.settings.visitor_rate_per_minute):
            return
        participation.mark(parts, campaign.workspace_id, campaign.id, "visit", visitor)
    except (RedisError, GrowthError) as error:
        # Somebody is looking at the page: that a figure misses them is no reason to show them an error.
        log.warning("h5.visit_not_counted", campaign=campaign.id, error=type(error).__name__)
