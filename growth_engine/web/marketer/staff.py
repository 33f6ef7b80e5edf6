"""Staff of the workspace: who is in, invite, role, disable. For administrators."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.access import links, queries, rules, service
from growth_engine.access.schemas import InviteForm
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_, translate
from growth_engine.web import forms
from growth_engine.web.navigation import NavItem

bp = Blueprint("staff", __name__, url_prefix="/console/staff")

NAV = NavItem("staff.listing", N_("Staff"), "users", 80, roles=("admin",))


@bp.get("")
@web.require_staff("admin")
def listing() -> str:
    with web.ctx() as ctx:
        people = queries.all_staff(ctx.session)
    return render_template("marketer/staff.html", people=people, roles=rules.ROLES)


@bp.get("/new")
@web.require_staff("admin")
def new() -> str:
    return _invite_page({}, {})


@bp.post("/new")
@web.require_staff("admin")
def invite() -> Response | str:
    values = forms.read_form(InviteForm(), request.form)
    try:
        with web.ctx() as ctx:
            staff = service.create_staff(ctx, **forms.load(InviteForm(), values))
    except (Invalid, service.EmailTaken) as error:
        return make_response(_invite_page(values, error.extra["errors"]), 422)
    return _link_page(staff.email, staff.name)


@bp.post("/<staff_id>/link")
@web.require_staff("admin")
def link(staff_id: str) -> Response | str:
    with web.ctx() as ctx:
        staff = queries.staff(ctx.session, staff_id)
        if staff is None:
            raise service.StaffNotFound
    return _link_page(staff.email, staff.name)


@bp.post("/<staff_id>/role")
@web.require_staff("admin")
def role(staff_id: str) -> Response:
    try:
        with web.ctx() as ctx:
            service.change_role(ctx, staff_id, request.form.get("role", ""))
        flash(_("The role is changed."), "success")
    except Conflict as error:
        flash(translate(error.message, error.params), "danger")
    return redirect(url_for("staff.listing"))


@bp.post("/<staff_id>/disable")
@web.require_staff("admin")
def disable(staff_id: str) -> Response:
    try:
        with web.ctx() as ctx:
            service.disable(ctx, staff_id)
        flash(_("This person can no longer sign in."), "success")
    except Conflict as error:
        flash(translate(error.message, error.params), "danger")
    return redirect(url_for("staff.listing"))


@bp.post("/<staff_id>/enable")
@web.require_staff("admin")
def enable(staff_id: str) -> Response:
    with web.ctx() as ctx:
        service.enable(ctx, staff_id)
    flash(_("This person can sign in again."), "success")
    return redirect(url_for("staff.listing"))


def _invite_page(values: forms.Values, problems: forms.Values) -> str:
    return render_template("marketer/staff_new.html", form=forms.form_fields(InviteForm(), values, problems))


def _link_page(email: str, name: str) -> str:
    """The link is shown to the administrator to pass on; we send no email."""
    address = links.create_sign_in_link(web.parts(), web.check_place().id, email, ttl=links.LONGEST)
    return render_template("marketer/staff_link.html", address=address, name=name, email=email)
