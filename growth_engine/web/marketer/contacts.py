"""Everybody the workspace knows: found by name or identity."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import Page, write_cursor
from growth_engine.people import queries
from growth_engine.web.navigation import NavItem

bp = Blueprint("contacts", __name__, url_prefix="/console/contacts")

NAV = NavItem("contacts.listing", N_("Contacts"), "friends", 30, roles=("marketer",), blueprints=("contact",))

STATES: Mapping[str, str] = {"here": N_("Here"), "left": N_("Has left"), "blocked": N_("Blocked")}
KINDS: Mapping[str, str] = {
    "phone": N_("Phone"),
    "openid": "OpenID",
    "unionid": "UnionID",
    "external_userid": N_("WeCom"),
    "external_id": N_("Your own id"),
}
#: How somebody came, and what they agreed to; other words are the caller's own.
SOURCES: Mapping[str, str] = {"h5": N_("Phone page"), "api": "API"}
PURPOSES: Mapping[str, str] = {"campaign": N_("Taking part in campaigns")}


@bp.get("")
@web.require_staff("marketer")
def listing() -> str | Response:
    ask = web.page_ask()
    search = request.args.get("q", "").strip()[:100]
    state = request.args.get("state", "")
    filters: dict[str, bool] = {"here": {"blocked": False, "left": False}, "left": {"left": True}}.get(
        state, {"blocked": True} if state == "blocked" else {}
    )
    with web.ctx() as ctx:
        found, following = queries.contacts_page(
            ctx, search=search, after=str(ask.after[0]) if ask.after else "", limit=ask.limit, **filters
        )
        identities = queries.identities_of(ctx, [one.id for one in found])
    if search and len(found) == 1 and not ask.after and identities[found[0].id]:
        exact = {one.value for one in identities[found[0].id]}
        if search in exact:
            return redirect(url_for("contact.show", contact_id=found[0].id))
    return render_template(
        "marketer/contacts.html",
        contacts=found,
        identities=identities,
        page=Page(found, write_cursor((following,)) if following else None),
        kinds=KINDS,
        sources=SOURCES,
        search=search,
        state=state if state in STATES else "",
        states=STATES,
        filtered=bool(search or state or ask.after),
    )
