"""A campaign's copy in one language: its schema, and the numbers of the rules put into its sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from growth_engine.kit.i18n import N_, format_amount
from growth_engine.plays.contract import option
from growth_engine.plays.worth import percent

_PLACEHOLDER = re.compile(r"\{([a-z][a-z_0-9]{0,39})\}")
_SPACED = re.compile(r"( ?)" + _PLACEHOLDER.pattern + r"( ?)")
_MOST_LINES = 30
_LONGEST_LINE = 500

#: Emoji are joined and coloured with these.
_KEPT_FORMAT = frozenset("\u200d\ufe0f")


class Words(fields.String):
    """One line of text: normalised, without invisible characters, at most ``most`` characters."""

    def __init__(self, most: int, **kwargs: Any) -> None:
        self.most = most
        limit = validate.Length(max=most, error=N_("At most {max} characters, please."))
        super().__init__(load_default=kwargs.pop("load_default", ""), validate=limit, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return " ".join(_visible(str(super()._deserialize(value, *args, **kwargs))).split())


class Lines(fields.Field[list[str]]):
    """Paragraphs or rules, one a line: a list of strings, or one string with line breaks (a form)."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"widget": "textarea", **kwargs.pop("metadata", {})}
        super().__init__(load_default=list, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        lines = value.splitlines() if isinstance(value, str) else value
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ValidationError(N_("Give a list of lines."))
        kept = [line for raw in lines if (line := " ".join(_visible(raw).split()))]
        if len(kept) > _MOST_LINES:
            raise ValidationError(N_("At most 30 lines, please."))
        if any(len(line) > _LONGEST_LINE for line in kept):
            raise ValidationError(N_("At most 500 characters a line, please."))
        return kept


def _visible(text: str) -> str:
    """NFC, tabs and other controls as spaces, marks that show nothing or turn the direction taken out."""
    kinds = ((char, unicodedata.category(char)) for char in unicodedata.normalize("NFC", text))
    return "".join(
        " " if kind == "Cc" else char
        for char, kind in kinds
        if char in _KEPT_FORMAT or kind not in ("Cf", "Cs", "Co")
    )


def _copy(label: str, help_: str = "", **more: Any) -> dict[str, Any]:
    return option(label, help_, section="copy", **more)


class ContentSchema(Schema):
    """What people read. Texts may hold ``{brand}``, ``{inviter_days}``, ``{friend_days}``, ``{tiers}`` …
    (where something is sold ``{level1}``, ``{hold_days}`` …), filled from the rules, so that a number in
    the copy is never another than the one that is paid."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": N_("There is no such field.")}  # noqa: RUF012 - marshmallow's own name

    brand = Words(30, metadata=_copy(N_("Brand"), N_("Who invites; shown at the top of every page.")))
    title = Words(60, metadata=_copy(N_("Title"), N_("What the campaign offers, in one line.")))
    subtitle = Words(120, metadata=_copy(N_("Subtitle")))
    body = Lines(
        metadata=_copy(
            N_("Introduction"), N_("One paragraph a line: why it is worth a friend's time."), rows=6
        )
    )
    reward_inviter = Words(60, metadata=_copy(N_("What the inviter gets")))
    reward_friend = Words(60, metadata=_copy(N_("What the friend gets")))
    rules = Lines(
        metadata=_copy(
            N_("Rules"), N_("One rule a line. Say who may take part and when rewards arrive."), rows=9
        )
    )
    button = Words(16, metadata=_copy(N_("Text on the button")))
    thanks = Words(
        120, metadata=_copy(N_("After registering"), N_("The first thing a new participant reads."))
    )
    share_title = Words(60, metadata=_copy(N_("Title of the shared card")))
    share_text = Words(120, metadata=_copy(N_("Text of the shared card")))
    poster_headline = Words(40, metadata=_copy(N_("Headline on the poster")))
    poster_reward = Words(60, metadata=_copy(N_("Reward on the poster")))
    poster_footnote = Words(60, metadata=_copy(N_("Footnote on the poster")))
    privacy = Words(
        400,
        metadata=_copy(
            N_("Privacy note"),
            N_("What is collected, what for, how long it is kept, and how to have it deleted."),
            widget="textarea",
        ),
    )
    contact = Words(
        120,
        metadata=_copy(
            N_("Questions and complaints"), N_("A phone number or address people can reach you at.")
        ),
    )
    colour = fields.String(
        load_default="#07c160",
        validate=validate.Regexp(r"#[0-9a-fA-F]{6}\Z", error=N_("A colour is written like #1a2b3c.")),
        metadata=_copy(N_("Accent colour"), widget="color"),
    )


def fill(
    content: Mapping[str, Any], promise: Mapping[str, Any], *, locale: str, brand: str = ""
) -> dict[str, Any]:
    """The copy with its placeholders replaced from ``play.promise(config)``, for showing.

    ``brand`` stands in where the copy names none. A line (paragraph, rule) whose placeholder has nothing
    to say, such as ``{tiers}`` without a ladder, is left out. Placeholders nobody knows stay as they are.
    """
    values = _values(content, promise, locale=locale, brand=brand)
    filled: dict[str, Any] = {}
    for name, value in content.items():
        if name == "colour":
            filled[name] = value
        elif isinstance(value, str):
            filled[name] = _filled(value, values)
        else:
            filled[name] = [_filled(line, values) for line in value if not _is_void(line, values)]
    filled["brand"] = values["brand"]
    return filled


def placeholders(promise: Mapping[str, Any]) -> list[str]:
    """Names that may stand in braces in a campaign with this promise."""
    return sorted(in_words(promise, locale="en"))


def in_words(promise: Mapping[str, Any], *, locale: str) -> dict[str, str]:
    """What a promise says under each name, as it would stand in a sentence; empty where it says nothing."""
    return _values({}, promise, locale=locale, brand="")


def unknown_placeholders(content: Mapping[str, Any], promise: Mapping[str, Any]) -> dict[str, list[str]]:
    """By field, the names in braces that nothing fills."""
    known = set(placeholders(promise))
    found: dict[str, list[str]] = {}
    for name, value in content.items():
        text = value if isinstance(value, str) else "\n".join(value)
        strange = [match for match in _PLACEHOLDER.findall(text) if match not in known]
        if strange:
            found[name] = strange
    return found


def tiers_in_words(tiers: Sequence[Mapping[str, Any]], locale: str) -> str:
    """The reward ladder as part of a sentence: days where a step is worth days, else its name."""
    if locale == "zh":
        return "、".join(f"满 {tier['invites']} 位{_prize_zh(tier)}" for tier in tiers)
    steps = [
        f"{tier['days']} more days at {tier['invites']} friends"
        if tier["days"]
        else f"{tier.get('label', '')} at {tier['invites']} friends"
        for tier in tiers
    ]
    return " and ".join([", ".join(steps[:-1]), steps[-1]] if len(steps) > 1 else steps)


def _prize_zh(tier: Mapping[str, Any]) -> str:
    return f"再得 {tier['days']} 天" if tier["days"] else f"得{tier.get('label', '')}"


def rate_in_words(rate: Mapping[str, Any], locale: str) -> str:
    """``{unit, value, currency}`` as part of a sentence: ``实付金额的 20%``, ``¥5.00 per piece``.

    With ``short`` the bare rate: ``20%``, ``¥5.00``.
    """
    if rate["unit"] == "bp":
        bare = f"{percent(rate['value'])}%"
        long = f"实付金额的 {bare}" if locale == "zh" else f"{bare} of what is paid"
    else:
        bare = format_amount(rate["value"], rate["currency"], locale=locale)
        long = f"每件 {bare}" if locale == "zh" else f"{bare} per piece"
    return bare if rate.get("short") else long


def _word(value: Any, locale: str) -> str:
    if isinstance(value, Mapping):
        if "unit" in value:
            return rate_in_words(value, locale)
        return format_amount(value["amount"], value["currency"], locale=locale)
    return "" if value is None else str(value)


def _values(
    content: Mapping[str, Any], promise: Mapping[str, Any], *, locale: str, brand: str
) -> dict[str, str]:
    values = {
        name: _word(value, locale)
        for name, value in promise.items()
        if value is None or isinstance(value, str | int | Mapping)
    }
    if "tiers" in promise:
        values["tiers"] = tiers_in_words(promise["tiers"], locale)
    # A brand is a name, never a text to fill: braces in it stay what they are.
    values["brand"] = str(content.get("brand") or brand)
    return values


def _filled(text: str, values: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        value = values.get(match[2])
        if value is None:
            return match[0]
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        left = "" if _are_han(before, value[:1]) else match[1]
        return left + value + ("" if _are_han(value[-1:], after) else match[3])

    return _SPACED.sub(put, text)


def _are_han(one: str, other: str) -> bool:
    """Chinese is set without spaces: those around a placeholder go when its value is Chinese too."""
    return "\u4e00" <= one <= "\u9fff" and "\u4e00" <= other <= "\u9fff"


def _is_void(line: str, values: Mapping[str, str]) -> bool:
    return any(values.get(name) == "" for name in _PLACEHOLDER.findall(line))
