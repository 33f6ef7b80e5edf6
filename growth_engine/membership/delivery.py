"""Delivering what campaigns promised: many grants in a few statements, each exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from growth_engine.context import Ctx
from growth_engine.events import MembershipGranted
from growth_engine.kit.i18n import N_
from growth_engine.membership import journal, queries
from growth_engine.membership.queries import DueGrant

log = structlog.get_logger(__name__)

#: Tries before a grant is called stuck: waits of 30 s, 1, 2, 4, 8 minutes.
ATTEMPTS: Final = 6
FIRST_WAIT: Final = timedelta(seconds=30)

ERASED: Final = N_("The person was erased before this was granted.")


def deliver(ctx: Ctx, grants: Sequence[DueGrant]) -> None:
    """Write the moves, cache the standings, tell the people, mark the grants.

    The move's key is what makes it exactly once: a grant whose move exists already is only marked.
    """
    pairs = sorted({(one.contact_id, one.plan_id) for one in grants})
    journal.open_rows(ctx, pairs)
    on = queries.today(ctx)
    moves = [
        journal.new_move(
            ctx,
            (one.contact_id, one.plan_id),
            "grant",
            on,
            days=one.days,
            grant_id=one.id,
            reason=one.side,
            key=f"grant:{one.id}",
        )
        for one in grants
    ]
    written = journal.append(ctx, moves)
    standings = journal.refresh(ctx, pairs)
    fresh = [one for one in grants if f"grant:{one.id}" in written]
    names = {plan.id: plan.name for plan in queries.plans(ctx, archived=True)}
    journal.tell(
        ctx,
        [
            journal.told_of_grant(
                (one.contact_id, one.plan_id),
                one.days,
                names[one.plan_id],
                standings[one.contact_id, one.plan_id],
                f"grant:{one.id}",
                one.campaign_id,
            )
            for one in fresh
        ],
    )
    ctx.session.execute(_GRANTED, {"ids": [one.id for one in grants], "now": ctx.now()})
    ctx.publish(*(MembershipGranted(one.contact_id, one.plan_id, one.id, one.days) for one in fresh))


def cancel(ctx: Ctx, grants: Sequence[DueGrant]) -> None:
    """Grants to people who were erased meanwhile are never delivered."""
    if grants:
        ctx.session.execute(_CANCELLED, {"ids": [one.id for one in grants], "error": ERASED})


def note_failure(ctx: Ctx, grant: DueGrant, error: Exception) -> None:
    """Wait twice as long as before, or give up and stay visible until ``service.retry_stuck``."""
    attempts = grant.attempts + 1
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    stuck = attempts >= ATTEMPTS
    ctx.session.execute(
        _FAILED,
        {
            "id": grant.id,
            "state": "stuck" if stuck else "pending",
            "attempts": attempts,
            "next_at": ctx.now() + FIRST_WAIT * 2**grant.attempts,
            # The first line says what is wrong; PostgreSQL quotes the row in the following ones.
            "error": f"{type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else ''}"[:500],
        },
    )
    if stuck:
        log.error("grant is stuck", grant_id=grant.id)


_GRANTED = text("UPDATE grants SET state = 'granted', granted_at = :now, error = NULL WHERE id = ANY(:ids)")
_CANCELLED = text("UPDATE grants SET state = 'reversed', error = :error WHERE id = ANY(:ids)")
_FAILED = text(
    "UPDATE grants SET state = :state, attempts = :attempts, next_at = :next_at, error = :error"
    " WHERE id = :id"
)
