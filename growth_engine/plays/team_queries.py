"""Selects over teams: whom a participant brought, directly and through those they brought."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import aliased

from growth_engine.context import Ctx
from growth_engine.people.models import Contact
from growth_engine.plays.models import Participant

Member = tuple[Participant, str]


def directly(ctx: Ctx, of: Participant, *, before: int | None, limit: int) -> list[Member]:
    """Those ``of`` brought, with their nicknames, newest first; who left is among them."""
    query = (
        select(Participant, Contact.nickname)
        .join(Contact, Contact.id == Participant.contact_id)
        .where(Participant.campaign_id == of.campaign_id, Participant.inviter_number == of.number)
    )
    if before is not None:
        query = query.where(Participant.number < before)
    rows = ctx.session.execute(query.order_by(Participant.number.desc()).limit(limit))
    return [(row, nickname) for row, nickname in rows]


def through_them(ctx: Ctx, of: Participant, *, before: int | None, limit: int) -> list[Member]:
    """Those whom the people ``of`` brought have brought, with their nicknames, newest first."""
    between = aliased(Participant)
    query = (
        select(Participant, Contact.nickname)
        .join(Contact, Contact.id == Participant.contact_id)
        .join(
            between,
            (between.campaign_id == Participant.campaign_id) & (between.number == Participant.inviter_number),
        )
        .where(
            Participant.campaign_id == of.campaign_id,
            between.campaign_id == of.campaign_id,
            between.inviter_number == of.number,
        )
    )
    if before is not None:
        query = query.where(Participant.number < before)
    rows = ctx.session.execute(query.order_by(Participant.number.desc()).limit(limit))
    return [(row, nickname) for row, nickname in rows]
