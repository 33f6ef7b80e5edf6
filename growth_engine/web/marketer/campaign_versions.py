"""Every published version of a campaign's rules and texts, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from marshmallow import Schema, fields

from growth_engine.access import queries as access
from growth_engine.kit import i18n, web
from growth_engine.kit.i18n import N_, translate
from growth_engine.plays import queries
from growth_engine.plays.content import ContentSchema
from growth_engine.plays.models import CampaignVersion
from growth_engine.plays.registry import play
from growth_engine.web import form_money
from growth_engine.web.forms import options
from growth_engine.web.marketer import campaign_frame

bp = Blueprint("campaign_versions", __name__, url_prefix="/console/campaigns")


@dataclass(frozen=True, slots=True)
class Change:
    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Shown:
    version: CampaignVersion
    changes: Sequence[Change]


@bp.get("/<campaign_id>/versions")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.frame(ctx, campaign_id)
        versions = queries.versions(ctx, campaign_id)
        makers = {one.id: one.name for one in access.all_staff(ctx.session)}
    config = play(frame.campaign.play).Config()
    earlier = [*versions[1:], None]
    return render_template(
        "marketer/campaign_versions.html",
        frame=frame,
        campaign=frame.campaign,
        tab="campaign_versions.listing",
        versions=[
            Shown(one, _changes(before, one, config) if before else ())
            for one, before in zip(versions, earlier, strict=True)
        ],
        makers=makers,
    )


def _changes(before: CampaignVersion, after: CampaignVersion, config: Schema) -> list[Change]:
    found = [
        Change(translate(label), _words(old), _words(new))
        for label, old, new in (
            (N_("Starts at"), before.starts_at, after.starts_at),
            (N_("Ends at"), before.ends_at, after.ends_at),
        )
        if old != new
    ]
    return [
        *found,
        *_differences(config, before.config, after.config),
        *_differences(ContentSchema(), before.content, after.content),
    ]


def _differences(schema: Schema, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    return [
        Change(_label(name, field), _value(schema, name, before), _value(schema, name, after))
        for name, field in schema.fields.items()
        if before.get(name) != after.get(name)
    ]


def _value(schema: Schema, name: str, values: Mapping[str, Any], outer: str = "") -> str:
    """One value for people; amounts with their currency, rates in percent."""
    field, value = schema.fields[name], values.get(name)
    currency = form_money.currency_of(schema, values, outer=outer)
    by = form_money.unit_field(name, field, schema)
    counted_as = str(values.get(by, "")) if by else ""
    if not isinstance(value, int) or form_money.digits(field, counted_as, currency) is None:
        return _words(value, field, currency)
    if by and counted_as != "fixed":
        return f"{form_money.shortly(value)}%"
    return i18n.format_amount(value, currency)


def _label(name: str, field: fields.Field[Any]) -> str:
    return translate(field.metadata.get("label", name))


def _words(value: Any, field: fields.Field[Any] | None = None, currency: str = "") -> str:
    """A value for people: moments in the workspace's zone, choices by label, lists line by line."""
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, datetime):
        return i18n.format_moment(value, web.zone())
    if isinstance(value, bool):
        return translate(N_("yes") if value else N_("no"))
    if isinstance(value, list):
        inner = field.inner if isinstance(field, fields.List) else None
        return "\n".join(_words(one, inner, currency) for one in value)
    if isinstance(value, Mapping):
        return _parts(value, field.schema if isinstance(field, fields.Nested) else Schema(), currency)
    chosen = str(value)
    return dict(options(field)).get(chosen, chosen) if field else chosen


def _parts(value: Mapping[str, Any], schema: Schema, currency: str) -> str:
    """A row of a list, part by part."""
    return " · ".join(
        f"{_label(key, schema.fields[key])} {_value(schema, key, value, currency)}"
        if key in schema.fields
        else f"{key} {one}"
        for key, one in value.items()
        if one not in (None, "")
    )
