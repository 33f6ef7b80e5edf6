"""Two contacts turn out to be one person: the older knowledge is kept, nothing is counted twice."""

from __future__ import annotations

from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from growth_engine.context import Ctx
from growth_engine.events import ContactBlocked, ContactsMerged
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_
from growth_engine.people import queries
from growth_engine.people.models import Contact, ContactIdentity
from growth_engine.people.traces import TRACES

#: One merge at a time in a workspace. Merges are rare, and what they touch reaches over many tables:
#: opposite merges of the same two people must see each other's result, not each other's locks.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('people.merge ' || :workspace_id, 0))")


class MergeCollided(Conflict):
    code = "merge_collided"
    message = N_("The person joined a campaign while being merged. Please try again.")


def merge(ctx: Ctx, kept_id: str, merged_id: str) -> str:
    """Merge one contact into another; returns the id of the contact that is kept.

    Identities, grants, messages and participations move; consents and membership moves are history and
    are read through ``queries.contact_family``. Where both take part in one campaign, the second
    participation stays with the merged contact and ``ContactsMerged`` lets the campaign void it. A
    block carries over. Merging again, or the other way round, changes nothing and answers the same.
    Raises ``UnknownContact`` for unknown and erased contacts.
    """
    queries.hold_books(ctx)
    ctx.session.execute(_ONE_AT_A_TIME, {"workspace_id": ctx.workspace_id})
    kept_id, merged_id = queries.contact(ctx, kept_id).id, queries.contact(ctx, merged_id).id
    if kept_id == merged_id:
        return kept_id
    rows = {row.id: row for row in queries.locked(ctx, [kept_id, merged_id])}
    kept, merged = rows[kept_id], rows[merged_id]
    if kept.erased_at or merged.erased_at:
        raise queries.UnknownContact
    block_spreads = _combine(kept, merged)
    _move(ctx, kept_id, merged_id)
    ctx.publish(ContactsMerged(kept_id=kept_id, merged_id=merged_id))
    if block_spreads:
        ctx.publish(ContactBlocked(kept_id))
    return kept_id


def _combine(kept: Contact, merged: Contact) -> bool:
    """What is known of the one completes the other; True when this blocks participations of either."""
    kept.nickname = kept.nickname or merged.nickname
    kept.avatar_key = kept.avatar_key or merged.avatar_key
    kept.locale = kept.locale or merged.locale
    kept.tags = sorted({*kept.tags, *merged.tags})
    kept.first_seen_at = min(kept.first_seen_at, merged.first_seen_at)
    if kept.left_at is None or merged.left_at is None:
        kept.left_at = None
    else:
        kept.left_at = max(kept.left_at, merged.left_at)
    merged.merged_into = kept.id
    block_spreads = (kept.blocked_at is None) != (merged.blocked_at is None)
    if kept.blocked_at is None:
        kept.blocked_at, kept.blocked_reason = merged.blocked_at, merged.blocked_reason
    return block_spreads


def _move(ctx: Ctx, kept_id: str, merged_id: str) -> None:
    session = ctx.session
    session.flush()
    # Chains stay flat: whoever was merged into the merged one now points to the kept one.
    session.execute(update(Contact).where(Contact.merged_into == merged_id).values(merged_into=kept_id))
    session.execute(
        update(ContactIdentity).where(ContactIdentity.contact_id == merged_id).values(contact_id=kept_id)
    )
    try:
        with session.begin_nested():
            for trace in TRACES:
                if trace.merge is not None:
                    session.execute(trace.merge, {"kept": kept_id, "merged": merged_id})
    except IntegrityError:
        # A poster enrolled the kept contact between our look and our write.
        raise MergeCollided from None
