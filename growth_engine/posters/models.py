"""Tables of posters: templates, their immutable versions, and one row per poster asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, Json, Moment, PrimaryId


class PosterTemplate(Base):
    """A poster design of a workspace; what it looks like stands in its versions."""

    __tablename__ = "poster_templates"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    slug: Mapped[str]
    """Unique in the workspace."""
    name: Mapped[str]
    """What marketers call it."""
    current_version: Mapped[int]
    """The published version new posters are drawn with; 0 while none has been verified."""
    created_at: Mapped[Moment]
    archived_at: Mapped[datetime | None]
    """Since when it is no longer offered; posters drawn with it stay."""


class PosterTemplateVersion(Base):
    """One edit of a template; the document never changes, an edit makes the next version."""

    __tablename__ = "poster_template_versions"

    workspace_id: Mapped[Id]
    template_id: Mapped[PrimaryId]
    version: Mapped[int] = mapped_column(primary_key=True)
    """1, 2, 3 … in the order of editing."""
    spec: Mapped[Json]
    """The document ``schemas.load_template`` reads."""
    verified_at: Mapped[datetime | None]
    """When its own output was scanned back without problems; only then it may be published."""
    problems: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """What the last check found: ``rules.Problem.to_json``."""
    created_by: Mapped[str]
    created_at: Mapped[Moment]


class Poster(Base):
    """A poster somebody asked for; the same inputs are the same row. Drawn by the job ``posters.render``."""

    __tablename__ = "posters"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    campaign_id: Mapped[Id]
    participant_id: Mapped[Id]
    contact_id: Mapped[Id]
    template_id: Mapped[Id]
    template_version: Mapped[int]
    qr_content: Mapped[str]
    """What the code says: the invite link."""
    personal: Mapped[Json]
    """What is drawn besides: nickname and avatar_key (only with consent), locale, the campaign's words."""
    inputs_hash: Mapped[str]
    """Hash of everything drawn; unique for a participant."""
    state: Mapped[str]
    """queued → rendering → ready | failed (gave up, ``error`` says why)."""
    content_key: Mapped[str | None]
    """Content hash of the picture in storage, once ready."""
    attempts: Mapped[int]
    next_at: Mapped[Moment]
    """Queued: when it may be drawn. Rendering: when the worker's lease ends and another may try."""
    error: Mapped[str | None]
    created_at: Mapped[Moment]
    asked_at: Mapped[Moment]
    """When exactly these inputs were last asked for; a participant's poster is the one asked for last."""
    ready_at: Mapped[datetime | None]
