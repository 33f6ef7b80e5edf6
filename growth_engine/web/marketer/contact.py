"""One person: who they are, what they agreed to, where they take part, their days; block, merge, erase."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import translate
from growth_engine.membership import queries as membership
from growth_engine.people import queries, service
from growth_engine.plays import queries as plays
from growth_engine.plays.messages import message_text
from growth_engine.web.marketer.campaign_rewards import SIDES
from growth_engine.web.marketer.contacts import KINDS, PURPOSES, SOURCES

bp = Blueprint("contact", __name__, url_prefix="/console/contacts")

MESSAGES = 30


@bp.get("/<contact_id>")
@web.require_staff("marketer")
def show(contact_id: str) -> str | AnyResponse:
    with web.ctx() as ctx:
        contact = queries.contact(ctx, contact_id)
        if contact.id != contact_id:
            return redirect(url_for("contact.show", contact_id=contact.id))  # merged since
        family = queries.contact_family(ctx, contact.id)
        participations = plays.participations(ctx, family)
        values = {
            "contact": contact,
            "identities": queries.identities_of(ctx, [contact.id])[contact.id],
            "consents": queries.consents_of(ctx, contact.id),
            "standings": membership.standing_of(ctx, contact.id),
            "participations": [(one, plays.campaign(ctx, one.campaign_id)) for one in participations],
            "messages": [
                (one.created_at, *message_text(one.template, one.params))
                for one in queries.messages_of(ctx, contact.id, limit=MESSAGES)
            ],
        }
    return render_template(
        "marketer/contact.html", kinds=KINDS, sources=SOURCES, purposes=PURPOSES, sides=SIDES, **values
    )


@bp.post("/<contact_id>/block")
@web.require_staff("marketer")
def block(contact_id: str) -> AnyResponse:
    with web.ctx() as ctx:
        service.block(ctx, contact_id, web.form_text("reason") or _("Blocked by hand."))
    flash(_("Blocked: they can neither join nor help, and leave the leaderboards."), "success")
    return redirect(url_for("contact.show", contact_id=contact_id))


@bp.post("/<contact_id>/unblock")
@web.require_staff("marketer")
def unblock(contact_id: str) -> AnyResponse:
    with web.ctx() as ctx:
        service.unblock(ctx, contact_id)
    flash(_("They may take part again."), "success")
    return redirect(url_for("contact.show", contact_id=contact_id))


@bp.get("/<contact_id>/export.json")
@web.require_staff("marketer")
def export(contact_id: str) -> Response:
    """Everything held about the person, for them to take."""
    with web.ctx() as ctx:
        held = service.export(ctx, contact_id)
    response = Response(
        orjson.dumps(held, option=orjson.OPT_INDENT_2, default=str), mimetype="application/json"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{contact_id}.json"'
    return response


@bp.get("/<contact_id>/merge")
@web.require_staff("marketer")
def find_second(contact_id: str) -> str:
    """Look for the other contact of the same person, and see both before merging."""
    wanted = request.args.get("ref", "").strip()[:200]
    with web.ctx() as ctx:
        contact = queries.contact(ctx, contact_id)
        other = _other(ctx, contact.id, wanted) if wanted else None
        both = [contact, other] if other else [contact]
        identities = queries.identities_of(ctx, [one.id for one in both])
    return render_template(
        "marketer/contact_merge.html",
        contact=contact,
        other=other,
        identities=identities,
        kinds=KINDS,
        wanted=wanted,
    )


@bp.post("/<contact_id>/merge")
@web.require_staff("marketer")
def merge(contact_id: str) -> AnyResponse:
    try:
        with web.ctx() as ctx:
            kept = service.merge(ctx, contact_id, web.form_text("other"))
    except Conflict as error:
        flash(translate(error.message, error.params), "danger")
        return redirect(url_for("contact.show", contact_id=contact_id))
    flash(_("Both are one person now."), "success")
    return redirect(url_for("contact.show", contact_id=kept))


@bp.get("/<contact_id>/erase")
@web.require_staff("admin")
def confirm_erasure(contact_id: str) -> str:
    with web.ctx() as ctx:
        contact = queries.contact(ctx, contact_id)
    return render_template("marketer/contact_erase.html", contact=contact, wrong=False)


@bp.post("/<contact_id>/erase")
@web.require_staff("admin")
def erase(contact_id: str) -> AnyResponse | str | tuple[str, int]:
    """Cannot be undone, so the box has to be ticked as well."""
    with web.ctx() as ctx:
        contact = queries.contact(ctx, contact_id)
        if request.form.get("sure") != "1":
            return render_template("marketer/contact_erase.html", contact=contact, wrong=True), 422
        service.erase(ctx, contact_id)
    flash(_("The person is erased. The books keep the amounts, without the name."), "success")
    return redirect(url_for("contacts.listing"))


def _other(ctx: Ctx, contact_id: str, wanted: str) -> Any:
    """The contact meant, unless unknown or the same."""
    try:
        found = queries.contact(ctx, queries.resolve(ctx, wanted))
    except queries.UnknownContact:
        return None
    return found if found.id != contact_id else None
