"""The table of everything that came in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, Json, Moment, PrimaryId


class InboxMessage(Base):
    """One thing a platform told us, however often it said so."""

    __tablename__ = "inbox_messages"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    account_id: Mapped[Id]
    provider: Mapped[str]
    identity: Mapped[Id]
    """The platform's identity of the message, unique in the account: a repetition finds this row."""
    kind: Mapped[str]
    """What happened (``payloads``); empty when refused."""
    sender: Mapped[Id]
    """openid, external_userid or employee; empty when it is about nobody, or about somebody erased."""
    state: Mapped[str]
    """received → done | failed (gave up, ``error`` says why). unknown: nobody here understands it.
    refused: not believed."""
    request: Mapped[Json]
    """What it takes to verify it again: method, query, the provider's headers."""
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    """The body as it came; of a refused one its beginning. Empty after erasure."""
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The document inside, decrypted; None when refused or erased."""
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of ``content``, of ``raw`` when refused."""
    deliveries: Mapped[int]
    """How often the platform sent it."""
    altered: Mapped[int]
    """How many of them said something else under the same identity; only the first one counts."""
    attempts: Mapped[int]
    """How often interpreting it was begun."""
    next_at: Mapped[Moment]
    """Received: when it may be tried again; while it is being tried, when that attempt counts as dead."""
    error: Mapped[str | None]
    reply: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    """The passive reply given (``contract.reply_to_json``): a repetition gets the same."""
    occurred_at: Mapped[Moment]
    """What the platform says; when refused, when it came."""
    received_at: Mapped[Moment]
    last_delivery_at: Mapped[Moment]
    handled_at: Mapped[datetime | None]
