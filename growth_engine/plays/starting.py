"""A new campaign from a ready one of the gallery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from growth_engine.access import queries as access
from growth_engine.context import Ctx
from growth_engine.plays import selling_stock, service, templates
from growth_engine.plays.models import Campaign
from growth_engine.plays.templates import Template
from growth_engine.posters import service as posters


def _in_currency(ready: templates.Template, locale: str, currency: str) -> dict[str, Any]:
    """The template's rules, sold in the currency the workspace pays out."""
    config = ready.config(locale)
    return {**config, "currency": currency} if "currency" in config else config


def create_from_template(
    ctx: Ctx,
    slug: str,
    *,
    locale: str | None = None,
    title: str | None = None,
    config: Mapping[str, Any] | None = None,
    content: Mapping[str, Any] | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    plan_id: str | None = None,
    poster_template_id: str | None = None,
) -> Campaign:
    """A draft that could be published unchanged; what is given replaces the template's, field by field.

    Without dates it starts now and runs as long as the template proposes. Raises UnknownTemplate, Invalid.
    """
    ready = templates.template(slug)
    workspace = access.workspace(ctx.session, ctx.workspace_id)
    assert workspace is not None
    locale = locale or workspace.locale
    start, end = ready.period(starts_at or ctx.now())
    made = service.create_campaign(
        ctx,
        play_slug=ready.play,
        template=ready.slug,
        title=title or ready.name(locale),
        locale=locale,
        config={**_in_currency(ready, locale, workspace.currency), **(config or {})},
        content={**ready.content(locale, brand=workspace.name), **(content or {})},
        starts_at=start,
        ends_at=ends_at or end,
        plan_id=plan_id,
        poster_template_id=poster_template_id or posters.from_gallery(ctx, ready.poster),
    )
    offer_products(ctx, made, ready)
    return made


def offer_products(ctx: Ctx, made: Campaign, ready: Template) -> None:
    """Put what a ready campaign sells on sale in a new one, in its language and currency."""
    for product in ready.products(made.locale):
        selling_stock.offer(ctx, made.id, currency=made.config["currency"], **product)
