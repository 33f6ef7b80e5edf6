"""Shapes of the REST API about campaigns: ready ones, drafts, states, figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from growth_engine.kit.i18n import LOCALES, N_
from growth_engine.kit.rest import Document, Locale, Moment, PageQuery

STATES = ("draft", "scheduled", "live", "paused", "ended")
_DATES = validate.Range(min=datetime(2000, 1, 1, tzinfo=UTC), max=datetime(2100, 1, 1, tzinfo=UTC))
_ID = validate.Length(min=1, max=64)


def _date(description: str) -> fields.AwareDateTime:
    return fields.AwareDateTime(
        allow_none=True,
        validate=_DATES,
        metadata={"description": f"{description}, RFC 3339 with offset."},
    )


class CampaignChange(Document):
    """What of a campaign may be changed; what is left out stays."""

    title = fields.String(validate=validate.Length(min=1, max=120))
    locale = Locale(metadata={"enum": sorted(LOCALES)})
    config = fields.Dict(
        keys=fields.String(),
        metadata={"description": "The rules; fields depend on the play. Replaced as a whole."},
    )
    content = fields.Dict(
        keys=fields.String(), metadata={"description": "The copy people read. Replaced as a whole."}
    )
    starts_at = _date("When it starts; null for at once")
    ends_at = _date("When it ends; null for never")
    plan_id = fields.String(
        validate=_ID, metadata={"description": "The membership plan whose days it grants."}
    )
    poster_template_id = fields.String(validate=_ID)
    channel_account_id = fields.String(
        validate=_ID,
        allow_none=True,
        metadata={"description": "The connected account whose own codes posters carry; null: the link."},
    )
    channel_users = fields.List(
        fields.String(validate=_ID),
        validate=validate.Length(max=100),
        metadata={"description": "WeCom: employees whom the codes add; none: all who may have customers."},
    )
    channel_default = fields.Boolean(
        truthy={True},
        falsy={False},
        metadata={"description": "Who comes to the channel without anybody's code takes part here."},
    )


class NewCampaign(CampaignChange):
    """Either `template` (of the gallery; other fields replace its own, one by one) or `play` and `title`."""

    template = fields.String(validate=validate.Length(min=1, max=64))
    play = fields.String(validate=validate.Length(min=1, max=64), metadata={"example": "referral"})

    @validates_schema
    def _one_way(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("template" in data) == ("play" in data):
            raise ValidationError(N_("Give either a template or a play."))
        if "play" in data and "title" not in data:
            raise ValidationError(N_("A campaign needs a title."), "title")


class Publication(Document):
    """How to publish."""

    accept_warnings = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Publish although the check has warnings; errors always stop it."},
    )


class CampaignQuery(PageQuery):
    """The query string of the list of campaigns."""

    state = fields.String(validate=validate.OneOf(STATES), metadata={"description": "Only these."})
    search = fields.String(
        load_default="", validate=validate.Length(max=120), metadata={"description": "Part of the title."}
    )


class CampaignShape(Document):
    """A configured run of a play."""

    id = fields.String(required=True)
    play = fields.String(required=True)
    template = fields.String(
        required=True, allow_none=True, metadata={"description": "The ready one it was made from."}
    )
    title = fields.String(required=True)
    locale = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    rule_version = fields.Integer(
        required=True, metadata={"description": "Publications so far; 0: never published."}
    )
    starts_at = Moment(required=True, allow_none=True)
    ends_at = Moment(required=True, allow_none=True)
    plan_id = fields.String(required=True, allow_none=True)
    poster_template_id = fields.String(required=True, allow_none=True)
    channel_account_id = fields.String(required=True, allow_none=True)
    channel_users = fields.List(fields.String(), required=True)
    channel_default = fields.Boolean(required=True)
    url = fields.String(required=True, metadata={"description": "Where people join without an invite."})
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    published_at = Moment(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)


class FindingShape(Document):
    """What law, platform rules or plain honesty object to."""

    code = fields.String(required=True)
    severity = fields.String(required=True, validate=validate.OneOf(["error", "warning"]))
    field = fields.String(required=True)
    message = fields.String(required=True)
    excerpt = fields.String(required=True)


class CampaignDetail(CampaignShape):
    """A campaign with its draft, and what stands in the way of publishing that."""

    config = fields.Dict(keys=fields.String(), required=True)
    content = fields.Dict(keys=fields.String(), required=True)
    findings = fields.List(fields.Nested(FindingShape), required=True)


class TemplateShape(Document):
    """A ready campaign of the gallery."""

    slug = fields.String(required=True)
    play = fields.String(required=True)
    category = fields.String(required=True)
    name = fields.String(required=True)
    summary = fields.String(required=True)
    poster = fields.String(required=True)
    duration_days = fields.Integer(required=True)


class TemplateDetail(TemplateShape):
    """A ready campaign with its rules and copy."""

    config = fields.Dict(keys=fields.String(), required=True)
    content = fields.Dict(keys=fields.String(), required=True)


class TemplateQuery(Document):
    """The query string of the gallery."""

    locale = Locale(
        metadata={"enum": sorted(LOCALES), "description": "Default: the language of the request."}
    )


class Place(Document):
    """One place of the leaderboard."""

    rank = fields.Integer(required=True)
    score = fields.Integer(required=True, metadata={"description": "Valid invites."})
    participant_id = fields.String(required=True)
    member_no = fields.Integer(required=True)
    nickname = fields.String(required=True)


class Board(Document):
    """The first places, best first; of equals the one who joined first."""

    items = fields.List(fields.Nested(Place), required=True)
    next_cursor = fields.String(required=True, allow_none=True, metadata={"description": "Always null."})
    as_of_seq = fields.Integer(
        required=True, metadata={"description": "The Entry of the books it holds up to."}
    )


class BoardQuery(Document):
    """The query string of the leaderboard."""

    limit = fields.Integer(load_default=50, validate=validate.Range(min=1, max=100))


class TotalsShape(Document):
    """Participants of a campaign."""

    members = fields.Integer(required=True)
    active = fields.Integer(required=True)
    left = fields.Integer(required=True)
    blocked = fields.Integer(required=True)
    valid_invites = fields.Integer(required=True)
    ranked = fields.Integer(required=True, metadata={"description": "With at least one valid invite."})


class Cohort(Document):
    """Those who joined on one day, and how many they brought."""

    day = fields.String(required=True, metadata={"format": "date"})
    members = fields.Integer(required=True)
    invites = fields.Integer(
        required=True, metadata={"description": "Valid invites they have brought by now."}
    )
    k = fields.Float(required=True, metadata={"description": "K-factor: invites / members."})


class GrantCount(Document):
    """Promises in one state."""

    grants = fields.Integer(required=True)
    days = fields.Integer(required=True)


class StatsShape(Document):
    """How a campaign goes."""

    campaign_id = fields.String(required=True)
    totals = fields.Nested(TotalsShape, required=True)
    funnel = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Counts by step; a step nobody took is absent."},
    )
    k = fields.Float(required=True, allow_none=True, metadata={"description": "Valid invites per member."})
    cohorts = fields.List(fields.Nested(Cohort), required=True)
    grants = fields.Dict(keys=fields.String(), values=fields.Nested(GrantCount), required=True)
    as_of_seq = fields.Integer(required=True, metadata={"description": "The Entry the figures hold up to."})
    journal_seq = fields.Integer(required=True, metadata={"description": "The last Entry of the books."})
