"""Keys and their replacement, callback addresses and what is wrong with them: pure decisions."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from growth_engine.kit.i18n import N_

PROVIDERS: Final[Mapping[str, str]] = {
    "wechat_oa": N_("WeChat Official Account"),
    "wecom": N_("WeCom"),
    "wechat_pay": N_("WeChat Pay"),
}
#: Those where people follow, add and are written to.
MESSAGING: Final = ("wechat_oa", "wecom")
MODES: Final[Mapping[str, str]] = {
    "safe": N_("Safe mode (安全模式)"),
    "compatible": N_("Compatible mode (兼容模式)"),
    "plain": N_("Plain mode (明文模式)"),
}
#: Keys the platform signs or encrypts callbacks with, by provider: they can be replaced one by one.
REPLACEABLE: Final[Mapping[str, Sequence[str]]] = {
    "wechat_oa": ("aes_key", "token"),
    "wecom": ("aes_key", "token"),
    "wechat_pay": ("api_v3_key",),
}
#: A replaced key is still believed for so long: time to enter the new one at the platform, and for
#: callbacks that were on their way. WeChat Pay repeats a notice for a day (sheet §4.5).
KEEP_REPLACED = timedelta(days=7)
#: The platform's own limits (sheet §2.2, §3.2).
TOKEN_LENGTH = 32
AES_KEY_LENGTH = 43


@dataclass(frozen=True, slots=True)
class Secret:
    value: str
    until: datetime | None = None
    """Since it was replaced: how long it is still believed."""


Secrets = dict[str, list[Secret]]
"""By name, the present one first: app_secret, secret, token, aes_key, api_v3_key, private_key, and
``platform_keys`` (serial and PEM in one value, all of them present)."""


def identifier(provider: str, ids: Mapping[str, str]) -> str:
    """What tells one account of a provider from another."""
    if provider == "wecom":  # several applications of one company, each with its own secret
        return f"{ids['corpid']}:{ids.get('agentid', '')}"
    return ids["appid"] if provider == "wechat_oa" else ids["mchid"]


def present(secrets: Secrets, name: str) -> str:
    return secrets[name][0].value if secrets.get(name) else ""


def believed(secrets: Secrets, name: str, now: datetime) -> tuple[str, ...]:
    """The values that count now, the present one first."""
    return tuple(one.value for one in secrets.get(name, []) if one.until is None or one.until > now)


def platform_keys(secrets: Secrets) -> tuple[tuple[str, str], ...]:
    """WeChat Pay's keys: (serial, PEM)."""
    pairs = (one.value.partition("\n") for one in secrets.get("platform_keys", []))
    return tuple((serial, pem) for serial, _, pem in pairs)


def replaced(secrets: Secrets, name: str, value: str, now: datetime) -> Secrets:
    """``value`` is the present one from now on; the one before is believed a while longer, older ones
    that are still believed keep their end."""
    before = [
        Secret(one.value, one.until or now + KEEP_REPLACED)
        for one in secrets.get(name, [])
        if (one.until is None or one.until > now) and one.value != value
    ]
    return {**secrets, name: [Secret(value), *before]}


def secrets_to_json(secrets: Secrets) -> dict[str, Any]:
    return {
        name: [[one.value, one.until.isoformat() if one.until else None] for one in values]
        for name, values in secrets.items()
    }


def secrets_from_json(value: Mapping[str, Any]) -> Secrets:
    return {
        name: [Secret(one, datetime.fromisoformat(until) if until else None) for one, until in values]
        for name, values in value.items()
    }


def callback_url(public_url: str, provider: str, account_id: str) -> str:
    return f"{public_url.rstrip('/')}/webhooks/{provider}/{account_id}"


def problems_of(url: str, provider: str) -> list[str]:
    """Why the platform could not or would not call this address; message ids."""
    where = urlsplit(url)
    found = []
    if _is_private(where.hostname or ""):
        found.append(N_("This address is on your own machine or network: the platform cannot reach it."))
    if provider == "wechat_pay" and where.scheme != "https":
        found.append(N_("WeChat Pay only calls https addresses."))
    standard = 443 if where.scheme == "https" else 80
    if provider == "wechat_oa" and (where.port or standard) not in (80, 443):
        found.append(N_("The Official Account only calls ports 80 and 443."))
    return found


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))
