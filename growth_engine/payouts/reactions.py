"""What wallets do when people are merged or erased."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.events import ContactErased, ContactsMerged
from growth_engine.kit.outbox import reaction
from growth_engine.payouts import service


@reaction(ContactsMerged)
def merge_wallets(ctx: Ctx, event: ContactsMerged) -> None:
    """One person, one wallet."""
    service.merge_wallets(ctx.parts, ctx.workspace_id, event.merged_id)


@reaction(ContactErased)
def forget_recipients(ctx: Ctx, event: ContactErased) -> None:
    """Where money was sent is forgotten as soon as it has arrived or come back."""
    service.forget_recipients(ctx, event.contact_id)
