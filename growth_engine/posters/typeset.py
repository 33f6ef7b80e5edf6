"""Text on a picture: fitted lines drawn run by run, each run in the font that has its letters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog
from PIL import Image, ImageDraw

from growth_engine.posters import fonts
from growth_engine.posters.rules import Box, TextLayer
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


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbours drawn with one call: an emoji, or letters of one font."""

    text: str
    emoji: str
    font: fonts.Font
    width: float


def draw_text(canvas: Image.Image, layer: TextLayer, lines: Fitted, top: int = 0) -> None:
    """Draw fitted lines; the canvas' first row is row ``top`` of the poster."""
    area = extent(layer)
    region = canvas.crop((area.x, area.y - top, area.right, area.bottom - top))
    plain = len(layer.fill.stops) == 1
    mask = None if plain else Image.new("L", region.size, 0)
    draw = ImageDraw.Draw(region if mask is None else mask)
    ink: _Ink = rgb(layer.fill.stops[0]) if plain else 255
    inner_x, inner_y = layer.box.x - area.x, layer.box.y - area.y
    step = lines.size * layer.line_height
    spare = layer.box.h - step * len(lines.lines)
    y = inner_y + spare * {"top": 0.0, "middle": 0.5, "bottom": 1.0}[layer.valign]
    for line in lines.lines:
        runs = _runs(line, lines.size, layer)
        gap = layer.tracking * lines.size
        length = sum(run.width + gap for run in runs) - gap
        x = inner_x + (layer.box.w - length) * {"left": 0.0, "center": 0.5, "right": 1.0}[layer.align]
        middle = y + step / 2
        for run in runs:
            if run.emoji:
                _draw_emoji(region, run, x, middle, lines.size)
            else:
                _draw_letters(draw, run, (x, middle + _MIDDLE * lines.size), ink)
            x += run.width + gap
        y += step
    if mask is not None:
        region.paste(painted(layer.fill, region.size), (0, 0), mask)
    canvas.paste(region, (area.x, area.y - top))


_Ink = tuple[int, int, int] | int


def _draw_letters(draw: ImageDraw.ImageDraw, run: _Run, at: tuple[float, float], ink: _Ink) -> None:
    try:
        draw.text(at, run.text, fill=ink, font=run.font, anchor="ls")
    except OSError as error:
        # FreeType gives up on some outlines ("raster overflow"). A hostile name costs itself its letters,
        # not the person the poster.
        log.warning("letters not drawn", letters=[hex(ord(c)) for c in run.text], error=str(error))


def _draw_emoji(region: Image.Image, run: _Run, x: float, middle: float, size: int) -> None:
    side = max(1, round(size * fonts.EMOJI_SIZE))
    picture = fonts.emoji_picture(run.emoji, side)
    region.paste(picture, (round(x + (run.width - side) / 2), round(middle - side / 2)), picture)


def _runs(line: tuple[Cluster, ...], size: int, layer: TextLayer) -> list[_Run]:
    grouped: list[tuple[str, str, fonts.Face]] = []
    first = fonts.faces()[0]
    for piece in line:
        last = grouped[-1] if grouped and not grouped[-1][1] else None
        if piece.emoji:
            grouped.append((piece.text, piece.emoji, first))
        elif last is not None and not layer.tracking and _continues(last, piece):
            grouped[-1] = (last[0] + piece.text, "", last[2])
        else:
            grouped.append((piece.text, "", fonts.face_for(piece.text) or first))
    return [
        _Run(text, emoji, font, size * fonts.EMOJI_ADVANCE if emoji else font.getlength(text))
        for text, emoji, face in grouped
        for font in (fonts.font(face, size, layer.weight),)
    ]


def _continues(last: tuple[str, str, fonts.Face], piece: Cluster) -> bool:
    """Spaces stay in the run they follow, so that right-to-left words keep their order."""
    return last[2].draws(piece.text) if piece.is_space else fonts.face_for(piece.text) == last[2]
