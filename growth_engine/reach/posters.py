"""Posters for the chat: the one that carries the channel's own code, once it is issued and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from growth_engine.context import Ctx
from growth_engine.plays import invites, queries
from growth_engine.plays.models import Campaign
from growth_engine.posters import queries as drawn_posters

#: Should nobody tell that the poster is ready: looked at again so often.
LOOK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a participant's poster stands."""

    campaign: Campaign
    busy: bool
    """Its code or its picture is being made."""
    key: str | None = None
    """The picture in storage; None: there is none to be had."""


def drawn(ctx: Ctx, participant_id: str) -> Drawn:
    """The poster to send; asks for it, and for the channel's code on it, where that was not done yet."""
    participant = queries.participant(ctx, participant_id)
    campaign = queries.campaign(ctx, participant.campaign_id)
    content = invites.qr_content(ctx, campaign, participant)
    if _code_is_coming(ctx, campaign, participant_id):
        return Drawn(campaign, busy=True)
    poster = drawn_posters.poster_of(ctx, participant_id)
    if poster is None or poster.qr_content != content:
        poster = invites.request_poster(ctx, participant_id)
    if poster.state in ("queued", "rendering"):
        return Drawn(campaign, busy=True)
    return Drawn(campaign, busy=False, key=poster.content_key if poster.state == "ready" else None)


def _code_is_coming(ctx: Ctx, campaign: Campaign, participant_id: str) -> bool:
    """The first try to issue it is not over; after that the link stands in until there is one."""
    if campaign.channel_account_id is None:
        return False
    code = queries.invite_code(ctx, participant_id, campaign.channel_account_id)
    return code is not None and code.state == "waiting" and not code.content and code.error is None
