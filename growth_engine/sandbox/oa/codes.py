"""Parametric QR codes (section 2.8): tickets, scenes, and the picture."""

from __future__ import annotations

import base64
import io
from typing import Any

import qrcode
from flask import Response
from qrcode.image.pil import PilImage

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

DEFAULT_SECONDS, LONGEST_SECONDS = 60, 2_592_000
PERMANENT_CODES = 100_000
LONGEST_SCENE = 64
LARGEST_SCENE_ID = 2**32 - 1
ADDRESS = "http://weixin.qq.com/q/"


@routes("POST", "/cgi-bin/qrcode/create")
def create(call: Call) -> Doc:
    body = call.json()
    action = body.get("action_name")
    if action not in ("QR_SCENE", "QR_STR_SCENE", "QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"):
        raise Refused(40052)
    permanent = action.startswith("QR_LIMIT")
    scene, text = _scene(body, action)
    if permanent:
        return _permanent(call.world, call.account["appid"], scene, text)
    seconds = body.get("expire_seconds", DEFAULT_SECONDS)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= LONGEST_SECONDS:
        raise Refused(40097, "invalid args: expire_seconds")
    code = _make(call.world, call.account["appid"], scene, text, call.world.now() + seconds)
    return {"ticket": code["ticket"], "expire_seconds": seconds, "url": code["url"]}


def _scene(body: Doc, action: str) -> tuple[str, bool]:
    """The scene as the events will carry it, and whether it is text.

    A wrong nesting is not refused: the real platform silently makes a code with scene 0 [S].
    """
    info = body.get("action_info")
    scene: Any = info.get("scene") if isinstance(info, dict) else None
    if not isinstance(scene, dict):
        return "0", False
    if "STR" in action:
        text = scene.get("scene_str")
        if text is None:
            return "0", False
        if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_SCENE:
            raise Refused(40053)
        return text, True
    number = scene.get("scene_id")
    if number is None:
        return "0", False
    most = PERMANENT_CODES if action == "QR_LIMIT_SCENE" else LARGEST_SCENE_ID
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= most:
        raise Refused(40053)
    return str(number), False


def _permanent(world: World, appid: str, scene: str, text: bool) -> Doc:
    known = world.store.get("oa.permanent", f"{appid}/{text:d}/{scene}")
    if known is not None:
        return {"ticket": known["ticket"], "url": known["url"]}
    if world.store.count("oa.permanent", f"{appid}/") >= PERMANENT_CODES:
        raise Refused(45029)
    code = _make(world, appid, scene, text, None)
    world.store.put("oa.permanent", f"{appid}/{text:d}/{scene}", code)
    return {"ticket": code["ticket"], "url": code["url"]}


def _make(world: World, appid: str, scene: str, text: bool, until: int | None) -> Doc:
    raw = world.random_bytes(72)
    ticket = "gQ" + base64.b64encode(raw).decode()
    url = ADDRESS + "02" + base64.urlsafe_b64encode(world.random_bytes(27)).decode()
    code = {"ticket": ticket, "url": url, "appid": appid, "scene": scene, "text": text, "until": until}
    world.store.put("oa.codes", ticket, code)
    world.store.put("oa.code_urls", url, {"ticket": ticket})
    return code


def by_url(world: World, url: str) -> Doc | None:
    """The code whose picture says ``url``: also one that has run out (see its ``until``)."""
    found = world.store.get("oa.code_urls", url)
    return None if found is None else world.store.get("oa.codes", found["ticket"])


def is_over(world: World, code: Doc) -> bool:
    return code["until"] is not None and world.now() >= code["until"]


@routes("GET", "/cgi-bin/showqrcode", token=False)
def show(call: Call) -> Response:
    code = call.world.store.get("oa.codes", call.query.get("ticket", ""))
    if code is None or is_over(call.world, code):
        return Response("<html><body><h1>404 Not Found</h1></body></html>", 404, mimetype="text/html")
    return Response(picture(code["url"]), mimetype="image/png")


def picture(text: str) -> bytes:
    """A QR code as PNG, 430 pixels and more like the real one."""
    code = qrcode.QRCode(border=2, box_size=12, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    out = io.BytesIO()
    code.make_image(image_factory=PilImage).save(out)
    return out.getvalue()
