"""Text for pictures, pure: cleaning hostile names, splitting into clusters, wrapping, fitting a box."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

#: Longer input is cut before anything else looks at it.
MAX_INPUT = 2_000
#: More marks than this on one letter is decoration that climbs over the neighbours ("zalgo").
MAX_MARKS = 3

# The Chinese ellipsis is a full-width character set in the middle of the line: wrong after Latin letters.
_ELLIPSIS, _LATIN_ELLIPSIS = "…", "..."
_ZWNJ, _ZWJ, _TEXT_STYLE, _EMOJI_STYLE = "\u200c", "\u200d", "\ufe0e", "\ufe0f"
_SKIN_TONES = frozenset(chr(c) for c in range(0x1F3FB, 0x1F400))
# Letters that draw nothing: Hangul fillers, Braille blank. Used to fake an empty or spaced-out name.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Below this, emoji such as © ™ ↔ are text unless followed by the emoji-style selector (Unicode TR51).
_FIRST_EMOJI_BY_DEFAULT = 0x231A

# Kinsoku, the part Chinese typesetting (GB/T 15834, W3C clreq) needs on a poster.
_NEVER_STARTS_A_LINE = frozenset("，。、；：？！）》」』】〕〉”’…—～·％‰℃,.;:!?)]}%»›-/")
_NEVER_ENDS_A_LINE = frozenset("（《「『【〔〈“‘([{¥￥$€£#@«‹")
# "30 days" must not be torn into "30 / 天".
_UNITS = frozenset("天元年月日号人名次张折个节课小分秒点倍套份本位期")
_CLAUSE_ENDS = frozenset("，。；：！？")
# A clause to a line may make the text this much smaller, not more.
_CLAUSE_WORTH = 0.72


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is drawn as one piece: a letter with its marks, a space, or an emoji sequence."""

    text: str
    emoji: str = ""
    """Name of the emoji's picture, when it is one."""

    @property
    def is_space(self) -> bool:
        return self.text == " "


NEWLINE = Cluster("\n")
Measure = Callable[[Cluster], float]
"""Width of a cluster in em (multiples of the font size)."""


class EmojiTable:
    """Every emoji sequence there is a picture of; finds the longest one at a place in a text.

    ``names`` are code points in hex joined by ``-``, e.g. ``1f468-200d-1f469-200d-1f467``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        self._prefixes: set[str] = set()
        for name in names:
            sequence = "".join(chr(int(part, 16)) for part in name.split("-")).replace(_EMOJI_STYLE, "")
            self._names[sequence] = name
            self._prefixes.update(sequence[: i + 1] for i in range(len(sequence)))

    def match(self, text: str, start: int) -> tuple[int, str] | None:
        """``(end, name)`` of the longest known sequence at ``start``, or None when text begins there."""
        sequence, end, found = "", start, None
        while end < len(text):
            if text[end] != _EMOJI_STYLE:
                sequence += text[end]
                if sequence not in self._prefixes:
                    break
            elif not sequence:
                break
            end += 1
            if sequence in self._names:
                found = (end, self._names[sequence])
        if found is None or self._is_text_style(text, start, found[0]):
            return None
        return found

    def _is_text_style(self, text: str, start: int, end: int) -> bool:
        if text[end : end + 1] == _TEXT_STYLE:
            return True
        return end - start == 1 and ord(text[start]) < _FIRST_EMOJI_BY_DEFAULT


def clusters_of(text: str, emoji: EmojiTable, *, multiline: bool = False) -> list[Cluster]:
    """Cleaned pieces of ``text``: no controls, no bidirectional overrides, no invisible tricks.

    White space collapses to single spaces; newlines stay only when ``multiline``. Unknown emoji sequences
    fall apart into the emoji they are made of; skin tones and joiners without a picture are dropped.
    """
    text = unicodedata.normalize("NFC", text[:MAX_INPUT])
    pieces: list[Cluster] = []
    at = 0
    after_emoji = False
    while at < len(text):
        if after_emoji and (text[at] in _SKIN_TONES or text[at] == _ZWJ):
            at += 1
            continue
        match = emoji.match(text, at)
        if match is not None:
            pieces.append(Cluster(text[at : match[0]], match[1]))
            at, after_emoji = match[0], True
            continue
        _append_character(pieces, text, at, multiline=multiline)
        at, after_emoji = at + 1, False
    return _trimmed(pieces)


def _append_character(pieces: list[Cluster], text: str, at: int, *, multiline: bool) -> None:
    character = text[at]
    last = pieces[-1] if pieces else None
    if character == "\n" and multiline:
        pieces.append(NEWLINE)
    elif character.isspace() or character in _BLANK_LETTERS:
        if last is not None and not last.is_space and last is not NEWLINE:
            pieces.append(Cluster(" "))
    elif unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Mc", "Me"):
        if last is not None and not last.emoji and not last.text.isspace() and len(last.text) <= MAX_MARKS:
            pieces[-1] = Cluster(last.text + character)
    elif character in (_ZWJ, _ZWNJ):
        # Joiners mean something between letters of Arabic and Indic scripts, and nowhere else.
        if last is not None and _joins(last.text[-1]) and _joins(text[at + 1 : at + 2]):
            pieces[-1] = Cluster(last.text + character)
    elif _is_drawable(character):
        if last is not None and last.text[-1] == _ZWJ:
            pieces[-1] = Cluster(last.text + character)
        else:
            pieces.append(Cluster(character))


def _joins(character: str) -> bool:
    return "\u0600" <= character <= "\u0dff"


def _is_drawable(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":  # newer than this Python's Unicode data: only emoji blocks are let through
        return "\U0001f000" <= character <= "\U0001faff"
    return category[0] not in "CZ" and not _is_variation_selector(character)


def _is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def without(pieces: Sequence[Cluster], unwanted: Callable[[Cluster], bool]) -> list[Cluster]:
    """The pieces but for unwanted ones, and no doubled spaces where one was."""
    kept: list[Cluster] = []
    for piece in pieces:
        doubled = piece.is_space and (not kept or kept[-1].text.isspace())
        if not doubled and not unwanted(piece):
            kept.append(piece)
    return _trimmed(kept)


def _trimmed(pieces: list[Cluster]) -> list[Cluster]:
    while pieces and pieces[-1].text.isspace():
        pieces.pop()
    while pieces and pieces[0].text.isspace():
        pieces.pop(0)
    return pieces


def clipped(pieces: Sequence[Cluster], measure: Measure, width: float) -> list[Cluster]:
    """As many clusters as fit ``width`` em; an ellipsis takes the place of the rest."""
    if sum(map(measure, pieces)) <= width:
        return list(pieces)
    chinese = any(_is_wide(piece) and not piece.emoji for piece in pieces)
    dots = Cluster(_ELLIPSIS if chinese else _LATIN_ELLIPSIS)
    room = width - measure(dots)
    kept: list[Cluster] = []
    for piece in pieces:
        room -= measure(piece)
        if room < 0:
            break
        kept.append(piece)
    while kept and kept[-1].is_space:
        kept.pop()
    return [*kept, dots]


def _is_wide(piece: Cluster) -> bool:
    return bool(piece.emoji) or unicodedata.east_asian_width(piece.text[0]) in ("W", "F")


def _may_break(before: Cluster, after: Cluster) -> bool:
    """Whether a line may end between two neighbours that are no spaces."""
    left, right = before.text[-1], after.text[0]
    if right in _NEVER_STARTS_A_LINE or left in _NEVER_ENDS_A_LINE:
        return False
    if left.isdigit() and right in _UNITS:
        return False
    return _is_wide(before) or _is_wide(after) or left in "-/"


def _words(pieces: Sequence[Cluster]) -> list[list[Cluster]]:
    """Runs that stay together; spaces and newlines stand alone, but for the one in "30 天"."""
    words: list[list[Cluster]] = []
    for at, piece in enumerate(pieces):
        last = words[-1][-1] if words else None
        if last is None or (
            not (_is_glued(pieces, at) or _is_glued(pieces, at - 1))
            and (piece.text.isspace() or last.text.isspace() or _may_break(last, piece))
        ):
            words.append([piece])
        else:
            words[-1].append(piece)
    return words


def _is_glued(pieces: Sequence[Cluster], at: int) -> bool:
    """Whether the piece is the space between a number and its unit."""
    if not 0 < at < len(pieces) - 1 or not pieces[at].is_space:
        return False
    return pieces[at - 1].text.isdigit() and pieces[at + 1].text in _UNITS


@dataclass(frozen=True, slots=True)
class Wrapped:
    lines: tuple[tuple[Cluster, ...], ...]
    torn: bool
    """A word was wider than the line and had to be torn."""


def wrapped(pieces: Sequence[Cluster], measure: Measure, width: float) -> Wrapped:
    """Greedy lines of at most ``width`` em: words for Latin, anywhere but for kinsoku in Chinese."""
    lines: list[list[Cluster]] = [[]]
    used, torn = 0.0, False
    for word in _words(pieces):
        size = sum(map(measure, word))
        if word[0] is NEWLINE:
            lines.append([])
            used = 0.0
        elif used + size <= width:
            if not (word[0].is_space and not lines[-1]):
                lines[-1].extend(word)
                used += size
        elif word[0].is_space:
            lines.append([])
            used = 0.0
        elif size <= width:
            lines.append(list(word))
            used = size
        else:
            torn = True
            used = _tear(lines, word, measure, width, used)
    return Wrapped(tuple(tuple(_trimmed(line)) for line in lines if _trimmed(line)), torn)


def _tear(
    lines: list[list[Cluster]], word: Sequence[Cluster], measure: Measure, width: float, used: float
) -> float:
    for piece in word:
        size = measure(piece)
        if used + size > width and lines[-1]:
            lines.append([])
            used = 0.0
        lines[-1].append(piece)
        used += size
    return used


@dataclass(frozen=True, slots=True)
class Fitted:
    """Lines that fit a box at ``size`` pixels; ``cut`` when an ellipsis had to replace some of the text."""

    size: int
    lines: tuple[tuple[Cluster, ...], ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """The room a text has: pixels, and the smallest size still readable."""

    width: float
    height: float
    size: int
    min_size: int
    max_lines: int
    line_height: float
    tracking: float = 0.0
    """Extra space between letters, in em."""


def fitted(pieces: Sequence[Cluster], measure: Measure, limits: Limits) -> Fitted:
    """The largest size from ``size`` down to ``min_size`` at which all of it fits, else cut at the smallest.

    Several lines are balanced: as narrow as the same number of lines allows, so no lone last word. Chinese
    clauses get a line each where that costs little size: readers expect the break at the comma.
    """

    def spaced(piece: Cluster) -> float:
        return measure(piece) + limits.tracking

    plain = _fitted(pieces, spaced, limits)
    if len(plain.lines) < 2 or plain.cut:
        return plain
    clauses = _clauses(pieces)
    if len(clauses) == len(pieces):
        return plain
    by_clause = _fitted(clauses, spaced, limits)
    worth = not by_clause.cut and by_clause.size >= plain.size * _CLAUSE_WORTH
    return by_clause if worth and len(by_clause.lines) == clauses.count(NEWLINE) + 1 else plain


def _clauses(pieces: Sequence[Cluster]) -> list[Cluster]:
    """The same pieces with a newline after every Chinese comma or stop inside the text."""
    broken: list[Cluster] = []
    for at, piece in enumerate(pieces):
        broken.append(piece)
        if piece.text in _CLAUSE_ENDS and at < len(pieces) - 1 and pieces[at + 1].text not in _CLAUSE_ENDS:
            broken.append(NEWLINE)
    return broken


def _fitted(pieces: Sequence[Cluster], measure: Measure, limits: Limits) -> Fitted:
    size = limits.size
    while True:
        width = limits.width / size
        rows = max(1, min(limits.max_lines, int(limits.height / (size * limits.line_height) + 0.01)))
        attempt = wrapped(pieces, measure, width)
        if len(attempt.lines) <= rows and (not attempt.torn or size <= limits.min_size):
            return Fitted(size, _balanced(pieces, measure, width, attempt), cut=False)
        if size <= limits.min_size:
            return Fitted(size, _cut(pieces, attempt.lines, measure, width, rows), cut=True)
        size = max(limits.min_size, min(size - 1, int(size * 0.95)))


def _cut(
    pieces: Sequence[Cluster],
    lines: tuple[tuple[Cluster, ...], ...],
    measure: Measure,
    width: float,
    rows: int,
) -> tuple[tuple[Cluster, ...], ...]:
    """The first ``rows`` lines, the last of them holding what fits of all the rest."""
    kept = lines[: rows - 1]
    drawn = sum(not piece.is_space for line in kept for piece in line)
    rest = [Cluster(" ") if piece is NEWLINE else piece for piece in pieces]
    while drawn and rest:
        drawn -= not rest.pop(0).is_space
    return (*kept, tuple(clipped(_trimmed(rest), measure, width)))


def _balanced(
    pieces: Sequence[Cluster], measure: Measure, width: float, attempt: Wrapped
) -> tuple[tuple[Cluster, ...], ...]:
    if len(attempt.lines) < 2 or attempt.torn:
        return attempt.lines
    low, high, best = width / 2, width, attempt
    for _ in range(6):
        middle = (low + high) / 2
        narrower = wrapped(pieces, measure, middle)
        if len(narrower.lines) == len(attempt.lines) and not narrower.torn:
            high, best = middle, narrower
        else:
            low = middle
    return best.lines
