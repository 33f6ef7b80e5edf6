"""Back to one's own page from another browser: the number one registered with, then a code."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for

from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.people import queries as people
from growth_engine.people.rules import Identity, normalise
from growth_engine.plays import queries
from growth_engine.web.h5 import joining, limits
from growth_engine.web.h5.visit import Answer, Shown, Visit, campaign_values, visiting

bp = Blueprint("h5_enter", __name__)


@bp.get("/c/<campaign_id>/enter")
def form(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        campaign, me = visit.campaign, visit.me
    if me is not None:
        return redirect(url_for("h5_me.page", campaign_id=campaign_id))
    return _form(campaign)


@bp.post("/c/<campaign_id>/enter")
def submit(campaign_id: str) -> Answer:
    limits.require_room("write")
    typed = web.form_text("phone")[:40]
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
        try:
            phone = normalise("phone", typed, web.parts().settings.phone_region)
        except Invalid as error:
            return _form(campaign, typed, error.extra["errors"]["phone"][0]), 422
        if not _takes_part(visit, phone):
            return _form(campaign, typed, N_("Nobody takes part here with this number.")), 422
    return joining.ask_for_code(campaign, joining.entrance_of(campaign, phone))


def _takes_part(visit: Visit, phone: str) -> bool:
    owner = people.by_identity(visit.ctx, Identity("phone", phone))
    if owner is None:
        return False
    family = people.contact_family(visit.ctx, owner)
    return queries.participation(visit.ctx, visit.campaign.id, family) is not None


def _form(campaign: Shown, typed: str = "", error: str = "") -> str:
    return render_template(
        "h5/enter.html",
        action=url_for("h5_enter.submit", campaign_id=campaign.id),
        back_url=url_for("h5_landing.public", campaign_id=campaign.id),
        typed=typed,
        problem=error,
        **campaign_values(campaign),
    )
