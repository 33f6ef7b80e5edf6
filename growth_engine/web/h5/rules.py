"""The rules of a campaign and its privacy note, as published."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for

from growth_engine.kit import web
from growth_engine.plays import queries
from growth_engine.web.h5.visit import Shown, campaign_values, visiting

bp = Blueprint("h5_rules", __name__)


@bp.get("/c/<campaign_id>/rules")
def page(campaign_id: str) -> str:
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
    return render_template(
        "h5/rules.html",
        copy=campaign.copy,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        version=campaign.version,
        back_url=back_url(campaign),
        **campaign_values(campaign),
    )


def back_url(campaign: Shown) -> str:
    """Back to the page the visitor came from: the invite they hold, or the public page."""
    token = request.args.get("i", "")
    found = queries.invite(web.parts().db, token) if token else None
    if found is not None and found.campaign_id == campaign.id:
        return url_for("h5_landing.invite", token=token)
    return url_for("h5_landing.public", campaign_id=campaign.id)
