"""REST: the membership of a contact."""

from __future__ import annotations

from typing import Any

from growth_engine.context import Ctx
from growth_engine.kit import rest
from growth_engine.membership import queries
from growth_engine.membership.schemas import MembershipShape
from growth_engine.people import queries as people

blp = rest.Blueprint("contacts", __name__)


@blp.get("/contacts/<reference:ref>/membership", merge_slashes=False)
@rest.scope("contacts:read")
@rest.answers(200, MembershipShape)
def get_membership(ctx: Ctx, ref: str) -> dict[str, Any]:
    """Days left in every plan, how they came about, and what was promised but is not delivered yet."""
    contact_id = people.resolve(ctx, ref)
    memberships = queries.standing_of(ctx, contact_id)
    return {
        "contact_id": contact_id,
        "days_left": sum(one["days_left"] for one in memberships),
        "memberships": memberships,
        "grants": queries.grants_of(ctx, people.contact_family(ctx, contact_id)),
    }
