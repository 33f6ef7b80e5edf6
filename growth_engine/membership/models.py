"""Tables of membership: plans, grants waiting and delivered, moves (the truth), standings (a cache)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Count, Id, Moment, PrimaryId


class MembershipPlan(Base):
    """What people are members of."""

    __tablename__ = "membership_plans"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    slug: Mapped[str]
    name: Mapped[str]
    notice_days: Mapped[int]
    """How many days before the last one people are told; 0: on the last day itself."""
    created_at: Mapped[Moment]
    archived_at: Mapped[datetime | None]
    """Since when it can no longer be chosen; days already given run on."""


class Grant(Base):
    """Days a campaign promised; written with the decision, delivered by the job ``grants.drain``."""

    __tablename__ = "grants"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    contact_id: Mapped[Id]
    plan_id: Mapped[Id]
    member: Mapped[Count]
    """Number of the participant in the campaign."""
    entry_seq: Mapped[Count]
    """The Entry that promised it."""
    side: Mapped[str]
    """Why: inviter, friend, tier, welcome."""
    days: Mapped[int]
    """Whole calendar days."""
    key: Mapped[str]
    """Unique in the workspace: the same promise is made once."""
    state: Mapped[str]
    """pending → granted | stuck (gave up, ``error`` says why) | reversed (taken back, or never needed)."""
    attempts: Mapped[int]
    next_at: Mapped[Moment]
    """When the job may try (again)."""
    error: Mapped[str | None]
    created_at: Mapped[Moment]
    granted_at: Mapped[datetime | None]
    """When the days were delivered."""


class MembershipMove(Base):
    """One thing that happened to a membership; added, never edited; ``rules.calendar`` folds them."""

    __tablename__ = "membership_moves"

    id: Mapped[PrimaryId]
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    """The order in which things happened; ids of the same millisecond have none."""
    workspace_id: Mapped[Id]
    contact_id: Mapped[Id]
    """Whose, at the time; after a merge read through the family of contacts."""
    plan_id: Mapped[Id]
    kind: Mapped[str]
    """grant, pause, resume, reverse."""
    days: Mapped[int]
    """Days given, or taken back; 0 for pause and resume."""
    grant_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    """The grant given or taken back: a ``grants`` row, or the move's own id when given by hand."""
    day: Mapped[date]
    """Calendar day in the workspace's zone at the time."""
    reason: Mapped[str]
    key: Mapped[str]
    """Unique in the workspace: every move happens once."""
    actor: Mapped[str]
    """Who did it: kind and id."""
    at: Mapped[Moment]


class Membership(Base):
    """The standing of one contact in one plan as last computed: finds whose end is near; never the truth."""

    __tablename__ = "memberships"

    workspace_id: Mapped[Id]
    contact_id: Mapped[PrimaryId]
    plan_id: Mapped[PrimaryId]
    state: Mapped[str]
    """active, paused, ended, as of ``updated_at``."""
    ends_on: Mapped[date | None]
    """Last day in the workspace's zone; ``None`` while paused."""
    noticed_for: Mapped[date | None]
    """The ``ends_on`` the person was told about."""
    updated_at: Mapped[Moment]
