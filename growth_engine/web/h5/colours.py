"""A campaign's accent colour made into a readable palette: text on it, text in it, gradients of it; pure."""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass

DEFAULT = "#07c160"
_HEX = re.compile(r"#[0-9a-f]{6}")
_WHITE, _INK = "#ffffff", "#1b1b1f"
#: WCAG 2.2, success criterion 1.4.3: small text, and large or bold text.
_SMALL_TEXT, _LARGE_TEXT = 4.5, 3.0

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as ``#rrggbb``."""

    accent: str
    deep: str
    """The far end of gradients and the pressed button."""
    on: str
    """Text on the accent and on its gradient: white or ink."""
    text: str
    """The accent, darkened until small text in it reads on white."""
    soft: str
    """A tint for backgrounds."""


def palette(colour: str) -> Palette:
    """What pages are painted with; anything that is no ``#rrggbb`` becomes the default green."""
    accent = colour.lower()
    if not _HEX.fullmatch(accent):
        accent = DEFAULT
    on = _WHITE if contrast(accent, _WHITE) >= _LARGE_TEXT * 0.75 else _INK
    text = accent
    while contrast(text, _WHITE) < _SMALL_TEXT:
        text = _shaded(text, 0.94)
    deep = _turned(accent, -0.045, 0.8 if on == _WHITE else 0.94)
    return Palette(accent, deep, on, text, _mixed(accent, _WHITE, 0.1))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def rgb(colour: str) -> Rgb:
    """``#rrggbb`` as three numbers from 0 to 1."""
    return (int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _written(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{round(max(0.0, min(1.0, c)) * 255):02x}" for c in (red, green, blue))


def _shaded(colour: str, factor: float) -> str:
    red, green, blue = rgb(colour)
    return _written(red * factor, green * factor, blue * factor)


def _turned(colour: str, turn: float, factor: float) -> str:
    """Another hue nearby, and darker: gradients of one hue look flat."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*rgb(colour))
    return _written(*colorsys.hls_to_rgb((hue + turn) % 1.0, lightness * factor, saturation))


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(rgb(colour), rgb(other), strict=True)
    red, green, blue = (a * share + b * (1 - share) for a, b in pairs)
    return _written(red, green, blue)
