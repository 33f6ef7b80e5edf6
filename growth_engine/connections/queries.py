"""Selects of connected accounts, with their keys opened for those who need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sqlalchemy import select, text

from growth_engine.connections import rules
from growth_engine.connections.models import ChannelAccount
from growth_engine.connections.rules import Secrets
from growth_engine.connections.sealing import Sealer
from growth_engine.context import Ctx
from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.kit.tx import Database


class UnknownAccount(NotFound):
    code = "unknown_channel_account"
    message = N_("There is no such channel.")


@dataclass(frozen=True, slots=True)
class Connection:
    """A connected account with its keys, detached from the session."""

    id: str
    workspace_id: str
    provider: str
    name: str
    ids: Mapping[str, str]
    settings: Mapping[str, str]
    state: str
    secrets: Secrets = field(repr=False)

    def present(self, name: str) -> str:
        """The present value of a key; empty when there is none."""
        return rules.present(self.secrets, name)

    def believed(self, name: str, now: datetime) -> tuple[str, ...]:
        """Every value of a key that counts at ``now``, the present one first."""
        return rules.believed(self.secrets, name, now)

    @property
    def platform_keys(self) -> tuple[tuple[str, str], ...]:
        """WeChat Pay's keys: (serial, PEM)."""
        return rules.platform_keys(self.secrets)


@lru_cache(maxsize=4)
def sealer(secret_key: str) -> Sealer:
    """Deriving the key takes longer than using it."""
    return Sealer(secret_key)


def workspace_of(db: Database, account_id: str) -> str | None:
    """Whose account this is, before any workspace is known."""
    with db.transaction(None) as session:
        found: str | None = session.scalar(text("SELECT ge_channel_account(:id)"), {"id": account_id})
        return found


def accounts(ctx: Ctx, provider: str = "") -> Sequence[ChannelAccount]:
    """Every account of the workspace, disabled ones last."""
    wanted = select(ChannelAccount).where(ChannelAccount.workspace_id == ctx.workspace_id)
    if provider:
        wanted = wanted.where(ChannelAccount.provider == provider)
    return ctx.session.scalars(
        wanted.order_by(ChannelAccount.state == "disabled", ChannelAccount.provider, ChannelAccount.id)
    ).all()


def account_if_known(ctx: Ctx, account_id: str) -> ChannelAccount | None:
    """The account something old names, for pages that can do without it."""
    return ctx.session.scalars(
        select(ChannelAccount).where(
            ChannelAccount.workspace_id == ctx.workspace_id, ChannelAccount.id == account_id
        )
    ).one_or_none()


def account(ctx: Ctx, account_id: str) -> ChannelAccount:
    """Raises UnknownAccount."""
    found = account_if_known(ctx, account_id)
    if found is None:
        raise UnknownAccount
    return found


def messaging_account(ctx: Ctx, account_id: str) -> ChannelAccount:
    """An account people can come to: raises UnknownAccount for one that takes payments only."""
    found = account(ctx, account_id)
    if found.provider not in rules.MESSAGING:
        raise UnknownAccount
    return found


def messaging_accounts(ctx: Ctx, also: str = "") -> list[ChannelAccount]:
    """The accounts people can come to that are in use, and ``also`` whatever its state."""
    return [
        row
        for row in accounts(ctx)
        if row.provider in rules.MESSAGING and (row.state != "disabled" or row.id == also)
    ]


def opened(ctx: Ctx, row: ChannelAccount) -> Connection:
    """The account with its keys; raises SecretsUnreadable."""
    sealed = sealer(ctx.parts.settings.secret_key).open(row.secrets, row.id)
    return Connection(
        id=row.id,
        workspace_id=row.workspace_id,
        provider=row.provider,
        name=row.name,
        ids=row.ids,
        settings=row.settings,
        state=row.state,
        secrets=rules.secrets_from_json(sealed),
    )


def connection(ctx: Ctx, account_id: str) -> Connection:
    """One account, opened; raises UnknownAccount or SecretsUnreadable."""
    return opened(ctx, account(ctx, account_id))


def connections(ctx: Ctx, provider: str) -> list[Connection]:
    """The accounts of a provider that are in use, opened, the oldest first."""
    rows = [row for row in accounts(ctx, provider) if row.state != "disabled"]
    return [opened(ctx, row) for row in rows]
