"""Connect an account, correct it, replace a key, disable it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.dialects.postgresql import insert

from growth_engine.connections import queries, rules
from growth_engine.connections.models import ChannelAccount
from growth_engine.connections.rules import Secret, Secrets
from growth_engine.connections.sealing import SecretsUnreadable
from growth_engine.context import Ctx
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_

log = structlog.get_logger(__name__)


class AlreadyConnected(Conflict):
    code = "already_connected"
    message = N_("This account is connected already.")


class NotReplaceable(Invalid):
    code = "not_replaceable"
    message = N_("This key cannot be replaced by itself: correct the account instead.")


@dataclass(frozen=True, slots=True)
class Entered:
    """What a form or a program gives about an account; checked by ``schemas``."""

    name: str
    ids: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name; an empty one is made by us (token, aes_key) or, when correcting, left as it is."""
    platform_keys: tuple[tuple[str, str], ...] = ()
    """WeChat Pay: (serial, PEM). When correcting, they join those that are there: while a merchant moves
    from certificates to the public key both sign."""


def connect(ctx: Ctx, provider: str, entered: Entered) -> str:
    """A new account, waiting for the platform's first call; its id. Raises AlreadyConnected."""
    secrets: Secrets = {name: [Secret(value)] for name, value in entered.secrets.items() if value}
    secrets = _completed(ctx, provider, secrets)
    if entered.platform_keys:
        secrets["platform_keys"] = _platform_keys(dict(entered.platform_keys))
    account_id, now = ctx.new_id("chn"), ctx.now()
    added = ctx.session.execute(
        insert(ChannelAccount)
        .values(
            id=account_id,
            workspace_id=ctx.workspace_id,
            provider=provider,
            name=entered.name,
            identifier=rules.identifier(provider, entered.ids),
            ids=dict(entered.ids),
            settings=dict(entered.settings),
            secrets=_sealed(ctx, secrets, account_id),
            state="waiting",
            created_by=ctx.actor.id,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
        .returning(ChannelAccount.id)
    ).one_or_none()
    if added is None:
        raise AlreadyConnected
    return account_id


def correct(ctx: Ctx, account_id: str, entered: Entered) -> None:
    """Change names, settings and API keys. Raises AlreadyConnected when that makes it another's twin.

    Also the way out when the stored keys cannot be decrypted any more: what is not entered is made anew.
    """
    row = queries.account(ctx, account_id)
    secrets = _present_secrets(ctx, row)
    for name, value in entered.secrets.items():
        if value and value != rules.present(secrets, name):
            secrets = (
                rules.replaced(secrets, name, value, ctx.now())
                if name in rules.REPLACEABLE[row.provider]
                else {**secrets, name: [Secret(value)]}
            )
    if entered.platform_keys:
        known = dict(rules.platform_keys(secrets))
        secrets["platform_keys"] = _platform_keys({**known, **dict(entered.platform_keys)})
    wanted = rules.identifier(row.provider, entered.ids)
    if any(
        other.id != row.id and other.identifier == wanted for other in queries.accounts(ctx, row.provider)
    ):
        raise AlreadyConnected
    row.name, row.identifier = entered.name, wanted
    row.ids, row.settings = dict(entered.ids), dict(entered.settings)
    _keep(ctx, row, _completed(ctx, row.provider, secrets))


def _present_secrets(ctx: Ctx, row: ChannelAccount) -> Secrets:
    try:
        return dict(queries.opened(ctx, row).secrets)
    except SecretsUnreadable:
        log.warning("connections.keys_lost", account=row.id)
        return {}


def replace_key(ctx: Ctx, account_id: str, name: str, value: str = "") -> None:
    """Put a new key in the place of ``name``; the one before is believed for ``rules.KEEP_REPLACED``.

    Without ``value`` a fresh one is made (token, aes_key). Raises NotReplaceable.
    """
    row = queries.account(ctx, account_id)
    if name not in rules.REPLACEABLE[row.provider] or (name == "api_v3_key" and not value):
        raise NotReplaceable
    secrets = queries.opened(ctx, row).secrets
    _keep(ctx, row, rules.replaced(secrets, name, value or _made(ctx, name), ctx.now()))


def forget_replaced(ctx: Ctx, account_id: str, name: str) -> None:
    """Believe the present key alone from now on: the old one may have leaked."""
    row = queries.account(ctx, account_id)
    secrets = queries.opened(ctx, row).secrets
    _keep(ctx, row, {**secrets, name: secrets.get(name, [])[:1]})


def learn_platform_keys(ctx: Ctx, account_id: str, keys: Sequence[tuple[str, str]]) -> None:
    """Add WeChat Pay's keys that were fetched from it (serial, PEM); those known stay."""
    row = queries.account(ctx, account_id)
    connection = queries.opened(ctx, row)
    known = dict(connection.platform_keys)
    if not set(dict(keys)) - set(known):
        return
    _keep(ctx, row, {**connection.secrets, "platform_keys": _platform_keys({**dict(keys), **known})})


def disable(ctx: Ctx, account_id: str) -> None:
    row = queries.account(ctx, account_id)
    row.state, row.updated_at = "disabled", ctx.now()


def enable(ctx: Ctx, account_id: str) -> None:
    row = queries.account(ctx, account_id)
    if row.state == "disabled":
        row.state, row.updated_at = "active" if row.called_at else "waiting", ctx.now()


def note_call(ctx: Ctx, account_id: str) -> None:
    """The platform called with a right signature for the first time."""
    row = queries.account(ctx, account_id)
    row.called_at = row.called_at or ctx.now()
    if row.state == "waiting":
        row.state = "active"


def note_check(ctx: Ctx, account_id: str, error: str | None) -> None:
    """The credentials were tried against the platform's API; ``error`` is what it said, None: all well."""
    row = queries.account(ctx, account_id)
    row.checked_at, row.check_error = ctx.now(), error


def _completed(ctx: Ctx, provider: str, secrets: Secrets) -> Secrets:
    """With the keys that we make ourselves where none were entered."""
    ours = [name for name in ("token", "aes_key") if name in rules.REPLACEABLE[provider]]
    return {**{name: [Secret(_made(ctx, name))] for name in ours}, **secrets}


def _made(ctx: Ctx, name: str) -> str:
    length = rules.AES_KEY_LENGTH if name == "aes_key" else rules.TOKEN_LENGTH
    return ctx.parts.ids.token(length)


def _platform_keys(pems: Mapping[str, str]) -> list[Secret]:
    return [Secret(f"{serial}\n{pem}") for serial, pem in pems.items()]


def _sealed(ctx: Ctx, secrets: Secrets, account_id: str) -> bytes:
    return queries.sealer(ctx.parts.settings.secret_key).seal(rules.secrets_to_json(secrets), account_id)


def _keep(ctx: Ctx, row: ChannelAccount, secrets: Secrets) -> None:
    row.secrets, row.updated_at = _sealed(ctx, secrets, row.id), ctx.now()
