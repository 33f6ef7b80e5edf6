"""What posters do when a person is erased."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.events import ContactErased
from growth_engine.kit.outbox import reaction
from growth_engine.posters import service


@reaction(ContactErased)
def forget_posters(ctx: Ctx, event: ContactErased) -> None:
    service.forget(ctx, event.contact_id)
