"""WeCom's welcome: within 20 seconds, once; with the poster when it is drawn by then, else with a link."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from growth_engine.context import Ctx
from growth_engine.plays import invites
from growth_engine.reach import deliveries, rules, texts
from growth_engine.reach.arrivals import Arrival
from growth_engine.reach.came import Came
from growth_engine.reach.deliveries import To

#: After so long the welcome goes without the poster: uploading and sending take a few of the 20 s as well.
WITHOUT_POSTER_AFTER: Final = timedelta(seconds=12)
#: Sheet §3.5: 4000 bytes.
LONGEST_TEXT_BYTES: Final = 3900


def add(ctx: Ctx, came: Came, arrival: Arrival, code: str) -> None:
    """Greet somebody who takes part through their scan; nobody else, their talk is the employee's."""
    if not arrival.text or arrival.campaign is None:
        return
    to = To(came.account_id, came.person, arrival.contact_id, came.at)
    payload = {
        "text": rules.cut(arrival.text, LONGEST_TEXT_BYTES),
        "code": code,
        "title": arrival.campaign.title,
        "url": texts.page_url(ctx.parts.settings, arrival.campaign.id),
    }
    deliveries.add(
        ctx,
        to,
        "welcome",
        f"welcome:{came.key}",
        payload,
        campaign_id=arrival.campaign.id,
        participant_id=arrival.participant_id or None,
    )
    if arrival.participant_id:
        invites.request_poster(ctx, arrival.participant_id)
