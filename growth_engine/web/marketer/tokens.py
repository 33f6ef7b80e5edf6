"""API tokens: create (shown once), list, revoke. For administrators."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.access import queries, service
from growth_engine.access.schemas import TokenForm
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.web import forms
from growth_engine.web.navigation import NavItem

bp = Blueprint("tokens", __name__, url_prefix="/console/tokens")

NAV = NavItem("tokens.listing", N_("API tokens"), "key", 90, roles=("admin",))


@bp.get("")
@web.require_staff("admin")
def listing() -> str:
    with web.ctx() as ctx:
        found = queries.all_tokens(ctx.session)
        makers = {one.id: one.name for one in queries.all_staff(ctx.session)}
    return render_template("marketer/tokens.html", tokens=found, makers=makers)


@bp.get("/new")
@web.require_staff("admin")
def new() -> str:
    return _form_page({}, {})


@bp.post("/new")
@web.require_staff("admin")
def create() -> Response | str:
    values = forms.read_form(TokenForm(), request.form)
    try:
        entered = forms.load(TokenForm(), values)
        with web.ctx() as ctx:
            token = service.issue_token(ctx, entered["scopes"], entered["name"])
    except Invalid as error:
        return make_response(_form_page(values, error.extra["errors"]), 422)
    return render_template("marketer/token_made.html", token=token, name=entered["name"], api=_api_root())


@bp.post("/<token_id>/revoke")
@web.require_staff("admin")
def revoke(token_id: str) -> Response:
    with web.ctx() as ctx:
        service.revoke_token(ctx, token_id)
    flash(_("The token is revoked. Programs that use it are refused from now on."), "success")
    return redirect(url_for("tokens.listing"))


def _api_root() -> str:
    return web.parts().settings.public_url.rstrip("/") + "/api/v1"


def _form_page(values: forms.Values, problems: forms.Values) -> str:
    return render_template("marketer/token_new.html", form=forms.form_fields(TokenForm(), values, problems))
