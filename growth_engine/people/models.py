"""Tables of people: contacts, identities, consents, messages, and hashes of those who were erased."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, Json, Moment, PrimaryId


class Contact(Base):
    """A person as one workspace knows them. After a merge the row stays and points to the kept one."""

    __tablename__ = "contacts"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    nickname: Mapped[str]
    """Cleaned (``people.names``); empty when unknown or erased."""
    avatar_key: Mapped[str | None]
    """Content hash of the picture in storage."""
    locale: Mapped[str | None]
    source: Mapped[str]
    """Where they came from first: api, h5, import…"""
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    first_seen_at: Mapped[Moment]
    """When this workspace met the person first; the earlier one after a merge."""
    blocked_at: Mapped[datetime | None]
    """Since when they may neither join nor help; ``None``: they may."""
    blocked_reason: Mapped[str | None]
    left_at: Mapped[datetime | None]
    """When they left everything (unfollowed, removed us); ``None``: still here."""
    merged_into: Mapped[str | None] = mapped_column(Text(collation="C"))
    """The kept contact, always itself unmerged: chains are flattened by every merge."""
    erased_at: Mapped[datetime | None]
    """When the person was erased; name, identities and picture are gone since."""


class ContactIdentity(Base):
    """One way a contact is known; a value belongs to one contact of a workspace."""

    __tablename__ = "contact_identities"

    workspace_id: Mapped[PrimaryId]
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[PrimaryId]
    """Normalised (``people.rules.normalise``)."""
    contact_id: Mapped[Id]
    verified_at: Mapped[datetime | None]
    """When the person proved it is theirs (a code by SMS, a signed-in WeChat page); ``None``: claimed."""
    created_at: Mapped[Moment]


class Consent(Base):
    """What a person agreed to or withdrew; added, never edited."""

    __tablename__ = "consents"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    contact_id: Mapped[Id]
    purpose: Mapped[str]
    wording_version: Mapped[str]
    """Which text they saw."""
    granted: Mapped[bool]
    """False: withdrawn."""
    source: Mapped[str]
    at: Mapped[Moment]
    """When they said so; the latest row of a purpose counts."""


class ErasedIdentity(Base):
    """A keyed hash of an identity that was erased, so that "new people only" can still refuse it."""

    __tablename__ = "erased_identities"

    workspace_id: Mapped[PrimaryId]
    hash: Mapped[PrimaryId]
    """``people.rules.erased_hash``; keyed with the workspace's salt."""
    blocked: Mapped[bool]
    """The person was blocked when erased: erasure does not lift a block."""
    erased_at: Mapped[Moment]


class Message(Base):
    """Something we told a person, shown on their page; other channels deliver it from here."""

    __tablename__ = "messages"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    contact_id: Mapped[Id]
    campaign_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    template: Mapped[str]
    """Code of the message; the words, with %(name)s parameters, are found and translated when it is read."""
    params: Mapped[Json]
    key: Mapped[str]
    """Unique in the workspace: the same news is told once."""
    created_at: Mapped[Moment]
    read_at: Mapped[datetime | None]
    """When the person saw it."""
    picked_at: Mapped[datetime | None]
    """When ``reach`` took it over to send it; ``None``: nobody did yet."""
