"""Every select about membership: plans, standings, history, grants that wait or are stuck."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select, text

from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.membership.models import Grant, MembershipMove, MembershipPlan
from growth_engine.membership.rules import NOTHING, Move, MoveKind, Standing, calendar, today_in
from growth_engine.people import queries as people

Pair = tuple[str, str]
"""Contact id (kept, not merged) and plan id: one membership."""


class UnknownPlan(NotFound):
    code = "plan_not_found"
    message = N_("There is no such membership plan.")


class UnknownGrant(NotFound):
    code = "grant_not_found"
    message = N_("There is no such grant.")


@dataclass(frozen=True, slots=True)
class DueGrant:
    """A grant the job holds locked, with the contact that is kept today."""

    id: str
    contact_id: str
    plan_id: str
    campaign_id: str
    days: int
    side: str
    attempts: int
    erased: bool


def today(ctx: Ctx) -> date:
    """Today's calendar day in the workspace's zone."""
    zone = ctx.session.scalar(
        text("SELECT timezone FROM workspaces WHERE id = :id"), {"id": ctx.workspace_id}
    )
    assert isinstance(zone, str)
    return today_in(zone, ctx.now())


def plans(ctx: Ctx, *, archived: bool = False) -> list[MembershipPlan]:
    """The workspace's plans, oldest first."""
    rows = select(MembershipPlan).where(MembershipPlan.workspace_id == ctx.workspace_id)
    if not archived:
        rows = rows.where(MembershipPlan.archived_at.is_(None))
    return list(ctx.session.scalars(rows.order_by(MembershipPlan.id)))


def plan(ctx: Ctx, plan_id: str) -> MembershipPlan:
    """One plan, archived ones too, or ``UnknownPlan``."""
    found = ctx.session.scalars(
        select(MembershipPlan).where(
            MembershipPlan.id == plan_id, MembershipPlan.workspace_id == ctx.workspace_id
        )
    ).one_or_none()
    if found is None:
        raise UnknownPlan
    return found


def plan_by_slug(ctx: Ctx, slug: str) -> MembershipPlan | None:
    return ctx.session.scalars(
        select(MembershipPlan).where(
            MembershipPlan.workspace_id == ctx.workspace_id, MembershipPlan.slug == slug
        )
    ).one_or_none()


def moves_of(ctx: Ctx, family: Sequence[str]) -> dict[str, list[MembershipMove]]:
    """Everything that happened to the memberships of a family of contacts, by plan, in order."""
    rows = ctx.session.scalars(
        select(MembershipMove).where(MembershipMove.contact_id.in_(family)).order_by(MembershipMove.number)
    )
    by_plan: dict[str, list[MembershipMove]] = defaultdict(list)
    for row in rows:
        by_plan[row.plan_id].append(row)
    return dict(by_plan)


def as_moves(rows: Iterable[MembershipMove]) -> list[Move]:
    return [_move(row.kind, row.day, row.days, row.grant_id) for row in rows]


def _move(kind: Any, day: date, days: int, grant_id: str | None) -> Move:
    known: MoveKind = kind
    return Move(known, day, days, grant_id or "")


_MOVES = text(
    "SELECT asked.contact_id, asked.plan_id, m.kind, m.day, m.days, m.grant_id"
    " FROM unnest(CAST(:contacts AS text[]), CAST(:plans AS text[])) AS asked (contact_id, plan_id)"
    " CROSS JOIN LATERAL (SELECT asked.contact_id AS id"
    "   UNION ALL SELECT c.id FROM contacts c WHERE c.merged_into = asked.contact_id OFFSET 0) family"
    " CROSS JOIN LATERAL (SELECT * FROM membership_moves"
    "   WHERE contact_id = family.id AND plan_id = asked.plan_id OFFSET 0) m"
    " ORDER BY asked.contact_id, asked.plan_id, m.number"
)


def standings(ctx: Ctx, pairs: Sequence[Pair], on: date) -> dict[Pair, Standing]:
    """The standing of many memberships at once, whole families folded."""
    moves: dict[Pair, list[Move]] = {pair: [] for pair in pairs}
    for contact_id, plan_id, *rest in ctx.session.execute(_MOVES, columns(pairs)):
        moves[contact_id, plan_id].append(_move(*rest))
    return {pair: calendar(found, on) if found else NOTHING for pair, found in moves.items()}


def columns(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    return {"contacts": [pair[0] for pair in pairs], "plans": [pair[1] for pair in pairs]}


def standing_of(ctx: Ctx, contact_id: str) -> list[dict[str, Any]]:
    """Where a person stands in every plan they ever had or are about to have days of, oldest plan first.

    Each: ``plan`` {id, slug, name}, ``state`` (none, active, paused, ended), ``days_left``,
    ``starts_on``, ``ends_on`` (dates), ``days_coming`` (granted, not delivered yet), ``segments``
    [[first, last]], ``grants`` [{id, granted_on, days, used, left, taken_back, side, campaign_id, reason}].
    """
    family = people.contact_family(ctx, contact_id)
    moves = moves_of(ctx, family)
    grants = {row.id: row for row in grants_of(ctx, family)}
    coming: dict[str, int] = defaultdict(int)
    for row in grants.values():
        if row.state in ("pending", "stuck"):
            coming[row.plan_id] += row.days
    names = {row.id: row for row in plans(ctx, archived=True)}
    on = today(ctx)
    return [
        _standing(names[plan_id], moves.get(plan_id, []), grants, on, coming[plan_id])
        for plan_id in sorted({*moves, *coming})
    ]


def _standing(
    of: MembershipPlan, moves: list[MembershipMove], grants: Mapping[str, Grant], on: date, coming: int
) -> dict[str, Any]:
    standing = calendar(as_moves(moves), on)
    reasons = {row.grant_id: row.reason for row in moves if row.kind == "grant"}
    return {
        "plan": {"id": of.id, "slug": of.slug, "name": of.name},
        "state": standing.state,
        "days_left": standing.days_left,
        "starts_on": standing.starts_on,
        "ends_on": standing.ends_on,
        "days_coming": coming,
        "segments": [list(segment) for segment in standing.segments],
        "grants": [
            {
                "id": use.grant_id,
                "granted_on": use.day,
                "days": use.days,
                "used": use.used,
                "left": use.left,
                "taken_back": use.taken_back,
                "side": promised.side if promised else "by_hand",
                "campaign_id": promised.campaign_id if promised else None,
                "reason": reasons.get(use.grant_id, ""),
            }
            for use in standing.grants
            for promised in [grants.get(use.grant_id)]
        ],
    }


def history_of(ctx: Ctx, contact_id: str) -> list[dict[str, Any]]:
    """Everything that happened to a person's memberships, newest first, with reasons and actors."""
    moves = moves_of(ctx, people.contact_family(ctx, contact_id))
    rows = sorted((row for found in moves.values() for row in found), key=lambda row: -row.number)
    return [
        {
            "id": row.id,
            "plan_id": row.plan_id,
            "kind": row.kind,
            "days": row.days,
            "day": row.day,
            "grant_id": row.grant_id,
            "reason": row.reason,
            "actor": row.actor,
            "at": row.at,
        }
        for row in rows
    ]


def grants_of(ctx: Ctx, family: Sequence[str]) -> list[Grant]:
    """Grants of campaigns to a family of contacts, oldest first."""
    return list(ctx.session.scalars(select(Grant).where(Grant.contact_id.in_(family)).order_by(Grant.id)))


def stuck_grants(ctx: Ctx, *, limit: int = 100) -> list[Grant]:
    """Grants the job gave up on, oldest first; ``error`` says why."""
    return list(
        ctx.session.scalars(
            select(Grant)
            .where(Grant.workspace_id == ctx.workspace_id, Grant.state == "stuck")
            .order_by(Grant.id)
            .limit(limit)
        )
    )


def grant_locked(ctx: Ctx, grant_id: str) -> Grant | None:
    """A campaign's grant, locked against the job and against being taken back twice."""
    return ctx.session.scalars(
        select(Grant).where(Grant.id == grant_id, Grant.workspace_id == ctx.workspace_id).with_for_update(),
        execution_options={"populate_existing": True},
    ).one_or_none()


def granting_move(ctx: Ctx, grant_id: str) -> MembershipMove | None:
    """The move that delivered a grant."""
    return ctx.session.scalars(
        select(MembershipMove).where(
            MembershipMove.workspace_id == ctx.workspace_id,
            MembershipMove.grant_id == grant_id,
            MembershipMove.kind == "grant",
        )
    ).one_or_none()


def move_by_key(ctx: Ctx, key: str) -> MembershipMove | None:
    return ctx.session.scalars(
        select(MembershipMove).where(
            MembershipMove.workspace_id == ctx.workspace_id, MembershipMove.key == key
        )
    ).one_or_none()


# Ordered as the index is: a tie-break by id would sort the whole backlog of a storm for every batch.
_DUE_GRANTS = text(
    "SELECT g.id, coalesce(c.merged_into, c.id) AS contact_id, g.plan_id, g.campaign_id, g.days, g.side,"
    " g.attempts, c.erased_at IS NOT NULL AS erased"
    " FROM grants g JOIN contacts c ON c.id = g.contact_id"
    " WHERE g.workspace_id = :workspace_id AND g.state = 'pending' AND g.next_at <= :now"
    " ORDER BY g.next_at LIMIT :most FOR UPDATE OF g SKIP LOCKED"
)


def due_grants(ctx: Ctx, most: int) -> list[DueGrant]:
    """Grants to deliver now, locked; another worker's are skipped."""
    asked = {"workspace_id": ctx.workspace_id, "now": ctx.now(), "most": most}
    return [DueGrant(**row) for row in ctx.session.execute(_DUE_GRANTS, asked).mappings()]


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A membership that is near its end or past it, locked."""

    contact_id: str
    plan_id: str
    notice_days: int
    noticed_for: date | None


_DUE_NOTICES = text(
    "SELECT m.contact_id, m.plan_id, p.notice_days, m.noticed_for"
    " FROM memberships m JOIN membership_plans p ON p.id = m.plan_id"
    " WHERE m.workspace_id = :workspace_id AND m.state = 'active' AND (m.ends_on < :today"
    "  OR (m.ends_on <= CAST(:today AS date) + p.notice_days AND m.noticed_for IS DISTINCT FROM m.ends_on))"
    " ORDER BY m.contact_id, m.plan_id LIMIT :most FOR UPDATE OF m SKIP LOCKED"
)


def due_notices(ctx: Ctx, on: date, most: int) -> list[DueNotice]:
    """Memberships whose end is near and not told, or past and not noted."""
    asked = {"workspace_id": ctx.workspace_id, "today": on, "most": most}
    return [DueNotice(**row) for row in ctx.session.execute(_DUE_NOTICES, asked).mappings()]


_STRAYS = text(
    "SELECT m.contact_id, m.plan_id, c.merged_into FROM memberships m"
    " JOIN contacts c ON c.id = m.contact_id"
    " WHERE m.workspace_id = :workspace_id AND c.merged_into IS NOT NULL ORDER BY m.contact_id, m.plan_id"
)


def strays(ctx: Ctx) -> list[tuple[str, str, str]]:
    """Cached standings of contacts merged since: (contact, plan, kept contact)."""
    rows = ctx.session.execute(_STRAYS, {"workspace_id": ctx.workspace_id})
    return [(row[0], row[1], row[2]) for row in rows]
