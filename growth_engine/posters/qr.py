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


class _Structure:
    """All codes of one length, version and level.

    Data, Reed-Solomon words, placement and mask are affine over GF(2) in the content's bits. So the code
    of any content is the code of a first content, XOR what each differing byte changes; each such change
    is taken once from the reference library and kept. A campaign's links differ in twelve letters.
    """

    def __init__(self, content: bytes, version: int, level: ErrorCorrection) -> None:
        self._version, self._level = version, level
        self._first = content
        self.side = version * 4 + 17
        self._stride = (self.side + 7) // 8 * 8
        self._first_bits = self._reference(content)
        self._changes: dict[tuple[int, int], int] = {}

    def bits(self, content: bytes) -> bytes:
        """Rows of modules (1 = dark), each padded to whole bytes: PIL's mode ``1``."""
        bits = self._first_bits
        for at, (byte, first) in enumerate(zip(content, self._first, strict=True)):
            if byte != first:
                change = self._changes.get((at, byte))
                bits ^= self._learn(at, byte) if change is None else change
        return bits.to_bytes(self._stride // 8 * self.side)

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
        pad = "0" * (self._stride - self.side)
        return int("".join("".join("01"[dark] for dark in row) + pad for row in code.modules), 2)


@lru_cache(maxsize=32)
def _structure(length: int, version: int, level: ErrorCorrection) -> _Structure:
    # Digits and letters differ in all positions, so the first content is as good as any.
    return _Structure(b"0" * length, version, level)


_lock = threading.Lock()


def modules(content: str, level: ErrorCorrection) -> Image.Image:
    """The code without quiet zone, one pixel a module, mode ``1``: a mask of the dark modules."""
    data = content.encode()
    if len(data) > MAX_CONTENT:
        raise ContentTooLong
    version = version_for(len(data), level)
    with _lock:
        structure = _structure(len(data), version, level)
        bits = structure.bits(data)
    return Image.frombytes("1", (structure.side, structure.side), bits)
