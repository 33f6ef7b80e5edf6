"""Temporary media (section 2.9): three days, then gone."""

from __future__ import annotations

from flask import Response

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

LIFE_SECONDS = 3 * 86400
#: The stricter of the two sizes the official page gives for pictures is not enforced: 10 MB is.
LARGEST = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "thumb": 64 << 10}
_KINDS = {
    "image": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8"),
    "voice": (b"#!AMR", b"ID3", b"\xff\xfb", b"\xff\xf3"),
    "video": (),
    "thumb": (b"\xff\xd8\xff",),
}
_MIME = {b"\x89P": "image/png", b"\xff\xd8": "image/jpeg", b"GI": "image/gif"}


@routes("POST", "/cgi-bin/media/upload")
def upload(call: Call) -> Doc:
    kind = call.query.get("type", "")
    if kind not in LARGEST:
        raise Refused(40004)
    media_id = keep(call, kind, LARGEST[kind], _KINDS[kind])
    return {"type": kind, "media_id": media_id, "created_at": call.world.now()}


def keep(call: Call, kind: str, largest: int, beginnings: tuple[bytes, ...]) -> str:
    """Check an uploaded file and keep it; its media_id."""
    file = call.files.get("media")
    if file is None or not file.filename:
        raise Refused(41005)
    content = file.stream.read()
    if not content:
        raise Refused(44001, "empty media data")
    if len(content) > largest:
        raise Refused(45001)
    if beginnings and not content.startswith(beginnings):
        raise Refused(40005)
    return store(call.world, call.account.get("appid") or call.account["corpid"], kind, content)


def store(world: World, owner: str, kind: str, content: bytes) -> str:
    media_id = world.random_text(64)
    world.store.keep_file(media_id, content)
    world.store.put("media", media_id, {"owner": owner, "kind": kind, "until": world.now() + LIFE_SECONDS})
    return media_id


def require(world: World, owner: str, media_id: object, *kinds: str) -> str:
    """The media_id, if it is this account's, of one of these kinds, and still there; else 40007."""
    found = world.store.get("media", media_id) if isinstance(media_id, str) else None
    good = found is not None and found["owner"] == owner and found["kind"] in kinds
    if found is None or not good or world.now() >= found["until"]:
        raise Refused(40007)
    assert isinstance(media_id, str)
    return media_id


@routes("GET", "/cgi-bin/media/get")
def fetch(call: Call) -> Response:
    media_id = require(call.world, call.account["appid"], call.query.get("media_id"), *LARGEST)
    return file_response(call.world, media_id)


def file_response(world: World, media_id: str) -> Response:
    content = world.store.file(media_id) or b""
    return Response(content, mimetype=_MIME.get(content[:2], "application/octet-stream"))
