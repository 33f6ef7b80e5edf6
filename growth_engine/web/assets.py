"""Style sheets, scripts and icons: served from addresses that change with the content, cached for a year."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.security import safe_join

from growth_engine.kit.errors import NotFound

bp = Blueprint("assets", __name__)

ROOT = Path(__file__).parent / "static"
_YEAR = "public, max-age=31536000, immutable"
#: Asked for under another version: an old page during a release, or a file named inside a style sheet.
_HOUR = "public, max-age=3600"
_PACKED = frozenset({".css", ".js", ".svg", ".json", ".txt", ".map"})


@cache
def _read(name: str) -> tuple[bytes, str, bytes | None] | None:
    """Content, version and gzipped content of a file; ``None`` when there is none."""
    path = safe_join(str(ROOT), name)
    if path is None or not Path(path).is_file():
        return None
    content = Path(path).read_bytes()
    packed = gzip.compress(content, 9, mtime=0) if Path(path).suffix in _PACKED else None
    return content, hashlib.sha256(content).hexdigest()[:12], packed


def asset(name: str) -> str:
    """The address of a file in ``web/static``; a name that is not there is a mistake in a template."""
    found = _read(name)
    if found is None:
        raise FileNotFoundError(f"web/static/{name}")
    return f"/static/{found[1]}/{name}"


@bp.get("/static/<version>/<path:name>")
def file(version: str, name: str) -> Response:
    path = safe_join(str(ROOT), name)
    # Only files that exist are remembered, or a stranger could fill our memory with names.
    if path is None or not Path(path).is_file():
        raise NotFound
    found = _read(name)
    if found is None:
        raise NotFound
    content, current, packed = found
    response = Response(content, mimetype=mimetypes.guess_type(name)[0] or "application/octet-stream")
    if packed is not None:
        response.headers["Vary"] = "Accept-Encoding"
        if request.accept_encodings.quality("gzip") > 0:
            response.set_data(packed)
            response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = _YEAR if version == current else _HOUR
    response.set_etag(current + ("-gz" if "Content-Encoding" in response.headers else ""))
    response.make_conditional(request)
    return response
