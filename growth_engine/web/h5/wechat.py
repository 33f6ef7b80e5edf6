"""Signing in on pages inside WeChat: silently for who it is, and by a tap for the name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from redis.exceptions import RedisError

from growth_engine.channels.errors import ChannelError, GoneForGood
from growth_engine.channels.wechat_oa import OAuth
from growth_engine.channels.wechat_oa.oauth import Person, Scope, Visitor
from growth_engine.connections import credentials
from growth_engine.connections import queries as connections
from growth_engine.connections.sealing import SecretsUnreadable
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from growth_engine.plays import invites, queries
from growth_engine.plays.participation import CONSENT_PURPOSE
from growth_engine.posters.service import TemplateNotVerified
from growth_engine.web.h5 import joining, limits, wechat_visitor
from growth_engine.web.h5.visit import (
    Answer,
    Shown,
    Visit,
    absolute,
    campaign_values,
    forget,
    remember,
    visiting,
)
from growth_engine.web.h5.wechat_name import keep_name
from growth_engine.web.h5.wechat_visitor import Here, Proven

bp = Blueprint("h5_wechat", __name__)
log = structlog.get_logger(__name__)

#: From leaving for WeChat's page until coming back; its code lives five minutes (sheet §2.11).
_STATE_SECONDS = 600
#: After leaving once, pages are shown as they are for a while, however the sign-in went: no loops.
_TRIED_COOKIE, _TRIED_SECONDS = "ge_wx_tried", 120
_STATE_LENGTH = 32
#: Names the sentence beside the button that puts one's name on one's poster.
_SHOWN = "h5-name-1"


@dataclass(frozen=True, slots=True)
class Problem:
    """Title and text are message ids."""

    icon: str
    title: str
    text: str
    status: int


#: What can be in the way; message ids.
PROBLEMS: Mapping[str, Problem] = {
    "denied": Problem(
        "user-x",
        N_("WeChat did not say who you are"),
        N_("You can go on without: then we ask for a phone number where one is needed."),
        200,
    ),
    "used": Problem(
        "refresh",
        N_("That took too long"),
        N_("WeChat's answer had expired or was used before. Please open the page again."),
        409,
    ),
    "busy": Problem(
        "hourglass",
        N_("WeChat cannot be reached right now"),
        N_("Please open the page again in a moment, or go on without signing in."),
        503,
    ),
    "snapshot": Problem(
        "eye-off",
        N_("Please open the whole page"),
        N_(
            "WeChat shows a preview here and hides who you are. Tap “Use the full service” below, then go on."
        ),
        200,
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A sign-in that was begun; waits in Redis under its ``state``, and works once."""

    visitor: str
    campaign_id: str
    account_id: str
    scope: Scope
    goes_on: str
    """A path of ours: where the person was."""
    holder: str
    shows: str = ""
    """The wording they agreed to when they asked for their name to be shown; empty: they did not ask."""


# -- leaving -----------------------------------------------------------------------------------------


@bp.before_app_request
def sign_in_silently() -> Response | None:
    """Somebody WeChat has not named yet opens a page of a campaign: ask WeChat, and come back here."""
    if not _is_page():
        return None
    found = g.wechat = _place()
    if found is None or wechat_visitor.proven(found.workspace_id, found.account_id) is not None:
        return None
    if request.cookies.get(_TRIED_COOKIE) == _tried() or request.args.get("wx") == "off":
        return None
    return _leave(found, "snsapi_base", request.full_path.rstrip("?"))


@bp.get("/c/<campaign_id>/wechat/name")
def ask_name(campaign_id: str) -> Answer:
    """The button that hands over one's name: WeChat asks the person, because they tapped."""
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
        account = wechat_visitor.account_of(visit.ctx, campaign_id)
    goes_on = web.safe_next(request.args.get("next"), url_for("h5_me.page", campaign_id=campaign_id))
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
        account = wechat_visitor.account_of(visit.ctx, campaign_id)
    if account is None or not wechat_visitor.inside():
        return redirect(goes_on, 303)
    here = Here(campaign.workspace_id, campaign_id, account.id, account.ids["appid"])
    # Agreeing to be shown is a tap on our own page, beside what it says; others' links agree to nothing.
    shows = f"{_SHOWN}:{campaign_id}:{campaign.version}" if "show" in request.args and _tapped_here() else ""
    return _leave(here, "snsapi_userinfo", goes_on, shows) or _problem(campaign, "busy")


def _tapped_here() -> bool:
    """Whether a page of ours led here (a form cannot: the content policy holds its way to WeChat's page)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(request.headers.get("Referer", "")).netloc == request.host


def _is_page() -> bool:
    """A page somebody navigates to; not what pages load, and nothing that writes."""
    blueprint = request.blueprint or ""
    return (
        request.method == "GET"
        and blueprint.startswith("h5_")
        and not blueprint.startswith(bp.name)
        and "text/html" in request.headers.get("Accept", "")
        and request.headers.get("Sec-Fetch-Dest", "document") == "document"
        and not web.is_htmx()
        and wechat_visitor.inside()
    )


def _place() -> Here | None:
    """Whose page this is; none when its campaign has no Official Account, or we are called by a name that
    is not the public one: WeChat only leads back there."""
    parts, given = web.parts(), request.view_args or {}
    campaign_id = given.get("campaign_id")
    if "token" in given:
        invite = queries.invite(parts.db, given["token"])
        campaign_id = invite.campaign_id if invite else None
    workspace_id = queries.workspace_of_campaign(parts.db, campaign_id) if campaign_id else None
    if campaign_id is None or workspace_id is None:
        return None
    if request.host != urlsplit(parts.settings.public_url).netloc:
        log.warning("h5.wechat_other_host", campaign=campaign_id)
        return None
    with parts.open(workspace_id) as ctx:
        account = wechat_visitor.account_of(ctx, campaign_id)
    return Here(workspace_id, campaign_id, account.id, account.ids["appid"]) if account else None


def _leave(here: Here, scope: Scope, goes_on: str, shows: str = "") -> Response | None:
    """To WeChat's page; none when that cannot be done now, which must not keep anybody from a page."""
    oauth = _oauth(here.workspace_id, here.account_id)
    if oauth is None:
        return None
    state = web.parts().ids.token(_STATE_LENGTH)
    holder = wechat_visitor.holder()
    asked = Asked(web.visitor_id(), here.campaign_id, here.account_id, scope, goes_on, holder, shows)
    try:
        web.parts().queue.set(_state_key(state), orjson.dumps(asdict(asked)), ex=_STATE_SECONDS)
    except RedisError as error:
        log.warning("h5.wechat_no_state", error=type(error).__name__)
        return None
    back = absolute(url_for("h5_wechat.back", campaign_id=here.campaign_id))
    response = make_response(redirect(oauth.authorize_url(back, state, scope), 302))
    response.headers["Cache-Control"] = "no-store"
    web.set_cookie(response, _TRIED_COOKIE, _tried(), max_age=_TRIED_SECONDS)
    return response


def _oauth(workspace_id: str, account_id: str) -> OAuth | None:
    parts = web.parts()
    try:
        with parts.open(workspace_id) as ctx:
            found = connections.connection(ctx, account_id)
    except (connections.UnknownAccount, SecretsUnreadable) as error:
        log.warning("h5.wechat_no_account", account=account_id, code=error.code)
        return None
    return OAuth(credentials.official_account(found), parts.gear)


def _tried() -> str:
    """Whoever else holds the sandbox's phone has not tried yet."""
    return wechat_visitor.holder() or "1"


# -- coming back -------------------------------------------------------------------------------------


@bp.get("/c/<campaign_id>/wechat")
def back(campaign_id: str) -> Answer:
    """WeChat sends the browser here with a code that says who it is, or without one."""
    limits.require_room("wechat")
    asked = _taken(request.args.get("state", ""), campaign_id)
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
    if asked is None:
        known = wechat_visitor.proven(campaign.workspace_id)
        # Reloaded, or come to by the back button: it has done its work already.
        me = url_for("h5_me.page", campaign_id=campaign_id)
        return redirect(me, 303) if known else _problem(campaign, "used")
    code, oauth = request.args.get("code", ""), _oauth(campaign.workspace_id, asked.account_id)
    if not code:
        return _problem(campaign, "denied", asked.goes_on)
    if oauth is None:
        return _problem(campaign, "busy", asked.goes_on)
    try:
        visitor = oauth.visitor(code[:512])
        person = oauth.person(visitor) if _gave_name(asked, visitor) else None
    except GoneForGood as error:
        log.info("h5.wechat_refused", account=asked.account_id, number=error.number)
        return _problem(campaign, "used", asked.goes_on)
    except ChannelError as error:
        log.warning("h5.wechat_failed", account=asked.account_id, number=error.number, code=error.code)
        return _problem(campaign, "busy", asked.goes_on)
    if visitor.snapshot:
        return _problem(campaign, "snapshot", asked.goes_on)
    return _signed_in(asked, visitor, person)


def _gave_name(asked: Asked, visitor: Visitor) -> bool:
    return asked.scope == "snsapi_userinfo" and not visitor.snapshot


def _taken(state: str, campaign_id: str) -> Asked | None:
    """What was asked under this state, once, by this very browser."""
    if not (len(state) == _STATE_LENGTH and state.isalnum() and state.isascii()):
        return None
    try:
        raw: Any = web.parts().queue.getdel(_state_key(state))
    except RedisError as error:
        log.warning("h5.wechat_no_state", error=type(error).__name__)
        return None
    asked = Asked(**orjson.loads(raw)) if raw else None
    if asked is None or asked.visitor != web.visitor_id() or asked.campaign_id != campaign_id:
        return None
    return asked


def _state_key(state: str) -> str:
    return f"ge:h5:wechat:{state}"


def _signed_in(asked: Asked, visitor: Visitor, person: Person | None) -> Response:
    """From now on this browser belongs to whoever WeChat says holds it."""
    unionid = visitor.unionid or (person.unionid if person else "")
    found = Proven(asked.account_id, visitor.openid, unionid, asked.holder)
    with visiting(asked.campaign_id) as visit:
        contact_id = wechat_visitor.whose(visit.ctx, found, visit.family, asked.campaign_id)
        if contact_id is not None and person is not None and person.nickname:
            pairs = [(one.kind, one.value) for one in found.identities]
            people_service.create_or_update(
                visit.ctx, pairs, nickname=person.nickname, source="wechat_oa", proven=True
            )
            if asked.shows:
                _show(visit.ctx, asked, contact_id)
        return _leads_on(visit, asked, found, contact_id, person)


def _show(ctx: Ctx, asked: Asked, contact_id: str) -> None:
    """Friends see the name from now on: on the poster, which is drawn anew, and on the invite's page."""
    people_service.record_consent(
        ctx, contact_id, purpose=CONSENT_PURPOSE, wording_version=asked.shows, source=joining.SOURCE
    )
    mine = queries.participation(ctx, asked.campaign_id, people.contact_family(ctx, contact_id))
    if mine is not None and mine.state == "active":
        try:
            invites.request_poster(ctx, mine.id)
        except TemplateNotVerified as error:
            log.info("h5.wechat_no_poster", participant=mine.id, code=error.code)


def _leads_on(
    visit: Visit, asked: Asked, found: Proven, contact_id: str | None, person: Person | None
) -> Response:
    workspace_id = visit.campaign.workspace_id
    response = make_response(redirect(asked.goes_on, 303))
    wechat_visitor.keep(response, workspace_id, found)
    if contact_id is not None:
        remember(response, workspace_id, contact_id)
    elif visit.contact is not None:
        forget(response, workspace_id)
    if person is not None and contact_id is None:
        keep_name(response, person.nickname)
    response.delete_cookie(_TRIED_COOKIE, path="/", samesite="Lax", httponly=True)
    response.headers["Cache-Control"] = "no-store"
    return response


def _problem(campaign: Shown, code: str, goes_on: str = "") -> tuple[str, int]:
    """A plain page with a way on that does not ask WeChat again."""
    problem = PROBLEMS[code]
    onward = goes_on or url_for("h5_landing.public", campaign_id=campaign.id)
    page = render_template(
        "h5/wechat_problem.html",
        problem=problem,
        again=onward,
        without=onward + ("&" if "?" in onward else "?") + "wx=off",
        **campaign_values(campaign),
    )
    return page, problem.status
