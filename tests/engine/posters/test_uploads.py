"""Uploaded pictures: only the picture is kept, whatever was sent."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from obstore.store import LocalStore
from PIL import Image

from growth_engine.channels.storage import Storage
from growth_engine.posters import uploads
from tests.engine.posters.conftest import photograph


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(LocalStore(prefix=tmp_path), str(tmp_path))


def stored(storage: Storage, key: str) -> Image.Image:
    picture = Image.open(io.BytesIO(storage.get(key)))
    picture.load()
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(64, 64), (900, 300), (200, 1200)])
def test_an_avatar_becomes_a_small_square_jpeg(storage: Storage, kind: str, size: tuple[int, int]) -> None:
    picture = stored(storage, uploads.avatar_from_upload(storage, photograph(*size, kind)))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (256, 256))


def test_place_and_camera_are_stripped_and_the_picture_stands_upright(storage: Storage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    exif[0x010F] = "Secret camera"
    exif.get_ifd(0x8825)[1] = "N"
    lying = Image.new("RGB", (300, 300), "red")
    lying.paste("blue", (0, 0, 150, 300))
    out = io.BytesIO()
    lying.save(out, "JPEG", exif=exif, comment=b"secret comment", quality=95)
    key = uploads.avatar_from_upload(storage, out.getvalue())
    picture = stored(storage, key)
    assert not picture.getexif()
    assert b"Secret" not in storage.get(key)
    assert b"secret" not in storage.get(key)
    top, bottom = picture.getpixel((128, 30)), picture.getpixel((128, 226))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[2] > 200 > 60 > top[0]
    assert bottom[0] > 200 > 60 > bottom[2]


def test_transparency_is_laid_on_white(storage: Storage) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (100, 100), (0, 0, 0, 0)).save(out, "PNG")
    picture = stored(storage, uploads.avatar_from_upload(storage, out.getvalue()))
    assert picture.getpixel((50, 50)) == (255, 255, 255)


def test_the_same_upload_has_the_same_key(storage: Storage) -> None:
    data = photograph(500, 400)
    assert uploads.avatar_from_upload(storage, data) == uploads.avatar_from_upload(storage, data)


def test_a_logo_keeps_its_transparency_and_a_background_covers_the_poster(storage: Storage) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (1600, 400), (9, 9, 9, 0)).save(out, "PNG")
    logo = stored(storage, uploads.logo_from_upload(storage, out.getvalue()))
    assert (logo.format, logo.mode, logo.size) == ("PNG", "RGBA", (512, 128))
    cover = stored(storage, uploads.background_from_upload(storage, photograph(1000, 1000)))
    assert (cover.format, cover.size) == ("JPEG", (750, 1334))


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG whose header promises a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [bomb(30_000, 30_000), bomb(9_000, 9_000), b"\0" * (uploads.MAX_UPLOAD_BYTES + 1)]
)
def test_bombs_are_refused_before_they_are_unpacked(storage: Storage, data: bytes) -> None:
    with pytest.raises(uploads.UploadTooLarge):
        uploads.avatar_from_upload(storage, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><script>",
        b"%PDF-1.7",
        photograph()[:400],
        photograph(kind="PNG")[:60],
        bomb(100, 100),
        photograph(kind="BMP"),
        photograph(kind="TIFF"),
    ],
)
def test_what_is_no_picture_or_a_broken_one_is_refused(storage: Storage, data: bytes) -> None:
    with pytest.raises(uploads.NotAPicture):
        uploads.avatar_from_upload(storage, data)
