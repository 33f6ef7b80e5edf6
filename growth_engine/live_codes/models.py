"""Tables of live codes: the code, where it leads, and who was led where."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, Moment, PrimaryId


class LiveCode(Base):
    """One short link that never changes; what it shows does."""

    __tablename__ = "live_codes"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    name: Mapped[str]
    token: Mapped[str]
    """Of the link ``/g/<token>``; unique everywhere."""
    campaign_id: Mapped[Id | None]
    """The campaign whose play decides who sees the code; ``None``: everybody does."""
    spread: Mapped[str]
    """fill: one target after the other; even: newcomers by weight over all that have room."""
    note: Mapped[str]
    """What people read when nothing can be shown to them."""
    state: Mapped[str]
    """active or paused."""
    created_by: Mapped[str]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class Target(Base):
    """Where a live code may lead: a group, or a member of staff."""

    __tablename__ = "live_code_targets"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    live_code_id: Mapped[Id]
    name: Mapped[str]
    kind: Mapped[str]
    """group (a WeChat group, whose codes end after seven days), wecom_group or staff."""
    picture_key: Mapped[str]
    """The platform's QR code, as uploaded (``channels.storage``)."""
    content: Mapped[str]
    """What that code says."""
    capacity: Mapped[int | None]
    """How many people at most are led here; ``None``: no limit."""
    taken: Mapped[int]
    """People led here so far; changes only while the live code's row is locked."""
    opens: Mapped[str]
    closes: Mapped[str]
    """Working hours as HH:MM in the workspace's zone; empty: round the clock."""
    weekdays: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """Working days, Monday is 1."""
    expires_at: Mapped[datetime | None]
    """When the platform's code ends; ``None``: never."""
    position: Mapped[int]
    weight: Mapped[int] = mapped_column(Integer)
    """Share of newcomers under ``even``."""
    fallback: Mapped[bool]
    """Only for when no other target can be shown; then without regard to its capacity."""
    state: Mapped[str]
    """active or paused."""
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class Visitor(Base):
    """Somebody who was led to a target, and is led there again. No names: a keyed hash."""

    __tablename__ = "live_code_visitors"

    live_code_id: Mapped[PrimaryId]
    visitor: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    target_id: Mapped[Id]
    showings: Mapped[int]
    first_at: Mapped[Moment]
    """When they were led to this target first."""
    last_at: Mapped[Moment]
