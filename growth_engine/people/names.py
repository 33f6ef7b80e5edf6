"""Nicknames as people really type them: emoji kept whole, tricks with invisible characters taken out."""

from __future__ import annotations

import re
import unicodedata

MOST_GRAPHEMES = 32
#: The longest emoji in use (a family with skin tones) has 10 code points; what is longer is an attack.
LONGEST_GRAPHEME = 16
MOST_CODE_POINTS = 160
#: Looked at before anything costs time; a nickname never needs more.
MOST_INPUT = 2048
#: Marks stacked on one letter: Vietnamese needs two, Hebrew and Thai three. More is "zalgo" text.
MOST_MARKS = 3

_ZWJ = "\u200d"
_VARIATIONS = "\ufe0e\ufe0f"
_KEYCAP = "\u20e3"
_FIRST_TONE, _LAST_TONE = 0x1F3FB, 0x1F3FF
_FIRST_REGIONAL, _LAST_REGIONAL = 0x1F1E6, 0x1F1FF
_BLACK_FLAG = "\U0001f3f4"

#: Not control characters to Unicode, yet drawn as nothing: Hangul fillers, the grapheme joiner, Khmer
#: inherent vowels, the Mongolian and supplementary variation selectors, the empty Braille cell.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)

#: Blocks in which emoji live (UTS #51, Extended_Pictographic, as ranges); later Unicode versions add
#: to the last one, so unassigned code points there are emoji too.
_PICTOGRAPHIC = (
    (0xA9, 0xA9), (0xAE, 0xAE), (0x203C, 0x203C), (0x2049, 0x2049), (0x2122, 0x2122), (0x2139, 0x2139),
    (0x2194, 0x21AA), (0x231A, 0x23FF), (0x24C2, 0x24C2), (0x25AA, 0x27BF), (0x2934, 0x2935),
    (0x2B05, 0x2B55), (0x3030, 0x3030), (0x303D, 0x303D), (0x3297, 0x3299), (0x1F000, 0x1FAFF),
)  # fmt: skip

#: The flags of England, Scotland and Wales: a black flag, a region in tag characters, a cancel tag.
_TAG_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")


def clean_nickname(text: str) -> str:
    """The nickname to keep and show: NFC, at most 32 graphemes, nothing invisible or direction-changing.

    Zero-width joiners survive only inside emoji sequences. What has nothing visible becomes ``""``.
    """
    visible = unicodedata.normalize("NFC", _visible(text[:MOST_INPUT]))
    kept: list[str] = []
    room = MOST_CODE_POINTS
    for grapheme in graphemes(visible):
        if len(kept) == MOST_GRAPHEMES or len(grapheme) > room:
            break
        if len(grapheme) <= LONGEST_GRAPHEME:
            kept.append(grapheme)
            room -= len(grapheme)
    # A cluster left out can bring two spaces together or leave one at the end.
    return " ".join("".join(kept).split())


def graphemes(text: str) -> list[str]:
    """What a reader counts as characters (UAX #29 for marks, emoji sequences, flags and keycaps)."""
    found: list[str] = []
    for character in text:
        if found and _continues(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return found


def _continues(cluster: str, character: str) -> bool:
    if character == _ZWJ or unicodedata.category(character) in ("Mn", "Me", "Mc"):
        return True
    code = ord(character)
    if _FIRST_TONE <= code <= _LAST_TONE:
        return _is_pictographic(cluster[0])
    if 0xE0020 <= code <= 0xE007F:
        return cluster[0] == _BLACK_FLAG
    if _FIRST_REGIONAL <= code <= _LAST_REGIONAL:
        return len(cluster) == 1 and _FIRST_REGIONAL <= ord(cluster) <= _LAST_REGIONAL
    return cluster[-1] == _ZWJ and _is_pictographic(character)


def _is_pictographic(character: str) -> bool:
    code = ord(character)
    return any(first <= code <= last for first, last in _PICTOGRAPHIC)


def _visible(text: str) -> str:
    """Drops control, format, private and unassigned characters; folds any white space to single spaces."""
    text = INVISIBLE.sub("", text)
    flags = {place for match in _TAG_FLAG.finditer(text) for place in range(*match.span())}
    kept: list[str] = []
    marks = 0
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if place in flags:
            kept.append(character)
        elif character == _ZWJ:
            if _joins(text, place, kept):
                kept.append(character)
        elif character in _VARIATIONS:
            if kept and (_is_pictographic(kept[-1]) or kept[-1] in "#*0123456789"):
                kept.append(character)
        elif character.isspace() or category.startswith("Z"):
            kept.append(" ")
        elif _is_shown(character, category) and marks <= MOST_MARKS:
            kept.append(character)
    return " ".join("".join(kept).split())


def _is_shown(character: str, category: str) -> bool:
    if category == "Cn":
        return 0x1F000 <= ord(character) <= 0x1FAFF
    return not category.startswith("C")


def _joins(text: str, place: int, kept: list[str]) -> bool:
    """Whether the joiner at ``place`` stands between two emoji."""
    if place + 1 >= len(text) or not _is_pictographic(text[place + 1]) or not kept:
        return False
    before = len(kept) - 1
    while before > 0 and (kept[before] in _VARIATIONS or _FIRST_TONE <= ord(kept[before]) <= _LAST_TONE):
        before -= 1
    return _is_pictographic(kept[before])
