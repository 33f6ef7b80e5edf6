"""Pictures and colours phone pages load: posters, the picture of a shared card, a campaign's palette."""

from __future__ import annotations

import io
from functools import lru_cache

from flask import Blueprint, Response, request
from PIL import Image, ImageDraw

from growth_engine.kit import web
from growth_engine.kit.errors import NotFound
from growth_engine.plays import queries
from growth_engine.posters import queries as posters
from growth_engine.web.h5.colours import Palette, palette, rgb

bp = Blueprint("h5_pictures", __name__)

_YEAR = 31_536_000
#: WeChat wants at least 300×300 for the picture of a shared link.
_CARD = 600
_SMOOTH = 2


@bp.get("/p/<campaign_id>/<string(length=64):name>.jpg")
def poster(campaign_id: str, name: str) -> Response:
    """A poster's picture; its address is the hash of its content: not to be guessed, never changed."""
    _require_hex(name)
    key = f"{name[:2]}/{name[2:4]}/{name}.jpg"
    parts = web.parts()
    workspace_id = queries.workspace_of_campaign(parts.db, campaign_id)
    if workspace_id is None:
        raise posters.UnknownPoster
    with parts.open(workspace_id) as ctx:
        if not posters.pictures_in_use(ctx, {key}):
            raise posters.UnknownPoster
    # Private: a shared cache would go on showing the poster of somebody who has been erased.
    return _kept(parts.storage.get(key), "image/jpeg", f"private, max-age={_YEAR}, immutable", name)


@bp.get("/theme/<string(length=6):colour>.css")
def theme(colour: str) -> Response:
    """A campaign's colours as a style sheet: inline styles are not allowed."""
    _require_hex(colour)
    shades = palette(f"#{colour}")
    red, green, blue = (round(value * 255) for value in rgb(shades.accent))
    css = (
        f":root{{--ge-accent:{shades.accent};--ge-accent-dark:{shades.deep};--weui-BRAND:{shades.accent};"
        f"--h5-on:{shades.on};--h5-text:{shades.text};--h5-soft:{shades.soft};"
        f"--h5-glow:rgba({red},{green},{blue},.28)}}"
    )
    return _kept(css.encode(), "text/css", f"public, max-age={_YEAR}, immutable", colour)


@bp.get("/share/<string(length=6):colour>.png")
def share_card(colour: str) -> Response:
    """The picture beside a shared link: a gift in the campaign's colours."""
    _require_hex(colour)
    response = _kept(_card(palette(f"#{colour}")), "image/png", f"public, max-age={_YEAR}, immutable", colour)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # chats show it beside the link
    return response


def _require_hex(text: str) -> None:
    if set(text) - set("0123456789abcdef"):
        raise NotFound


def _kept(content: bytes, mimetype: str, cache: str, tag: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers["Cache-Control"] = cache
    response.set_etag(tag)
    response.make_conditional(request)
    return response


@lru_cache(maxsize=64)
def _card(shades: Palette) -> bytes:
    side = _CARD * _SMOOTH
    ramp = Image.linear_gradient("L").rotate(90).resize((side, side))
    card = Image.composite(_flat(shades.deep, side), _flat(shades.accent, side), ramp)
    _draw_gift(ImageDraw.Draw(card), side, shades)
    packed = io.BytesIO()
    card.resize((_CARD, _CARD), Image.Resampling.LANCZOS).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _flat(colour: str, side: int) -> Image.Image:
    return Image.new("RGB", (side, side), colour)


def _draw_gift(draw: ImageDraw.ImageDraw, side: int, shades: Palette) -> None:
    """A box with a lid, a ribbon and a bow, in shares of the side."""

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return (left * side, top * side, right * side, bottom * side)

    width = round(0.035 * side)
    for tilt in ((0.33, 0.24, 0.5, 0.41), (0.5, 0.24, 0.67, 0.41)):
        draw.ellipse(box(*tilt), outline=shades.on, width=width)
    draw.rounded_rectangle(box(0.27, 0.5, 0.73, 0.76), 0.03 * side, fill=shades.on)
    draw.rounded_rectangle(box(0.235, 0.39, 0.765, 0.525), 0.03 * side, fill=shades.on)
    draw.rectangle(box(0.235, 0.517, 0.765, 0.53), fill=shades.accent)
    draw.rectangle(box(0.465, 0.39, 0.535, 0.76), fill=shades.accent)
