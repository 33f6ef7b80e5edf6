"""What people do when something happened elsewhere or before: pictures of the erased are deleted."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.events import ContactErased
from growth_engine.kit.outbox import reaction
from growth_engine.people import queries


@reaction(ContactErased)
def forget_avatars(ctx: Ctx, event: ContactErased) -> None:
    """Pictures are kept by content: one that somebody else shows too stays."""
    keys = list(event.avatar_keys)
    for key in sorted(set(keys) - queries.avatars_in_use(ctx, keys)):
        ctx.parts.storage.delete(key)
