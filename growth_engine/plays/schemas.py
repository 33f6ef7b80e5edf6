"""Shapes of the REST API about campaigns and their participants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from growth_engine.kit.i18n import LOCALES, N_
from growth_engine.kit.rest import Document, Locale, Moment, PageQuery
from growth_engine.people.rules import CONTACT_ID, KINDS, LONGEST

#: Wording a join is noted under when the caller only says ``true``.
UNNAMED_WORDING = "api"


class ConsentField(fields.Field[str]):
    """``true``, or ``{granted: true, wording_version}``; loads as the version of the wording."""

    MISSING = N_("The person's consent is needed: true, or {granted: true, wording_version: …}.")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:  # noqa: ARG002
        if value is True:
            return UNNAMED_WORDING
        if not isinstance(value, Mapping) or value.get("granted") is not True:
            raise ValidationError(self.MISSING)
        version = value.get("wording_version", UNNAMED_WORDING)
        if set(value) - {"granted", "wording_version"} or not isinstance(version, str):
            raise ValidationError(self.MISSING)
        if not 1 <= len(version) <= LONGEST or not version.isprintable():
            raise ValidationError({"wording_version": [N_("Use 1 to 128 visible characters.")]})
        return version


_IDENTITY = validate.Length(min=1, max=4 * LONGEST)


class Person(Document):
    """Who takes part: at least one identity; a nickname if you know one."""

    id = fields.String(validate=validate.Regexp(CONTACT_ID), metadata={"description": "A known contact."})
    phone = fields.String(
        validate=_IDENTITY, metadata={"description": "As dialled, or with + and the country code."}
    )
    openid = fields.String(validate=_IDENTITY)
    unionid = fields.String(validate=_IDENTITY)
    external_userid = fields.String(validate=_IDENTITY, metadata={"description": "WeCom."})
    external_id = fields.String(validate=_IDENTITY, metadata={"description": "The id in your own system."})
    nickname = fields.String(metadata={"description": "Shown on posters and boards."})
    name = fields.String(metadata={"description": "The same as `nickname`."})
    locale = Locale(metadata={"enum": sorted(LOCALES)})

    @validates_schema
    def _named(self, data: Mapping[str, Any], **_: Any) -> None:
        if not any(kind in data for kind in ("id", *KINDS)):
            raise ValidationError(
                N_("Name a person by phone, openid, unionid, external_userid or external_id.")
            )


class Join(Document):
    """A person takes part in a campaign."""

    contact = fields.Nested(Person, required=True)
    invite_token = fields.String(
        allow_none=True,
        validate=validate.Length(max=LONGEST),
        metadata={"description": "Of the participant who brought the person."},
    )
    consent = ConsentField(
        required=True,
        metadata={
            "description": "That the person agreed to take part and to the use of name and picture.",
            "oneOf": [
                {"const": True},
                {
                    "type": "object",
                    "required": ["granted"],
                    "additionalProperties": False,
                    "properties": {"granted": {"const": True}, "wording_version": {"type": "string"}},
                },
            ],
        },
    )


class ReasonShape(Document):
    """Why something was decided so."""

    code = fields.String(required=True)
    message = fields.String(required=True, metadata={"description": "In the language of the request."})
    params = fields.Dict(keys=fields.String(), required=True)


class DecisionShape(Document):
    """`accepted` is false whenever something asked for was refused, be it only that the invite counts."""

    accepted = fields.Boolean(required=True)
    reasons = fields.List(fields.Nested(ReasonShape), required=True)


class ParticipantShape(Document):
    """A person in a campaign."""

    id = fields.String(required=True)
    campaign_id = fields.String(required=True)
    contact_id = fields.String(required=True)
    member_no = fields.Integer(required=True, metadata={"description": "From 1, in order of joining."})
    invite_token = fields.String(required=True)
    invite_url = fields.String(
        required=True, metadata={"description": "What the QR code of the poster opens."}
    )
    inviter_id = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(["active", "left", "blocked"]))
    joined_at = Moment(required=True)
    valid_invites = fields.Integer(required=True)


class JoinedShape(ParticipantShape):
    """The participant, and what was decided about this request."""

    decision = fields.Nested(DecisionShape, required=True)


class ParticipantRow(ParticipantShape):
    """A person in a campaign, as listed."""

    nickname = fields.String(required=True)
    left_at = Moment(required=True, allow_none=True)


class TeamCount(Document):
    """People brought and still here."""

    level1 = fields.Integer(required=True, metadata={"description": "By the person."})
    level2 = fields.Integer(required=True, metadata={"description": "By those."})


class ParticipantDetail(ParticipantRow):
    """A person in a campaign, with figures."""

    team = fields.Nested(TeamCount, required=True)
    score = fields.Integer(required=True, metadata={"description": "Valid invites, as on the leaderboard."})
    rank = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null when blocked or without a score."}
    )
    as_of_seq = fields.Integer(
        required=True, metadata={"description": "The Entry team, score and rank hold up to."}
    )


class TeamQuery(PageQuery):
    """The query string of a team."""

    level = fields.Integer(
        load_default=1,
        validate=validate.OneOf([1, 2]),
        metadata={"description": "1: brought by the person; 2: brought by those."},
    )


class TeamMember(Document):
    """Somebody of a team."""

    participant_id = fields.String(required=True)
    contact_id = fields.String(required=True)
    member_no = fields.Integer(required=True)
    inviter_no = fields.Integer(required=True, metadata={"description": "0: came alone."})
    nickname = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["active", "left", "blocked"]))
    joined_at = Moment(required=True)
    team = fields.Nested(TeamCount, required=True)
    score = fields.Integer(required=True)


class OtherSide(Document):
    """The participant on the other side of an Entry."""

    participant_id = fields.String(required=True)
    member_no = fields.Integer(required=True)
    nickname = fields.String(required=True)


class EntryShape(Document):
    """One decision in the books."""

    seq = fields.Integer(required=True, metadata={"description": "Gapless in the campaign's book."})
    kind = fields.String(
        required=True, validate=validate.OneOf(["join", "leave", "block", "unblock", "known", "mark"])
    )
    at = Moment(required=True)
    accepted = fields.Boolean(required=True)
    rule_version = fields.Integer(required=True)
    role = fields.String(
        required=True,
        validate=validate.OneOf(["member", "inviter"]),
        metadata={"description": "Whether the Entry is about this person, or about one they brought."},
    )
    other = fields.Nested(OtherSide, required=True, allow_none=True)
    reasons = fields.List(fields.Nested(ReasonShape), required=True)


class PosterShape(Document):
    """A participant's poster."""

    id = fields.String(required=True)
    participant_id = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["queued", "rendering", "ready", "failed"]))
    url = fields.String(
        required=True, allow_none=True, metadata={"description": "Of the picture, once ready."}
    )
    error = fields.String(required=True, allow_none=True)
    asked_at = Moment(required=True)
    ready_at = Moment(required=True, allow_none=True)


class LeftCampaign(Document):
    """What leaving came to in one campaign."""

    campaign_id = fields.String(required=True)
    accepted = fields.Boolean(required=True)
    reasons = fields.List(fields.Nested(ReasonShape), required=True)


class LeftShape(Document):
    """A person left everything."""

    contact_id = fields.String(required=True)
    campaigns = fields.List(fields.Nested(LeftCampaign), required=True)


class ReceivedShape(Document):
    """Stored for good, decided soon: ask again with the same Idempotency-Key."""

    status = fields.String(required=True, validate=validate.Equal("received"))
