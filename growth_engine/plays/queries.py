"""Selects over campaigns and participants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, select, text

from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.kit.tx import Database
from growth_engine.people.models import Contact
from growth_engine.plays.models import (
    Campaign,
    CampaignVersion,
    InviteCode,
    InviteEdge,
    Participant,
    PlayState,
    StockItem,
)

MOST_PER_PAGE = 100


class UnknownCampaign(NotFound):
    code = "campaign_not_found"
    message = N_("There is no such campaign.")


class UnknownParticipant(NotFound):
    code = "participant_not_found"
    message = N_("There is no such participant.")


# -- before a workspace is known ---------------------------------------------------------------------


def workspace_of_campaign(db: Database, campaign_id: str) -> str | None:
    """The workspace a public campaign link belongs to."""
    with db.transaction(None) as session:
        found: str | None = session.scalar(text("SELECT ge_campaign(:id)"), {"id": campaign_id})
        return found


def invite(db: Database, token: str) -> Row[tuple[str, str, str]] | None:
    """(workspace_id, campaign_id, participant_id) of an invite token."""
    with db.transaction(None) as session:
        statement = text("SELECT workspace_id, campaign_id, participant_id FROM ge_invite(:token)")
        return session.execute(statement, {"token": token}).first()


# -- campaigns ---------------------------------------------------------------------------------------


def campaign(ctx: Ctx, campaign_id: str, *, lock: bool = False) -> Campaign:
    query = select(Campaign).where(Campaign.id == campaign_id, Campaign.workspace_id == ctx.workspace_id)
    found = ctx.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise UnknownCampaign
    return found


def campaigns_page(
    ctx: Ctx, *, states: Sequence[str] = (), search: str = "", after: str = "", limit: int = 50
) -> tuple[Sequence[Campaign], str | None]:
    """Campaigns, newest first, and the cursor of the next page."""
    query = select(Campaign).where(Campaign.workspace_id == ctx.workspace_id)
    if states:
        query = query.where(Campaign.state.in_(states))
    if search:
        query = query.where(Campaign.title.icontains(search, autoescape=True))
    if after:
        query = query.where(Campaign.id < after)
    limit = max(1, min(limit, MOST_PER_PAGE))
    rows = ctx.session.scalars(query.order_by(Campaign.id.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def titles(ctx: Ctx, campaign_ids: Iterable[str]) -> Mapping[str, str]:
    """What campaigns are called, by id."""
    query = select(Campaign.id, Campaign.title).where(
        Campaign.workspace_id == ctx.workspace_id, Campaign.id.in_(set(campaign_ids))
    )
    return dict(ctx.session.execute(query).all())


def version(ctx: Ctx, campaign_id: str, number: int) -> CampaignVersion | None:
    return ctx.session.get(CampaignVersion, (campaign_id, number))


def versions(ctx: Ctx, campaign_id: str) -> Sequence[CampaignVersion]:
    query = select(CampaignVersion).where(CampaignVersion.campaign_id == campaign_id)
    return ctx.session.scalars(query.order_by(CampaignVersion.version.desc())).all()


def stock_of(ctx: Ctx, campaign_id: str) -> Mapping[str, StockItem]:
    query = select(StockItem).where(StockItem.campaign_id == campaign_id)
    return {item.item: item for item in ctx.session.scalars(query)}


def play_state(ctx: Ctx, campaign_id: str, scope: str) -> Mapping[str, Any]:
    found = ctx.session.get(PlayState, (campaign_id, scope))
    return found.state if found else {}


def default_campaign(ctx: Ctx, account_id: str) -> str | None:
    """The running campaign of whoever comes to a channel by themselves; of several the newest."""
    query = select(Campaign.id).where(
        Campaign.channel_account_id == account_id, Campaign.channel_default, Campaign.state == "live"
    )
    return ctx.session.scalar(query.order_by(Campaign.id.desc()).limit(1))


# -- participants ------------------------------------------------------------------------------------


def invite_code(ctx: Ctx, participant_id: str, account_id: str) -> InviteCode | None:
    """A participant's own code at a channel, in whatever state."""
    return ctx.session.get(InviteCode, (participant_id, account_id), populate_existing=True)


def participant(ctx: Ctx, participant_id: str) -> Participant:
    query = select(Participant).where(
        Participant.id == participant_id, Participant.workspace_id == ctx.workspace_id
    )
    found = ctx.session.scalar(query)
    if found is None:
        raise UnknownParticipant
    return found


def participant_by_token(ctx: Ctx, token: str) -> Participant | None:
    return ctx.session.scalar(select(Participant).where(Participant.invite_token == token))


def campaigns_of_tokens(ctx: Ctx, tokens: Sequence[str]) -> Mapping[str, str]:
    """The campaign each invite token belongs to; tokens of nobody are left out."""
    if not tokens:
        return {}
    rows = ctx.session.execute(_CAMPAIGNS_OF_TOKENS, {"tokens": list(tokens)})
    return {row.invite_token: row.campaign_id for row in rows}


#: An index probe for each: see ``ledger.poster.Poster._connected``.
_CAMPAIGNS_OF_TOKENS = text(
    "SELECT p.invite_token, p.campaign_id FROM unnest(CAST(:tokens AS text[])) AS asked (token)"
    " CROSS JOIN LATERAL (SELECT invite_token, campaign_id FROM participants"
    "  WHERE invite_token = asked.token OFFSET 0) AS p"
)


def participation(ctx: Ctx, campaign_id: str, contact_ids: Sequence[str]) -> Participant | None:
    """The participation of a person (kept contact first, then those merged into it)."""
    query = select(Participant).where(
        Participant.campaign_id == campaign_id, Participant.contact_id.in_(contact_ids)
    )
    found = {row.contact_id: row for row in ctx.session.scalars(query)}
    return next((found[contact_id] for contact_id in contact_ids if contact_id in found), None)


def participations(ctx: Ctx, contact_ids: Sequence[str]) -> Sequence[Participant]:
    """Every participation of a person, newest first."""
    query = select(Participant).where(Participant.contact_id.in_(contact_ids))
    return ctx.session.scalars(query.order_by(Participant.id.desc())).all()


def participants_page(
    ctx: Ctx, campaign_id: str, *, after: int = 0, limit: int = 50
) -> tuple[Sequence[Participant], int | None]:
    """Participants in order of joining, and the number to go on after."""
    limit = max(1, min(limit, MOST_PER_PAGE))
    query = select(Participant).where(Participant.campaign_id == campaign_id, Participant.number > after)
    rows = ctx.session.scalars(query.order_by(Participant.number).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].number if len(rows) > limit else None


def by_numbers(ctx: Ctx, campaign_id: str, numbers: Iterable[int]) -> dict[int, tuple[Participant, str]]:
    """Participants and their nicknames by number: what the mirror's answers are dressed with."""
    wanted = sorted(set(numbers) - {0})
    if not wanted:
        return {}
    query = (
        select(Participant, Contact.nickname)
        .join(Contact, Contact.id == Participant.contact_id)
        .where(Participant.campaign_id == campaign_id, Participant.number.in_(wanted))
    )
    return {row.number: (row, nickname) for row, nickname in ctx.session.execute(query).all()}


def find_participants(ctx: Ctx, campaign_id: str, search: str, limit: int = 20) -> Sequence[Participant]:
    """Participants whose nickname contains ``search``."""
    query = (
        select(Participant)
        .join(Contact, Contact.id == Participant.contact_id)
        .where(Participant.campaign_id == campaign_id, Contact.nickname.icontains(search, autoescape=True))
        .order_by(Participant.number)
        .limit(limit)
    )
    return ctx.session.scalars(query).all()


def edges_of_inviter(
    ctx: Ctx, campaign_id: str, number: int, *, after: int = 0, limit: int = 50
) -> Sequence[InviteEdge]:
    """Whom a participant brought, in order of joining, counted or not."""
    query = select(InviteEdge).where(
        InviteEdge.campaign_id == campaign_id,
        InviteEdge.inviter_number == number,
        InviteEdge.invitee_number > after,
    )
    return ctx.session.scalars(query.order_by(InviteEdge.invitee_number).limit(limit)).all()


def latest_edges_of_inviter(
    ctx: Ctx, campaign_id: str, number: int, *, before: int | None = None, limit: int = 20
) -> Sequence[InviteEdge]:
    """The same, newest first; ``before`` is the last invitee's number of the page before."""
    query = select(InviteEdge).where(
        InviteEdge.campaign_id == campaign_id, InviteEdge.inviter_number == number
    )
    if before is not None:
        query = query.where(InviteEdge.invitee_number < before)
    return ctx.session.scalars(query.order_by(InviteEdge.invitee_number.desc()).limit(limit)).all()


def edges_of_invitee(ctx: Ctx, campaign_id: str, number: int) -> Sequence[InviteEdge]:
    query = select(InviteEdge).where(
        InviteEdge.campaign_id == campaign_id, InviteEdge.invitee_number == number
    )
    return ctx.session.scalars(query.order_by(InviteEdge.seq)).all()


def states_in(ctx: Ctx, campaign_id: str) -> Mapping[str, int]:
    """How many participants are in each state."""
    query = select(Participant.state, func.count()).where(Participant.campaign_id == campaign_id)
    rows = ctx.session.execute(query.group_by(Participant.state))
    return dict(row.tuple() for row in rows)
