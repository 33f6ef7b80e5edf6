"""Text on a picture: fitted lines drawn run by run, each run in the font that has its letters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache, partial

import structlog
from PIL import Image, ImageDraw

from growth_engine.posters import fonts
from growth_engine.posters.rules import Box, Paint, TextLayer
from growth_engine.posters.shapes import painted, rgb
from growth_engine.posters.text import Cluster, Fitted, Limits, fitted

log = structlog.get_logger(__name__)

# Chinese characters fill the em from 0.88 above the baseline to 0.12 below: their middle is 0.38 above it.
_MIDDLE = 0.38


def fit(layer: TextLayer, text: str) -> Fitted:
    """The lines of a text in a layer's box."""
    pieces = fonts.pieces_of(text, multiline=True)
    limits = Limits(
        layer.box.w,
        layer.box.h,
        layer.size,
        layer.min_size,
        layer.max_lines,
        layer.line_height,
        layer.tracking,
    )
    return fitted(pieces, partial(fonts.width, weight=layer.weight), limits)


def extent(layer: TextLayer) -> Box:
    """The box plus room for what reaches over it: accents, tall scripts; nothing is drawn outside."""
    return layer.box.grown(layer.size // 3)


_Ink = tuple[int, int, int] | int


class _Pen:
    """The part of the canvas a text may touch; one plain ink goes straight on, a gradient through a mask."""

    def __init__(self, region: Image.Image, fill: Paint) -> None:
        self.region = region
        self._fill = fill
        self._plain = len(fill.stops) == 1
        self.ground = region if self._plain else Image.new("L", region.size, 0)
        self.ink: _Ink = rgb(fill.stops[0]) if self._plain else 255
        self.draw = ImageDraw.Draw(self.ground)

    def finish(self) -> Image.Image:
        if not self._plain:
            self.region.paste(painted(self._fill, self.region.size), (0, 0), self.ground)
        return self.region


@dataclass(frozen=True, slots=True)
class _Emoji:
    name: str
    size: int

    @property
    def width(self) -> float:
        return self.size * fonts.EMOJI_ADVANCE

    def put(self, pen: _Pen, x: float, middle: float) -> None:
        side = max(1, round(self.size * fonts.EMOJI_SIZE))
        picture = fonts.emoji_picture(self.name, side)
        pen.region.paste(picture, (round(x + (self.width - side) / 2), round(middle - side / 2)), picture)


@dataclass(frozen=True, slots=True)
class _Character:
    """A Chinese, Japanese or Korean character: never joined or kerned, so its picture is kept and stamped."""

    letter: str
    font: fonts.Font
    size: int

    @property
    def width(self) -> float:
        return self.size

    def put(self, pen: _Pen, x: float, middle: float) -> None:
        picture, left, top = _stamp(self.letter, self.font)
        if picture is not None:
            pen.ground.paste(pen.ink, (round(x) + left, round(middle + _MIDDLE * self.size) + top), picture)


@dataclass(frozen=True, slots=True)
class _Letters:
    """A run in one font, shaped as a whole: kerning, joined scripts, right-to-left words."""

    text: str
    face: fonts.Face
    font: fonts.Font

    @property
    def width(self) -> float:
        return self.font.getlength(self.text)

    def put(self, pen: _Pen, x: float, middle: float) -> None:
        at = (x, middle + _MIDDLE * self.font.size)
        try:
            pen.draw.text(at, self.text, fill=pen.ink, font=self.font, anchor="ls")
        except OSError as error:
            # FreeType gives up on some outlines ("raster overflow"). A hostile name costs itself its
            # letters, not the person the poster.
            letters = [hex(ord(letter)) for letter in self.text]
            log.warning("letters not drawn", letters=letters, error=str(error))


_Run = _Emoji | _Character | _Letters


@lru_cache(maxsize=4096)
def _stamp(letter: str, font: fonts.Font) -> tuple[Image.Image | None, int, int]:
    """A character's picture and where its corner lies from the start of the baseline."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(letter, anchor="ls"))
    if right <= left or bottom <= top:
        return None, 0, 0
    picture = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(picture).text((-left, -top), letter, fill=255, font=font, anchor="ls")
    return picture, left, top


def draw_text(canvas: Image.Image, layer: TextLayer, lines: Fitted, top: int = 0) -> None:
    """Draw fitted lines; the canvas' first row is row ``top`` of the poster."""
    area = extent(layer)
    corners = (area.x, area.y - top, area.right, area.bottom - top)
    pen = _Pen(canvas.crop(corners), layer.fill)
    step = lines.size * layer.line_height
    spare = layer.box.h - step * len(lines.lines)
    middle = layer.box.y - area.y + spare * _SHARE[layer.valign] + step / 2
    for line in lines.lines:
        runs = _runs(line, lines.size, layer)
        gap = layer.tracking * lines.size
        x = float(layer.box.x - area.x)
        if layer.align != "left":
            length = sum(run.width + gap for run in runs) - gap
            x += (layer.box.w - length) * _SHARE[layer.align]
        for number, run in enumerate(runs):
            run.put(pen, x, middle)
            if number < len(runs) - 1:  # measuring costs as much as drawing
                x += run.width + gap
        middle += step
    canvas.paste(pen.finish(), corners[:2])


_SHARE = {"left": 0.0, "top": 0.0, "center": 0.5, "middle": 0.5, "right": 1.0, "bottom": 1.0}


def _runs(line: tuple[Cluster, ...], size: int, layer: TextLayer) -> list[_Run]:
    runs: list[_Run] = []
    first = fonts.faces()[0]
    for piece in line:
        face = fonts.face_for(piece.text) or first
        last = runs[-1] if runs else None
        if piece.emoji:
            runs.append(_Emoji(piece.emoji, size))
        elif face is first and _is_character(piece.text):
            runs.append(_Character(piece.text, fonts.font(face, size, layer.weight), size))
        elif isinstance(last, _Letters) and not layer.tracking and _continues(last, piece, face):
            runs[-1] = _Letters(last.text + piece.text, last.face, last.font)
        else:
            runs.append(_Letters(piece.text, face, fonts.font(face, size, layer.weight)))
    return runs


def _is_character(text: str) -> bool:
    if len(text) != 1 or unicodedata.east_asian_width(text) != "W":
        return False
    return fonts.width(Cluster(text), 500) == 1


def _continues(last: _Letters, piece: Cluster, face: fonts.Face) -> bool:
    """Spaces stay in the run they follow, so that right-to-left words keep their order."""
    return last.face.draws(piece.text) if piece.is_space else last.face == face
