"""Poster templates: the workspace's own and the ready ones; an editor by form with a live preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_, current_locale, translate
from growth_engine.posters import gallery, queries, service, uploads
from growth_engine.posters.rules import Personal, Problem, problems_of
from growth_engine.posters.schemas import load_template
from growth_engine.web.form_problems import in_words
from growth_engine.web.marketer import campaign_preview
from growth_engine.web.marketer import posters_editor_forms as forms
from growth_engine.web.navigation import NavItem

bp = Blueprint("poster_templates", __name__, url_prefix="/console/posters")

NAV = NavItem("poster_templates.listing", N_("Posters"), "photo", 20, roles=("marketer",))


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    with web.ctx() as ctx:
        own = [(one, queries.versions(ctx, one.id)[0].version) for one in queries.templates(ctx)]
    locale = current_locale()
    ready = [(slug, gallery.document(slug)["name"][locale]) for slug in gallery.slugs()]
    return render_template("marketer/posters.html", own=own, ready=ready)


@bp.get("/<template_id>/picture.jpg")
@web.require_staff("marketer")
def picture(template_id: str) -> Response:
    """The newest version of a template, with sample words."""
    with web.ctx() as ctx:
        template = queries.template(ctx, template_id)
        versions = queries.versions(ctx, template.id)
        return campaign_preview.as_picture(service.preview(ctx, versions[0].spec, _sample()))


@bp.get("/ready/<slug>.jpg")
@web.require_staff("marketer")
def ready(slug: str) -> Response:
    with web.ctx() as ctx:
        return campaign_preview.as_picture(service.preview(ctx, gallery.document(slug), _sample()))


@bp.post("/ready/<slug>/copy")
@web.require_staff("marketer")
def copy_ready(slug: str) -> AnyResponse:
    """A template of one's own, made from a ready one."""
    document = gallery.document(slug)
    with web.ctx() as ctx:
        made = service.create_template(
            ctx, f"{slug}-{ctx.parts.ids.token(6)}", document["name"][current_locale()], document
        )
    return redirect(url_for("poster_templates.edit", template_id=made.id))


@bp.get("/<template_id>")
@web.require_staff("marketer")
def edit(template_id: str) -> str:
    with web.ctx() as ctx:
        version = queries.versions(ctx, queries.template(ctx, template_id).id)[0]
    return _page(template_id, dict(version.spec), {})


@bp.post("/<template_id>")
@web.require_staff("marketer")
def change(template_id: str) -> AnyResponse | str:
    """Save a version, publish it, or (``do``) move, add or drop a layer without saving."""
    document = forms.read(request.form)
    with web.ctx() as ctx:
        queries.template(ctx, template_id)
        try:
            _take_pictures(ctx, document)
        except Invalid as error:
            flash(translate(error.message, error.params), "danger")
            return make_response(_page(template_id, document, {}), 422)
    if request.form.get("do", "").partition(":")[0] in ("up", "down", "drop", "add"):
        return _page(template_id, document, {}, unsaved=True)
    try:
        with web.ctx() as ctx:
            number = _save(ctx, template_id, document)
            problems = (
                service.publish_version(ctx, template_id, number).problems
                if request.form.get("do") == "publish"
                else None
            )
    except Invalid as error:
        flash(_("Some fields are not right yet. They are marked below."), "danger")
        return make_response(_page(template_id, document, error.extra.get("errors", {})), 422)
    if problems:
        flash(_("Saved, but not published: the check found something."), "danger")
        return make_response(_page(template_id, document, {}, found=problems), 422)
    flash(
        _("Published: new posters are drawn with it.")
        if problems is not None
        else _("Saved. Publish it to use it."),
        "success",
    )
    return redirect(url_for("poster_templates.edit", template_id=template_id))


@bp.post("/<template_id>/preview")
@web.require_staff("marketer")
def preview(template_id: str) -> str:
    """The picture of what is typed, for htmx, with what the plan of it is missing."""
    document = forms.read(request.form)
    locale = request.form.get("shown", "zh")
    with web.ctx() as ctx:
        queries.template(ctx, template_id)
        try:
            problems = list(problems_of(load_template(document)))
            drawn = service.preview(ctx, document, _sample(locale))
        except Invalid as error:
            return render_template(
                "marketer/_poster_preview.html",
                picture="",
                problems=in_words(error.extra.get("errors")) or [translate(error.message, error.params)],
            )
    return render_template(
        "marketer/_poster_preview.html",
        picture=campaign_preview.as_data(drawn),
        problems=[_said(one) for one in problems],
    )


@bp.post("/<template_id>/archive")
@web.require_staff("marketer")
def archive(template_id: str) -> AnyResponse:
    with web.ctx() as ctx:
        service.archive_template(ctx, template_id)
    flash(_("It is no longer offered. Campaigns that use it go on."), "success")
    return redirect(url_for("poster_templates.listing"))


def _save(ctx: Ctx, template_id: str, document: Mapping[str, Any]) -> int:
    """The number of the version; one that changes nothing is not made."""
    newest = queries.versions(ctx, template_id)[0]
    template = queries.template(ctx, template_id)
    number = newest.version if newest.spec == document else service.save_version(ctx, template_id, document)
    template.name = document["name"][web.check_place().locale]
    return number


def _take_pictures(ctx: Ctx, document: forms.Document) -> None:
    """Uploaded pictures go to the storage, their keys into the document."""
    storage = ctx.parts.storage
    if data := _uploaded("background-file"):
        document["picture"] = uploads.background_from_upload(storage, data)
    if data := _uploaded("logo-file"):
        key = uploads.logo_from_upload(storage, data)
        for layer in document["layers"]:
            if layer["type"] == "logo":
                layer["picture"] = key
    if data := _uploaded("qr-logo-file"):
        key = uploads.logo_from_upload(storage, data)
        for layer in document["layers"]:
            if layer["type"] == "qr":
                layer["logo"] = key


def _uploaded(name: str) -> bytes:
    file: FileStorage | None = request.files.get(name)
    return file.read() if file is not None and file.filename else b""


def _sample(locale: str = "") -> Personal:
    locale = locale if locale in ("zh", "en") else current_locale()
    return Personal(
        qr_content=campaign_preview.sample_link(),
        nickname=campaign_preview.SAMPLE_NAMES[locale],
        locale="zh" if locale == "zh" else "en",
    )


def _said(problem: Problem) -> str:
    return translate(problem.message, problem.params)


def _page(
    template_id: str,
    document: forms.Document,
    errors: Mapping[str, Any],
    *,
    found: Any = (),
    unsaved: bool = False,
) -> str:
    with web.ctx() as ctx:
        template = queries.template(ctx, template_id)
        newest = queries.versions(ctx, template_id)[0]
    return render_template(
        "marketer/poster_editor.html",
        template=template,
        newest=newest,
        unsaved=unsaved,
        form=forms.document_form(document, errors),
        found=[_said(one) for one in found],
        errors=in_words({name: one for name, one in errors.items() if name != "layers"}),
        in_words=in_words,
        aligns=forms.ALIGNS,
        defaults=forms.DEFAULTS,
        has_logo=any(layer["type"] == "logo" for layer in document["layers"]),
        shown=current_locale(),
    )
