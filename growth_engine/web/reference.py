"""The readable page of the REST API, made from its OpenAPI document; in English, as the names in it are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, current_app, render_template

from growth_engine.kit import rest

bp = Blueprint("reference", __name__, url_prefix=rest.PREFIX)

_DEEPEST = 4


@bp.get("/docs")
def page() -> str:
    """Every operation by kind of thing, with fields, answers and an example."""
    described = rest.description(current_app)
    operations = list(_operations(described))
    groups = [
        {**tag, "operations": [one for one in operations if tag["name"] in one["tags"]]}
        for tag in sorted(described["tags"], key=lambda tag: str(tag["name"]))
    ]
    return render_template(
        "reference/page.html", described=described, groups=groups, notes=rest.NOTES, pieces=_pieces
    )


def _pieces(text: str) -> list[tuple[bool, str]]:
    """A text cut at its backticks: (whether it is code, piece)."""
    return [(place % 2 == 1, piece) for place, piece in enumerate(text.split("`"))]


def _operations(described: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in described["paths"].items():
        shared = methods.get("parameters", [])
        for method, operation in methods.items():
            if method == "parameters":
                continue
            body = _schema(operation.get("requestBody"))
            yield {
                "description": "",
                **operation,
                "method": method.upper(),
                "path": path,
                "scope": operation["security"][0]["token"][0],
                "inputs": [{"description": "", **one} for one in (*shared, *operation.get("parameters", []))],
                "fields": list(_fields(described, body)) if body else [],
                "results": list(_results(described, operation)),
            }


def _results(described: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for status, response in operation["responses"].items():
        found = _resolved(described, response)
        shape = _schema(found) if int(status) < 400 else None
        yield {
            "status": status,
            "description": found["description"],
            "fields": list(_fields(described, shape)) if shape else [],
        }


def _schema(content: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The schema of a request body or an answer."""
    for described in ((content or {}).get("content") or {}).values():
        found: Mapping[str, Any] = described["schema"]
        return found
    return None


def _resolved(described: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in part:
        target: Any = described
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = target
    return part


def _fields(
    described: Mapping[str, Any], schema: Mapping[str, Any], path: str = "", depth: int = 0
) -> Iterator[dict[str, Any]]:
    """Every field below a schema, by path: ``contact.phone``, ``items[].id``."""
    found = _resolved(described, schema)
    for name, inner in found.get("properties", {}).items():
        below = _resolved(described, inner)
        where = f"{path}{name}"
        yield {
            "path": where,
            "kind": _kind(below),
            "required": name in found.get("required", ()),
            "description": inner.get("description", ""),
            "choices": [choice for choice in below.get("enum", ()) if choice is not None],
        }
        if depth < _DEEPEST:
            items = below.get("items")
            deeper = (items, f"{where}[].") if items else (below, f"{where}.")
            yield from _fields(described, deeper[0], deeper[1], depth + 1)


def _kind(schema: Mapping[str, Any]) -> str:
    if "oneOf" in schema:
        return "true | object"
    kind = schema.get("type", "any")
    words = " | ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{words} ({schema['format']})" if "format" in schema else words
