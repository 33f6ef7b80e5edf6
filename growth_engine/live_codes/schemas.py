"""Shapes of live codes: what forms and the REST API take, and what the API answers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from growth_engine.kit.i18n import N_
from growth_engine.kit.rest import Document, Moment
from growth_engine.live_codes import rules
from growth_engine.plays.contract import option
from growth_engine.posters.qr import MAX_CONTENT

_CLOCK = validate.Regexp(r"(?:([01]\d|2[0-3]):[0-5]\d)?\Z", error=N_("Write a time like 09:30."))
_DAYS = [N_("Mo"), N_("Tu"), N_("We"), N_("Th"), N_("Fr"), N_("Sa"), N_("Su")]


class _Words(fields.String):
    """One line, without spaces around it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return " ".join(str(super()._deserialize(value, *args, **kwargs)).split())


class LiveCodeForm(Schema):
    """A live code as people enter it."""

    class Meta:
        unknown = EXCLUDE

    name = _Words(
        required=True,
        validate=validate.Length(1, 60),
        metadata=option(N_("Name"), N_("For people: it stands above the code.")),
    )
    spread = fields.String(
        load_default="fill",
        validate=validate.OneOf(list(rules.SPREADS), labels=list(rules.SPREADS.values())),
        metadata=option(N_("How newcomers are led")),
    )
    note = _Words(
        load_default="",
        validate=validate.Length(max=200),
        metadata=option(
            N_("When nothing can be shown"), N_("Say how people reach you all the same."), widget="textarea"
        ),
    )


class TargetForm(Schema):
    """A target as people enter it; the picture comes beside it."""

    class Meta:
        unknown = EXCLUDE

    name = _Words(required=True, validate=validate.Length(1, 60), metadata=option(N_("Name")))
    kind = fields.String(
        load_default="group",
        validate=validate.OneOf(list(rules.KINDS), labels=list(rules.KINDS.values())),
        metadata=option(N_("What it is")),
    )
    capacity = fields.Integer(
        load_default=rules.GROUP_CAPACITY,
        allow_none=True,
        validate=validate.Range(min=0, max=1_000_000),
        metadata=option(N_("People at most"), N_("Empty for no limit. WeChat lets 200 in by code.")),
    )
    expires_at = fields.AwareDateTime(
        load_default=None,
        allow_none=True,
        default_timezone=UTC,
        metadata=option(
            N_("The code ends"),
            N_("Left empty, a WeChat group's code ends seven days after the upload; others never."),
            widget="datetime-local",
        ),
    )
    position = fields.Integer(
        validate=validate.Range(min=0, max=10_000),
        metadata=option(N_("Place in the order"), N_("Smaller ones come first.")),
    )
    weight = fields.Integer(
        load_default=1,
        validate=validate.Range(min=1, max=1000),
        metadata=option(
            N_("Share of newcomers"), N_("Weighed against the others, where newcomers are led to all.")
        ),
    )
    opens = fields.String(
        load_default="", validate=_CLOCK, metadata=option(N_("Working hours from"), widget="time")
    )
    closes = fields.String(
        load_default="",
        validate=_CLOCK,
        metadata=option(N_("… to"), N_("Both empty: round the clock."), widget="time"),
    )
    weekdays = fields.List(
        fields.Integer(validate=validate.OneOf(list(rules.EVERY_DAY), labels=_DAYS)),
        load_default=lambda: list(rules.EVERY_DAY),
        validate=validate.Length(min=1, error=N_("Choose a day at least.")),
        metadata=option(N_("Working days")),
    )
    fallback = fields.Boolean(
        load_default=False,
        metadata=option(
            N_("Fallback: only for when no other target can be shown"),
            N_("Then without regard to its limit, so that nobody stands before a closed door."),
        ),
    )

    @validates_schema
    def _both_or_none(self, data: Mapping[str, Any], **_: Any) -> None:
        if "opens" in data and "closes" in data and bool(data["opens"]) != bool(data["closes"]):
            raise ValidationError([N_("Give both times, or neither.")], "closes")


class LiveCodeBody(Document, LiveCodeForm):
    """A new live code."""

    class Meta(Document.Meta):
        pass

    campaign_id = fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": "The campaign (play group_codes) that decides who sees the code."},
    )


class LiveCodeChange(Document):
    """What is to change of a live code."""

    name = _Words(validate=validate.Length(1, 60))
    spread = fields.String(validate=validate.OneOf(list(rules.SPREADS)))
    note = _Words(validate=validate.Length(max=200))
    campaign_id = fields.String(allow_none=True)
    state = fields.String(validate=validate.OneOf(["active", "paused"]))


class _Picture(Document):
    picture = fields.String(
        validate=validate.Length(max=14_000_000),
        metadata={"description": "The platform's QR code as a picture (JPEG, PNG, WebP), base64."},
    )
    content = fields.String(
        validate=validate.Length(1, MAX_CONTENT),
        metadata={"description": "Instead of a picture: the link the code says; its code is drawn."},
    )

    @validates_schema
    def _one_of_them(self, data: Mapping[str, Any], **_: Any) -> None:
        if "picture" in data and "content" in data:
            raise ValidationError([N_("Give a picture or what the code says, not both.")], "content")
        if "picture" in data:
            picture_bytes(data["picture"])


def picture_bytes(text: str) -> bytes:
    """A picture from base64; raises ValidationError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValidationError([N_("This is no base64.")], "picture") from None


class TargetBody(_Picture, TargetForm):
    """A new target; either `picture` or `content` says its code."""

    class Meta(Document.Meta):
        pass

    @validates_schema
    def _has_code(self, data: Mapping[str, Any], **_: Any) -> None:
        if "picture" not in data and "content" not in data:
            raise ValidationError([N_("Upload the picture of the code.")], "picture")


class TargetChange(_Picture):
    """What is to change of a target."""

    name = _Words(validate=validate.Length(1, 60))
    kind = fields.String(validate=validate.OneOf(list(rules.KINDS)))
    capacity = fields.Integer(allow_none=True, validate=validate.Range(min=0, max=1_000_000))
    expires_at = fields.AwareDateTime(allow_none=True, default_timezone=UTC)
    position = fields.Integer(validate=validate.Range(min=0, max=10_000))
    weight = fields.Integer(validate=validate.Range(min=1, max=1000))
    opens = fields.String(validate=_CLOCK)
    closes = fields.String(validate=_CLOCK)
    weekdays = fields.List(
        fields.Integer(validate=validate.OneOf(list(rules.EVERY_DAY))), validate=validate.Length(min=1)
    )
    fallback = fields.Boolean()
    state = fields.String(validate=validate.OneOf(["active", "paused"]))


class WarningShape(Document):
    """Something to see to."""

    code = fields.String(required=True)
    severity = fields.String(required=True, validate=validate.OneOf(["bad", "warning"]))
    target_id = fields.String(required=True, metadata={"description": "Empty: the whole live code."})


class TargetShape(Document):
    """A target and what became of it."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    content = fields.String(required=True)
    capacity = fields.Integer(required=True, allow_none=True)
    taken = fields.Integer(required=True, metadata={"description": "People led here."})
    showings = fields.Integer(required=True)
    expires_at = Moment(required=True, allow_none=True)
    opens = fields.String(required=True)
    closes = fields.String(required=True)
    weekdays = fields.List(fields.Integer(), required=True)
    position = fields.Integer(required=True)
    weight = fields.Integer(required=True)
    fallback = fields.Boolean(required=True)
    hindered_by = fields.String(
        required=True, metadata={"description": "Empty, or: paused, expired, closed, full."}
    )


class LiveCodeShape(Document):
    """A live code."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    url = fields.String(required=True, metadata={"description": "What its own QR code says; never changes."})
    state = fields.String(required=True)
    spread = fields.String(required=True)
    note = fields.String(required=True)
    campaign_id = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)


class LiveCodeDetail(LiveCodeShape):
    """A live code, its targets and what to see to."""

    targets = fields.List(fields.Nested(TargetShape), required=True)
    warnings = fields.List(fields.Nested(WarningShape), required=True)
