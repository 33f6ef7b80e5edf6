"""The console's menu: each screen that wants a place in it says so with ``NAV``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from flask import Flask, request

from growth_engine.kit import web


@dataclass(frozen=True, slots=True)
class NavItem:
    """One line of the menu. A screen module exposes ``NAV = NavItem(…)``."""

    endpoint: str
    label: str
    """Message id."""
    icon: str
    """Name of a Tabler icon in ``static/icons.svg``."""
    order: int
    roles: tuple[str, ...] = ()
    """Who sees it besides an admin; empty: every member of staff."""
    blueprints: tuple[str, ...] = ()
    """Blueprints whose pages belong under this line, besides the endpoint's own."""

    def active(self) -> bool:
        own = self.endpoint.split(".")[0]
        return request.blueprint == own or request.blueprint in self.blueprints

    def for_role(self, role: str) -> bool:
        # Unlike access, the menu does not show an administrator what is made for sales alone.
        return not self.roles or role in self.roles or (role == "admin" and self.roles != ("sales",))


def collect(app: Flask, modules: Sequence[ModuleType]) -> None:
    items = [module.NAV for module in modules if isinstance(getattr(module, "NAV", None), NavItem)]
    app.extensions["growth.nav"] = sorted(items, key=lambda item: (item.order, item.endpoint))


def menu() -> list[NavItem]:
    """What the person signed in may open, in order."""
    who = web.signed_in()
    items: Sequence[NavItem] = web.kept("nav", ())
    return [item for item in items if who and item.for_role(who.role)]
