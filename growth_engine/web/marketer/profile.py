"""One's own profile: name, language, password, sign-out everywhere."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from marshmallow import Schema
from werkzeug.wrappers import Response

from growth_engine.access import queries, service, sessions
from growth_engine.access.schemas import PasswordForm, ProfileForm
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.web import forms

bp = Blueprint("profile", __name__, url_prefix="/console/profile")


@bp.get("")
@web.require_staff()
def show() -> str:
    return _page()


@bp.post("")
@web.require_staff()
def save() -> Response | str:
    who = web.check_staff()
    values = forms.read_form(ProfileForm(), request.form)
    try:
        with web.ctx() as ctx:
            service.prefer(ctx, who.staff_id, **forms.load(ProfileForm(), values))
    except Invalid as error:
        return make_response(_page(values=values, problems=error.extra["errors"]), 422)
    flash(_("Saved."), "success")
    response = redirect(url_for("profile.show"))
    # The choice made here wins over one made earlier with the language switch.
    response.delete_cookie(web.LANGUAGE_COOKIE)
    return response


@bp.post("/password")
@web.require_staff()
def change_password() -> Response | str:
    who = web.check_staff()
    values = forms.read_form(PasswordForm(), request.form)
    try:
        entered = forms.load(PasswordForm(), values)
        with web.ctx() as ctx:
            staff = service.change_password(ctx, who.staff_id, entered["current"], entered["password"])
    except Invalid as error:
        return make_response(_page(password_problems=error.extra["errors"]), 422)
    flash(_("Your password is changed. Other devices are signed out."), "success")
    return sessions.sign_in(redirect(url_for("profile.show")), staff)


def _page(
    values: forms.Values | None = None,
    problems: forms.Values | None = None,
    password_problems: forms.Values | None = None,
) -> str:
    who = web.check_staff()
    with web.ctx() as ctx:
        staff = queries.staff(ctx.session, who.staff_id)
        has_password = staff is not None and staff.password_hash is not None
    shown = values if values is not None else {"name": who.name, "locale": who.locale}
    return render_template(
        "marketer/profile.html",
        who=who,
        form=forms.form_fields(ProfileForm(), shown, problems),
        password_form=forms.form_fields(_password_form(has_password), {}, password_problems),
        has_password=has_password,
    )


def _password_form(has_password: bool) -> Schema:
    return PasswordForm() if has_password else PasswordForm(exclude=("current",))
