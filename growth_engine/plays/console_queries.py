"""Selects only the marketer's pages need: roots of the invite tree, promises and posters of one campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Row, func, select, tuple_

from growth_engine.context import Ctx
from growth_engine.membership.models import Grant
from growth_engine.people.models import Contact
from growth_engine.plays.models import InviteEdge, Participant
from growth_engine.posters.models import Poster


def roots(ctx: Ctx, campaign_id: str, *, after: int = 0, limit: int = 20) -> Sequence[int]:
    """Numbers of those who came without an inviter, in order of joining."""
    query = select(Participant.number).where(
        Participant.campaign_id == campaign_id,
        Participant.workspace_id == ctx.workspace_id,
        Participant.inviter_number == 0,
        Participant.number > after,
    )
    return ctx.session.scalars(query.order_by(Participant.number).limit(limit)).all()


def grant_counts(ctx: Ctx, campaign_id: str) -> Mapping[str, tuple[int, int]]:
    """(grants, days) a campaign promised, by state."""
    query = (
        select(Grant.state, func.count(), func.coalesce(func.sum(Grant.days), 0))
        .where(Grant.campaign_id == campaign_id, Grant.workspace_id == ctx.workspace_id)
        .group_by(Grant.state)
    )
    return {state: (count, int(days)) for state, count, days in ctx.session.execute(query)}


def grants_page(
    ctx: Ctx, campaign_id: str, *, states: Sequence[str] = (), before: str = "", limit: int = 50
) -> Sequence[Row[Grant, str]]:
    """Grants with the receiver's nickname, newest first; ``before`` is the last id of the page before."""
    query = (
        select(Grant, Contact.nickname)
        .join(Contact, Contact.id == Grant.contact_id)
        .where(Grant.campaign_id == campaign_id, Grant.workspace_id == ctx.workspace_id)
    )
    if states:
        query = query.where(Grant.state.in_(states))
    if before:
        query = query.where(Grant.id < before)
    return ctx.session.execute(query.order_by(Grant.id.desc()).limit(limit)).all()


def stuck_grant_ids(ctx: Ctx, campaign_id: str, *, limit: int = 10_000) -> Sequence[str]:
    query = select(Grant.id).where(
        Grant.campaign_id == campaign_id, Grant.workspace_id == ctx.workspace_id, Grant.state == "stuck"
    )
    return ctx.session.scalars(query.order_by(Grant.id).limit(limit)).all()


def poster_counts(ctx: Ctx, campaign_id: str) -> Mapping[str, int]:
    """Posters of a campaign by state."""
    query = (
        select(Poster.state, func.count())
        .where(Poster.campaign_id == campaign_id, Poster.workspace_id == ctx.workspace_id)
        .group_by(Poster.state)
    )
    return {row.state: row[1] for row in ctx.session.execute(query)}


def failed_posters(ctx: Ctx, campaign_id: str, *, limit: int = 50) -> Sequence[Row[Poster, str]]:
    """Posters given up on, with the participant's nickname, newest first."""
    query = (
        select(Poster, Contact.nickname)
        .join(Contact, Contact.id == Poster.contact_id)
        .where(
            Poster.campaign_id == campaign_id,
            Poster.workspace_id == ctx.workspace_id,
            Poster.state == "failed",
        )
    )
    return ctx.session.execute(query.order_by(Poster.id.desc()).limit(limit)).all()


def edges(ctx: Ctx, campaign_id: str, pairs: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], str]:
    """The state of invites by (invited, inviter) numbers."""
    if not pairs:
        return {}
    query = select(InviteEdge.invitee_number, InviteEdge.inviter_number, InviteEdge.state).where(
        InviteEdge.campaign_id == campaign_id,
        InviteEdge.workspace_id == ctx.workspace_id,
        tuple_(InviteEdge.invitee_number, InviteEdge.inviter_number).in_(pairs),
    )
    return {(invited, inviter): state for invited, inviter, state in ctx.session.execute(query)}
