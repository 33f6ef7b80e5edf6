"""What membership does when something happened elsewhere: two people became one."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.events import ContactsMerged
from growth_engine.kit.outbox import reaction
from growth_engine.membership import service


@reaction(ContactsMerged)
def combine_days(ctx: Ctx, event: ContactsMerged) -> None:
    """The days of both stand in one line."""
    service.combine(ctx, event.kept_id, event.merged_id)
