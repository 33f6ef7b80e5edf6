"""A poster document as a form and back: what the form does not show stays as it is in the document."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.posters.rules import LOCALES

Document = dict[str, Any]

#: Larger documents are none our form has made.
_LONGEST = 200_000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")

TYPES: Mapping[str, str] = {
    "text": N_("Text"),
    "avatar": N_("Picture of the person"),
    "qr": N_("QR code"),
    "logo": N_("Logo"),
    "shape": N_("Shape"),
}
ROLES: Mapping[str, str] = {
    "headline": N_("Headline (the campaign's own)"),
    "reward": N_("Reward (the campaign's own)"),
    "nickname": N_("Name of the person"),
    "footnote": N_("Footnote (the campaign's own)"),
    "label": N_("Text that stays"),
}
SHAPES: Mapping[str, str] = {
    "rectangle": N_("Rectangle"),
    "ellipse": N_("Circle"),
    "ring": N_("Ring"),
    "rays": N_("Rays"),
    "dots": N_("Dots"),
    "confetti": N_("Confetti"),
    "wave": N_("Wave"),
    "polygon": N_("Polygon"),
    "star": N_("Star"),
    "glow": N_("Glow"),
    "grid": N_("Grid"),
}
ALIGNS: Mapping[str, str] = {"left": N_("Left"), "center": N_("Centre"), "right": N_("Right")}


#: What the form shows of a layer that does not say (``posters.schemas``).
DEFAULTS: Mapping[str, Any] = {
    "size": 12,
    "weight": 500,
    "max_lines": 1,
    "align": "center",
    "dark": "#111111",
    "light": "#ffffff",
}


class BrokenDocument(Invalid):
    code = "poster_document_broken"
    message = N_("The poster in this form is damaged. Open it again.")


@dataclass(frozen=True, slots=True)
class LayerForm:
    """One layer as the editor shows it."""

    index: int
    kind: str
    title: str
    """Message id."""
    detail: str
    """The text itself, to tell layers apart."""
    layer: Mapping[str, Any]
    colours: Sequence[str]
    errors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DocumentForm:
    document: Document
    layers: Sequence[LayerForm]
    background: Sequence[str]
    packed: str
    """The document as the form carries it."""
    problems: Mapping[str, Any] = field(default_factory=dict)


def document_form(document: Document, problems: Mapping[str, Any] | None = None) -> DocumentForm:
    problems = problems or {}
    wrong = problems.get("layers", {})
    layers = [
        _layer_form(
            index, layer, wrong.get(index, wrong.get(str(index))) if isinstance(wrong, Mapping) else None
        )
        for index, layer in enumerate(document["layers"])
    ]
    packed = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return DocumentForm(document, layers, colours_of(document["background"]), packed, problems)


def _layer_form(index: int, layer: Mapping[str, Any], wrong: Any) -> LayerForm:
    kind = layer["type"]
    title = TYPES[kind]
    detail = ""
    if kind == "text":
        title, detail = ROLES[layer["role"]], " / ".join(layer["text"][one] for one in LOCALES)
    elif kind == "shape":
        title = SHAPES[layer["shape"]]
    return LayerForm(index, kind, title, detail, layer, colours_of(layer.get("fill")), _flat(wrong))


def _flat(problem: Any) -> list[str]:
    if isinstance(problem, str):
        return [problem]
    if isinstance(problem, Mapping):
        return [text for inner in problem.values() for text in _flat(inner)]
    if isinstance(problem, list | tuple):
        return [text for inner in problem for text in _flat(inner)]
    return []


def colours_of(fill: Any) -> list[str]:
    if isinstance(fill, str):
        return [fill]
    return list(fill["stops"]) if isinstance(fill, Mapping) else []


# -- back from the form ------------------------------------------------------------------------------


def read(sent: MultiDict[str, str]) -> Document:
    """The document the form carries, with what was typed put into it. Raises BrokenDocument."""
    packed = sent.get("document", "")
    try:
        document: Document = json.loads(packed[:_LONGEST])
        layers = document["layers"]
        _apply_background(document, sent)
        for index, layer in enumerate(layers):
            _apply_layer(layer, sent, f"l{index}-")
        document["layers"] = _arranged(layers, sent)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BrokenDocument from None
    return document


def _apply_background(document: Document, sent: MultiDict[str, str]) -> None:
    for locale in LOCALES:
        if f"name-{locale}" in sent:
            document["name"][locale] = sent[f"name-{locale}"].strip()
    document["background"] = _filled(document["background"], sent, "background-")
    if sent.get("background-plain") == "1":
        document["picture"] = ""


def _apply_layer(layer: dict[str, Any], sent: MultiDict[str, str], prefix: str) -> None:
    if f"{prefix}x" in sent:
        layer["box"] = [
            _whole(sent.get(f"{prefix}{name}", ""), layer["box"][place]) for place, name in enumerate("xywh")
        ]
    if "fill" in layer:
        layer["fill"] = _filled(layer["fill"], sent, f"{prefix}fill-")
    if layer["type"] == "text":
        for locale in LOCALES:
            if f"{prefix}text-{locale}" in sent:
                layer["text"][locale] = sent[f"{prefix}text-{locale}"].strip()
        if sent.get(f"{prefix}align") in ALIGNS:
            _put(layer, "align", sent[f"{prefix}align"])
    for name in ("size", "weight", "max_lines"):
        if f"{prefix}{name}" in sent:
            _put(layer, name, _whole(sent[f"{prefix}{name}"], layer.get(name, DEFAULTS[name])))
    if f"{prefix}opacity" in sent:
        now = round(layer.get("opacity", 1) * 100)
        typed = _whole(sent[f"{prefix}opacity"], now)
        if typed != now:
            layer["opacity"] = typed / 100
    for name in ("dark", "light"):
        if _COLOUR.match(sent.get(f"{prefix}{name}", "")):
            _put(layer, name, sent[f"{prefix}{name}"])
    if layer["type"] == "text" and layer.get("min_size", 0) > layer["size"]:
        layer["min_size"] = layer["size"]


def _put(layer: dict[str, Any], name: str, value: Any) -> None:
    """Change what differs from what was shown; a default that was not written down stays unwritten."""
    if value != layer.get(name, DEFAULTS[name]):
        layer[name] = value


def _whole(text: str, otherwise: int) -> int:
    try:
        return int(text.strip())
    except ValueError:
        return otherwise


def _filled(fill: Any, sent: MultiDict[str, str], prefix: str) -> Any:
    colours = colours_of(fill)
    typed = [sent.get(f"{prefix}{place}", colour) for place, colour in enumerate(colours)]
    kept = [new if _COLOUR.match(new) else old for new, old in zip(typed, colours, strict=True)]
    if isinstance(fill, str):
        return kept[0]
    return {**fill, "stops": kept}


def _arranged(layers: list[Any], sent: MultiDict[str, str]) -> list[Any]:
    """Layers after the one button that moves, drops or adds one; later layers lie on top."""
    arranged = copy.deepcopy(layers)
    action, _, target = sent.get("do", "").partition(":")
    if action == "add":
        arranged.append(copy.deepcopy(_NEW[target]))
        return arranged
    if action not in ("drop", "up", "down"):
        return arranged
    index = int(target)
    if not 0 <= index < len(arranged):
        raise BrokenDocument
    layer = arranged.pop(index)
    if action != "drop":
        arranged.insert(max(0, index + (1 if action == "up" else -1)), layer)
    return arranged


_NEW: Mapping[str, Mapping[str, Any]] = {
    "text": {
        "type": "text",
        "role": "label",
        "box": [75, 60, 600, 60],
        "text": {"zh": "新的文字", "en": "New text"},
        "fill": "#1f2433",
        "size": 34,
        "min_size": 20,
        "weight": 600,
        "max_lines": 2,
    },
    "shape": {
        "type": "shape",
        "shape": "rectangle",
        "box": [75, 60, 600, 120],
        "fill": "#ffffff",
        "opacity": 0.9,
        "radius": 24,
    },
    "logo": {"type": "logo", "box": [295, 60, 160, 80], "picture": ""},
}
