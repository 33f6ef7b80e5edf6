"""QR codes in microseconds: with version, level and mask fixed, a code is linear in its content."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Literal

import qrcode
from PIL import Image
from qrcode import constants, util

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

ErrorCorrection = Literal["M", "H"]

_LEVELS = {"M": constants.ERROR_CORRECT_M, "H": constants.ERROR_CORRECT_H}
#: Trying all eight masks costs 6 to 8 ms; any fixed mask is valid (ISO/IEC 18004 §7.8), this one suits URLs.
MASK = 2
MAX_CONTENT = 512


class ContentTooLong(Invalid):
    code = "qr_content_too_long"
    message = N_("The link is too long for a QR code of this size.")


@lru_cache(maxsize=512)
def version_for(length: int, level: ErrorCorrection) -> int:
    """Smallest version (1 to 40) that holds ``length`` bytes; ISO/IEC 18004 table 7."""
    for version in range(1, 41):
        header = 4 + (8 if version < 10 else 16)
        if header + 8 * length <= util.BIT_LIMIT_TABLE[_LEVELS[level]][version]:
            return version
    raise ContentTooLong


def side_of(content: str, level: ErrorCorrection) -> int:
    """Modules along a side, without quiet zone."""
    return version_for(len(content.encode()), level) * 4 + 17


def modules(content: str, level: ErrorCorrection) -> Image.Image:
    """The code without quiet zone, one pixel a module, mode ``1``: a mask of the dark modules."""
    data = content.encode()
    if len(data) > MAX_CONTENT:
        raise ContentTooLong
    version = version_for(len(data), level)
    with _lock:
        bits = _family(data[:-_TAIL], len(data), version, level).bits(data)
    side = version * 4 + 17
    return Image.frombytes("1", (side, side), bits)


#: Links of one campaign differ in the token at their end.
_TAIL = 16
_lock = threading.Lock()


class _Family:
    """All codes of one length, version, level and beginning.

    Data, Reed-Solomon words, placement and mask are affine over GF(2) in the content's bits. So the code
    of a content is the code of the first content seen, XOR what each differing byte changes; each such
    change is taken once from the reference library and kept. At most ``_TAIL`` bytes differ.
    """

    def __init__(self, version: int, level: ErrorCorrection) -> None:
        self._version, self._level = version, level
        self._side = version * 4 + 17
        self._stride = (self._side + 7) // 8 * 8
        self._first = b""
        self._first_bits = 0
        self._changes: dict[tuple[int, int], int] = {}

    def bits(self, content: bytes) -> bytes:
        """Rows of modules (1 = dark), each padded to whole bytes: Pillow's mode ``1``."""
        if not self._first:
            self._first, self._first_bits = content, self._reference(content)
        bits = self._first_bits
        for at, (byte, first) in enumerate(zip(content, self._first, strict=True)):
            if byte != first:
                change = self._changes.get((at, byte))
                bits ^= self._learn(at, byte) if change is None else change
        return bits.to_bytes(self._stride // 8 * self._side)

    def _learn(self, at: int, byte: int) -> int:
        content = bytearray(self._first)
        content[at] = byte
        change = self._reference(bytes(content)) ^ self._first_bits
        self._changes[at, byte] = change
        return change

    def _reference(self, content: bytes) -> int:
        code = qrcode.QRCode(version=self._version, error_correction=_LEVELS[self._level], mask_pattern=MASK)
        code.add_data(util.QRData(content, mode=util.MODE_8BIT_BYTE), optimize=0)
        code.make(fit=False)
        pad = "0" * (self._stride - self._side)
        return int("".join("".join("01"[dark] for dark in row) + pad for row in code.modules), 2)


@lru_cache(maxsize=32)
def _family(beginning: bytes, length: int, version: int, level: ErrorCorrection) -> _Family:
    assert len(beginning) <= length
    return _Family(version, level)
