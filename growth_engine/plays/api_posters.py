"""REST: a participant's poster, asked for and looked at."""

from __future__ import annotations

from typing import Any

from growth_engine.context import Ctx
from growth_engine.kit import rest
from growth_engine.plays import invites, queries
from growth_engine.plays.schemas import PosterShape
from growth_engine.posters import queries as posters
from growth_engine.posters.models import Poster
from growth_engine.posters.queries import UnknownPoster

blp = rest.Blueprint("participants", __name__)


@blp.post("/participants/<participant_id>/poster")
@rest.scope("participants:write")
@rest.answers(202, PosterShape, "Asked for; drawn within seconds.")
def request_poster(ctx: Ctx, participant_id: str) -> dict[str, Any]:
    """Have the person's poster drawn. Asking again for the same poster is harmless."""
    return _poster(ctx, invites.request_poster(ctx, participant_id))


@blp.get("/participants/<participant_id>/poster")
@rest.scope("participants:read")
@rest.answers(200, PosterShape)
def get_poster(ctx: Ctx, participant_id: str) -> dict[str, Any]:
    """The poster asked for last: its state, and the picture's address once it is ready."""
    queries.participant(ctx, participant_id)
    found = posters.poster_of(ctx, participant_id)
    if found is None:
        raise UnknownPoster
    return _poster(ctx, found)


def _poster(ctx: Ctx, poster: Poster) -> dict[str, Any]:
    return {
        "id": poster.id,
        "participant_id": poster.participant_id,
        "state": poster.state,
        "url": _picture_url(ctx, poster),
        "error": poster.error,
        "asked_at": poster.asked_at,
        "ready_at": poster.ready_at,
    }


def _picture_url(ctx: Ctx, poster: Poster) -> str | None:
    """Where the phone pages show the picture: its name is the hash of its content."""
    if poster.state != "ready" or poster.content_key is None:
        return None
    name = poster.content_key.rpartition("/")[2]
    return f"{ctx.parts.settings.public_url.rstrip('/')}/p/{poster.campaign_id}/{name}"
