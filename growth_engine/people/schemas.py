"""Shapes of the REST API about contacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from growth_engine.kit.i18n import LOCALES, N_
from growth_engine.kit.rest import Document, Locale, Moment, PageQuery
from growth_engine.people.rules import KINDS, LONGEST

_IDENTITY = validate.Length(min=1, max=4 * LONGEST)
_MOST_TAGS = 50


class Identities(Document):
    """Ways a person is known; at least one."""

    phone = fields.String(
        validate=_IDENTITY, metadata={"description": "As dialled, or with + and the country code."}
    )
    openid = fields.String(validate=_IDENTITY)
    unionid = fields.String(validate=_IDENTITY)
    external_userid = fields.String(validate=_IDENTITY, metadata={"description": "WeCom."})
    external_id = fields.String(validate=_IDENTITY, metadata={"description": "The id in your own system."})


class ContactChange(Identities):
    """A person: found by any identity given, or made. Missing identities and tags are added."""

    nickname = fields.String(load_default="", metadata={"description": "Replaces the one known."})
    name = fields.String(load_default="", metadata={"description": "The same as `nickname`."})
    locale = Locale(metadata={"enum": sorted(LOCALES)})
    tags = fields.List(
        fields.String(validate=validate.Length(min=1, max=64)),
        load_default=list,
        validate=validate.Length(max=_MOST_TAGS),
    )

    @validates_schema
    def _named(self, data: Mapping[str, Any], **_: Any) -> None:
        if not any(kind in data for kind in KINDS):
            raise ValidationError(
                N_("Name a person by phone, openid, unionid, external_userid or external_id.")
            )


class ContactQuery(PageQuery):
    """The query string of the list of contacts."""

    search = fields.String(
        load_default="",
        validate=validate.Length(max=128),
        metadata={"description": "Part of the nickname, or the beginning of an identity."},
    )
    blocked = fields.Boolean(load_default=None, metadata={"description": "Only blocked ones, or the others."})
    left = fields.Boolean(load_default=None, metadata={"description": "Only those who left, or only others."})


class Block(Document):
    """Why somebody is blocked."""

    reason = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "For your eyes; the person is told politely that they cannot take part."},
    )


class Merge(Document):
    """The contact that is merged into the one of the address."""

    other = fields.String(
        required=True,
        validate=validate.Length(min=1, max=4 * LONGEST),
        metadata={"description": "Its id or any identity."},
    )


class IdentityShape(Document):
    """One way a contact is known."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    value = fields.String(required=True)
    verified_at = Moment(required=True, allow_none=True)


class ContactShape(Document):
    """A person."""

    id = fields.String(required=True)
    nickname = fields.String(required=True)
    locale = fields.String(required=True, allow_none=True)
    source = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)
    identities = fields.List(fields.Nested(IdentityShape), required=True)
    first_seen_at = Moment(required=True)
    left_at = Moment(required=True, allow_none=True)
    blocked_at = Moment(required=True, allow_none=True)
    blocked_reason = fields.String(required=True, allow_none=True)


class ExportShape(Document):
    """Everything held about a person, by table."""

    contact_id = fields.String(required=True)
    exported_at = fields.String(required=True, metadata={"format": "date-time"})
    tables = fields.Dict(
        keys=fields.String(), values=fields.List(fields.Dict(keys=fields.String())), required=True
    )
