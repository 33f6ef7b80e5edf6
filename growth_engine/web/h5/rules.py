"""The rules of a campaign and its privacy note, as published."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for

from growth_engine.kit import web
from growth_engine.kit.i18n import N_, current_locale, translate
from growth_engine.plays import queries
from growth_engine.plays.content import rate_in_words
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
        terms=terms_of(campaign) if campaign.sells else (),
        back_url=back_url(campaign),
        **campaign_values(campaign),
    )


def terms_of(campaign: Shown) -> list[str]:
    """How commission works in a campaign that sells, from its rules as published; translated sentences."""
    promise, config = campaign.promise, campaign.config
    said = []
    for level, (sentence, nothing) in _LEVELS.items():
        rate = promise.get(f"level{level}")
        words = rate_in_words(rate, current_locale()) if rate else ""
        said.append(translate(sentence, {"rate": words}) if words else translate(nothing))
    said.append(
        translate(N_("Nobody further up earns anything; what counts is orders, never the number of people."))
    )
    held = promise.get("hold_days", 0)
    said.append(
        translate(
            N_("Commission is on hold for %(days)s days after payment, then it can be withdrawn."),
            {"days": held},
        )
        if held
        else translate(N_("Commission can be withdrawn as soon as the order is paid."))
    )
    said.append(translate(N_("What a buyer gets back earns nothing: commission goes back in proportion.")))
    said.append(translate(_CLAWBACK[str(config["clawback"])]))
    if campaign.config.get("self_rebate") is False:
        said.append(translate(N_("One's own purchases earn no commission.")))
    said.append(
        translate(
            N_("An order that is not paid within %(minutes)s minutes is cancelled."),
            {"minutes": config["order_minutes"]},
        )
    )
    said.append(translate(N_("What anybody earns depends on what is sold. No income is promised.")))
    return said


#: By level: what it earns, and what is said when it earns nothing (message ids).
_LEVELS = {
    1: (
        N_("Level 1: whoever brought the buyer earns %(rate)s."),
        N_("Level 1: whoever brought the buyer earns nothing."),
    ),
    2: (
        N_("Level 2: whoever brought that person earns %(rate)s."),
        N_("There is no second level."),
    ),
}
_CLAWBACK = {
    "carry": N_("If it was withdrawn by then, later commission makes up for it; nobody pays anything back."),
    "absorb": N_("If it was withdrawn by then, the merchant bears it."),
}


def back_url(campaign: Shown) -> str:
    """Back to the page the visitor came from: the invite they hold, or the public page."""
    token = request.args.get("i", "")
    found = queries.invite(web.parts().db, token) if token else None
    if found is not None and found.campaign_id == campaign.id:
        return url_for("h5_landing.invite", token=token)
    return url_for("h5_landing.public", campaign_id=campaign.id)
