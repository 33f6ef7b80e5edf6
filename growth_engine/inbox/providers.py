"""Webhook providers are found, not listed: every module in ``webhooks/`` that speaks the contract."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import cast

from growth_engine.inbox.contract import Provider
from growth_engine.kit.errors import Misconfigured, NotFound
from growth_engine.kit.i18n import N_

PACKAGE = "webhooks"
_NEEDED = (
    "slug", "title", "headers", "answer_seconds", "challenge", "verify", "parse", "acknowledge", "refuse",
)  # fmt: skip


@cache
def providers() -> Mapping[str, Provider]:
    """Every provider by slug; an incomplete or duplicate one stops the boot."""
    found: dict[str, Provider] = {}
    package = importlib.import_module(PACKAGE)
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.ispkg or info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{PACKAGE}.{info.name}")
        missing = [name for name in _NEEDED if not hasattr(module, name)]
        if missing:
            raise Misconfigured(f"{PACKAGE}/{info.name}.py is no provider: it lacks {', '.join(missing)}.")
        one = cast(Provider, module)
        if one.slug in found:
            raise Misconfigured(f"Two providers are called {one.slug!r}: rename one in {PACKAGE}/.")
        found[one.slug] = one
    return found


def provider(slug: str) -> Provider:
    try:
        return providers()[slug]
    except KeyError:
        raise NotFound(N_("There is no provider of this name."), code="unknown_provider") from None
