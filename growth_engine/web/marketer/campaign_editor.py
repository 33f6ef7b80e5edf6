"""Making a campaign from a template and changing it: one generated form beside a live preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.connections import queries as connections
from growth_engine.connections.rules import PROVIDERS
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import LOCALES, current_locale
from growth_engine.membership import queries as membership
from growth_engine.membership.models import MembershipPlan
from growth_engine.plays import queries, service, starting
from growth_engine.plays.content import ContentSchema, fill, placeholders
from growth_engine.plays.models import Campaign
from growth_engine.plays.registry import play
from growth_engine.plays.templates import UnknownTemplate, template
from growth_engine.posters import gallery
from growth_engine.posters import queries as posters
from growth_engine.posters import service as poster_service
from growth_engine.web.marketer import campaign_forms, campaign_preview
from growth_engine.web.marketer.campaign_forms import Draft

bp = Blueprint("campaign_editor", __name__, url_prefix="/console/campaigns")


@dataclass(frozen=True, slots=True)
class PosterChoice:
    value: str
    name: str
    picture: str
    """Address of what it looks like."""


@dataclass(frozen=True, slots=True)
class Editing:
    """What the editor is open for: a new campaign from a template, or one that exists."""

    play: str
    locale: str
    template: str = ""
    campaign: Campaign | None = None


@bp.get("/new")
@web.require_staff("marketer")
def new() -> str | Response:
    """The editor, filled from a template; without one the gallery comes first."""
    try:
        ready = template(request.args.get("template", ""))
    except UnknownTemplate:
        return redirect(url_for("gallery.listing"))
    locale = request.args.get("locale", "")
    locale = locale if locale in LOCALES else web.check_place().locale
    content = ready.content(locale, brand=web.check_place().name)
    _start, ends_at = ready.period(web.parts().clock.now())
    promise = play(ready.play).promise(ready.config(locale))
    draft = Draft(
        basics={
            "title": fill(content, promise, locale=locale)["title"],
            "starts_at": None,
            "ends_at": ends_at.replace(minute=0, second=0, microsecond=0),
        },
        content=content,
        config=ready.config(locale),
        problems={},
        poster=f"{campaign_preview.READY}{ready.poster}",
    )
    return _page(Editing(ready.play, locale, ready.slug), draft)


@bp.post("/new")
@web.require_staff("marketer")
def create() -> Response:
    ready = template(request.form.get("template", ""))
    locale = request.form.get("locale", "")
    editing = Editing(ready.play, locale if locale in LOCALES else "zh", ready.slug)
    draft = campaign_forms.read(play(ready.play), request.form, web.zone())
    if draft.problems:
        return _again(editing, draft)
    try:
        with web.ctx() as ctx:
            made = service.create_campaign(
                ctx,
                play_slug=ready.play,
                title=str(draft.basics["title"]),
                locale=editing.locale,
                template=ready.slug,
                **_values(ctx, draft),
            )
            service.update_draft(ctx, made.id, _channel(draft))
            starting.offer_products(ctx, made, ready)
    except Invalid as error:
        return _again(editing, replace(draft, problems=error.extra.get("errors", {})))
    flash(_("The draft is saved. Look through the check below, then publish."), "success")
    return redirect(url_for("campaign.overview", campaign_id=made.id))


@bp.get("/<campaign_id>/edit")
@web.require_staff("marketer")
def edit(campaign_id: str) -> str | Response:
    with web.ctx() as ctx:
        campaign = queries.campaign(ctx, campaign_id)
        choice = _choice_of(ctx, campaign)
    if campaign.state == "ended":
        flash(_("An ended campaign cannot be changed. Copy it instead."), "warning")
        return redirect(url_for("campaign.overview", campaign_id=campaign_id))
    draft = Draft(
        basics={"title": campaign.title, "starts_at": campaign.starts_at, "ends_at": campaign.ends_at},
        content={**ContentSchema().load({}), **campaign.content},
        config=campaign.config,
        problems={},
        poster=choice,
        plan=campaign.plan_id or "",
        channel=campaign.channel_account_id or "",
        channel_default=campaign.channel_default,
        channel_users=", ".join(campaign.channel_users),
    )
    return _page(Editing(campaign.play, campaign.locale, campaign.template, campaign), draft)


@bp.post("/<campaign_id>/edit")
@web.require_staff("marketer")
def save(campaign_id: str) -> Response:
    with web.ctx() as ctx:
        campaign = queries.campaign(ctx, campaign_id)
    editing = Editing(campaign.play, campaign.locale, campaign.template, campaign)
    draft = campaign_forms.read(play(campaign.play), request.form, web.zone())
    if draft.problems:
        return _again(editing, draft)
    try:
        with web.ctx() as ctx:
            changes = {"title": str(draft.basics["title"]), **_values(ctx, draft), **_channel(draft)}
            service.update_draft(ctx, campaign_id, changes)
    except Invalid as error:
        return _again(editing, replace(draft, problems=error.extra.get("errors", {})))
    if campaign.rule_version:
        flash(_("The changes are saved. They take effect once you publish them."), "success")
    else:
        flash(_("The draft is saved."), "success")
    return redirect(url_for("campaign.overview", campaign_id=campaign_id))


def _values(ctx: Ctx, draft: Draft) -> dict[str, Any]:
    """What services take, from a draft without problems."""
    starts_at, ends_at = campaign_forms.moments(draft)
    values: dict[str, Any] = {
        "config": draft.config,
        "content": draft.content,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    if draft.poster.startswith(campaign_preview.READY):
        slug = draft.poster.removeprefix(campaign_preview.READY)
        values["poster_template_id"] = poster_service.from_gallery(ctx, slug)
    elif draft.poster:
        values["poster_template_id"] = posters.template(ctx, draft.poster).id
    if draft.plan:
        values["plan_id"] = membership.plan(ctx, draft.plan).id
    return values


def _channel(draft: Draft) -> dict[str, Any]:
    """Which account carries it, where the form asked for that."""
    if draft.channel is None:
        return {}
    return {
        "channel_account_id": draft.channel or None,
        "channel_default": bool(draft.channel) and draft.channel_default,
        "channel_users": draft.users if draft.channel else [],
    }


def _choice_of(ctx: Ctx, campaign: Campaign) -> str:
    if campaign.poster_template_id is None:
        return ""
    return posters.template(ctx, campaign.poster_template_id).id


def _again(editing: Editing, draft: Draft) -> Response:
    flash(_("Some fields are not right yet. They are marked below."), "danger")
    return make_response(_page(editing, draft), 422)


def _page(editing: Editing, draft: Draft) -> str:
    of = play(editing.play)
    form = campaign_forms.editor_form(of, draft, web.zone())
    campaign, promise = campaign_forms.shown(of, draft, editing.locale)
    with web.ctx() as ctx:
        draft = replace(draft, poster=_chosen_poster(ctx, draft.poster))
        choices = _poster_choices(ctx, draft.poster)
        plans = membership.plans(ctx)
        channels = connections.messaging_accounts(ctx, draft.channel or "")
    return render_template(
        "marketer/campaign_editor.html",
        editing=editing,
        campaign=editing.campaign,
        play_title=of.title,
        form=form,
        draft=draft,
        choices=choices,
        plans=_offered(plans),
        channels=channels,
        providers=PROVIDERS,
        page=campaign_preview.phone_page(campaign, promise),
        placeholders=placeholders(promise),
        preview=campaign_preview.address(editing.play),
    )


def _offered(plans: Sequence[MembershipPlan]) -> Sequence[MembershipPlan]:
    """A choice of one is none."""
    return plans if len(plans) > 1 else ()


def _chosen_poster(ctx: Ctx, chosen: str) -> str:
    """A ready template the workspace has taken over stands among its own, under its id."""
    slug = chosen.removeprefix(campaign_preview.READY)
    own = {one.slug: one.id for one in posters.templates(ctx) if one.current_version}
    return own.get(slug, chosen) if chosen.startswith(campaign_preview.READY) else chosen


def _poster_choices(ctx: Ctx, chosen: str) -> list[PosterChoice]:
    """The workspace's own templates that can be used, then the ready ones not taken over yet."""
    own = [one for one in posters.templates(ctx) if one.current_version or one.id == chosen]
    if chosen and not chosen.startswith(campaign_preview.READY) and chosen not in {one.id for one in own}:
        own.append(posters.template(ctx, chosen))  # archived since, still used here
    taken: Mapping[str, str] = {one.slug: one.id for one in own}
    ready_names = {slug: gallery.document(slug)["name"] for slug in gallery.slugs()}
    locale = current_locale()
    return [
        PosterChoice(
            one.id,
            ready_names[one.slug][locale] if one.slug in ready_names else one.name,
            url_for("poster_templates.picture", template_id=one.id),
        )
        for one in own
    ] + [
        PosterChoice(
            f"{campaign_preview.READY}{slug}", name[locale], url_for("poster_templates.ready", slug=slug)
        )
        for slug, name in ready_names.items()
        if slug not in taken
    ]
