"""Posters per second on one core: ours, the stock qrcode + Pillow pipeline, and JPEG encoding alone.

All three make the same picture (750 x 1334, avatar, nickname, QR code) in the same run:

* ours: ``Renderer.render``, another link and name each time, base picture warm;
* A: ``qrcode.make`` with its defaults, the background opened from a PNG file, the font opened from its
  file, composed with Pillow and saved as PNG, as a first version of such a program does;
* B: nothing but ``Image.save`` of the finished picture as JPEG, at the quality ours has.

Run: ``.venv/bin/python benchmarks/posters.py [--seconds 4] [--template aurora]``
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import qrcode
from PIL import Image, ImageDraw, ImageFont

from growth_engine.posters import fonts, gallery, scan
from growth_engine.posters.render import Renderer
from growth_engine.posters.rules import AvatarLayer, Personal, Template, TextLayer

_TOKEN = "23456789abcdefghjkmnpqrstuvwxyz"
_NAMES = ["小鹿不吃草", "王小明", "Anna", "李雷和韩梅梅", "Maximilian", "晨跑的猫", "苏苏", "Jo 在路上"]


def avatar() -> bytes:
    picture = Image.radial_gradient("L").convert("RGB")
    ImageDraw.Draw(picture).ellipse((80, 50, 180, 150), fill="#ffe0bd")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()


def people(count: int) -> list[Personal]:
    chance = random.Random(7)
    face = avatar()
    links = ("https://growth.example.com/i/" + "".join(chance.choices(_TOKEN, k=12)) for _ in range(count))
    return [Personal(link, nickname=chance.choice(_NAMES), avatar=face) for link in links]


def no_picture(key: str) -> bytes:
    raise KeyError(key)  # the ready templates are drawn, they hold no pictures


def naive(background: Path, font: Path, template: Template, personal: Personal) -> bytes:
    """What stock tools give when nothing is kept between two posters."""
    poster = Image.open(background).convert("RGB")
    box = template.qr.box
    code = qrcode.make(personal.qr_content).get_image().convert("RGB")
    poster.paste(code.resize((box.w, box.h)), (box.x, box.y))
    layers = template.layers
    face = next(layer for layer in layers if isinstance(layer, AvatarLayer)).box
    assert personal.avatar is not None
    picture = Image.open(io.BytesIO(personal.avatar)).resize((face.w, face.h))
    circle = Image.new("L", (face.w, face.h), 0)
    ImageDraw.Draw(circle).ellipse((0, 0, face.w - 1, face.h - 1), fill=255)
    poster.paste(picture, (face.x, face.y), circle)
    name = next(layer for layer in layers if isinstance(layer, TextLayer) and layer.is_personal)
    letters = ImageFont.truetype(font, name.size, index=2)
    letters.set_variation_by_axes([name.weight])
    ImageDraw.Draw(poster).text(
        (name.box.x, name.box.y), personal.nickname or "", fill=name.fill.stops[0], font=letters
    )
    out = io.BytesIO()
    poster.save(out, "PNG")
    return out.getvalue()


def rate(make: Callable[[Personal], object], crowd: list[Personal], seconds: float) -> float:
    """Calls per second of CPU time: other programs on the machine do not count."""
    done, started, spent = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        make(crowd[done % len(crowd)])
        done += 1
    return done / (time.process_time() - spent)


def measure(slug: str, seconds: float) -> tuple[float, float, float]:
    """Rates of ours, A and B for one template: the best of five rounds, taken in turns."""
    template = gallery.template(slug)
    renderer = Renderer(no_picture)
    crowd = people(5000)
    sample = renderer.render(template, crowd[0])
    assert scan.decoded(Image.open(io.BytesIO(sample))) == crowd[0].qr_content
    whole = renderer.compose(template, crowd[0])

    def encode(_: Personal) -> None:
        whole.save(io.BytesIO(), "JPEG", quality=90)

    with tempfile.TemporaryDirectory() as folder:
        background = Path(folder) / "background.png"
        renderer.compose(template, Personal(crowd[0].qr_content)).save(background)
        font = fonts.faces()[0].path
        reading = Image.open(io.BytesIO(naive(background, font, template, crowd[1])))
        assert scan.decoded(reading) == crowd[1].qr_content

        def stock(personal: Personal) -> None:
            naive(background, font, template, personal)

        def ours(personal: Personal) -> None:
            renderer.render(template, personal)

        rounds = [[rate(m, crowd, seconds / 5) for m in (ours, stock, encode)] for _ in range(5)]
    # Other programs on the machine only ever slow a round down (shared caches and cores).
    ours_rate, stock_rate, encode_rate = (max(column) for column in zip(*rounds, strict=True))
    return ours_rate, stock_rate, encode_rate


def main() -> None:
    parser = argparse.ArgumentParser(description="Posters per second on one core.")
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement")
    parser.add_argument("--template", choices=gallery.slugs(), action="append", help="default: all")
    arguments = parser.parse_args()
    print(f"{'template':<12}{'ours/s':>9}{'A: stock/s':>12}{'B: JPEG/s':>11}{'ours/A':>9}{'ours/B':>9}")
    for slug in arguments.template or gallery.slugs():
        ours, stock, encode = measure(slug, arguments.seconds)
        print(f"{slug:<12}{ours:>9.0f}{stock:>12.1f}{encode:>11.0f}{ours / stock:>9.1f}{ours / encode:>9.2f}")
    print("targets: ours/A at least 30, ours/B at least 0.6")


if __name__ == "__main__":
    main()
