"""What a campaign promised: days on their way, delivered and stuck; posters that could not be drawn."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response

from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import page_of
from growth_engine.membership import service as membership
from growth_engine.plays import console_queries, queries
from growth_engine.posters import service as posters
from growth_engine.web.marketer import campaign_frame

bp = Blueprint("campaign_rewards", __name__, url_prefix="/console/campaigns")

STATES: Mapping[str, str] = {
    "granted": N_("Delivered"),
    "pending": N_("On its way"),
    "stuck": N_("Stuck"),
    "reversed": N_("Taken back"),
}
SIDES: Mapping[str, str] = {
    "inviter": N_("Brought a friend"),
    "friend": N_("Came through a friend"),
    "tier": N_("Reward ladder"),
    "welcome": N_("Welcome"),
}


@bp.get("/<campaign_id>/rewards")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    ask = web.page_ask()
    state = request.args.get("state", "")
    with web.ctx() as ctx:
        frame = campaign_frame.frame(ctx, campaign_id)
        found = console_queries.grants_page(
            ctx,
            campaign_id,
            states=(state,) if state in STATES else (),
            before=str(ask.after[0]) if ask.after else "",
            limit=ask.limit + 1,
        )
        counts = console_queries.grant_counts(ctx, campaign_id)
        stock = queries.stock_of(ctx, campaign_id)
        poster_counts = console_queries.poster_counts(ctx, campaign_id)
        failed = console_queries.failed_posters(ctx, campaign_id)
    return render_template(
        "marketer/campaign_rewards.html",
        frame=frame,
        campaign=frame.campaign,
        tab="campaign_rewards.listing",
        page=page_of(found, ask.limit, lambda row: (row[0].id,)),
        counts=counts,
        state=state if state in STATES else "",
        states=STATES,
        sides=SIDES,
        stock=stock,
        tiers=frame.campaign.config.get("tiers", ()),
        poster_counts=poster_counts,
        failed=failed,
        filtered=bool(state or ask.after),
    )


@bp.post("/<campaign_id>/rewards/retry")
@web.require_staff("marketer")
def retry_grants(campaign_id: str) -> Response:
    with web.ctx() as ctx:
        queries.campaign(ctx, campaign_id)
        count = membership.retry_stuck(ctx, console_queries.stuck_grant_ids(ctx, campaign_id))
    flash(
        ngettext("%(num)s reward is tried again now.", "%(num)s rewards are tried again now.", count),
        "success",
    )
    return redirect(url_for("campaign_rewards.listing", campaign_id=campaign_id))


@bp.post("/<campaign_id>/posters/retry")
@web.require_staff("marketer")
def retry_posters(campaign_id: str) -> Response:
    with web.ctx() as ctx:
        queries.campaign(ctx, campaign_id)
        count = posters.retry_failed(ctx)
    flash(
        ngettext("%(num)s poster is drawn again now.", "%(num)s posters are drawn again now.", count),
        "success",
    )
    return redirect(url_for("campaign_rewards.listing", campaign_id=campaign_id))
