"""Drawing the posters asked for: claim a batch, draw it outside of any transaction, store, mark ready."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import structlog
from sqlalchemy import delete, update

from growth_engine.channels.storage import PictureNotFound, Storage
from growth_engine.context import Ctx, Parts
from growth_engine.events import PosterReady
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_
from growth_engine.kit.jobs import job
from growth_engine.posters import queries, service
from growth_engine.posters.models import Poster
from growth_engine.posters.rules import Personal, Template
from growth_engine.posters.schemas import load_template

log = structlog.get_logger(__name__)

#: A batch takes about a tenth of a second: short enough that people see their poster soon.
BATCH = 16
#: A worker that has not finished by then is thought dead. Far longer than any batch takes.
LEASE = timedelta(seconds=120)
ATTEMPTS = 5
#: Wait before the second attempt; four times longer before each further one (5 s to 5 min).
FIRST_WAIT = timedelta(seconds=5)

WORKER_DIED = N_("The worker stopped while drawing this poster.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one claimed poster: a picture, or an error and whether trying again can help."""

    poster: Poster
    content_key: str | None = None
    error: str | None = None
    final: bool = False


@job("posters.render", every=30, queue="posters")
def render_posters(parts: Parts, workspace_id: str) -> int:
    """Draw a batch of posters; how many were claimed."""
    with parts.open(workspace_id) as ctx:
        claimed, specs = claim(ctx)
    outcomes = [draw(parts.storage, poster, specs[poster.id]) for poster in claimed]
    if outcomes:
        with parts.open(workspace_id) as ctx:
            for outcome in outcomes:
                settle(ctx, outcome)
    return len(claimed)


def claim(ctx: Ctx) -> tuple[Sequence[Poster], dict[str, str]]:
    """Take due posters: queued ones, and those whose worker did not finish within its lease.

    Returns them with their templates' documents as JSON text, by poster id.
    """
    now = ctx.now()
    _give_up_on_killers(ctx, now)
    claimed = ctx.session.scalars(
        update(Poster)
        .where(Poster.id.in_(queries.due(ctx, limit=BATCH).scalar_subquery()))
        .values(state="rendering", attempts=Poster.attempts + 1, next_at=now + LEASE)
        .returning(Poster),
        execution_options={"synchronize_session": False, "populate_existing": True},
    ).all()
    return claimed, queries.documents_of(ctx, claimed)


def _give_up_on_killers(ctx: Ctx, now: datetime) -> None:
    """A poster whose workers died every time would kill workers forever."""
    ctx.session.execute(
        update(Poster)
        .where(
            Poster.workspace_id == ctx.workspace_id,
            Poster.state == "rendering",
            Poster.attempts >= ATTEMPTS,
            Poster.next_at <= now,
        )
        .values(state="failed", error=WORKER_DIED)
    )


@lru_cache(maxsize=64)
def _loaded(document: str) -> Template:
    return load_template(json.loads(document))


def draw(storage: Storage, poster: Poster, document: str) -> Outcome:
    """Draw and store one poster, outside of any transaction. Errors become part of the outcome."""
    try:
        data = service.renderer_of(storage).render(_loaded(document), _personal(storage, poster))
        return Outcome(poster, content_key=storage.put(data, "image/jpeg"))
    except GrowthError as error:
        # A client error says the inputs are wrong: drawing them again changes nothing.
        final = error.status < 500
        log.warning("poster not drawn", poster=poster.id, code=error.code, final=final)
        return Outcome(poster, error=str(error), final=final)
    except Exception as error:
        # One poster that meets a bug must not hold up the batch; the row shows the error.
        log.exception("poster not drawn", poster=poster.id)
        return Outcome(poster, error=f"{type(error).__name__}: {error}")


def _personal(storage: Storage, poster: Poster) -> Personal:
    shown = poster.personal
    avatar = None
    if shown["avatar_key"]:
        try:
            avatar = storage.get(shown["avatar_key"])
        except PictureNotFound:
            # The person took the picture down since; the poster shows the initial instead.
            log.info("avatar is gone", poster=poster.id)
    return Personal(
        poster.qr_content,
        nickname=shown["nickname"],
        avatar=avatar,
        headline=shown["headline"],
        reward_text=shown["reward_text"],
        footnote=shown["footnote"],
        locale=shown["locale"],
    )


def settle(ctx: Ctx, outcome: Outcome) -> bool:
    """Write down what became of a poster; False when another worker has taken it over meanwhile."""
    poster, now = outcome.poster, ctx.now()
    if outcome.content_key:
        values = {"state": "ready", "content_key": outcome.content_key, "ready_at": now, "error": None}
    elif outcome.final or poster.attempts >= ATTEMPTS:
        values = {"state": "failed", "error": outcome.error}
    else:
        wait = FIRST_WAIT * 4 ** (poster.attempts - 1)
        values = {"state": "queued", "error": outcome.error, "next_at": now + wait}
    # The attempt number tells our claim from a later one.
    mine = ctx.session.execute(
        update(Poster)
        .where(
            Poster.workspace_id == ctx.workspace_id,
            Poster.id == poster.id,
            Poster.state == "rendering",
            Poster.attempts == poster.attempts,
        )
        .values(**values)
        .returning(Poster.asked_at),
        execution_options={"synchronize_session": False},
    ).one_or_none()
    if mine is None:
        # Whoever has taken it over stores the very same picture; nobody needs it when the row is gone.
        if outcome.content_key and not queries.exists(ctx, poster.id):
            service.drop_pictures(ctx, {outcome.content_key})
        return False
    if values["state"] != "queued":
        ctx.publish(PosterReady(poster.participant_id))
    if outcome.content_key:
        _drop_superseded(ctx, poster, mine.asked_at)
    return True


def _drop_superseded(ctx: Ctx, poster: Poster, asked_at: datetime) -> None:
    """Posters the participant asked for earlier show an old name or design: nobody needs them any more."""
    gone = ctx.session.scalars(
        delete(Poster)
        .where(
            Poster.workspace_id == ctx.workspace_id,
            Poster.participant_id == poster.participant_id,
            Poster.id != poster.id,
            Poster.asked_at < asked_at,
        )
        .returning(Poster.content_key)
    ).all()
    service.drop_pictures(ctx, {key for key in gone if key})
