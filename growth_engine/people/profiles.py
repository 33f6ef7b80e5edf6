"""Forgetting what a platform or its person told us about them, while they stay known by their ids."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.people import queries


def forget_profile(ctx: Ctx, contact_id: str) -> bool:
    """Name, picture and language go; identities stay (the books name people by them, and whoever comes
    back is recognised). Somebody we also know by another way, such as a phone number, keeps theirs.

    Returns whether anything was forgotten.
    """
    (row,) = queries.locked(ctx, [queries.contact(ctx, contact_id).id])
    (identities,) = queries.identities_of(ctx, [row.id]).values()
    if any(one.kind in ("phone", "external_id") for one in identities):
        return False
    picture = row.avatar_key
    held = bool(row.nickname or picture or row.locale)
    row.nickname, row.avatar_key, row.locale = "", None, None
    ctx.session.flush()
    if picture and not queries.avatars_in_use(ctx, [picture]):
        ctx.parts.storage.delete(picture)
    return held
