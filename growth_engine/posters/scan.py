"""Checks a template on its own output: draws the worst cases and reads them back with another decoder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import zxingcpp
from PIL import Image

from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_
from growth_engine.posters import typeset
from growth_engine.posters.render import Renderer, nickname_in
from growth_engine.posters.rules import (
    LOCALES,
    MIN_TEXT_CONTRAST,
    Locale,
    Personal,
    Problem,
    Template,
    TextLayer,
    contrast_of,
    luminance,
    luminance_rgb,
    problems_of,
    words_of,
)

#: As long as an invite link gets: a long domain, a path, a token and where the visitor came from.
LONGEST_LINK = "https://membership.some-long-merchant-name.example.com/i/23456789abcd?from=poster"
_SHORT_LINK = "https://a.cn/i/23456789abcd"
_LONG_NAMES = {
    "zh": "欧阳娜娜的妈妈👨‍👩‍👧‍👦每天早起跑步五公里🏃🏽‍♀️✨",
    "en": "Maximiliane Wolfeschlegelsteinhausen-Bergerdorff 👩‍🚀",
}
#: What a phone does to a picture on its way: shown or sent at half size, compressed again.
_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_SHRUNK, _RECOMPRESSED = 0.5, 60


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; a template may be published only when ``ok``."""

    decoded: int
    """How many pictures were read back."""
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def decoded(picture: Image.Image) -> str | None:
    """The content of the one QR code on a picture, or None."""
    found = zxingcpp.read_barcodes(picture.convert("L"), formats=_QR)
    return found[0].text if len(found) == 1 else None


def verify(renderer: Renderer, template: Template, constants: Personal | None = None) -> Verification:
    """Draw and read back the hardest posters of a template, in both languages.

    ``constants`` may hold a campaign's own headline, reward and footnote, which are checked as well.
    """
    problems = problems_of(template)
    constants = constants or Personal(LONGEST_LINK)
    try:
        ground = renderer.background(template, constants)
    except GrowthError as error:
        return Verification(0, (*problems, Problem(error.code, error.message, error.params)))
    read = 0
    for case in _cases(constants):
        try:
            data = renderer.render(template, case)
            problems += _text_problems(ground, template, case)
        except GrowthError as error:
            problems.append(Problem(error.code, error.message, error.params))
            continue
        wrong = _reading_problems(data, case)
        problems += wrong
        read += not wrong
    distinct = {(p.code, p.message, tuple(sorted(p.params.items(), key=str))): p for p in problems}
    return Verification(read, tuple(distinct.values()))


def _cases(constants: Personal) -> Iterator[Personal]:
    for locale in LOCALES:
        spoken: Locale = "zh" if locale == "zh" else "en"
        case = replace(constants, locale=spoken, avatar=None)
        yield replace(case, qr_content=LONGEST_LINK, nickname=_LONG_NAMES[locale])
        yield replace(case, qr_content=_SHORT_LINK, nickname="Li")
        yield replace(case, qr_content=LONGEST_LINK, nickname=None)


def _reading_problems(data: bytes, case: Personal) -> list[Problem]:
    problems = []
    picture = Image.open(io.BytesIO(data))
    if decoded(picture) != case.qr_content:
        problems.append(Problem("unreadable", N_("The QR code cannot be scanned from the finished poster.")))
    size = round(picture.width * _SHRUNK), round(picture.height * _SHRUNK)
    shrunk = io.BytesIO()
    picture.resize(size, Image.Resampling.BILINEAR).save(shrunk, "JPEG", quality=_RECOMPRESSED)
    if decoded(Image.open(shrunk)) != case.qr_content:
        problems.append(
            Problem(
                "unreadable_small", N_("The QR code cannot be scanned when the poster is shown at half size.")
            )
        )
    return problems


def _text_problems(ground: Image.Image, template: Template, case: Personal) -> list[Problem]:
    problems = []
    for number, layer in enumerate(template.layers, 1):
        if not isinstance(layer, TextLayer):
            continue
        text = words_of(layer, case, nickname_in(layer, case))
        lines = typeset.fit(layer, text)
        where = {"number": number, "text": text}
        if lines.cut and not layer.is_personal:
            problems.append(
                Problem(
                    "text_cut", N_("The text “%(text)s” of layer %(number)s does not fit its box."), where
                )
            )
        if lines.lines and _contrast(ground, layer) < MIN_TEXT_CONTRAST:
            where["text"] = layer.text[case.locale]
            problems.append(
                Problem(
                    "text_contrast", N_("The text “%(text)s” of layer %(number)s is hard to read."), where
                )
            )
    return problems


def _contrast(ground: Image.Image, layer: TextLayer) -> float:
    """Contrast of a text's colours with the middling ground of its box."""
    tiles = ground.crop(layer.box.corners).resize((8, 4), Image.Resampling.BOX)
    values = tiles.tobytes()
    lights = sorted(luminance_rgb(*values[at : at + 3]) for at in range(0, len(values), 3))
    middle = lights[len(lights) // 2]
    return min(contrast_of(luminance(stop), middle) for stop in layer.fill.stops)
