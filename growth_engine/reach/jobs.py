"""Reach in the background: taking over news, sending, codes, profiles, groups, reconciling, forgetting."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.reach import codes, groups, picking, profiles, reconciling, sending

#: What waits for a person is kept so long; it stands on the phone page meanwhile.
KEEP_WAITING = timedelta(days=30)
#: What became of the rest can be looked up so long.
KEEP_SETTLED = timedelta(days=180)
_PRUNE_BATCH = 1000


@job("reach.pick", every=2)
def pick(parts: Parts, workspace_id: str) -> int:
    return picking.pick(parts, workspace_id)


@job("reach.deliver", every=2)
def deliver(parts: Parts, workspace_id: str) -> int:
    return sending.deliver(parts, workspace_id)


@job("reach.codes", every=5)
def issue_codes(parts: Parts, workspace_id: str) -> int:
    return codes.issue(parts, workspace_id)


@job("reach.profiles", every=10)
def ask_profiles(parts: Parts, workspace_id: str) -> int:
    return profiles.ask(parts, workspace_id)


@job("reach.groups", every=5)
def read_groups(parts: Parts, workspace_id: str) -> int:
    return groups.read(parts, workspace_id)


@job("reach.reconcile", every=3600, scope="every_workspace")
def reconcile(parts: Parts, workspace_id: str) -> int:
    reconciling.reconcile(parts, workspace_id)
    return 0  # one look is enough for an hour


@job("reach.prune", every=3600, scope="every_workspace")
def prune(parts: Parts, workspace_id: str) -> int:
    """Give up what nobody came back for, and forget what was settled long ago."""
    with parts.open(workspace_id) as ctx:
        now = ctx.now()
        given_up = ctx.session.execute(
            _GIVE_UP, {"now": now, "before": now - KEEP_WAITING, "batch": _PRUNE_BATCH}
        ).all()
        values = {"before": now - KEEP_SETTLED, "batch": _PRUNE_BATCH}
        return len(given_up) + len(ctx.session.execute(_FORGET, values).all())


_GIVE_UP = text(
    "UPDATE deliveries SET state = 'refused', waits_for = '', settled_at = :now WHERE id IN ("
    " SELECT id FROM deliveries WHERE state = 'waiting' AND waits_for = 'person' AND created_at < :before"
    " LIMIT :batch) RETURNING id"
)
_FORGET = text(
    "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries"
    "  WHERE state <> 'waiting' AND settled_at < :before LIMIT :batch) RETURNING id"
)
