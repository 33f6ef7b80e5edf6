"""Interpreting what could not be interpreted at once, and forgetting what is long done."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.inbox import handling, service
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
    for message_id, attempt in claimed:
        handling.interpret(parts, workspace_id, message_id, attempt)
    return len(claimed)


def _claim(ctx: Ctx) -> list[tuple[str, int]]:
    now = ctx.now()
    # A message that kills its process every time would do so forever.
    ctx.session.execute(_GIVE_UP, {"now": now, "most": service.ATTEMPTS, "error": WORKER_DIED})
    rows = ctx.session.execute(_CLAIM, {"now": now, "lease": now + service.LEASE, "batch": BATCH})
    return sorted((row.id, row.attempts) for row in rows)  # in the order they came


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
    " RETURNING id, attempts"
)
_PRUNE = text(
    "DELETE FROM inbox_messages WHERE id IN (SELECT id FROM inbox_messages"
    "  WHERE (state IN ('done', 'unknown') AND last_delivery_at < :before)"
    "     OR (state = 'refused' AND last_delivery_at < :refused_before) LIMIT :batch) RETURNING id"
)
