"""QR codes of live codes: the platforms' own, uploaded and read back; ours, drawn."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from growth_engine.channels.storage import Storage
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.posters import qr, scan, uploads

#: Pixels of one module and modules of quiet zone (ISO/IEC 18004 §9.1: four) in codes we draw.
_PIXELS, _QUIET = 12, 4


class NoCode(Invalid):
    code = "no_qr_code"
    message = N_(
        "No QR code can be read from this picture, or there is more than one on it. Save the picture of the"
        " code from WeChat again and upload it uncropped."
    )


@dataclass(frozen=True, slots=True)
class CodePicture:
    """A kept picture of a platform's code."""

    key: str
    content: str
    """What the code says."""


def from_upload(storage: Storage, data: bytes) -> CodePicture:
    """Keep an uploaded picture of a code. Read back from what is kept, so that phones can read it too.

    Raises ``NoCode`` and what ``uploads`` raises.
    """
    kept = uploads.code_picture(data)
    content = scan.decoded(Image.open(io.BytesIO(kept)))
    if not content:
        raise NoCode
    return CodePicture(storage.put(kept, "image/jpeg"), content)


def from_content(storage: Storage, content: str) -> CodePicture:
    """Draw and keep the code of a join link; raises ``qr.ContentTooLong``."""
    return CodePicture(storage.put(png(content), "image/png"), content)


def png(content: str) -> bytes:
    """A code that says ``content``, for print and screen."""
    modules = qr.modules(content, "M")
    side = (modules.width + 2 * _QUIET) * _PIXELS
    picture = Image.new("1", (side, side), 1)
    dark = modules.resize((modules.width * _PIXELS, modules.height * _PIXELS), Image.Resampling.NEAREST)
    picture.paste(0, (_QUIET * _PIXELS, _QUIET * _PIXELS), dark)
    packed = io.BytesIO()
    picture.save(packed, "PNG", optimize=True)
    return packed.getvalue()
