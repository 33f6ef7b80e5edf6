"""Shapes of the REST API about memberships."""

from __future__ import annotations

from marshmallow import fields, validate

from growth_engine.kit.rest import Document, Moment


class PlanShape(Document):
    """A membership plan."""

    id = fields.String(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)


class UseShape(Document):
    """Days given at once, and what became of them."""

    id = fields.String(required=True)
    granted_on = fields.Date(required=True)
    days = fields.Integer(required=True)
    used = fields.Integer(required=True)
    left = fields.Integer(required=True)
    taken_back = fields.Integer(required=True)
    side = fields.String(required=True, metadata={"description": "inviter, friend, tier, welcome, by_hand."})
    campaign_id = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True)


class StandingShape(Document):
    """Where a person stands in one plan."""

    plan = fields.Nested(PlanShape, required=True)
    state = fields.String(required=True, validate=validate.OneOf(["none", "active", "paused", "ended"]))
    days_left = fields.Integer(required=True, metadata={"description": "Today included."})
    starts_on = fields.Date(required=True, allow_none=True)
    ends_on = fields.Date(required=True, allow_none=True, metadata={"description": "The last day."})
    days_coming = fields.Integer(required=True, metadata={"description": "Promised, not delivered yet."})
    segments = fields.List(
        fields.List(fields.Date()), required=True, metadata={"description": "[first, last] of every stretch."}
    )
    grants = fields.List(fields.Nested(UseShape), required=True)


class GrantShape(Document):
    """Days a campaign promised."""

    id = fields.String(required=True)
    campaign_id = fields.String(required=True)
    plan_id = fields.String(required=True)
    side = fields.String(required=True)
    days = fields.Integer(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(["pending", "granted", "stuck", "reversed"]),
        metadata={"description": "pending: delivered within seconds; stuck: somebody has to look."},
    )
    error = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)
    granted_at = Moment(required=True, allow_none=True)


class MembershipShape(Document):
    """A person's memberships in every plan, and everything campaigns promised them."""

    contact_id = fields.String(required=True)
    days_left = fields.Integer(required=True, metadata={"description": "In all plans, today included."})
    memberships = fields.List(fields.Nested(StandingShape), required=True)
    grants = fields.List(fields.Nested(GrantShape), required=True)
