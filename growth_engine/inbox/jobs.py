"""Interpreting what could not be interpreted at once, and forgetting what is long done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Row, text

from growth_engine.context import Ctx, Parts
from growth_engine.inbox import handling, queries, service
from growth_engine.inbox.gathering import rounds
from growth_engine.inbox.handling import Attempt
from growth_engine.inbox.interpreting import InterpretTogether, together_of
from growth_engine.kit.i18n import N_
from growth_engine.kit.jobs import job

BATCH = 20
#: How long messages are kept to look things up; those nobody believed much shorter.
KEEP = timedelta(days=90)
KEEP_REFUSED = timedelta(days=7)
_PRUNE_BATCH = 1000

WORKER_DIED = N_("The program stopped while interpreting this message.")


@job("inbox.interpret", every=5)
def interpret(parts: Parts, workspace_id: str) -> int:
    """Interpret a batch of messages that wait, or whose first attempt died; how many."""
    with parts.open(workspace_id) as ctx:
        claimed = _claim(ctx)
    for together, run in groupby(claimed, key=lambda one: together_of(one.provider, one.kind)):
        several = list(run)
        if together is not None:
            several = _together(parts, workspace_id, together, several)
        for one in several:
            handling.interpret(parts, workspace_id, one.id, one.attempts)
    return len(claimed)


def _together(
    parts: Parts, workspace_id: str, together: InterpretTogether, several: Sequence[Row[Any]]
) -> list[Row[Any]]:
    """Understand messages of one kind together; those left over, to be tried alone."""
    with parts.open(workspace_id) as ctx:
        said = queries.readable(ctx, [one.id for one in several])
    for _, batch in rounds(
        [Attempt(one.id, one.attempts, said[one.id]) for one in several if one.id in said]
    ):
        _, alone = handling.interpret_together(parts, workspace_id, together, batch)
        for one in alone:
            handling.interpret(parts, workspace_id, one.message_id, one.number, inbound=one.inbound)
    return [one for one in several if one.id not in said]


def _claim(ctx: Ctx) -> list[Row[Any]]:
    """id, attempts, provider, kind of messages that are ours to try now, in the order they came."""
    now = ctx.now()
    # A message that kills its process every time would do so forever.
    ctx.session.execute(_GIVE_UP, {"now": now, "most": service.ATTEMPTS, "error": WORKER_DIED})
    rows = ctx.session.execute(_CLAIM, {"now": now, "lease": now + service.LEASE, "batch": BATCH})
    return sorted(rows, key=lambda row: str(row.id))


@job("inbox.prune", every=3600, scope="every_workspace")
def prune(parts: Parts, workspace_id: str) -> int:
    """Forget what was done or put aside long ago. Failed messages stay until somebody decides."""
    with parts.open(workspace_id) as ctx:
        now = ctx.now()
        values = {"before": now - KEEP, "refused_before": now - KEEP_REFUSED, "batch": _PRUNE_BATCH}
        return len(ctx.session.execute(_PRUNE, values).all())


_GIVE_UP = text(
    "UPDATE inbox_messages SET state = 'failed', error = coalesce(error, :error)"
    " WHERE state = 'received' AND next_at <= :now AND attempts >= :most"
)
_CLAIM = text(
    "UPDATE inbox_messages SET attempts = attempts + 1, next_at = :lease"
    " WHERE id IN (SELECT id FROM inbox_messages WHERE state = 'received' AND next_at <= :now"
    "   ORDER BY next_at, id LIMIT :batch FOR UPDATE SKIP LOCKED)"
    " RETURNING id, attempts, provider, kind"
)
_PRUNE = text(
    "DELETE FROM inbox_messages WHERE id IN (SELECT id FROM inbox_messages"
    "  WHERE (state IN ('done', 'unknown') AND last_delivery_at < :before)"
    "     OR (state = 'refused' AND last_delivery_at < :refused_before) LIMIT :batch) RETURNING id"
)
