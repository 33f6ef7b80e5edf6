"""Proving a phone number with the code sent to it by text message."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.people import codes
from growth_engine.web.h5 import joining, limits, names
from growth_engine.web.h5.visit import Answer, Shown, campaign_values, visiting

bp = Blueprint("h5_code", __name__)


@bp.get("/c/<campaign_id>/code")
def form(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
    draft = joining.kept(campaign_id)
    return _form(campaign, draft) if draft else _start_again(campaign_id)


@bp.post("/c/<campaign_id>/code")
def submit(campaign_id: str) -> Answer:
    limits.require_room("write")
    draft = joining.kept(campaign_id)
    with visiting(campaign_id) as visit:
        campaign, family = visit.campaign, visit.family
        if draft is None:
            return _start_again(campaign_id)
        if not codes.check_code(web.parts(), campaign.workspace_id, draft.phone, web.form_text("code")):
            return _form(campaign, draft, N_("This code is wrong or no longer valid.")), 422
        if draft.enters:
            return joining.enter(visit, draft)
    return joining.finish(campaign, joining.proven(draft), family)


@bp.post("/c/<campaign_id>/code/again")
def again(campaign_id: str) -> Answer:
    limits.require_room("write")
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
    draft = joining.kept(campaign_id)
    return joining.ask_for_code(campaign, draft) if draft else _start_again(campaign_id)


def _start_again(campaign_id: str) -> Response:
    flash(_("That took a while. Please enter your number once more."), "info")
    return redirect(url_for("h5_register.form", campaign_id=campaign_id), 303)


def _form(campaign: Shown, draft: joining.Draft, error: str = "") -> str:
    return render_template(
        "h5/code.html",
        action=url_for("h5_code.submit", campaign_id=campaign.id),
        again_url=url_for("h5_code.again", campaign_id=campaign.id),
        back_url=joining.way_back(draft),
        phone=names.masked_phone(draft.phone),
        minutes=codes.LIFETIME.seconds // 60,
        on_console=web.parts().settings.sms_provider == "console",
        error=error,
        **campaign_values(campaign),
    )
