"""REST: campaigns from the gallery or from nothing, their states, their figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE

from growth_engine.context import Ctx
from growth_engine.kit import rest
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import current_locale, translate
from growth_engine.kit.pages import Page
from growth_engine.plays import console_queries, figures, queries, registry, service, starting, templates
from growth_engine.plays.campaign_schemas import (
    Board,
    BoardQuery,
    CampaignChange,
    CampaignDetail,
    CampaignQuery,
    CampaignShape,
    NewCampaign,
    Publication,
    StatsShape,
    TemplateDetail,
    TemplateQuery,
    TemplateShape,
)
from growth_engine.plays.models import Campaign
from growth_engine.plays.templates import Template

blp = rest.Blueprint("campaigns", __name__, description="Campaigns and the gallery of ready ones.")


_COLUMNS = tuple(name for name in CampaignShape().fields if hasattr(Campaign, name))


# -- the gallery -------------------------------------------------------------------------------------


@blp.get("/templates")
@rest.scope("campaigns:read")
@rest.asks(TemplateQuery)
@rest.answers(200, rest.page_of(TemplateShape))
@rest.outside_transaction
def list_templates(query: Mapping[str, Any]) -> Page[Any]:
    """Ready campaigns, each good enough to publish unchanged."""
    locale = query.get("locale") or current_locale()
    return rest.page([_template(one, locale) for one in templates.templates().values()])


@blp.get("/templates/<slug>")
@rest.scope("campaigns:read")
@rest.asks(TemplateQuery)
@rest.answers(200, TemplateDetail)
@rest.outside_transaction
def get_template(slug: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """A ready campaign with its rules and copy."""
    locale = query.get("locale") or current_locale()
    ready = templates.template(slug)
    return {**_template(ready, locale), "config": ready.config(locale), "content": ready.content(locale)}


def _template(ready: Template, locale: str) -> dict[str, Any]:
    return {
        "slug": ready.slug,
        "play": ready.play,
        "category": ready.category,
        "name": ready.name(locale),
        "summary": ready.summary(locale),
        "poster": ready.poster,
        "duration_days": ready.duration_days,
    }


# -- campaigns ---------------------------------------------------------------------------------------


@blp.get("/campaigns")
@rest.scope("campaigns:read")
@rest.asks(CampaignQuery)
@rest.answers(200, rest.page_of(CampaignShape))
def list_campaigns(ctx: Ctx, query: Mapping[str, Any]) -> Page[Any]:
    """Campaigns, newest first."""
    states = [query["state"]] if "state" in query else []
    (after,) = rest.after(query["cursor"], str) or ("",)
    rows, last = queries.campaigns_page(
        ctx, states=states, search=query["search"], after=after, limit=query["limit"]
    )
    return rest.page([_campaign(ctx, row) for row in rows], last)


@blp.post("/campaigns")
@rest.scope("campaigns:write")
@rest.takes(NewCampaign)
@rest.answers(201, CampaignDetail)
def create_campaign(ctx: Ctx, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make a draft, from a ready campaign (`template`) or from a `play`."""
    fields = dict(body)
    channel = {name: fields.pop(name) for name in service.CHANNEL if name in fields}
    if slug := fields.pop("template", None):
        _require_known_rules(templates.template(slug).play, fields)
        made = starting.create_from_template(ctx, slug, **fields)
    else:
        play_slug = fields.pop("play")
        _require_known_rules(play_slug, fields)
        blank = {"locale": current_locale(), "config": {}, "content": {}}
        made = service.create_campaign(ctx, play_slug=play_slug, **{**blank, **fields})
    return _detail(ctx, service.update_draft(ctx, made.id, channel) if channel else made)


@blp.get("/campaigns/<campaign_id>")
@rest.scope("campaigns:read")
@rest.answers(200, CampaignDetail)
def get_campaign(ctx: Ctx, campaign_id: str) -> dict[str, Any]:
    """A campaign with its draft and what the check before publishing finds."""
    return _detail(ctx, queries.campaign(ctx, campaign_id))


@blp.patch("/campaigns/<campaign_id>")
@rest.scope("campaigns:write")
@rest.takes(CampaignChange)
@rest.answers(200, CampaignDetail)
def change_campaign(ctx: Ctx, campaign_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change the draft. A published campaign goes on under its published rules until published again."""
    _require_known_rules(queries.campaign(ctx, campaign_id).play, body)
    return _detail(ctx, service.update_draft(ctx, campaign_id, body))


@blp.post("/campaigns/<campaign_id>/publish")
@rest.scope("campaigns:write")
@rest.takes(Publication, needed=False)
@rest.answers(200, CampaignDetail)
def publish_campaign(ctx: Ctx, campaign_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Put the draft in force as the next rule version.

    Refused with 422 `not_publishable` and the `findings` while the check finds errors, or warnings that
    were not accepted.
    """
    campaign = service.publish(ctx, campaign_id, accept_warnings=body["accept_warnings"])
    return _detail(ctx, campaign)


@blp.post("/campaigns/<campaign_id>/pause")
@rest.scope("campaigns:write")
@rest.answers(200, CampaignDetail)
def pause_campaign(ctx: Ctx, campaign_id: str) -> dict[str, Any]:
    """Take nobody for now."""
    return _detail(ctx, service.pause(ctx, campaign_id))


@blp.post("/campaigns/<campaign_id>/resume")
@rest.scope("campaigns:write")
@rest.answers(200, CampaignDetail)
def resume_campaign(ctx: Ctx, campaign_id: str) -> dict[str, Any]:
    """Go on after a pause."""
    return _detail(ctx, service.resume(ctx, campaign_id))


@blp.post("/campaigns/<campaign_id>/end")
@rest.scope("campaigns:write")
@rest.answers(200, CampaignDetail)
def end_campaign(ctx: Ctx, campaign_id: str) -> dict[str, Any]:
    """End it for good; what was promised is still delivered."""
    return _detail(ctx, service.end(ctx, campaign_id))


def _campaign(ctx: Ctx, campaign: Campaign) -> dict[str, Any]:
    plain = {name: getattr(campaign, name) for name in _COLUMNS}
    url = f"{ctx.parts.settings.public_url.rstrip('/')}/c/{campaign.id}"
    return {**plain, "template": campaign.template or None, "url": url}


def _detail(ctx: Ctx, campaign: Campaign) -> dict[str, Any]:
    found = [
        {
            "code": one.code,
            "severity": one.severity,
            "field": one.field,
            "message": translate(one.message_id, one.params),
            "excerpt": one.excerpt,
        }
        for one in service.findings(ctx, campaign)
    ]
    draft = {"config": campaign.config, "content": campaign.content}
    return {**_campaign(ctx, campaign), **draft, "findings": found}


def _require_known_rules(play_slug: str, fields: Mapping[str, Any]) -> None:
    """A form may send more than the rules know; a program that does has made a typing error."""
    problems = registry.play(play_slug).Config(unknown=RAISE, partial=True).validate(fields.get("config", {}))
    if problems:
        raise Invalid(fields={"config": problems})


# -- figures -----------------------------------------------------------------------------------------


@blp.get("/campaigns/<campaign_id>/leaderboard")
@rest.scope("campaigns:read")
@rest.asks(BoardQuery)
@rest.answers(200, Board)
@rest.refuses(503)
def get_leaderboard(ctx: Ctx, campaign_id: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """The first places."""
    queries.campaign(ctx, campaign_id)
    places, seq = figures.leaderboard(ctx, campaign_id, query["limit"])
    dressed = queries.by_numbers(ctx, campaign_id, [number for number, _ in places])
    items = [
        {
            "rank": rank,
            "score": score,
            "participant_id": dressed[number][0].id,
            "member_no": number,
            "nickname": dressed[number][1],
        }
        for rank, (number, score) in enumerate(places, 1)
    ]
    return {"items": items, "next_cursor": None, "as_of_seq": seq}


@blp.get("/campaigns/<campaign_id>/stats")
@rest.scope("campaigns:read")
@rest.answers(200, StatsShape)
@rest.refuses(503)
def get_stats(ctx: Ctx, campaign_id: str) -> dict[str, Any]:
    """Participants by state, funnel, K-factor by day of joining, and what was promised."""
    queries.campaign(ctx, campaign_id)
    found = figures.of_campaign(ctx, campaign_id)
    totals = found.totals
    return {
        "campaign_id": campaign_id,
        "totals": {
            "members": totals.members,
            # The mirror counts blocked people as present: a block is no leaving.
            "active": totals.active - totals.blocked,
            "left": totals.members - totals.active,
            "blocked": totals.blocked,
            "valid_invites": totals.score_sum,
            "ranked": totals.ranked,
        },
        "funnel": found.funnel,
        "k": _k(totals.score_sum, totals.members),
        "cohorts": [
            {"day": day, "members": members, "invites": invites, "k": _k(invites, members) or 0.0}
            for day, members, invites in found.cohorts
        ],
        "grants": {
            state: {"grants": count, "days": days}
            for state, (count, days) in console_queries.grant_counts(ctx, campaign_id).items()
        },
        "as_of_seq": totals.last_seq,
        "journal_seq": found.journal_seq,
    }


def _k(invites: int, members: int) -> float | None:
    return round(invites / members, 4) if members else None
