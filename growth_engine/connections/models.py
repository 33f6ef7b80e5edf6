"""The table of connected accounts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from growth_engine.kit.db import Base, Id, Json, Moment, PrimaryId


class ChannelAccount(Base):
    """An account of the merchant's at a platform."""

    __tablename__ = "channel_accounts"

    id: Mapped[PrimaryId]
    """Stands in the callback's address."""
    workspace_id: Mapped[Id]
    provider: Mapped[str]
    """wechat_oa, wecom or wechat_pay."""
    name: Mapped[str]
    """What the merchant's staff call it."""
    identifier: Mapped[str]
    """The platform's name of the account (``rules.identifier``); unique for a provider in the workspace."""
    ids: Mapped[Json]
    """Public names: appid, original_id; corpid, agentid; mchid, appid, serial_no."""
    settings: Mapped[Json]
    """mode of an Official Account's callbacks: plain, compatible or safe."""
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    """Sealed (``sealing.Sealer``): name → values, the present one first (``rules.Secrets``)."""
    state: Mapped[str]
    """waiting (has not called yet) → active; disabled: its callbacks are not taken."""
    created_by: Mapped[str]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    called_at: Mapped[datetime | None]
    """When the platform first called with a right signature: the address and keys are right."""
    checked_at: Mapped[datetime | None]
    """When its credentials were last tried against the platform's API."""
    check_error: Mapped[str | None]
    """What that said; None: all is well."""
