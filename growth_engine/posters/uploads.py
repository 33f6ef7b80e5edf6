"""Pictures people upload: checked, turned upright, stripped of everything but the picture, stored."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.posters.rules import HEIGHT, WIDTH

if TYPE_CHECKING:
    from growth_engine.channels.storage import Storage

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
#: More pixels than any phone takes; decoding them takes about a second and 150 MB.
MAX_PIXELS = 50_000_000
AVATAR_SIZE = 256
LOGO_SIZE = 512
PRODUCT_SIZE = 1000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


class UploadTooLarge(Invalid):
    code = "upload_too_large"
    message = N_("The picture is too large: at most %(megabytes)s MB and %(megapixels)s million pixels.")


class NotAPicture(Invalid):
    code = "not_a_picture"
    message = N_("This file is no JPEG, PNG, WebP or GIF picture, or it is damaged.")


def avatar_from_upload(storage: Storage, data: bytes) -> str:
    """Keep an avatar, 256 x 256 JPEG without metadata; its key."""
    size = (AVATAR_SIZE, AVATAR_SIZE)
    square = ImageOps.fit(_flat(_decoded(data, size)), size, Image.Resampling.LANCZOS)
    return storage.put(_jpeg(square, 88), "image/jpeg")


def background_from_upload(storage: Storage, data: bytes) -> str:
    """Keep a poster background, cropped to 750 x 1334; its key."""
    size = (WIDTH, HEIGHT)
    cover = ImageOps.fit(_flat(_decoded(data, size)), size, Image.Resampling.LANCZOS)
    return storage.put(_jpeg(cover, 92), "image/jpeg")


def product_from_upload(storage: Storage, data: bytes) -> str:
    """Keep a product's picture, whole and at most 1000 pixels a side, JPEG without metadata; its key."""
    return storage.put(_whole(data, PRODUCT_SIZE, 88), "image/jpeg")


def code_picture(data: bytes) -> bytes:
    """A picture with a platform's QR code on it, whole and at most 1000 pixels a side, as a bare JPEG."""
    return _whole(data, PRODUCT_SIZE, 92)


def _whole(data: bytes, side: int, quality: int) -> bytes:
    picture = _flat(_decoded(data, (side, side)))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _jpeg(picture, quality)


def logo_from_upload(storage: Storage, data: bytes) -> str:
    """Keep a logo, at most 512 pixels a side, PNG with its transparency; its key."""
    logo = _decoded(data, (LOGO_SIZE, LOGO_SIZE)).convert("RGBA")
    logo.thumbnail((LOGO_SIZE, LOGO_SIZE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    logo.save(out, "PNG", optimize=True)
    return storage.put(out.getvalue(), "image/png")


def _decoded(data: bytes, wanted: tuple[int, int]) -> Image.Image:
    """The whole picture in memory; the header is checked before any pixel is decoded."""
    limits = {"megabytes": MAX_UPLOAD_BYTES // 2**20, "megapixels": MAX_PIXELS // 1_000_000}
    if len(data) > MAX_UPLOAD_BYTES:
        raise UploadTooLarge(params=limits)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UploadTooLarge(params=limits)
            picture.draft("RGB", (wanted[0] * 2, wanted[1] * 2))
            picture.load()
            return ImageOps.exif_transpose(picture)
    except Image.DecompressionBombError:
        raise UploadTooLarge(params=limits) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        # Pillow's readers raise all of these on damaged files.
        raise NotAPicture from error


def _flat(picture: Image.Image) -> Image.Image:
    """On white where it is transparent."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        ground = Image.new("RGB", with_alpha.size, "white")
        ground.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return ground
    return picture.convert("RGB")


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    # Saved from bare pixels: no EXIF, comment or colour profile survives.
    out = io.BytesIO()
    bare = Image.frombytes("RGB", picture.size, picture.tobytes())
    bare.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
