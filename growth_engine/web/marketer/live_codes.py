"""Live codes: one code on posters and doors, many groups and staff behind it; made, filled, watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.channels.storage import content_type_of
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_, format_day, translate
from growth_engine.live_codes import pictures, queries, rules, service
from growth_engine.live_codes.models import LiveCode, Target
from growth_engine.live_codes.pictures import CodePicture
from growth_engine.live_codes.rules import Warning
from growth_engine.live_codes.schemas import LiveCodeForm, TargetForm
from growth_engine.plays import queries as plays
from growth_engine.plays.contract import has_live_code
from growth_engine.plays.registry import plays as all_plays
from growth_engine.web import forms
from growth_engine.web.navigation import NavItem

bp = Blueprint("live_codes", __name__, url_prefix="/console/live-codes")

NAV = NavItem("live_codes.listing", N_("Live codes"), "qrcode", 35, roles=("marketer",))

#: What stands in the way of a target, on its badge.
HINDRANCES: Mapping[str, str] = {
    "": N_("Shown"),
    "paused": N_("Paused"),
    "expired": N_("Code ended"),
    "closed": N_("Out of hours"),
    "full": N_("Full"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A live code in the list."""

    code: LiveCode
    targets: int
    people: int
    warnings: list[Warning]


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    with web.ctx() as ctx:
        zone, now = ZoneInfo(queries.zone_name(ctx)), ctx.now()
        targets = queries.targets_of_all(ctx)
        rows = []
        for code in queries.live_codes(ctx):
            of = targets.get(code.id, [])
            people = sum(one.taken for one in of)
            rows.append(Row(code, len(of), people, rules.warnings(of, now, zone)))
        titles = plays.titles(ctx, {row.code.campaign_id for row in rows if row.code.campaign_id})
    return render_template("marketer/live_codes.html", rows=rows, titles=titles)


@bp.get("/new")
@web.require_staff("marketer")
def new() -> str:
    return _code_page(None, {"campaign_id": request.args.get("campaign", "")}, {})


@bp.post("/new")
@web.require_staff("marketer")
def create() -> AnyResponse:
    values = _sent_code()
    try:
        given = forms.load(LiveCodeForm(), values)
        with web.ctx() as ctx:
            made = service.create(ctx, campaign_id=values["campaign_id"] or None, **given)
    except (Invalid, Conflict) as error:
        return make_response(_code_page(None, values, _problems(error, "campaign_id")), 422)
    flash(_("The live code is made. Now add what stands behind it."), "success")
    return redirect(url_for("live_codes.show", live_code_id=made.id))


@bp.get("/<live_code_id>")
@web.require_staff("marketer")
def show(live_code_id: str) -> str:
    with web.ctx() as ctx:
        code = queries.live_code(ctx, live_code_id)
        zone, now = ZoneInfo(queries.zone_name(ctx)), ctx.now()
        targets = queries.targets(ctx, live_code_id)
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        figures = queries.figures(ctx, live_code_id, midnight)
        titles = plays.titles(ctx, {code.campaign_id} if code.campaign_id else set())
    return render_template(
        "marketer/live_code.html",
        code=code,
        url=service.url(web.parts().settings, code),
        targets=targets,
        figures=figures,
        unseen=queries.Figures(),
        hinders={one.id: rules.hinders(one, now, zone) for one in targets},
        hindrances=HINDRANCES,
        kinds=rules.KINDS,
        spreads=rules.SPREADS,
        warnings=[_told(one) for one in rules.warnings(targets, now, zone)],
        title=titles.get(code.campaign_id or "", ""),
        soon=now + timedelta(days=2),
    )


def _told(warning: Warning) -> tuple[str, str]:
    params = {**warning.params}
    if "day" in params:
        params["day"] = format_day(params["day"], web.zone())
    return warning.severity, translate(warning.message, params)


@bp.get("/<live_code_id>/edit")
@web.require_staff("marketer")
def edit(live_code_id: str) -> str:
    with web.ctx() as ctx:
        code = queries.live_code(ctx, live_code_id)
    values = {name: getattr(code, name) for name in ("name", "spread", "note")}
    return _code_page(code, {**values, "campaign_id": code.campaign_id or ""}, {})


@bp.post("/<live_code_id>/edit")
@web.require_staff("marketer")
def change(live_code_id: str) -> AnyResponse:
    values = _sent_code()
    with web.ctx() as ctx:
        code = queries.live_code(ctx, live_code_id)
    try:
        given = forms.load(LiveCodeForm(), values)
        with web.ctx() as ctx:
            service.change(ctx, live_code_id, {**given, "campaign_id": values["campaign_id"] or None})
    except (Invalid, Conflict) as error:
        return make_response(_code_page(code, values, _problems(error, "campaign_id")), 422)
    flash(_("Saved. The link and its code stay as they are."), "success")
    return redirect(url_for("live_codes.show", live_code_id=live_code_id))


@bp.post("/<live_code_id>/<any(pause, resume):action>")
@web.require_staff("marketer")
def switch(live_code_id: str, action: str) -> AnyResponse:
    with web.ctx() as ctx:
        service.change(ctx, live_code_id, {"state": "paused" if action == "pause" else "active"})
    return redirect(url_for("live_codes.show", live_code_id=live_code_id))


@bp.get("/<live_code_id>/qr.png")
@web.require_staff("marketer")
def own_picture(live_code_id: str) -> Response:
    """Our own code, for print and screen."""
    with web.ctx() as ctx:
        code = queries.live_code(ctx, live_code_id)
    response = Response(pictures.png(service.url(web.parts().settings, code)), mimetype="image/png")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


# -- targets -----------------------------------------------------------------------------------------


@bp.get("/<live_code_id>/targets/new")
@web.require_staff("marketer")
def new_target(live_code_id: str) -> str:
    return _target_page(live_code_id, None, {}, {})


@bp.post("/<live_code_id>/targets/new")
@web.require_staff("marketer")
def add_target(live_code_id: str) -> AnyResponse:
    values = forms.read_form(TargetForm(), request.form, zone=web.zone())
    try:
        given = forms.load(TargetForm(), values)
        with web.ctx() as ctx:
            service.add_target(ctx, live_code_id, _needed(_uploaded(ctx)), given)
    except (Invalid, Conflict) as error:
        return make_response(_target_page(live_code_id, None, values, _problems(error, "picture")), 422)
    flash(_("“%(name)s” stands behind the code now.", name=given["name"]), "success")
    return redirect(url_for("live_codes.show", live_code_id=live_code_id))


@bp.get("/<live_code_id>/targets/<target_id>")
@web.require_staff("marketer")
def edit_target(live_code_id: str, target_id: str) -> str:
    with web.ctx() as ctx:
        row = queries.target(ctx, live_code_id, target_id)
    return _target_page(live_code_id, row, {name: getattr(row, name) for name in TargetForm().fields}, {})


@bp.post("/<live_code_id>/targets/<target_id>")
@web.require_staff("marketer")
def change_target(live_code_id: str, target_id: str) -> AnyResponse:
    with web.ctx() as ctx:
        row = queries.target(ctx, live_code_id, target_id)
    values = forms.read_form(TargetForm(), request.form, zone=web.zone())
    try:
        given = forms.load(TargetForm(), values)
        _keep_end(row, given)
        with web.ctx() as ctx:
            service.change_target(ctx, live_code_id, target_id, given, _uploaded(ctx))
    except (Invalid, Conflict) as error:
        return make_response(_target_page(live_code_id, row, values, _problems(error, "picture")), 422)
    flash(_("Saved."), "success")
    return redirect(url_for("live_codes.show", live_code_id=live_code_id))


def _keep_end(row: Target, given: dict[str, Any]) -> None:
    """A form knows minutes only: an end left as it was is still the same end."""
    ended, typed = row.expires_at, given["expires_at"]
    if ended is not None and typed is not None and abs(typed - ended) < timedelta(minutes=1):
        given["expires_at"] = ended


@bp.post("/<live_code_id>/targets/<target_id>/<any(pause, resume):action>")
@web.require_staff("marketer")
def switch_target(live_code_id: str, target_id: str, action: str) -> AnyResponse:
    state = "paused" if action == "pause" else "active"
    with web.ctx() as ctx:
        service.change_target(ctx, live_code_id, target_id, {"state": state})
    return redirect(url_for("live_codes.show", live_code_id=live_code_id) + f"#{target_id}")


@bp.get("/<live_code_id>/targets/<target_id>/picture")
@web.require_staff("marketer")
def picture(live_code_id: str, target_id: str) -> Response:
    with web.ctx() as ctx:
        key = queries.target(ctx, live_code_id, target_id).picture_key
        content = ctx.parts.storage.get(key)
    response = Response(content, mimetype=content_type_of(key))
    response.headers["Cache-Control"] = "private, max-age=300"
    response.set_etag(key)
    response.make_conditional(request)
    return response


# -- forms -------------------------------------------------------------------------------------------


def _sent_code() -> dict[str, Any]:
    values = forms.read_form(LiveCodeForm(), request.form)
    return {**values, "campaign_id": web.form_text("campaign_id")}


def _uploaded(ctx: Ctx) -> CodePicture | None:
    """The picture sent along, if any, read and kept."""
    file = request.files.get("picture")
    if file is None or not file.filename:
        return None
    return pictures.from_upload(ctx.parts.storage, file.read())


def _needed(picture: CodePicture | None) -> CodePicture:
    if picture is None:
        raise Invalid(fields={"picture": [N_("Upload the picture of the code.")]})
    return picture


def _problems(error: Invalid | Conflict, where: str) -> Mapping[str, Any]:
    """By field; what belongs to none of the form's fields stands at ``where``."""
    return error.extra.get("errors") or {where: [translate(error.message, error.params)]}


def _code_page(code: LiveCode | None, values: Mapping[str, Any], problems: Mapping[str, Any]) -> str:
    with web.ctx() as ctx:
        fitting = [slug for slug, of in all_plays().items() if has_live_code(of)]
        campaigns = queries.campaigns_to_lead(ctx, fitting)
    form = forms.form_fields(LiveCodeForm(), values, problems)
    return render_template(
        "marketer/live_code_form.html",
        code=code,
        form={one.name: one for one in form},
        campaigns=campaigns,
        campaign_id=values.get("campaign_id") or "",
        campaign_problems=problems.get("campaign_id", ()),
        wrong=bool(problems),
    )


def _target_page(
    live_code_id: str, target: Target | None, values: Mapping[str, Any], problems: Mapping[str, Any]
) -> str:
    with web.ctx() as ctx:
        code = queries.live_code(ctx, live_code_id)
        if "position" not in values:
            known = queries.targets(ctx, live_code_id)
            values = {**values, "position": max((one.position for one in known), default=-1) + 1}
    form = forms.form_fields(TargetForm(), values, problems, zone=web.zone())
    return render_template(
        "marketer/live_code_target.html",
        code=code,
        target=target,
        form={one.name: one for one in form},
        picture_problems=problems.get("picture", ()),
        wrong=bool(problems),
    )
