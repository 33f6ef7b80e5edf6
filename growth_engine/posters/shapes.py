"""The drawn art of templates: gradients, cards, waves, rays and confetti, all from numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from growth_engine.posters.rules import HEIGHT, WIDTH, Box, Paint, ShapeLayer

#: Masks are drawn this many times larger and scaled down, which gives smooth edges.
_OVERSAMPLING = 3

RGB = tuple[int, int, int]


def rgb(color: str) -> RGB:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def painted(paint: Paint, size: tuple[int, int]) -> Image.Image:
    """A plain or graded area."""
    if len(paint.stops) == 1:
        return Image.new("RGB", size, rgb(paint.stops[0]))
    if paint.kind == "radial":
        ramp = Image.radial_gradient("L").resize(size, Image.Resampling.BICUBIC)
    else:
        ramp = _linear_ramp(size, paint.angle)
    colors = [rgb(stop) for stop in paint.stops]
    tables = [[_between(colors, level / 255, channel) for level in range(256)] for channel in range(3)]
    return Image.merge("RGB", [ramp.point(table) for table in tables])


def _linear_ramp(size: tuple[int, int], angle: float) -> Image.Image:
    """0 to 255 along a direction given as in CSS, corner to corner."""
    width, height = size
    dx, dy = math.sin(math.radians(angle)), -math.cos(math.radians(angle))
    # One step of the source's 256 is left free at each end, where the transform would read nothing.
    scale = 254 / (abs(width * dx) + abs(height * dy))
    offset = 128 - (dx * width / 2 + dy * height / 2) * scale
    coefficients = (0, 0, 128, dx * scale, dy * scale, offset)
    source = Image.linear_gradient("L")
    return source.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def _between(colors: list[RGB], share: float, channel: int) -> int:
    at = share * (len(colors) - 1)
    first = min(int(at), len(colors) - 2)
    rest = at - first
    return round(colors[first][channel] * (1 - rest) + colors[first + 1][channel] * rest)


def rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask with round corners and smooth edges."""
    width, height = size
    large = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING), 0)
    corners = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(corners, radius * _OVERSAMPLING, fill=255)
    return large.resize(size, Image.Resampling.BOX)


def draw_shape(canvas: Image.Image, layer: ShapeLayer) -> None:
    """Draw one layer of art onto an RGB canvas."""
    if layer.shape == "confetti":
        _draw_confetti(canvas, layer)
        return
    mask = _MASKS[layer.shape](layer)
    if layer.angle and layer.shape != "wave":
        mask = mask.rotate(-layer.angle, Image.Resampling.BICUBIC, expand=True)
    x = layer.box.x - (mask.width - layer.box.w) // 2
    y = layer.box.y - (mask.height - layer.box.h) // 2
    if layer.shadow is not None:
        soft = layer.shadow
        _stamp(
            canvas,
            _blurred(mask, soft.blur),
            Paint((soft.color,)),
            Box(x + soft.dx, y + soft.dy, mask.width, mask.height),
            soft.opacity * layer.opacity,
        )
    _stamp(canvas, _blurred(mask, layer.blur), layer.fill, Box(x, y, mask.width, mask.height), layer.opacity)


def _stamp(canvas: Image.Image, mask: Image.Image, paint: Paint, box: Box, opacity: float) -> None:
    """Paint through a mask centred on the box (a blurred mask is larger than the box)."""
    if opacity < 1:
        mask = mask.point([round(level * opacity) for level in range(256)])
    x, y = box.x - (mask.width - box.w) // 2, box.y - (mask.height - box.h) // 2
    canvas.paste(painted(paint, mask.size), (x, y), mask)


def _blurred(mask: Image.Image, blur: int) -> Image.Image:
    if not blur:
        return mask
    pad = blur * 2
    larger = Image.new("L", (mask.width + 2 * pad, mask.height + 2 * pad), 0)
    larger.paste(mask, (pad, pad))
    return larger.filter(ImageFilter.GaussianBlur(blur))


def _large(layer: ShapeLayer) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    scale = _OVERSAMPLING if layer.box.w * layer.box.h < WIDTH * HEIGHT else 2
    mask = Image.new("L", (layer.box.w * scale, layer.box.h * scale), 0)
    return mask, ImageDraw.Draw(mask), scale


def _small(layer: ShapeLayer, large: Image.Image) -> Image.Image:
    return large.resize((layer.box.w, layer.box.h), Image.Resampling.BOX)


def _rectangle(layer: ShapeLayer) -> Image.Image:
    mask = rounded((layer.box.w, layer.box.h), layer.radius)
    if not layer.stroke:
        return mask
    inner = (layer.box.w - 2 * layer.stroke, layer.box.h - 2 * layer.stroke)
    hole = Image.new("L", mask.size, 0)
    hole.paste(rounded(inner, max(0, layer.radius - layer.stroke)), (layer.stroke, layer.stroke))
    return ImageChops.subtract(mask, hole)


def _ellipse(layer: ShapeLayer) -> Image.Image:
    mask, draw, _ = _large(layer)
    draw.ellipse((0, 0, mask.width - 1, mask.height - 1), fill=255)
    return _small(layer, mask)


def _ring(layer: ShapeLayer) -> Image.Image:
    mask, draw, scale = _large(layer)
    draw.ellipse((0, 0, mask.width - 1, mask.height - 1), outline=255, width=max(1, layer.stroke * scale))
    return _small(layer, mask)


def _rays(layer: ShapeLayer) -> Image.Image:
    """``count`` wedges from the middle, fading outward."""
    mask, draw, _ = _large(layer)
    middle, reach = (mask.width / 2, mask.height / 2), max(mask.size)
    for number in range(layer.count):
        start = 2 * math.pi * number / layer.count
        ends = (start, start + math.pi / layer.count)
        edge = [(middle[0] + reach * math.cos(a), middle[1] + reach * math.sin(a)) for a in ends]
        draw.polygon([middle, *edge], fill=255)
    return ImageChops.multiply(_small(layer, mask), _glow(layer))


def _dots(layer: ShapeLayer) -> Image.Image:
    """``count`` columns of dots of ``size`` pixels."""
    mask, draw, scale = _large(layer)
    step = mask.width / layer.count
    radius = layer.size * scale / 2
    for row in range(int(mask.height / step)):
        for column in range(layer.count):
            x, y = (column + 0.5) * step, (row + 0.5) * step
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return _small(layer, mask)


def _grid(layer: ShapeLayer) -> Image.Image:
    """``count`` columns of square cells, lines ``stroke`` pixels wide."""
    mask = Image.new("L", (layer.box.w, layer.box.h), 0)
    draw = ImageDraw.Draw(mask)
    step, width = layer.box.w / layer.count, max(1, layer.stroke)
    for column in range(layer.count + 1):
        draw.line((column * step, 0, column * step, mask.height), fill=255, width=width)
    for row in range(int(mask.height / step) + 1):
        draw.line((0, row * step, mask.width, row * step), fill=255, width=width)
    return mask


def _wave(layer: ShapeLayer) -> Image.Image:
    """Everything below a sine of amplitude ``size`` pixels, ``count`` half periods, starting at ``angle``."""
    mask, draw, scale = _large(layer)
    amplitude = layer.size * scale
    edge = []
    for x in range(0, mask.width + scale * 4, scale * 4):
        turn = math.pi * layer.count * x / mask.width + math.radians(layer.angle)
        edge.append((x, amplitude * (1 + math.sin(turn))))
    draw.polygon([*edge, (mask.width, mask.height), (0, mask.height)], fill=255)
    return _small(layer, mask)


def _polygon(layer: ShapeLayer) -> Image.Image:
    """``points`` as shares of the box."""
    mask, draw, _ = _large(layer)
    draw.polygon([(x * mask.width, y * mask.height) for x, y in layer.points], fill=255)
    return _small(layer, mask)


def _star(layer: ShapeLayer) -> Image.Image:
    """``count`` points; the inner corners stand at ``size`` percent of the radius."""
    mask, draw, _ = _large(layer)
    half = (mask.width / 2, mask.height / 2)
    corners = []
    for number in range(2 * layer.count):
        share = 1.0 if number % 2 == 0 else layer.size / 100
        turn = math.pi * number / layer.count - math.pi / 2
        corners.append((half[0] * (1 + share * math.cos(turn)), half[1] * (1 + share * math.sin(turn))))
    draw.polygon(corners, fill=255)
    return _small(layer, mask)


# Pillow's radial gradient is 0 in the middle, 255 in the corners, and this at the middle of a side.
_SIDE = 179


def _glow(layer: ShapeLayer) -> Image.Image:
    # Squared falloff: a linear one shows its edge.
    fading = [round(255 * max(0.0, 1 - level / _SIDE) ** 2) for level in range(256)]
    glow = Image.radial_gradient("L").point(fading)
    return glow.resize((layer.box.w, layer.box.h), Image.Resampling.BICUBIC)


def _draw_confetti(canvas: Image.Image, layer: ShapeLayer) -> None:
    """``count`` scattered pieces of about ``size`` pixels in ``colors``; the same for the same ``seed``."""
    chance = random.Random(layer.seed)  # noqa: S311 - decoration
    colors = layer.colors or layer.fill.stops
    scale = _large(layer)[2]
    masks = {color: _large(layer)[0] for color in colors}
    for number in range(layer.count):
        mask = masks[colors[number % len(colors)]]
        x, y = chance.random() * mask.width, chance.random() * mask.height
        size = layer.size * scale * (0.5 + chance.random())
        turn, thin = chance.random() * math.pi, 0.35 + 0.4 * chance.random()
        draw = ImageDraw.Draw(mask)
        if number % 3 == 0:
            draw.ellipse((x - size / 3, y - size / 3, x + size / 3, y + size / 3), fill=255)
            continue
        corners = [(-size / 2, -size * thin / 2), (size / 2, -size * thin / 2)]
        corners += [(-px, -py) for px, py in corners]
        cos, sin = math.cos(turn), math.sin(turn)
        draw.polygon([(x + px * cos - py * sin, y + px * sin + py * cos) for px, py in corners], fill=255)
    for color, mask in masks.items():
        _stamp(canvas, _blurred(_small(layer, mask), layer.blur), Paint((color,)), layer.box, layer.opacity)


_MASKS: dict[str, Callable[[ShapeLayer], Image.Image]] = {
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "ring": _ring,
    "rays": _rays,
    "dots": _dots,
    "grid": _grid,
    "wave": _wave,
    "polygon": _polygon,
    "star": _star,
    "glow": _glow,
}
