"""JPEG in bands: the rows that are the same on every poster are encoded once and spliced in.

A restart marker after every row of blocks makes the rows independent of each other (ITU-T T.81 §E.1.4),
so a picture is its header and its rows put together, byte for byte what encoding it whole would give.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

#: With 4:2:0 subsampling a row of blocks is 16 pixels high.
ROW = 16

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# Inside a scan 0xff is followed by 0x00 when it is data, so these bytes are nothing but markers.
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


def encode(picture: Image.Image, quality: int) -> bytes:
    """A baseline JPEG, 4:2:0, with a restart marker after every row of blocks."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling="4:2:0", restart_marker_rows=1)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JPEG taken apart."""

    header: bytes
    rows: tuple[bytes, ...]

    @classmethod
    def of(cls, data: bytes) -> Encoded:
        start = data.index(_START_OF_SCAN)
        scan = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        return cls(data[:scan], tuple(_RESTART.split(data[scan : -len(_END_OF_IMAGE)])))

    def joined(self) -> bytes:
        parts = [self.header]
        for number, row in enumerate(self.rows):
            parts.append(row)
            parts.append(_MARKERS[number % 8])
        parts[-1] = _END_OF_IMAGE
        return b"".join(parts)


_MARKERS = tuple(bytes((0xFF, 0xD0 + number)) for number in range(8))


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of blocks ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def top(self) -> int:
        return self.first * ROW

    def bottom(self, height: int) -> int:
        return min(height, (self.last + 1) * ROW)


def bands_of(spans: Sequence[tuple[int, int]], height: int) -> tuple[Band, ...]:
    """The fewest bands that cover pixel rows ``(top, bottom)``, bottom excluded."""
    bands: list[Band] = []
    for top, bottom in sorted((max(0, top), min(height, bottom)) for top, bottom in spans):
        first, last = top // ROW, (bottom - 1) // ROW
        if bands and first <= bands[-1].last + 1:
            bands[-1] = Band(bands[-1].first, max(bands[-1].last, last))
        else:
            bands.append(Band(first, last))
    return tuple(bands)


def spliced(base: Encoded, changed: Sequence[tuple[Band, Image.Image]], quality: int) -> bytes:
    """The base picture with some bands replaced; equal to encoding the whole changed picture."""
    rows = list(base.rows)
    for band, picture in changed:
        rows[band.first : band.last + 1] = Encoded.of(encode(picture, quality)).rows
    return Encoded(base.header, tuple(rows)).joined()
