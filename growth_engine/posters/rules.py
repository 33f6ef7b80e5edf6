"""What a poster template is, and what makes one good enough to publish; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from growth_engine.kit.i18n import N_

#: The size WeChat shows without cropping on a phone, and every template's canvas (shared/plays.md).
WIDTH, HEIGHT = 750, 1334
#: Largest poster file (shared/plays.md).
MAX_BYTES = 500_000
LOCALES = ("zh", "en")
Locale = Literal["zh", "en"]

#: ISO/IEC 18004 §9.1: four modules of quiet zone around a QR code.
QUIET_ZONE = 4
#: Smallest code still scanned from another phone's screen when the picture is shown at half size.
MIN_QR_SIZE = 200
#: A logo may hide this share of the code's side: 22 % of the side is 5 % of the area; level H repairs 30 %.
MAX_QR_LOGO = 0.22
#: WCAG 2.2 §1.4.3 for large text, and what scanners want at least between dark and light modules.
MIN_TEXT_CONTRAST, MIN_QR_CONTRAST = 3.0, 4.5
MIN_TEXT_SIZE = 18

#: Width, in em, a nickname may take inside a sentence before it is cut.
NICKNAME_IN_SENTENCE = 9.0

_NICKNAME = "{nickname}"
_PLACEHOLDER = re.compile(r"\{(nickname|reward)\}")
_ANONYMOUS: Mapping[str, str] = {"zh": "你的好友", "en": "Your friend"}

Words = Mapping[str, str]
"""A text in both languages: ``{"zh": …, "en": …}``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a template cannot be published; ``message`` is an English message id with ``params``."""

    code: str
    message: str
    params: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"code": self.code, "message": self.message, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels from the top left corner of the canvas."""

    x: int
    y: int
    w: int
    h: int

    @property
    def right(self) -> int:
        return self.x + self.w

    @property
    def bottom(self) -> int:
        return self.y + self.h

    @property
    def corners(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.right, self.bottom

    def meets(self, other: Box) -> bool:
        return (
            self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom
        )

    def grown(self, by: int) -> Box:
        return Box(self.x - by, self.y - by, self.w + 2 * by, self.h + 2 * by)


@dataclass(frozen=True, slots=True)
class Paint:
    """One colour, or a gradient through several."""

    stops: tuple[str, ...]
    """``#rrggbb`` colours at even distances."""
    angle: float = 180.0
    """Degrees, as in CSS: 180 runs from top to bottom, 90 from left to right."""
    kind: Literal["linear", "radial"] = "linear"


@dataclass(frozen=True, slots=True)
class Shadow:
    color: str = "#000000"
    opacity: float = 0.18
    blur: int = 24
    dx: int = 0
    dy: int = 12


ShapeKind = Literal[
    "rectangle", "ellipse", "ring", "rays", "dots", "confetti", "wave", "polygon", "star", "glow", "grid"
]


@dataclass(frozen=True, slots=True)
class ShapeLayer:
    """Drawn art: cards, waves, rays, confetti. What the numbers mean per kind: see ``shapes``."""

    box: Box
    shape: ShapeKind
    fill: Paint
    opacity: float = 1.0
    radius: int = 0
    blur: int = 0
    stroke: int = 0
    angle: float = 0.0
    count: int = 24
    size: int = 12
    seed: int = 1
    points: tuple[tuple[float, float], ...] = ()
    colors: tuple[str, ...] = ()
    shadow: Shadow | None = None


TextRole = Literal["headline", "nickname", "reward", "footnote", "label"]


@dataclass(frozen=True, slots=True)
class TextLayer:
    """A text; headline, reward and footnote are replaced by the campaign's own when it has one."""

    box: Box
    role: TextRole
    text: Words
    """May hold ``{nickname}`` and ``{reward}``."""
    anonymous: Words
    """Shown instead when the text has ``{nickname}`` and the person did not agree to show the name."""
    fill: Paint
    size: int
    min_size: int
    weight: int = 500
    align: Literal["left", "center", "right"] = "center"
    valign: Literal["top", "middle", "bottom"] = "middle"
    max_lines: int = 1
    line_height: float = 1.3
    tracking: float = 0.0

    @property
    def is_personal(self) -> bool:
        return any(_NICKNAME in text for text in self.text.values())


@dataclass(frozen=True, slots=True)
class AvatarLayer:
    """A circle with the person's picture, or the first letter of the name, or nobody's outline."""

    box: Box
    fill: Paint
    """Behind the letter or outline."""
    ink: str = "#ffffff"
    ring: int = 0
    ring_color: str = "#ffffff"


@dataclass(frozen=True, slots=True)
class QrLayer:
    """The code on its plate; ``box`` is the plate, quiet zone included."""

    box: Box
    dark: str = "#111111"
    light: str = "#ffffff"
    quiet_zone: int = QUIET_ZONE
    radius: int = 0
    logo: str = ""
    """Picture key of a logo over the middle of the code; makes the error correction H instead of M."""

    @property
    def error_correction(self) -> Literal["M", "H"]:
        return "H" if self.logo else "M"


@dataclass(frozen=True, slots=True)
class LogoLayer:
    """The merchant's logo, fitted into the box; nothing when there is none."""

    box: Box
    picture: str = ""
    radius: int = 0


Layer = ShapeLayer | TextLayer | AvatarLayer | QrLayer | LogoLayer


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A poster template; two are equal when made from the same document."""

    name: Words
    background: Paint
    layers: tuple[Layer, ...]
    digest: str
    """Hash of the document this was made from: what caches of the base picture are keyed by."""
    picture: str = ""
    """Key of a background picture, which covers the canvas."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def qr(self) -> QrLayer:
        return next(layer for layer in self.layers if isinstance(layer, QrLayer))


@dataclass(frozen=True, slots=True)
class Personal:
    """What differs between posters of one template. Names and pictures only with the person's consent."""

    qr_content: str
    nickname: str | None = None
    avatar: bytes | None = None
    headline: str = ""
    reward_text: str = ""
    footnote: str = ""
    locale: Locale = "zh"


def is_personal(layer: Layer) -> bool:
    """Whether a layer differs from person to person, and so is drawn for each poster."""
    return isinstance(layer, AvatarLayer | QrLayer) or (isinstance(layer, TextLayer) and layer.is_personal)


def words_of(layer: TextLayer, personal: Personal, nickname: str) -> str:
    """The text a layer shows; ``nickname`` is the cleaned and clipped name, empty when not to be shown."""
    own = {
        "headline": personal.headline,
        "reward": personal.reward_text,
        "footnote": personal.footnote,
    }.get(layer.role)
    text = own or layer.text[personal.locale]
    if _NICKNAME in text and not nickname:
        text = layer.anonymous.get(personal.locale) or text
    # One pass: a nickname that reads "{reward}" stays what it is.
    filled = {"nickname": nickname or _ANONYMOUS[personal.locale], "reward": personal.reward_text}
    return _PLACEHOLDER.sub(lambda match: filled[match[1]], text)


def problems_of(template: Template) -> list[Problem]:
    """Everything wrong with the plan of a template, before it is drawn at all."""
    return [*_layout_problems(template), *_qr_problems(template.qr), *_covering_problems(template)]


def _layout_problems(template: Template) -> Iterator[Problem]:
    for number, layer in enumerate(template.layers, 1):
        box = layer.box
        inside = box.x >= 0 and box.y >= 0 and box.right <= WIDTH and box.bottom <= HEIGHT
        if not inside and not isinstance(layer, ShapeLayer):
            yield Problem(
                "outside", N_("Layer %(number)s reaches over the edge of the poster."), {"number": number}
            )
        if isinstance(layer, TextLayer) and layer.min_size < MIN_TEXT_SIZE:
            yield Problem(
                "text_too_small",
                N_("The text of layer %(number)s may shrink below %(size)s pixels, too small for a phone."),
                {"number": number, "size": MIN_TEXT_SIZE},
            )


def _qr_problems(qr: QrLayer) -> Iterator[Problem]:
    if min(qr.box.w, qr.box.h) < MIN_QR_SIZE:
        yield Problem(
            "qr_too_small",
            N_("The QR code must be at least %(size)s pixels wide to be scanned."),
            {"size": MIN_QR_SIZE},
        )
    if qr.quiet_zone < QUIET_ZONE:
        yield Problem(
            "quiet_zone",
            N_("The QR code needs an empty border of %(modules)s modules."),
            {"modules": QUIET_ZONE},
        )
    if luminance(qr.dark) > luminance(qr.light):
        yield Problem("qr_inverted", N_("The QR code must be dark on light; many scanners fail otherwise."))
    elif contrast(qr.dark, qr.light) < MIN_QR_CONTRAST:
        yield Problem("qr_contrast", N_("The two colours of the QR code are too alike to be scanned."))


def _covering_problems(template: Template) -> Iterator[Problem]:
    for number, layer in enumerate(template.layers, 1):
        if not is_personal(layer):
            continue
        for above_number, above in enumerate(template.layers[number:], number + 1):
            if above.box.meets(layer.box):
                yield Problem(
                    "covered",
                    N_(
                        "Layer %(above)s lies over layer %(number)s, which shows the person or the QR code;"
                        " move it down in the order or aside."
                    ),
                    {"above": above_number, "number": number},
                )


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 (black) to 1 (white); WCAG 2.2."""
    return luminance_rgb(int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16))


def luminance_rgb(red: float, green: float, blue: float) -> float:
    def linear(value: float) -> float:
        share = value / 255
        return float(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)

    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21; WCAG 2.2."""
    return contrast_of(luminance(one), luminance(other))


def contrast_of(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
