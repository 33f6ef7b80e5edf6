"""The fast path to a poster: everything the same on every poster is drawn and encoded once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from growth_engine.kit.errors import GrowthError, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.posters import fonts, jpeg, qr, typeset
from growth_engine.posters.rules import (
    HEIGHT,
    MAX_BYTES,
    MAX_QR_LOGO,
    NICKNAME_IN_SENTENCE,
    WIDTH,
    AvatarLayer,
    Box,
    Layer,
    LogoLayer,
    Paint,
    Personal,
    QrLayer,
    ShapeLayer,
    Template,
    TextLayer,
    is_personal,
    words_of,
)
from growth_engine.posters.shapes import draw_shape, painted, rgb, rounded
from growth_engine.posters.text import Cluster, clipped

#: Base pictures kept; each is 3 MB, and one is needed per campaign and language that is being drawn.
BASES_KEPT = 16
#: The best quality whose base picture leaves room for the personal parts is taken.
_QUALITIES = (90, 84, 76, 66, 54, 40)
_BASE_BYTES = MAX_BYTES * 8 // 10

#: A module narrower than this drowns in a phone's screen and JPEG's 8-pixel blocks.
MIN_MODULE = 3


_BLOCKS_KEPT = 16


class PictureUnreadable(Invalid):
    code = "picture_unreadable"
    message = N_("This picture cannot be read.")


class QrTooDense(Invalid):
    code = "qr_too_dense"
    message = N_("The link is too long for the QR code's size on this poster.")


class PosterTooLarge(GrowthError):
    code = "poster_too_large"
    status = 422
    message = N_("The poster would be larger than %(bytes)s bytes. Use a calmer background picture.")


@dataclass(frozen=True, slots=True)
class _Constants:
    """What a base picture depends on besides its template."""

    locale: str
    headline: str
    reward_text: str
    footnote: str

    @classmethod
    def of(cls, personal: Personal) -> _Constants:
        return cls(personal.locale, personal.headline, personal.reward_text, personal.footnote)


@dataclass(frozen=True, slots=True)
class _Base:
    canvas: Image.Image
    encoded: jpeg.Encoded
    quality: int
    layers: tuple[tuple[jpeg.Band, tuple[Layer, ...]], ...]
    """Personal layers, by the band of rows they change."""


class Renderer:
    """Draws posters; keep one per process, it holds the base pictures. Safe to share between threads.

    ``picture`` gives the bytes of a stored picture by its key (backgrounds and logos of templates).
    """

    def __init__(self, picture: Callable[[str], bytes]) -> None:
        self._picture = picture
        # Pillow then keeps its memory for the next poster, instead of fetching it from the system each
        # time: 14 % faster (Pillow's handbook, "Block allocator"; a block is 1 MB).
        Image.core.set_blocks_max(_BLOCKS_KEPT)  # type: ignore[attr-defined]
        self._base = lru_cache(maxsize=BASES_KEPT)(self._make_base)
        self._logo = lru_cache(maxsize=64)(self._make_logo)

    def render(self, template: Template, personal: Personal) -> bytes:
        """A baseline JPEG of 750 x 1334 pixels, at most 500 kB; the same input gives the same bytes."""
        base = self._base(template, _Constants.of(personal))
        changed = []
        for band, layers in base.layers:
            strip = base.canvas.crop((0, band.top, WIDTH, band.bottom(HEIGHT)))
            self._draw_personal(strip, layers, personal, band.top)
            changed.append((band, strip))
        data = jpeg.spliced(base.encoded, changed, base.quality)
        if len(data) > MAX_BYTES:
            raise PosterTooLarge(params={"bytes": MAX_BYTES})
        return data

    def compose(self, template: Template, personal: Personal) -> Image.Image:
        """The poster before it is encoded."""
        base = self._base(template, _Constants.of(personal))
        canvas = base.canvas.copy()
        for _, layers in base.layers:
            self._draw_personal(canvas, layers, personal, 0)
        return canvas

    def background(self, template: Template, personal: Personal) -> Image.Image:
        """The poster without anything personal and without texts: what the contrast check looks at."""
        return self._draw_static(template, personal, with_texts=False)

    def _make_base(self, template: Template, constants: _Constants) -> _Base:
        personal = Personal(
            "",
            headline=constants.headline,
            reward_text=constants.reward_text,
            footnote=constants.footnote,
            locale="zh" if constants.locale == "zh" else "en",
        )
        canvas = self._draw_static(template, personal, with_texts=True)
        changing = [layer for layer in template.layers if is_personal(layer)]
        bands = jpeg.bands_of([_span(layer) for layer in changing], HEIGHT)
        layers = tuple(
            (
                band,
                tuple(
                    layer for layer in changing if band.top <= max(0, _span(layer)[0]) < band.bottom(HEIGHT)
                ),
            )
            for band in bands
        )
        for quality in _QUALITIES:
            data = jpeg.encode(canvas, quality)
            if len(data) <= _BASE_BYTES:
                return _Base(canvas, jpeg.Encoded.of(data), quality, layers)
        raise PosterTooLarge(params={"bytes": MAX_BYTES})

    def _draw_static(self, template: Template, personal: Personal, *, with_texts: bool) -> Image.Image:
        canvas = painted(template.background, (WIDTH, HEIGHT))
        if template.picture:
            picture = _opened(self._picture(template.picture), (WIDTH, HEIGHT))
            canvas.paste(ImageOps.fit(picture, (WIDTH, HEIGHT), Image.Resampling.LANCZOS))
        for layer in template.layers:
            if isinstance(layer, ShapeLayer):
                draw_shape(canvas, layer)
            elif isinstance(layer, LogoLayer) and layer.picture:
                self._paste_logo(canvas, layer.picture, layer.box, layer.radius)
            elif isinstance(layer, QrLayer):
                plate = rounded((layer.box.w, layer.box.h), layer.radius)
                canvas.paste(rgb(layer.light), (layer.box.x, layer.box.y), plate)
            elif isinstance(layer, AvatarLayer):
                _draw_frame(canvas, layer)
            elif isinstance(layer, TextLayer) and with_texts and not layer.is_personal:
                typeset.draw_text(canvas, layer, typeset.fit(layer, words_of(layer, personal, "")))
        return canvas

    def _draw_personal(
        self, canvas: Image.Image, layers: Iterable[Layer], personal: Personal, top: int
    ) -> None:
        for layer in layers:
            if isinstance(layer, QrLayer):
                self._draw_qr(canvas, layer, personal.qr_content, top)
            elif isinstance(layer, AvatarLayer):
                _draw_avatar(canvas, layer, personal, top)
            elif isinstance(layer, TextLayer):
                text = words_of(layer, personal, nickname_in(layer, personal))
                typeset.draw_text(canvas, layer, typeset.fit(layer, text), top)

    def _draw_qr(self, canvas: Image.Image, layer: QrLayer, content: str, top: int) -> None:
        modules = qr.side_of(content, layer.error_correction)
        module = min(layer.box.w, layer.box.h) // (modules + 2 * layer.quiet_zone)
        if module < MIN_MODULE:
            raise QrTooDense
        code = qr.modules(content, layer.error_correction)
        side = modules * module
        x = layer.box.x + (layer.box.w - side) // 2
        y = layer.box.y + (layer.box.h - side) // 2
        large = code.resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(rgb(layer.dark), (x, y - top), large)
        if layer.logo:
            size = int(side * MAX_QR_LOGO)
            middle = Box(x + (side - size) // 2, y - top + (side - size) // 2, size, size)
            edge = middle.grown(-(size // 12))
            plate = rounded((size, size), size // 6)
            canvas.paste(rgb(layer.light), (middle.x, middle.y), plate)
            self._paste_logo(canvas, layer.logo, edge, size // 8)

    def _paste_logo(self, canvas: Image.Image, key: str, box: Box, radius: int) -> None:
        logo = self._logo(key, box.w, box.h, radius)
        place = box.x + (box.w - logo.width) // 2, box.y + (box.h - logo.height) // 2
        canvas.paste(logo, place, logo)

    def _make_logo(self, key: str, width: int, height: int, radius: int) -> Image.Image:
        logo = ImageOps.contain(
            _opened(self._picture(key), (width, height), "RGBA"), (width, height), Image.Resampling.LANCZOS
        )
        if radius:
            mask = Image.new("L", logo.size, 0)
            mask.paste(logo.getchannel("A"), (0, 0), rounded(logo.size, min(radius, *logo.size)))
            logo.putalpha(mask)
        return logo


def nickname_in(layer: TextLayer, personal: Personal) -> str:
    """The nickname as this layer shows it: cleaned, and short where it stands inside a sentence."""
    pieces: Sequence[Cluster] = fonts.pieces_of(personal.nickname or "")
    if layer.text[personal.locale].strip() != "{nickname}":
        pieces = clipped(pieces, partial(fonts.width, weight=layer.weight), NICKNAME_IN_SENTENCE)
    return "".join(piece.text for piece in pieces)


def _span(layer: Layer) -> tuple[int, int]:
    box = typeset.extent(layer) if isinstance(layer, TextLayer) else layer.box
    return box.y, box.bottom


def _is_in(layer: Layer, band: jpeg.Band) -> bool:
    return band.top <= max(0, _span(layer)[0]) < band.bottom(HEIGHT)


def _inner(layer: AvatarLayer) -> Box:
    return layer.box.grown(-layer.ring)


@lru_cache(maxsize=64)
def _disc(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width * 4, height * 4), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, mask.width - 1, mask.height - 1), fill=255)
    return mask.resize((width, height), Image.Resampling.BOX)


def _draw_frame(canvas: Image.Image, layer: AvatarLayer) -> None:
    if layer.ring:
        canvas.paste(rgb(layer.ring_color), (layer.box.x, layer.box.y), _disc(layer.box.w, layer.box.h))
    inner = _inner(layer)
    canvas.paste(painted(layer.fill, (inner.w, inner.h)), (inner.x, inner.y), _disc(inner.w, inner.h))


def _draw_avatar(canvas: Image.Image, layer: AvatarLayer, personal: Personal, top: int) -> None:
    inner = _inner(layer)
    disc = _disc(inner.w, inner.h)
    if personal.avatar is not None:
        picture = _opened(personal.avatar, (inner.w, inner.h))
        fitting = ImageOps.fit(picture, (inner.w, inner.h), Image.Resampling.BILINEAR)
        canvas.paste(fitting, (inner.x, inner.y - top), disc)
        return
    letter = next((p for p in fonts.pieces_of(personal.nickname or "") if not p.is_space), None)
    if letter is None:
        figure = _figure(inner.w, inner.h)
        canvas.paste(rgb(layer.ink), (inner.x, inner.y - top), figure)
        return
    _draw_initial(canvas, layer, letter, inner, top)


def _draw_initial(canvas: Image.Image, layer: AvatarLayer, letter: Cluster, inner: Box, top: int) -> None:
    size = int(inner.h * 0.5)
    text = letter.text if letter.emoji else letter.text.upper()
    label = TextLayer(
        box=inner.grown(-(size // 3)),
        role="label",
        text={"zh": text, "en": text},
        anonymous={},
        fill=Paint((layer.ink,)),
        size=size,
        min_size=8,
        weight=600,
        line_height=1.0,
    )
    typeset.draw_text(canvas, label, typeset.fit(label, text), top)


@lru_cache(maxsize=16)
def _figure(width: int, height: int) -> Image.Image:
    """The outline of nobody in particular, cut to the circle."""
    mask = Image.new("L", (width * 4, height * 4), 0)
    draw = ImageDraw.Draw(mask)
    w, h = mask.size
    draw.ellipse((w * 0.34, h * 0.22, w * 0.66, h * 0.54), fill=235)
    draw.ellipse((w * 0.17, h * 0.62, w * 0.83, h * 1.3), fill=235)
    small = mask.resize((width, height), Image.Resampling.BOX)
    cut = Image.new("L", small.size, 0)
    cut.paste(small, (0, 0), _disc(width, height))
    return cut


def _opened(data: bytes, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A decoded picture; JPEG is decoded at a reduced size no smaller than ``size``."""
    try:
        picture = Image.open(io.BytesIO(data))
        picture.draft("RGB", size)
        return picture.convert(mode)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise PictureUnreadable from error
