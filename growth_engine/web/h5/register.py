"""Registering: nickname, phone, consent; a plain form that works without scripts and may be sent twice."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, render_template, request, url_for

from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.people.rules import clean_nickname, normalise
from growth_engine.web.h5 import joining, limits, notice, wechat_visitor
from growth_engine.web.h5.visit import Answer, Shown, campaign_values, invite_token, visiting
from growth_engine.web.h5.wechat_name import kept_name

bp = Blueprint("h5_register", __name__)

_NONCE = re.compile(r"[0-9a-z]{16,64}")
#: What a field may hold before it is no longer somebody's name; nicknames are cut to 32 characters.
_LONGEST_NICKNAME = 100


class BadForm(web.BadRequest):
    code = "bad_form"
    message = N_("This form is not one of ours. Go back, reload the page and try again.")


@bp.get("/c/<campaign_id>/register")
def form(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
        token = invite_token(campaign)
        if visit.me is not None and visit.me.state != "left":
            return redirect(url_for("h5_me.page", campaign_id=campaign_id))
        if campaign.closed:
            return notice.closed(visit)
        known_as = visit.contact.nickname if visit.contact else kept_name()
    return _form(campaign, token, {"nickname": known_as, "phone": ""}, {})


@bp.post("/c/<campaign_id>/register")
def submit(campaign_id: str) -> Answer:
    limits.require_room("write")
    nonce = nonce_sent()
    with visiting(campaign_id) as visit:
        campaign, family = visit.campaign, visit.family
        filled, errors = read_person("name" if recognised(campaign) else "all")
        token = invite_token(campaign)
        if errors:
            return _form(campaign, token, typed(), errors), 422
        draft = joining.draft_of(campaign, {**filled, "nonce": nonce}, token)
        # A form sent twice may arrive again when its first copy took the last place.
        free = joining.begin(visit, draft)
        if campaign.closed and not free:
            return notice.answer(campaign, campaign.closed.code)
    if not free:
        return joining.ask_for_code(campaign, draft, known=not campaign.config.get("phone_code"))
    return joining.finish(campaign, draft, family)


def nonce_sent() -> str:
    """The random mark every form of ours carries: the same form sent twice is one request."""
    nonce = request.form.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise BadForm
    return nonce


def typed() -> dict[str, str]:
    """What was typed, to show it again; cut, so that a page cannot be blown up."""
    return {name: web.form_text(name)[:_LONGEST_NICKNAME] for name in ("nickname", "phone")}


def read_person(asked: str) -> tuple[dict[str, str], dict[str, str]]:
    """The cleaned fields, and message ids of what is wrong, by field.

    ``asked``: all, name (and consent: WeChat has said who it is), consent (the rest is known) or nothing.
    """
    filled: dict[str, str] = {}
    errors: dict[str, str] = {}
    if asked in ("all", "name"):
        _read_nickname(filled, errors)
    if asked == "all":
        _read_phone(filled, errors)
    if asked != "nothing" and request.form.get("consent") != "yes":
        errors["consent"] = N_("Please agree to the rules and the privacy note to take part.")
    return filled, errors


def _read_nickname(filled: dict[str, str], errors: dict[str, str]) -> None:
    written = web.form_text("nickname")
    filled["nickname"] = clean_nickname(written)
    if len(written) > _LONGEST_NICKNAME:
        errors["nickname"] = N_("This name is too long. Please use at most 32 characters.")
    elif not filled["nickname"]:
        errors["nickname"] = N_("How may we call you?")


def _read_phone(filled: dict[str, str], errors: dict[str, str]) -> None:
    number = web.form_text("phone")
    if not number:
        errors["phone"] = N_("Please enter your phone number.")
        return
    try:
        filled["phone"] = normalise("phone", number, web.parts().settings.phone_region)
    except Invalid as error:
        errors["phone"] = error.extra["errors"]["phone"][0]


def recognised(campaign: Shown) -> bool:
    """Whether WeChat has said who this is: then no number need be typed or proved."""
    return wechat_visitor.inside() and wechat_visitor.proven(campaign.workspace_id) is not None


def _form(campaign: Shown, token: str, typed: dict[str, str], errors: dict[str, str]) -> str:
    parts = web.parts()
    return render_template(
        "h5/register.html",
        action=url_for("h5_register.submit", campaign_id=campaign.id, i=token or None),
        rules_url=url_for("h5_rules.page", campaign_id=campaign.id, i=token or None),
        back_url=url_for("h5_landing.invite", token=token)
        if token
        else url_for("h5_landing.public", campaign_id=campaign.id),
        nonce=request.form.get("nonce") or parts.ids.token(24),
        wording=joining.wording(campaign),
        typed=typed,
        recognised=recognised(campaign),
        errors=errors,
        copy=campaign.copy,
        friend_days=campaign.promise.get("friend_days", 0),
        token=token,
        **campaign_values(campaign),
    )
