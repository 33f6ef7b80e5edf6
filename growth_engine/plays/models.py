"""Tables of campaigns: drafts, rule versions, participants, invite edges, promises."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Json, Moment, PrimaryId


class Campaign(Base):
    """A configured run of a play. ``config`` and ``content`` are the draft; what counts is a version."""

    __tablename__ = "campaigns"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    play: Mapped[str]
    template: Mapped[str]
    title: Mapped[str]
    locale: Mapped[str]
    """Language of the campaign's copy: zh or en."""
    state: Mapped[str]
    """draft, scheduled, live, paused or ended (``plays.lifecycle``)."""
    config: Mapped[Json]
    content: Mapped[Json]
    rule_version: Mapped[int]
    """The version in force; 0 before the first publication."""
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    plan_id: Mapped[Id | None]
    """The membership plan whose days are granted."""
    poster_template_id: Mapped[Id | None]
    channel_account_id: Mapped[Id | None]
    """The connected account whose own codes stand on the posters; ``None``: the invite link does."""
    channel_users: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """WeCom: the employees whom the codes add; none named: all who may have customers."""
    channel_default: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whoever comes to the channel without anybody's code takes part in this campaign."""
    created_by: Mapped[str]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    published_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class CampaignVersion(Base):
    """The rules and copy as published; added, never edited."""

    __tablename__ = "campaign_versions"

    workspace_id: Mapped[Id]
    campaign_id: Mapped[PrimaryId]
    version: Mapped[int] = mapped_column(primary_key=True)
    config: Mapped[Json]
    content: Mapped[Json]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    created_by: Mapped[str]
    created_at: Mapped[Moment]


class Participant(Base):
    """A contact in a campaign; written by the ledger's poster only."""

    __tablename__ = "participants"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    number: Mapped[Count]
    """Dense in the campaign, from 1; an inviter's number is smaller than the invited person's."""
    contact_id: Mapped[Id]
    inviter_number: Mapped[Count]
    """0 for someone who came alone."""
    invite_token: Mapped[Id]
    state: Mapped[str]
    """active, left or blocked."""
    valid_invites: Mapped[Count]
    helps_window_at: Mapped[datetime | None]
    """When the present velocity window began."""
    helps_in_window: Mapped[int]
    device: Mapped[str | None]
    """Keyed hash of the browser the person registered with."""
    address: Mapped[str | None]
    """Keyed hash of the network address the person registered from."""
    cohort: Mapped[date]
    """Day of joining in the workspace's zone."""
    joined_at: Mapped[Moment]
    left_at: Mapped[datetime | None]


class InviteEdge(Base):
    """Who brought whom, and whether it counts."""

    __tablename__ = "invite_edges"

    workspace_id: Mapped[Id]
    campaign_id: Mapped[PrimaryId]
    invitee_number: Mapped[int] = mapped_column(primary_key=True)
    inviter_number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    """valid, refused, left, moved or void."""
    reason: Mapped[str]
    seq: Mapped[Count]
    """The Entry that brought this state about."""
    at: Mapped[Moment]


class PlayState(Base):
    """A play's own memory of one scope."""

    __tablename__ = "play_states"

    workspace_id: Mapped[Id]
    campaign_id: Mapped[PrimaryId]
    scope: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[Json]


class StockItem(Base):
    """A limited reward: how many there are and how many are taken."""

    __tablename__ = "stock"

    workspace_id: Mapped[Id]
    campaign_id: Mapped[PrimaryId]
    item: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[Count]
    taken: Mapped[Count]


class InviteCode(Base):
    """A participant's own code at a channel: what it says stands on their poster. Issued by ``reach``."""

    __tablename__ = "invite_codes"

    participant_id: Mapped[PrimaryId]
    account_id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    state: Mapped[str]
    """waiting (asked for) → ready; failed (gave up, ``error`` says why); ended: with its campaign."""
    content: Mapped[str]
    """What the code says, once there is one; the scene or state in it is the invite token."""
    reference: Mapped[str]
    """The platform's name of it: ticket, config id."""
    issue: Mapped[int]
    """How often it was issued: temporary codes are replaced before they end."""
    expires_at: Mapped[datetime | None]
    """``None``: does not end by itself."""
    attempts: Mapped[int]
    next_at: Mapped[datetime | None]
    """When the job looks at it again: to issue, to issue anew, to delete."""
    error: Mapped[str | None]
    created_at: Mapped[Moment]
