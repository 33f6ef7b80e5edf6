"""Where a live code leads: the group's or the staff member's own QR code, to press for a moment."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from growth_engine.access import queries as access
from growth_engine.channels.storage import PictureNotFound, content_type_of
from growth_engine.context import SYSTEM, Ctx
from growth_engine.kit import web
from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.i18n import N_
from growth_engine.live_codes import queries, rules, service
from growth_engine.live_codes.models import LiveCode
from growth_engine.live_codes.service import Showing
from growth_engine.web.h5 import limits, notice, onlookers
from growth_engine.web.h5.colours import DEFAULT, palette
from growth_engine.web.h5.me_view import ladder_of
from growth_engine.web.h5.visit import Answer, Visit, campaign_values, copy_language, theme_url, visiting

bp = Blueprint("h5_live_code", __name__)

#: Instead of a code, for whoever no place is taken for.
ONLY_LOOKS = N_("Open this link on your phone to see the code.")
NO_COOKIES = N_("To keep a place for you this page needs cookies. Allow them, then open it once more.")


@bp.get("/g/<token>")
def page(token: str) -> Answer:
    """What the live code's own QR code says.

    A place is taken for whoever looks, once for each browser: one without our cookie is sent round once to
    fetch it, so that what keeps no cookies, or is nobody, takes none.
    """
    if "again" not in request.args:
        limits.require_room("live code")
    found = queries.by_token(web.parts().db, token)
    if found is None:
        raise queries.UnknownLiveCode
    web.act_as(found.workspace_id, SYSTEM)
    with web.ctx() as ctx:
        code = queries.live_code(ctx, found.live_code_id)
        if code.campaign_id is None:
            known, again = web.has_visitor_cookie(), "again" in request.args
            if known == again and not onlookers.only_looks(request):
                # Round for the cookie, or back with it: nobody shares the address of the detour.
                return redirect(url_for("h5_live_code.page", token=token, again=None if again else 1), 303)
            if again and not known:
                return _page(code, Showing(None), NO_COOKIES, _plain_values(ctx))
            return _shown(ctx, code, web.visitor_id(), _plain_values(ctx))
        campaign_id = code.campaign_id
    return _of_campaign(campaign_id, found.live_code_id)


def _of_campaign(campaign_id: str, live_code_id: str) -> Answer:
    """The play decides who sees the code: whoever takes part and has brought the friends asked for."""
    with visiting(campaign_id) as visit:
        campaign, me, contact = visit.campaign, visit.me, visit.contact
        if visit.erased:
            return notice.answer(campaign, "erased")
        if me is None or contact is None:
            return redirect(url_for("h5_landing.public", campaign_id=campaign_id))
        if me.state == "blocked" or contact.blocked_at is not None:
            return notice.answer(campaign, "blocked")
        if me.state != "active" or not _opens(visit):
            return redirect(url_for("h5_me.page", campaign_id=campaign_id))
        code = queries.live_code(visit.ctx, live_code_id)
        values = {**campaign_values(campaign), "back": url_for("h5_me.page", campaign_id=campaign_id)}
        return _shown(visit.ctx, code, contact.id, values)


def _opens(visit: Visit) -> bool:
    assert visit.me is not None
    return ladder_of(visit.ctx, visit.campaign, visit.me, visit.me.valid_invites).opens


def _shown(ctx: Ctx, code: LiveCode, whose: str, values: dict[str, Any]) -> Answer:
    if onlookers.only_looks(request):
        return _page(code, Showing(None), ONLY_LOOKS, values)
    secret = ctx.parts.settings.secret_key
    showing = service.show(ctx, code.id, keyed_digest(secret, f"live code {whose}"))
    return _page(code, showing, rules.REASONS.get(showing.reason, ""), values)


def _page(code: LiveCode, showing: Showing, reason: str, values: dict[str, Any]) -> str:
    return render_template(
        "h5/live_code.html",
        code=code,
        showing=showing,
        reason=reason,
        picture=_picture_url(code, showing),
        **values,
    )


def _picture_url(code: LiveCode, showing: Showing) -> str:
    if showing.target is None:
        return ""
    name = showing.target.picture_key.rpartition("/")[2]
    return url_for("h5_live_code.picture", token=code.token, name=name)


def _plain_values(ctx: Ctx) -> dict[str, Any]:
    """Brand and colours of a live code without a campaign."""
    place = access.workspace(ctx.session, ctx.workspace_id)
    assert place is not None, "a live code belongs to a workspace"
    return {
        "brand": place.name,
        "colour": palette(DEFAULT).accent,
        "theme": theme_url(DEFAULT),
        "copy_lang": copy_language(place.locale),
        "back": "",
    }


@bp.get("/g/<token>/<name>")
def picture(token: str, name: str) -> Response:
    """A target's code; its address is the hash of its content: only who was shown it knows it."""
    found = queries.by_token(web.parts().db, token)
    if found is None:
        raise queries.UnknownLiveCode
    key = f"{name[:2]}/{name[2:4]}/{name}"
    with web.parts().open(found.workspace_id) as ctx:
        if all(one.picture_key != key for one in queries.targets(ctx, found.live_code_id)):
            raise PictureNotFound
        content = ctx.parts.storage.get(key)
    response = Response(content, mimetype=content_type_of(key))
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.set_etag(name)
    response.make_conditional(request)
    return response
