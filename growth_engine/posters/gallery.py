"""The ready templates that come with the program, as documents."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from growth_engine.kit.errors import NotFound
from growth_engine.kit.i18n import N_
from growth_engine.posters.rules import Template
from growth_engine.posters.schemas import load_template


class UnknownTemplate(NotFound):
    code = "poster_template_unknown"
    message = N_("There is no ready poster template of this name.")


@cache
def slugs() -> tuple[str, ...]:
    """Names of the ready templates: one JSON file each in ``templates/``, found, not listed."""
    folder = files("growth_engine.posters") / "templates"
    return tuple(sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json")))


def document(slug: str) -> dict[str, Any]:
    """A fresh copy of a ready template's document, to be changed freely."""
    if slug not in slugs():
        raise UnknownTemplate
    file = files("growth_engine.posters") / "templates" / f"{slug}.json"
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return made


@cache
def template(slug: str) -> Template:
    return load_template(document(slug))
