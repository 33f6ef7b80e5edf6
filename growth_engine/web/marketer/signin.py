"""Signing in and out: password, one-time link, choice of workspace."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.access import links, lockout, rules, service, sessions
from growth_engine.access.models import Staff
from growth_engine.access.schemas import SignInForm
from growth_engine.kit import web
from growth_engine.kit.crypto import Signer
from growth_engine.kit.errors import GrowthError, Invalid
from growth_engine.kit.i18n import translate
from growth_engine.web import forms

bp = Blueprint("signin", __name__, url_prefix="/sign-in")

#: How long the choice of a workspace may take after the password was right.
_CHOICE_SECONDS = 300


@bp.get("")
def form() -> Response | str:
    if web.signed_in():
        return redirect(web.safe_next(request.args.get("next"), url_for("console.home")))
    return _page({}, {})


@bp.post("")
def submit() -> Response | str:
    values = forms.read_form(SignInForm(), request.form)
    try:
        entered = forms.load(SignInForm(), values)
        people = service.check_password(
            web.parts(), entered["email"], entered["password"], request.remote_addr or ""
        )
    except Invalid as error:
        return make_response(_page(values, error.extra["errors"]), 422)
    except (service.WrongCredentials, lockout.LockedOut) as error:
        return _refused(values, error)
    if len(people) > 1:
        return _choice(people)
    return _welcome(people[0])


@bp.post("/workspace")
def choose() -> Response:
    """Second step for an address known in several workspaces; the choice was signed after the password."""
    chosen = _signer().unsign(request.form.get("choice", ""), max_age=_CHOICE_SECONDS)
    if not isinstance(chosen, list) or chosen[2] != web.visitor_id():
        flash(_("That took too long. Please sign in again."), "warning")
        return redirect(url_for("signin.form"))
    return _welcome(service.staff_to_sign_in(web.parts(), chosen[0], chosen[1], generation=chosen[3]))


@bp.get("/link/<token>")
def link(token: str) -> Response | str:
    """Shows whom the link is for; only the button uses it up, for chats open links to preview them."""
    try:
        target = links.look_at(web.parts(), token)
    except links.LinkSpent as error:
        return make_response(_spent(error), 410)
    return render_template("marketer/signin_link.html", token=token, email=rules.masked_email(target.email))


@bp.post("/link/<token>")
def use_link(token: str) -> Response | str:
    try:
        staff = links.use(web.parts(), token)
    except links.LinkSpent as error:
        return make_response(_spent(error), 410)
    if staff.password_hash is None:
        flash(_("Welcome! Set a password here, so that you can come back without a link."), "info")
        return sessions.sign_in(redirect(url_for("profile.show")), staff)
    return _welcome(staff)


@bp.post("/out")
def sign_out() -> Response:
    flash(_("You are signed out."), "success")
    return sessions.sign_out(redirect(url_for("signin.form")))


@bp.post("/out-everywhere")
def sign_out_everywhere() -> Response:
    who = web.check_staff()
    with web.ctx() as ctx:
        service.sign_out_everywhere(ctx, who.staff_id)
    flash(_("You are signed out on every device."), "success")
    return sessions.sign_out(redirect(url_for("signin.form")))


def _welcome(staff: Staff) -> Response:
    return sessions.sign_in(redirect(web.safe_next(request.form.get("next"), url_for("console.home"))), staff)


def _page(values: forms.Values, problems: forms.Values, problem: str = "") -> str:
    return render_template(
        "marketer/signin.html",
        form=forms.form_fields(SignInForm(), values, problems),
        problem=problem,
        next=web.safe_next(request.values.get("next"), ""),
    )


def _refused(values: forms.Values, error: GrowthError) -> Response:
    response = make_response(_page(values, {}, translate(error.message, error.params)), error.status)
    if "retry_after" in error.extra:
        response.headers["Retry-After"] = str(error.extra["retry_after"])
    return response


def _choice(people: Sequence[Staff]) -> str:
    options = [
        (
            _signer().sign([one.workspace_id, one.id, web.visitor_id(), one.sessions_valid_from.isoformat()]),
            service.workspace_name(web.parts(), one.workspace_id),
            rules.ROLES[one.role],
        )
        for one in people
    ]
    return render_template(
        "marketer/signin_workspace.html",
        options=options,
        next=web.safe_next(request.form.get("next"), ""),
    )


def _signer() -> Signer:
    return Signer(web.parts().settings.secret_key, "choose-workspace")


def _spent(error: GrowthError) -> str:
    return render_template("marketer/signin_spent.html", message=translate(error.message))
