"""Tables of access: workspaces, staff, API tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, PrimaryId


class Workspace(Base):
    __tablename__ = "workspaces"

    id: Mapped[PrimaryId]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    timezone: Mapped[str]
    """IANA zone; days, membership and every shown time are in it."""
    locale: Mapped[str]
    salt: Mapped[str]
    """Random; hashes of erased identities are keyed with it."""
    currency: Mapped[str]
    """Of new campaigns and of the withdrawal rules; ISO 4217."""
    merchant_tier: Mapped[str]
    """The merchant's own membership with the platform: it decides the platform's fee."""
    created_at: Mapped[datetime]
    """When it was made, UTC."""


class Staff(Base):
    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("workspace_id", "email"),)

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id] = mapped_column(ForeignKey("workspaces.id"))
    email: Mapped[str]
    """Lower case."""
    name: Mapped[str]
    role: Mapped[str]
    """State: admin, marketer or sales."""
    password_hash: Mapped[str | None]
    """argon2id; ``None``: signs in by one-time link only."""
    locale: Mapped[str]
    """zh or en; empty: follow the browser."""
    sessions_valid_from: Mapped[datetime]
    """Sessions remember this moment (UTC) at sign-in and end when it changes: sign-out everywhere."""
    disabled_at: Mapped[datetime | None]
    """Since when this person may not sign in, UTC."""
    created_at: Mapped[datetime]
    """When they were added, UTC."""


class ApiToken(Base):
    __tablename__ = "api_tokens"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    """SHA-256 of the token; the token itself is shown once and kept nowhere."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by: Mapped[str]
    """Id of the member of staff, or ``system`` for the command line."""
    created_at: Mapped[datetime]
    """When it was made, UTC."""
    last_used_at: Mapped[datetime | None]
    """Last use, UTC, to the minute."""
    revoked_at: Mapped[datetime | None]
    """Since when it is refused, UTC."""
