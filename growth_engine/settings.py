"""One frozen Settings object: from the environment in production, from a data folder by default."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from growth_engine.kit.errors import Misconfigured

PREFIX = "GROWTH_"
#: Names without our prefix, because every hosting platform already uses them.
_PLAIN = {"database_url", "migration_database_url", "ledger_redis_url", "queue_redis_url", "port"}
#: Where WeChat's servers are; plain names too, so that the sandbox and tools around it can share them.
HOSTS = ("wx_api_base", "wx_mp_base", "wx_open_base", "wecom_api_base", "wxpay_api_base")
_PLAIN |= set(HOSTS)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting. Environment name: ``GROWTH_`` + upper case, but for plain ones (docs/settings.md)."""

    database_url: str
    """PostgreSQL, as the unprivileged application role. Environment: DATABASE_URL."""
    ledger_redis_url: str
    """Valkey/Redis of the ledger mirror: noeviction, may be a cluster. Environment: LEDGER_REDIS_URL."""
    queue_redis_url: str
    """Valkey/Redis of queues, sessions, limits; one primary. Environment: QUEUE_REDIS_URL."""
    secret_key: str
    """Signs cookies and links; at least 32 characters."""
    migration_database_url: str = ""
    """PostgreSQL as the owner of the tables, for `growth-engine db upgrade` only.

    Environment: MIGRATION_DATABASE_URL.
    """
    app_role: str = "growth_app"
    """The database role the application connects as; migrations grant it what it needs, nothing more."""
    public_url: str = "http://127.0.0.1:8000"
    """The address people reach us at; invite links and QR codes start with it."""
    port: int = 8000
    """The port the web server listens on. Environment: PORT."""
    host: str = "127.0.0.1"
    """The address the web server listens on."""
    data_dir: Path = Path(".data")
    """Files (pictures, posters, the embedded databases)."""
    storage_url: str = ""
    """Where pictures are kept: empty for the data folder, or s3://bucket/prefix."""
    storage_endpoint: str = ""
    """Endpoint of an S3-compatible service other than Amazon's."""
    storage_access_key: str = ""
    """Access key of the S3-compatible service."""
    storage_secret_key: str = ""
    """Secret key of the S3-compatible service."""
    storage_region: str = "us-east-1"
    """Region of the S3-compatible service."""
    sms_provider: str = "console"
    """Who sends codes by SMS: console (shown on the server's screen and log; development) or none."""
    default_locale: str = "zh"
    """Language when neither the person nor the browser asks for one: zh or en."""
    phone_region: str = "CN"
    """Region of phone numbers written without a country code (ISO 3166)."""
    web_workers: int = 1
    """Web processes; each has its own poster thread."""
    web_threads: int = 64
    """Request threads of each web process."""
    platform_fee_bp: int = 100
    """What the platform charges on paid orders, in basis points (100 = 1 %); 0 for nothing."""
    platform_fee_member_bp: int = 60
    """The same for merchants who are members (growth-engine workspace tier)."""
    rq_workers: int = 1
    """RQ worker processes started by `growth-engine up`."""
    sandbox_port: int = 9101
    """First of three ports of the sandbox that `growth-engine up` starts beside the embedded servers while
    no host of the platforms is set; 0 for no sandbox."""
    max_body_bytes: int = 2 * 1024 * 1024
    """Largest request body."""
    api_rate_per_minute: int = 120_000
    """Requests an API token may make a minute."""
    visitor_rate_per_minute: int = 300
    """Phone-page writes one address may make a minute (a shared office or carrier address is normal)."""
    trusted_proxies: int = 0
    """How many reverse proxies stand in front of us and set X-Forwarded-For/-Proto."""
    wx_api_base: str = "https://api.weixin.qq.com"
    """The Official Account's API. Environment: WX_API_BASE."""
    wx_mp_base: str = "https://mp.weixin.qq.com"
    """Pictures of the Official Account's QR codes. Environment: WX_MP_BASE."""
    wx_open_base: str = "https://open.weixin.qq.com"
    """The page where people authorise an Official Account. Environment: WX_OPEN_BASE."""
    wecom_api_base: str = "https://qyapi.weixin.qq.com"
    """WeCom's API. Environment: WECOM_API_BASE."""
    wxpay_api_base: str = "https://api.mch.weixin.qq.com"
    """WeChat Pay's API. Environment: WXPAY_API_BASE."""
    log_format: str = "console"
    """console or json."""

    def __post_init__(self) -> None:
        if len(self.secret_key) < 32:
            raise Misconfigured("GROWTH_SECRET_KEY must have at least 32 characters.")
        if self.default_locale not in ("zh", "en"):
            raise Misconfigured("GROWTH_DEFAULT_LOCALE must be zh or en.")
        if self.sms_provider not in ("console", "none"):
            raise Misconfigured("GROWTH_SMS_PROVIDER must be console or none.")
        if not self.database_url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
            raise Misconfigured("DATABASE_URL must start with postgresql://")
        for name in ("ledger_redis_url", "queue_redis_url"):
            if not getattr(self, name).startswith(("redis://", "rediss://", "unix://")):
                raise Misconfigured(f"{name.upper()} must start with redis://, rediss:// or unix://")
        for name in HOSTS:
            _require_host(environment_name(name), getattr(self, name))

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")


def _require_host(variable: str, url: str) -> None:
    """Keys and payments travel there: nothing but https, except to the sandbox on this very machine.

    No path: WeChat Pay signs the path of a request, and a prefix would make every signature wrong.
    """
    where = urlsplit(url)
    if not where.hostname or where.path not in ("", "/") or where.query or where.fragment or where.username:
        raise Misconfigured(f"{variable} must be scheme and host only, such as https://api.example.com.")
    if where.scheme != "https" and not (where.scheme == "http" and _is_loopback(where.hostname)):
        raise Misconfigured(f"{variable} must start with https:// (http:// for this machine's own sandbox).")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def environment_name(field: str) -> str:
    return field.upper() if field in _PLAIN else PREFIX + field.upper()


def from_env(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from environment variables; unknown ``GROWTH_…`` names are refused, so a typing error is seen.

    ``overrides`` (field names) win over the environment.
    """
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    hints = get_type_hints(Settings)
    known = {environment_name(name): name for name in fields}
    unknown = sorted(n for n in environ if n.startswith(PREFIX) and n not in known)
    if unknown:
        raise Misconfigured(f"Unknown setting {unknown[0]}: see docs/settings.md for the names there are.")
    values: dict[str, Any] = {}
    for variable, name in known.items():
        raw = environ.get(variable)
        if raw is None or raw == "":
            continue
        try:
            values[name] = hints[name](raw)
        except ValueError:
            raise Misconfigured(f"{variable} must be a {hints[name].__name__}, not {raw!r}.") from None
    values.update(overrides)
    missing = [
        environment_name(name)
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and name not in values
    ]
    if missing:
        raise Misconfigured(
            f"{missing[0]} is not set. Set it, or use `growth-engine up` to run the embedded databases."
        )
    return Settings(**values)
