"""The check before publishing: what law, platform rules or plain honesty object to in a campaign; pure.

Follows the linter rules of ``shared/wechat-protocol.md`` §5.6 as far as a campaign's rules and copy show
them. Errors keep a campaign from being published; warnings need somebody's word that they are meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from growth_engine.kit.i18n import N_
from growth_engine.plays import wording
from growth_engine.plays.content import fill, unknown_placeholders
from growth_engine.plays.findings import Draft, Finding
from growth_engine.plays.registry import play
from growth_engine.plays.selling_checks import PROMISES, commission

__all__ = ["Finding", "check"]

#: Longer campaigns are forgotten by everybody but the fraudsters.
LONGEST = timedelta(days=366)


def check(
    play_slug: str,
    config: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    starts_at: datetime | None,
    ends_at: datetime | None,
    products: Sequence[Mapping[str, Any]] | None = None,
) -> list[Finding]:
    """Everything found, errors first. ``config`` and ``content`` are valid by their schemas; ``products``
    (each with ``sku`` and ``price``) are what the campaign sells, ``None`` if that is not to be looked at."""
    of = play(play_slug)
    promise = of.promise(config)
    language = "zh" if any(wording.is_han(char) for char in str(content)) else "en"
    filled = fill(content, promise, locale=language)
    draft = Draft(of, config, promise, content, filled, starts_at, ends_at, products)
    found = [finding for one in _CHECKS for finding in one(draft)]
    return sorted(found, key=lambda finding: finding.severity != "error")


# -- what must be there ------------------------------------------------------------------------------

_NEEDED: Mapping[str, str] = {
    "brand": N_("Say who invites: the campaign needs a brand."),
    "title": N_("The campaign page needs a title."),
    "rules": N_("Publish the rules: who may take part, what counts, and when rewards arrive."),
    "privacy": N_("Tell people what happens with their data: the privacy note is missing."),
}


def _what_is_missing(draft: Draft) -> Iterator[Finding]:
    for name, message in _NEEDED.items():
        if not draft.content.get(name):
            yield Finding(f"{name}_missing", "error", name, message)
    if not draft.content.get("contact"):
        yield Finding(
            "contact_missing", "warning", "contact", N_("Name a way to ask questions and to complain.")
        )


def _placeholders(draft: Draft) -> Iterator[Finding]:
    for name, strange in unknown_placeholders(draft.written, draft.promise).items():
        yield Finding(
            "unknown_placeholder",
            "error",
            name,
            N_("Nothing is known by this name in braces, people would read it as it stands."),
            f"{{{strange[0]}}}",
        )


def _dates(draft: Draft) -> Iterator[Finding]:
    if draft.ends_at is None:
        yield Finding("ends_missing", "error", "ends_at", N_("A campaign must say when it ends."))
    elif draft.starts_at is not None and draft.ends_at <= draft.starts_at:
        yield Finding("ends_before_start", "error", "ends_at", N_("The end must come after the start."))
    elif draft.starts_at is not None and draft.ends_at - draft.starts_at > LONGEST:
        yield Finding("too_long", "warning", "ends_at", N_("The campaign runs for more than a year."))


_ADULT = re.compile(
    r"(?:满|年满|已满)\s*(?:14|16|18)\s*(?:周岁|岁)|(?:14|16|18)\s*(?:周岁|岁)以上|监护人|成年人"
    r"|\b(?:aged?|over|least)\s+(?:14|16|18)\b|\b(?:14|16|18)\s+(?:or|years|and)\b|\bguardian|\badults?\b",
    re.IGNORECASE,
)
_CHILDREN = re.compile(
    r"小学生|中学生|初中生|高中生|未成年人?|儿童|少儿|青少年|幼儿|宝贝自己"
    r"|\b(?:kids|children|teenagers?|pupils|minors|schoolchildren)\b",
    re.IGNORECASE,
)
_GUARDIAN = re.compile(r"监护人|家长|父母|\b(?:guardians?|parents?)\b", re.IGNORECASE)


def _minors(draft: Draft) -> Iterator[Finding]:
    text = draft.all_text()
    aimed = next(
        ((name, match[0]) for name, line in draft.lines() if (match := _CHILDREN.search(line))), None
    )
    if aimed is not None and not _GUARDIAN.search(text):
        yield Finding(
            "minors_without_guardian",
            "error",
            aimed[0],
            N_("The copy speaks to minors: say that a parent or guardian registers and agrees."),
            aimed[1],
        )
    elif not _ADULT.search(text):
        yield Finding(
            "age_missing", "warning", "rules", N_("Say from which age people may take part (usually 18).")
        )


# -- what must not be there --------------------------------------------------------------------------


def _forbidden_words(draft: Draft) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for name, line in draft.lines():
        for hit in wording.hits(line):
            if (name, hit.ban.code) not in seen:
                seen.add((name, hit.ban.code))
                yield Finding(hit.ban.code, hit.ban.severity, name, hit.ban.message, hit.excerpt)


# -- numbers in the copy -----------------------------------------------------------------------------

_NUMERALS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_DAYS_ZH = re.compile(
    r"(?P<n>\d{1,4}|[一两二三四五六七八九]?[十百][零一二三四五六七八九十百]*)\s*(?:个)?(?P<unit>天|日会员|个月|年会员|年的会员)"
    r"(?!以?内|之?内|以?后|之?后|以?前|之?前|无理由|以上|左右|起算|训练营|打卡|课程|挑战)"
)
_MONTHS_ZH = re.compile(
    r"(?P<n>\d{1,2}|半|[一两二三四五六七八九十]+)(?P<unit>个月|年)的?(?=会员|会籍|权益|VIP|体验)",
    re.IGNORECASE,
)
_DAYS_EN = re.compile(
    r"\b(?P<n>\d{1,4})[\s-]+(?:(?:more|extra|free)\s+)*(?P<unit>days?|months?|years?)\b(?!\s+(?:after|before|later|ago))",
    re.IGNORECASE,
)
_WITHIN_EN = re.compile(r"\b(?:within|after|in|before|every|last)\s+(?:the\s+)?\Z", re.IGNORECASE)


def _rewards_as_promised(draft: Draft) -> Iterator[Finding]:
    """Numbers of days in the copy that no rule pays, where days are what is paid."""
    if draft.sells:
        return
    everything = _paid(draft.promise, "inviter_days", "friend_days", "welcome_days", tiers=True)
    by_field = {
        "reward_inviter": _paid(draft.promise, "inviter_days", tiers=True),
        "reward_friend": _paid(draft.promise, "friend_days"),
    }
    for name, line in draft.lines():
        if name in ("privacy", "contact", "brand"):
            continue
        paid = by_field.get(name, everything)
        for days, excerpt in promised_days(line):
            if not any(low <= one <= high for one in paid for low, high in [days]):
                yield Finding(
                    "reward_differs",
                    "error" if name in PROMISES else "warning",
                    name,
                    N_(
                        "The rules pay %(paid)s days, the text says otherwise."
                        " Write {inviter_days} or {friend_days}."
                    ),
                    excerpt,
                    {"paid": "/".join(str(one) for one in sorted(paid)) or "0"},
                )


def _paid(promise: Mapping[str, Any], *names: str, tiers: bool = False) -> set[int]:
    paid = {promise[name] for name in names if promise.get(name)}
    if tiers:
        paid |= {tier["days"] for tier in promise.get("tiers", ())}
    return paid


def promised_days(line: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Lengths of time in a text, as (fewest, most) days, with the words."""
    for pattern in (_DAYS_ZH, _MONTHS_ZH, _DAYS_EN):
        for match in pattern.finditer(line):
            if pattern is _DAYS_EN and _WITHIN_EN.search(line[: match.start()]):
                continue
            amount = _number(match["n"])
            if amount:
                yield _span(amount, match["unit"].lower()), match[0]


def _span(amount: float, unit: str) -> tuple[int, int]:
    if "月" in unit or unit.startswith("month"):
        return int(amount * 28), int(amount * 31)
    if "年" in unit or unit.startswith("year"):
        return int(amount * 360), int(amount * 366)
    return int(amount), int(amount)


def _number(text: str) -> float:
    """``30``, ``三十``, ``一百二十``, ``半``."""
    if text.isdigit():
        return int(text)
    if text == "半":
        return 0.5
    total = digit = 0
    for char in text:
        if char in "十百":
            total += (digit or 1) * (10 if char == "十" else 100)
            digit = 0
        else:
            digit = _NUMERALS[char]
    return total + digit


# -- the rules themselves ----------------------------------------------------------------------------


def _levels(draft: Draft) -> Iterator[Finding]:
    levels = int(draft.config.get("levels") or 1)
    if levels >= 3:
        yield Finding(
            "levels", "error", "config.levels", N_("Rewards over three or more levels are pyramid selling.")
        )
    elif levels == 2 and not draft.sells:
        yield Finding(
            "levels",
            "warning",
            "config.levels",
            N_("Rewards over two levels need somebody who answers for them."),
        )


def _entry_fee(draft: Draft) -> Iterator[Finding]:
    for name in ("entry_fee", "join_fee", "promoter_fee", "promoter_deposit"):
        if draft.config.get(name):
            yield Finding(
                "pay_to_join",
                "error",
                f"config.{name}",
                N_("Nobody may have to pay or buy something in order to take part."),
            )


def _limits(draft: Draft) -> Iterator[Finding]:
    config = draft.config
    if "inviter_cap" in config and config["inviter_cap"] is None:
        yield Finding(
            "no_cap",
            "warning",
            "config.inviter_cap",
            N_("Without a limit per person one dishonest account can take any number of days."),
        )
    if config.get("new_only") == "everyone":
        yield Finding(
            "everyone_counts",
            "warning",
            "config.new_only",
            N_("Everyone counts as an invite, also people you know already: you pay for nothing new."),
        )
    if config.get("inviter_days") and not config.get("friend_days", 1):
        yield Finding(
            "friend_gets_nothing",
            "warning",
            "config.friend_days",
            N_(
                "Only the inviter is rewarded."
                " Give the friend something too, or it looks like paid recruiting."
            ),
        )
    if config.get("same_device") is False:
        yield Finding(
            "same_device_counts",
            "warning",
            "config.same_device",
            N_("Second accounts on one phone count: expect people to invite themselves."),
        )


_CHECKS: Sequence[Callable[[Draft], Iterator[Finding]]] = (
    _what_is_missing,
    _placeholders,
    _dates,
    _minors,
    _forbidden_words,
    _rewards_as_promised,
    _levels,
    _entry_fee,
    _limits,
    commission,
)
