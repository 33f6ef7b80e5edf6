"""What reach does when a poster is drawn."""

from __future__ import annotations

from growth_engine.context import Ctx
from growth_engine.events import PosterReady
from growth_engine.kit.outbox import reaction
from growth_engine.reach import deliveries


@reaction(PosterReady)
def send_the_poster(ctx: Ctx, event: PosterReady) -> None:
    """Whoever waits for it in the chat gets it now."""
    deliveries.wake_posters(ctx, event.participant_id)
