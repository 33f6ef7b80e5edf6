"""Checks that several Pay interfaces share: fields, numbers, addresses, times."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from growth_engine.sandbox.pay.service import PayRefused
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

CHINA = dt.timezone(dt.timedelta(hours=8))
LONGEST_ADDRESS = 255


def wrong(field: str, why: str = "格式不正确", detail_code: int = 0) -> PayRefused:
    return PayRefused(
        "PARAM_ERROR",
        f"参数错误: {field} {why}",
        detail_code=detail_code,
        detail={"field": f"/{field.replace('.', '/')}", "issue": why, "location": "body"},
    )


def text(doc: Doc, field: str, longest: int, pattern: str | None = None, *, needed: bool = True) -> str:
    """A text field; characters are counted, not bytes."""
    value = doc.get(field)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise wrong(field)
    if pattern and not re.fullmatch(pattern, value):
        raise wrong(field)
    return value


def fen(doc: Doc, field: str) -> int:
    """An amount: a whole number of fen, at least one."""
    value = doc.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise wrong(field, "应为正整数")
    return value


def part(doc: Doc, field: str) -> Doc:
    value = doc.get(field)
    if not isinstance(value, dict):
        raise wrong(field, "不能为空")
    return value


def notify_url(doc: Doc, *, needed: bool = True) -> str:
    """An address for notifications: https (plain http to this machine only), no query."""
    value: Any = doc.get("notify_url")
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_ADDRESS:
        raise wrong("notify_url")
    parts = urlsplit(value)
    if parts.query or parts.fragment or "?" in value:
        raise wrong("notify_url", "不能携带参数")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong("notify_url")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise wrong("notify_url", "必须为https地址")
    return value


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def when(seconds: float) -> str:
    """A time as Pay writes it: RFC 3339 in China's zone."""
    return dt.datetime.fromtimestamp(int(seconds), CHINA).isoformat()


def moment(doc: Doc, field: str) -> float | None:
    value = doc.get(field)
    if value is None:
        return None
    try:
        at = dt.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise wrong(field, "应为RFC3339格式") from error
    if at.tzinfo is None:
        raise wrong(field, "应为RFC3339格式")
    return at.timestamp()


def today(world: World) -> dt.date:
    return dt.datetime.fromtimestamp(world.now(), CHINA).date()
