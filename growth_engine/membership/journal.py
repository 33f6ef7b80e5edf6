"""Writing memberships in arrays: moves once by key, cached standings, messages; many rows a statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from sqlalchemy import text

from growth_engine.context import Ctx
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.membership import queries, texts
from growth_engine.membership.queries import Pair
from growth_engine.membership.rules import MOST_DAYS, Standing


class TooManyDays(Invalid):
    code = "too_many_days"
    message = N_("That would be more days than the calendar has.")


@dataclass(frozen=True, slots=True)
class NewMove:
    """A move to be written; ``key`` makes it happen once."""

    id: str
    contact_id: str
    plan_id: str
    kind: str
    day: date
    days: int
    grant_id: str | None
    reason: str
    key: str


@dataclass(frozen=True, slots=True)
class Told:
    """A message to one person; ``key`` makes it be told once."""

    contact_id: str
    campaign_id: str | None
    template: str
    params: Mapping[str, Any]
    key: str


def new_move(
    ctx: Ctx,
    pair: Pair,
    kind: str,
    day: date,
    *,
    days: int = 0,
    grant_id: str | None = None,
    reason: str = "",
    key: str = "",
) -> NewMove:
    """A move of today; days given by hand are a grant named after their own move."""
    move_id = ctx.new_id("mov")
    grant_id = move_id if kind == "grant" and grant_id is None else grant_id
    return NewMove(move_id, *pair, kind, day, days, grant_id, reason, key or f"{kind}:{move_id}")


def open_rows(ctx: Ctx, pairs: Iterable[Pair]) -> None:
    """Lock the memberships (rows made where missing), in one order, until the transaction ends.

    Whoever adds a move holds this lock, so the standing cached afterwards knows every move there is.
    """
    ordered = sorted(set(pairs))
    if ordered:
        scope = {"workspace_id": ctx.workspace_id, "now": ctx.now()}
        ctx.session.execute(_OPEN, queries.columns(ordered) | scope)


def drop_rows(ctx: Ctx, contact_ids: Sequence[str]) -> None:
    """Forget the cached standings of contacts that were merged."""
    if contact_ids:
        ctx.session.execute(_DROP, {"contacts": list(contact_ids)})


def append(ctx: Ctx, moves: Sequence[NewMove]) -> set[str]:
    """Write moves; returns the keys of those that were new."""
    if not moves:
        return set()
    values = {
        "rows": _json(moves),
        "workspace_id": ctx.workspace_id,
        "actor": f"{ctx.actor.kind}:{ctx.actor.id}",
        "now": ctx.now(),
    }
    return set(ctx.session.scalars(_APPEND, values))


def refresh(ctx: Ctx, pairs: Sequence[Pair]) -> dict[Pair, Standing]:
    """Fold memberships anew and cache where they stand.

    Raises ``TooManyDays`` when somebody's days would run off the calendar.
    """
    if not pairs:
        return {}
    try:
        found = queries.standings(ctx, pairs, queries.today(ctx))
    except OverflowError:
        raise TooManyDays from None
    if any(standing.days_left > MOST_DAYS for standing in found.values()):
        raise TooManyDays
    rows = [
        {
            "contact_id": pair[0],
            "plan_id": pair[1],
            "state": "ended" if one.state == "none" else one.state,
            "ends_on": one.ends_on,
        }
        for pair, one in found.items()
    ]
    ctx.session.execute(_CACHE, {"rows": _json(rows), "now": ctx.now()})
    return found


def note_told(ctx: Ctx, ends: Mapping[Pair, date]) -> None:
    """Remember which last day people were told of, so that they are told once."""
    if ends:
        rows = [{"contact_id": pair[0], "plan_id": pair[1], "ends_on": last} for pair, last in ends.items()]
        ctx.session.execute(_NOTE_TOLD, {"rows": _json(rows), "now": ctx.now()})


def tell(ctx: Ctx, messages: Sequence[Told]) -> None:
    """Write messages; those told before are left out."""
    if not messages:
        return
    values = {
        "rows": _json([{"id": ctx.new_id("msg"), "told": one} for one in messages]),
        "workspace_id": ctx.workspace_id,
        "now": ctx.now(),
    }
    ctx.session.execute(_TELL, values)


def told_of_grant(
    pair: Pair, days: int, plan: str, standing: Standing, key: str, campaign_id: str | None
) -> Told:
    """The news of days received; while paused there is no last day to name."""
    params: dict[str, Any] = {"days": days, "plan": plan}
    if standing.ends_on is None:
        return Told(pair[0], campaign_id, texts.WAITING, params, key)
    return Told(pair[0], campaign_id, texts.GRANTED, params | {"ends_on": standing.ends_on.isoformat()}, key)


def _json(rows: Sequence[object]) -> str:
    """Rows for ``json_to_recordset``: one text costs a fraction of what arrays of columns cost to send."""
    return orjson.dumps(rows).decode()


_OPEN = text(
    "INSERT INTO memberships (workspace_id, contact_id, plan_id, state, updated_at)"
    " SELECT :workspace_id, o.contact_id, o.plan_id, 'ended', :now"
    " FROM unnest(CAST(:contacts AS text[]), CAST(:plans AS text[])) AS o (contact_id, plan_id)"
    ' ORDER BY o.contact_id COLLATE "C", o.plan_id COLLATE "C"'
    " ON CONFLICT (contact_id, plan_id) DO UPDATE SET updated_at = excluded.updated_at"
)
_DROP = text("DELETE FROM memberships WHERE contact_id = ANY(:contacts)")
_APPEND = text(
    "INSERT INTO membership_moves (id, workspace_id, contact_id, plan_id, kind, days, grant_id, day, reason,"
    "  key, actor, at)"
    " SELECT n.id, :workspace_id, n.contact_id, n.plan_id, n.kind, n.days, n.grant_id, n.day, n.reason,"
    "  n.key, :actor, :now"
    " FROM json_to_recordset(CAST(:rows AS json)) AS n (id text, contact_id text, plan_id text, kind text,"
    "  days integer, grant_id text, day date, reason text, key text)"
    " ON CONFLICT (workspace_id, key) DO NOTHING RETURNING key"
)
_CACHE = text(
    "UPDATE memberships m SET state = n.state, ends_on = n.ends_on, updated_at = :now"
    " FROM json_to_recordset(CAST(:rows AS json))"
    "  AS n (contact_id text, plan_id text, state text, ends_on date)"
    " WHERE m.contact_id = n.contact_id AND m.plan_id = n.plan_id"
)
_NOTE_TOLD = text(
    "UPDATE memberships m SET noticed_for = n.ends_on, updated_at = :now"
    " FROM json_to_recordset(CAST(:rows AS json)) AS n (contact_id text, plan_id text, ends_on date)"
    " WHERE m.contact_id = n.contact_id AND m.plan_id = n.plan_id"
)
_TELL = text(
    "INSERT INTO messages (id, workspace_id, contact_id, campaign_id, template, params, key, created_at)"
    " SELECT n.id, :workspace_id, t.contact_id, t.campaign_id, t.template, t.params, t.key, :now"
    " FROM json_to_recordset(CAST(:rows AS json)) AS n (id text, told json)"
    " CROSS JOIN LATERAL json_to_record(n.told)"
    "  AS t (contact_id text, campaign_id text, template text, params jsonb, key text)"
    " ON CONFLICT (workspace_id, key) DO NOTHING"
)
