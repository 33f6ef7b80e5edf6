"""What campaigns do when people are blocked, unblocked or merged."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.events import ContactBlocked, ContactsMerged, ContactUnblocked
from growth_engine.kit.outbox import reaction
from growth_engine.people import queries as people
from growth_engine.plays import participation


@reaction(ContactBlocked)
def void_participations(ctx: Ctx, event: ContactBlocked) -> None:
    """Somebody erased right after being blocked stays void."""
    try:
        blocked_at = people.contact(ctx, event.contact_id).blocked_at
    except people.UnknownContact:
        key = "erased"
    else:
        if blocked_at is None:
            return
        key = blocked_at.isoformat()
    participation.block(ctx.parts, ctx.workspace_id, event.contact_id, key=key)


@reaction(ContactUnblocked)
def restore_participations(ctx: Ctx, event: ContactUnblocked) -> None:
    try:
        if people.contact(ctx, event.contact_id).blocked_at is not None:
            return
    except people.UnknownContact:
        return
    participation.unblock(ctx.parts, ctx.workspace_id, event.contact_id, key=ctx.new_id("unb"))


@reaction(ContactsMerged)
def void_second_participation(ctx: Ctx, event: ContactsMerged) -> None:
    participation.void_second(ctx.parts, ctx.workspace_id, event.kept_id, event.merged_id)


@reaction(ContactsMerged)
def withdraw_helps_of_people_known_before(ctx: Ctx, event: ContactsMerged) -> None:
    try:
        kept_id = people.contact(ctx, event.kept_id).id
    except people.UnknownContact:
        return
    participation.known_before(ctx.parts, ctx.workspace_id, kept_id, event.merged_id)
