"""Selects of live codes, their targets and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, text

from growth_engine.access import queries as access
from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.kit.tx import Database
from growth_engine.live_codes.models import LiveCode, Target, Visitor
from growth_engine.plays.models import Campaign


class UnknownLiveCode(NotFound):
    code = "unknown_live_code"
    message = N_("There is no such live code.")


class UnknownTarget(NotFound):
    code = "unknown_target"
    message = N_("This live code has no such target.")


class Found(NamedTuple):
    workspace_id: str
    live_code_id: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of a target: ``people`` led to it, ``showings`` to them in all, ``today`` newcomers."""

    people: int = 0
    showings: int = 0
    today: int = 0


def by_token(db: Database, token: str) -> Found | None:
    """Whose live code this is, before any workspace is known."""
    with db.transaction(None) as session:
        row = session.execute(
            text("SELECT workspace_id, live_code_id FROM ge_live_code(:token)"), {"token": token}
        ).one_or_none()
        return Found(row.workspace_id, row.live_code_id) if row else None


def live_code(ctx: Ctx, live_code_id: str, *, lock: bool = False) -> LiveCode:
    query = select(LiveCode).where(LiveCode.workspace_id == ctx.workspace_id, LiveCode.id == live_code_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = ctx.session.scalars(query).one_or_none()
    if found is None:
        raise UnknownLiveCode
    return found


def live_codes(ctx: Ctx) -> Sequence[LiveCode]:
    """Every live code of the workspace, the newest first."""
    return ctx.session.scalars(
        select(LiveCode).where(LiveCode.workspace_id == ctx.workspace_id).order_by(LiveCode.id.desc())
    ).all()


def live_codes_page(ctx: Ctx, *, before: str, limit: int) -> tuple[list[LiveCode], str | None]:
    """The newest first; the id to go on before when there are more."""
    query = select(LiveCode).where(LiveCode.workspace_id == ctx.workspace_id)
    if before:
        query = query.where(LiveCode.id < before)
    rows = list(ctx.session.scalars(query.order_by(LiveCode.id.desc()).limit(limit + 1)))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def of_campaign(ctx: Ctx, campaign_id: str) -> LiveCode | None:
    """The live code whose entry a campaign decides about."""
    return ctx.session.scalars(
        select(LiveCode).where(LiveCode.workspace_id == ctx.workspace_id, LiveCode.campaign_id == campaign_id)
    ).one_or_none()


def targets(ctx: Ctx, live_code_id: str, *, fresh: bool = False) -> Sequence[Target]:
    """In their order; ``fresh``: as the database has them now, for who holds the code's lock."""
    query = (
        select(Target)
        .where(Target.workspace_id == ctx.workspace_id, Target.live_code_id == live_code_id)
        .order_by(Target.fallback, Target.position, Target.id)
    )
    if fresh:
        query = query.execution_options(populate_existing=True)
    return ctx.session.scalars(query).all()


def targets_of_all(ctx: Ctx) -> Mapping[str, list[Target]]:
    """The targets of every live code of the workspace, by its id."""
    found: dict[str, list[Target]] = {}
    query = select(Target).where(Target.workspace_id == ctx.workspace_id)
    for one in ctx.session.scalars(query.order_by(Target.fallback, Target.position, Target.id)):
        found.setdefault(one.live_code_id, []).append(one)
    return found


def target(ctx: Ctx, live_code_id: str, target_id: str) -> Target:
    found = ctx.session.get(Target, target_id)
    if found is None or (found.workspace_id, found.live_code_id) != (ctx.workspace_id, live_code_id):
        raise UnknownTarget
    return found


def visitor(ctx: Ctx, live_code_id: str, who: str) -> Visitor | None:
    return ctx.session.scalars(
        select(Visitor)
        .where(
            Visitor.workspace_id == ctx.workspace_id,
            Visitor.live_code_id == live_code_id,
            Visitor.visitor == who,
        )
        .execution_options(populate_existing=True)
    ).one_or_none()


def figures(ctx: Ctx, live_code_id: str, since: datetime) -> Mapping[str, Figures]:
    """By target; newcomers since ``since``."""
    rows = ctx.session.execute(
        select(
            Visitor.target_id,
            func.count(),
            func.sum(Visitor.showings),
            func.count().filter(Visitor.first_at >= since),
        )
        .where(Visitor.workspace_id == ctx.workspace_id, Visitor.live_code_id == live_code_id)
        .group_by(Visitor.target_id)
    )
    return {target_id: Figures(people, int(showings), today) for target_id, people, showings, today in rows}


def zone_name(ctx: Ctx) -> str:
    """The workspace's time zone, which working hours are meant in."""
    found = access.workspace(ctx.session, ctx.workspace_id)
    assert found is not None, "a transaction has a workspace"
    return found.timezone


def campaigns_to_lead(ctx: Ctx, plays: Sequence[str]) -> Sequence[Campaign]:
    """Campaigns of these plays that have not ended, the newest first."""
    return ctx.session.scalars(
        select(Campaign)
        .where(Campaign.workspace_id == ctx.workspace_id, Campaign.play.in_(plays), Campaign.state != "ended")
        .order_by(Campaign.id.desc())
    ).all()
