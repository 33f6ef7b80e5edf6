"""How identities are written, so that one person is found again whoever types the number how."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import phonenumbers

from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.people.names import INVISIBLE, clean_nickname, graphemes

__all__ = [
    "CONTACT_ID",
    "KINDS",
    "Identity",
    "clean_nickname",
    "erased_hash",
    "graphemes",
    "is_virtual_number",
    "normalise",
    "normalise_all",
    "without_format",
]

KINDS: Final = ("phone", "openid", "unionid", "external_userid", "external_id")
#: Ids WeChat gives out are plain ASCII (developers.weixin.qq.com, "UnionID"; developer.work.weixin.qq.com).
_GIVEN_BY_WECHAT: Final = frozenset(KINDS[1:4])
LONGEST: Final = 128

CONTACT_ID: Final = re.compile(r"con_[0-9a-hjkmnp-tv-z]{26}")

_PHONE = re.compile(r"\+?[0-9 ().\-/]{2,40}")
#: Virtual operators of mainland China (MIIT numbering plan): 162 165 167 170 171. Cheap, often thrown away.
_VIRTUAL = re.compile(r"\+861(?:6[257]|7[01])\d{8}")

NOT_A_PHONE = N_("This is not a phone number. Write it as dialled, or with + and the country code.")
NOT_AN_IDENTITY = N_("Use 1 to 128 visible characters, without line breaks or hidden characters.")
UNKNOWN_KIND = N_("Name a person by phone, openid, unionid, external_userid or external_id.")


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """One way we know a person; ``value`` is normalised."""

    kind: str
    value: str


def normalise(kind: str, value: str, region: str) -> str:
    """The one spelling of an identity: E.164 for phones, trimmed NFC otherwise.

    ``region`` (ISO 3166) is assumed for phone numbers without a country code. Raises ``Invalid`` with
    the message under the name of the kind.
    """
    if kind == "phone":
        return _phone(value, region)
    if kind not in KINDS:
        raise Invalid(fields={"kind": [UNKNOWN_KIND]})
    text = unicodedata.normalize("NFC", value.strip()) if len(value) <= 4 * LONGEST else value
    if not 1 <= len(text) <= LONGEST or not _is_plain(text, ascii_only=kind in _GIVEN_BY_WECHAT):
        raise Invalid(fields={kind: [NOT_AN_IDENTITY]})
    return text


def normalise_all(identities: Mapping[str, str] | Iterable[tuple[str, str]], region: str) -> list[Identity]:
    """Every identity normalised, each once, in the order given; all that is wrong is said at once."""
    pairs = identities.items() if isinstance(identities, Mapping) else identities
    wrong: dict[str, list[str]] = {}
    found: dict[Identity, None] = {}
    for kind, value in pairs:
        try:
            found[Identity(kind, normalise(kind, value, region))] = None
        except Invalid as error:
            wrong |= error.extra["errors"]
    if wrong:
        raise Invalid(fields=wrong)
    return list(found)


def is_virtual_number(phone: str) -> bool:
    """Whether an E.164 number belongs to a virtual operator of mainland China."""
    return _VIRTUAL.fullmatch(phone) is not None


def without_format(text: str) -> str:
    """The text without format characters: numbers copied from an address book carry hidden marks."""
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def erased_hash(salt: str, identity: Identity) -> str:
    """What stays of an identity after erasure (docs/decisions/0002-erasure.md); ``salt``: the workspace's."""
    return keyed_digest(salt, f"{identity.kind}:{identity.value}")


def _phone(value: str, region: str) -> str:
    written = unicodedata.normalize("NFKC", without_format(value[:LONGEST])).strip()
    if len(value) > LONGEST or not _PHONE.fullmatch(written):
        raise Invalid(fields={"phone": [NOT_A_PHONE]})
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        raise Invalid(fields={"phone": [NOT_A_PHONE]}) from None
    if not phonenumbers.is_valid_number(number):
        raise Invalid(fields={"phone": [NOT_A_PHONE]})
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_plain(text: str, *, ascii_only: bool) -> bool:
    if ascii_only:
        return text.isascii() and text.isprintable() and " " not in text
    # isprintable is false for control, format, surrogate, private and separator characters but U+0020.
    return text.isprintable() and not INVISIBLE.search(text)
