"""Tables of campaigns: drafts, rule versions, participants, invite edges, promises."""

from __future__ import annotations

from datetime import date, datetime

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
