"""The fields of callbacks and replies as XML or JSON text, and back."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from growth_engine.sandbox.store import Doc


class Unreadable(ValueError):
    """The text is no XML or JSON of the kind the platform takes."""


def to_text(fields: Doc, form: str) -> str:
    """``form`` is ``xml`` or ``json``."""
    if form == "json":
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return f"<xml>{_inner(fields)}</xml>"


def _inner(fields: Doc) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"<{name}>{_inner(value)}</{name}>"
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    # A CDATA section cannot hold its own end: it is cut in two there.
    text = str(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{text}]]></{name}>"


def from_text(text: str) -> Doc:
    """The fields of an XML or JSON answer."""
    stripped = text.strip()
    if stripped.startswith("{"):
        try:
            found = json.loads(stripped)
        except json.JSONDecodeError as error:
            raise Unreadable("not JSON") from error
        if not isinstance(found, dict):
            raise Unreadable("not a JSON object")
        return found
    if "<!DOCTYPE" in stripped or "<!ENTITY" in stripped:
        raise Unreadable("declarations are not allowed")
    try:
        root = ElementTree.fromstring(stripped)  # noqa: S314 - without declarations nothing can expand
    except ElementTree.ParseError as error:
        raise Unreadable("not XML") from error
    if root.tag != "xml":
        raise Unreadable("the root is not <xml>")
    found = _children(root)
    return found if isinstance(found, dict) else {}


def _children(element: ElementTree.Element) -> Any:
    if len(element) == 0:
        return element.text or ""
    found: Doc = {}
    for child in element:
        value = _children(child)
        if child.tag in found:
            earlier = found[child.tag]
            found[child.tag] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            found[child.tag] = value
    return found
