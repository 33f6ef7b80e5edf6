"""Tables of reach: who is at which channel, what is on its way to them, customer groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, Json, Moment, PrimaryId


class Follower(Base):
    """Somebody at one of the merchant's accounts, here or gone."""

    __tablename__ = "followers"

    workspace_id: Mapped[Id]
    account_id: Mapped[PrimaryId]
    person: Mapped[PrimaryId]
    """openid or external_userid."""
    contact_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    ties: Mapped[dict[str, Any]]
    """What holds the person to the account (``rules.Ties``)."""
    here: Mapped[bool]
    """Some tie holds."""
    grants: Mapped[Json]
    """Subscription template → how many messages of it the person has granted and not been sent."""
    profile_next_at: Mapped[datetime | None]
    """When the platform is to be asked who this is; ``None``: no need."""
    profile_attempts: Mapped[int]
    profile_at: Mapped[datetime | None]
    """When it last said."""
    first_seen_at: Mapped[Moment]


class Delivery(Base):
    """Something to be sent to a person through a channel, and what became of it."""

    __tablename__ = "deliveries"

    id: Mapped[PrimaryId]
    workspace_id: Mapped[Id]
    account_id: Mapped[Id]
    person: Mapped[Id]
    contact_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    campaign_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    participant_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    message_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    """The message of ``people`` it brings."""
    kind: Mapped[str]
    """text, message (of ``people``), poster, welcome (WeCom)."""
    payload: Mapped[Json]
    """text: text. message: template, params, locale. welcome: text, code, url."""
    key: Mapped[Id]
    """Unique in the workspace: the same cause is answered once."""
    state: Mapped[str]
    """waiting → sent, refused (certainly not sent, ``reason`` says why) or unknown (maybe: not repeated)."""
    waits_for: Mapped[str]
    """Of a waiting one: nothing, time (``next_at``), poster, person (their next step) or staff."""
    reason: Mapped[str]
    """``channels.contract.Reason`` of the last refusal."""
    code: Mapped[str]
    """The platform's own code."""
    trace: Mapped[str]
    reference: Mapped[str]
    """The platform's number of what was sent."""
    attempts: Mapped[int]
    next_at: Mapped[datetime | None]
    """Waiting: when it may be tried, or the worker's lease ends; ``None``: when something happens."""
    happened_at: Mapped[Moment]
    """When what it answers happened, by the platform's clock."""
    created_at: Mapped[Moment]
    settled_at: Mapped[datetime | None]


class ChatGroup(Base):
    """A customer group of WeCom, as last read."""

    __tablename__ = "chat_groups"

    workspace_id: Mapped[Id]
    account_id: Mapped[PrimaryId]
    chat_id: Mapped[PrimaryId]
    name: Mapped[str]
    owner: Mapped[str]
    members: Mapped[int]
    """Everybody in it, employees included."""
    version: Mapped[str]
    """The platform's ``member_version``; another one in an event: one was lost, it is read again."""
    dismissed: Mapped[bool]
    attempts: Mapped[int]
    next_at: Mapped[datetime | None]
    """When to read it; ``None``: nothing is known to have changed."""
    read_at: Mapped[datetime | None]
    error: Mapped[str | None]
