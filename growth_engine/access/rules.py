"""Pure rules of access: scopes, passwords, email addresses, slugs, and how long a lock-out lasts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from growth_engine.kit.i18n import N_

ROLES: Mapping[str, str] = {"admin": N_("Administrator"), "marketer": N_("Marketer"), "sales": N_("Sales")}

SCOPES: Mapping[str, str] = {
    "campaigns:read": N_("See campaigns, their figures and leaderboards"),
    "campaigns:write": N_("Create, change, publish, pause and end campaigns"),
    "participants:read": N_("See participants, their teams and entries"),
    "participants:write": N_("Let people join campaigns, make their posters"),
    "contacts:read": N_("See contacts and their memberships"),
    "contacts:write": N_("Change, merge and erase contacts, report that they left"),
    "orders:read": N_("See products, orders, commissions and promoters"),
    "orders:write": N_("Place orders, report payments and refunds, decide about commissions and promoters"),
    "payouts:read": N_("See wallets and withdrawals"),
    "payouts:write": N_("Ask for withdrawals, decide about them, change their rules"),
}
ALL = "*"

#: What a workspace may sell in and pay out.
CURRENCIES = ("CNY", "HKD", "USD", "EUR", "SGD", "JPY")

#: A merchant's membership with the platform: what the platform's fee depends on.
MERCHANT_TIERS = ("free", "member")

PASSWORD_MIN = 10
PASSWORD_MAX = 200

#: Failures without delay. An address may be an office or a carrier, so it gets more of them.
FREE_FAILURES: Mapping[str, int] = {"email": 5, "address": 40}
_FIRST_LOCK_SECONDS = 15
_LONGEST_LOCK_SECONDS = 15 * 60

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f<>\"(),:;\\\[\]]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_COMMON = frozenset(
    {
        "0123456789",
        "12345678910",
        "1234567890",
        "1q2w3e4r5t",
        "abc1234567",
        "administrator",
        "changeme123",
        "password12",
        "password123",
        "qwertyuiop",
        "woaini1314",
    }
)


def scope_groups() -> list[str]:
    """``campaigns:*`` and so on."""
    return list(dict.fromkeys(f"{scope.split(':')[0]}:*" for scope in SCOPES))


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    known = {*SCOPES, *scope_groups(), ALL}
    return sorted(scope for scope in scopes if scope not in known)


def allows(scopes: Iterable[str], needed: str) -> bool:
    """Whether ``scopes`` include ``needed``: by name, by ``group:*`` or by ``*``."""
    held = set(scopes)
    return bool(held & {needed, f"{needed.split(':')[0]}:*", ALL})


def tidy_email(email: str) -> str:
    """The form an address is stored and looked up in: NFKC, lower case, no spaces around it."""
    return unicodedata.normalize("NFKC", email).strip().lower()


def is_email(email: str) -> bool:
    return len(email) <= 254 and _EMAIL.fullmatch(email) is not None


def is_slug(slug: str) -> bool:
    return _SLUG.fullmatch(slug) is not None


def password_problem(password: str, email: str) -> str | None:
    """Why a password is not good enough (a message id with ``%(least)s``/``%(most)s``), or ``None``.

    Length over composition, and no well-known ones, as NIST SP 800-63B §3.1.1 says.
    """
    if len(password) < PASSWORD_MIN:
        return N_("Use at least %(least)s characters. A short sentence is good.")
    if len(password) > PASSWORD_MAX:
        return N_("Use at most %(most)s characters.")
    plain = password.lower()
    if plain in _COMMON or plain == email or len(set(plain)) < 4:
        return N_("This password is too easy to guess.")
    return None


def lock_seconds(kind: str, failures: int) -> int:
    """How long the next attempt must wait after so many failures: nothing at first, then doubling."""
    over = failures - FREE_FAILURES[kind]
    if over < 0:
        return 0
    return int(min(_FIRST_LOCK_SECONDS * 2 ** min(over, 10), _LONGEST_LOCK_SECONDS))


def masked_email(email: str) -> str:
    """``li***@example.com``: enough to recognise one's own address."""
    name, _, domain = email.partition("@")
    return f"{name[:2]}***@{domain}"
