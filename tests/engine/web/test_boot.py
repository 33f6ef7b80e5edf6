"""What stops the boot: two screens of one name or address, two templates of one name."""

from __future__ import annotations

from types import ModuleType

import pytest
from flask import Blueprint, Flask

from growth_engine import app as composition
from growth_engine.kit.errors import Misconfigured


def _screen(name: str, path: str) -> ModuleType:
    module = ModuleType(f"screens_{name}")
    blueprint = Blueprint(name, __name__)
    blueprint.add_url_rule(path, "show", lambda: "")
    module.bp = blueprint  # type: ignore[attr-defined]
    return module


def test_two_screens_of_one_name_stop_the_boot() -> None:
    with pytest.raises(Misconfigured, match="Two screens are called 'a'"):
        composition._register_screens(Flask("x"), [_screen("a", "/a"), _screen("a", "/b")])


def test_two_screens_at_one_address_stop_the_boot() -> None:
    with pytest.raises(Misconfigured, match="GET /a belongs to both"):
        composition._register_screens(Flask("x"), [_screen("a", "/a"), _screen("b", "/a")])


def test_every_screen_found_is_served(app: Flask) -> None:
    assert {"assets", "console", "ops", "profile", "sales_home", "signin", "staff", "tokens"} <= set(
        app.blueprints
    )
