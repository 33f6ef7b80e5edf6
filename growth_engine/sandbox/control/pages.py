"""The page with the simulated phone, its files, and the portraits of people."""

from __future__ import annotations

import io
import json
from importlib import resources

from flask import Blueprint, Flask, Response, redirect, request
from PIL import Image, ImageDraw
from werkzeug.wrappers import Response as BaseResponse

from growth_engine.sandbox.oa import jssdk
from growth_engine.sandbox.oa.codes import picture
from growth_engine.sandbox.world import World

_FILES = resources.files("growth_engine.sandbox.control") / "static"
_MIME = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_COLOURS = [
    "#f56c6c", "#e6a23c", "#67c23a", "#409eff", "#8e6bd8", "#00b8a9", "#f08a5d", "#b83b5e", "#6a8caf",
    "#3f72af", "#d2691e", "#2a9d8f",
]  # fmt: skip

#: More than any code of the platforms says.
_LONGEST_CODE = 512
#: Our page may show the application's pages in a frame, if those allow it; nothing else is let in.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob: http: https:; frame-src http: https:; base-uri 'none'"
)


def add_to_root(app: Flask) -> None:
    """The start page leads to the phone; the script stands where res.wx.qq.com has it."""

    @app.get("/")
    def start() -> BaseResponse:
        return redirect("/_sandbox/")

    @app.get("/open/js/jweixin-<version>.js")
    def jweixin(version: str) -> Response:  # noqa: ARG001
        return _file("jweixin.js")


def add(plane: Blueprint, world: World) -> None:
    @plane.get("/js-config.js")
    def js_config() -> Response:
        """``wx.config`` of a page in a tab of its own, whose policy lets it fetch nothing but scripts."""
        config = json.loads(request.args["config"])
        with world.open():
            problem = jssdk.problem_of(world, config, request.args["url"])
        text = f"window.__sandboxConfigured({json.dumps(problem)});"
        return Response(text, mimetype="text/javascript")

    @plane.get("/ask")
    def ask() -> Response:
        return _file("ask.html")

    @plane.get("/")
    def phone() -> Response:
        return _file("phone.html")

    @plane.get("/static/<name>")
    def static_file(name: str) -> Response:
        return _file(name)

    @plane.get("/code.png")
    def code() -> Response:
        """A QR code that says ``text``: what an employee would save from the client."""
        return Response(picture(request.args["text"][:_LONGEST_CODE]), mimetype="image/png")

    @plane.get("/avatar/<int:number>.png")
    def avatar(number: int) -> Response:
        response = Response(_portrait(number), mimetype="image/png")
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


def _file(name: str) -> Response:
    kind = name[name.rfind(".") :]
    file = _FILES / name
    if "/" in name or kind not in _MIME or not file.is_file():
        return Response("404", 404, mimetype="text/plain")
    headers = {
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        # The application's pages load the script from here, as real ones do from res.wx.qq.com.
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if kind == ".html":
        headers["Content-Security-Policy"] = _POLICY
    return Response(file.read_bytes(), mimetype=_MIME[kind], headers=headers)


def _portrait(number: int) -> bytes:
    """A simple portrait: head and shoulders on a coloured ground, the same for the same number."""
    size = 128
    image = Image.new("RGB", (size * 2, size * 2), _COLOURS[number % len(_COLOURS)])
    draw = ImageDraw.Draw(image)
    pale = "#ffffff"
    draw.ellipse((80, 52, 176, 148), fill=pale)
    draw.ellipse((32, 164, 224, 356), fill=pale)
    out = io.BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()
