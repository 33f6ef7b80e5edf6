"""JSON answers as the platforms write them: compact, Chinese as it is."""

from __future__ import annotations

import json

from flask import Response

from growth_engine.sandbox.store import Doc


def response(doc: Doc, status: int = 200) -> Response:
    text = json.dumps(doc, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, mimetype="application/json")
