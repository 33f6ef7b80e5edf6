"""Plays are found, not listed: every module in ``campaigns/`` that speaks the play contract."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import cast

from growth_engine.kit.errors import Misconfigured, NotFound
from growth_engine.kit.i18n import N_
from growth_engine.plays.contract import Play, SharedConfig

PACKAGE = "campaigns"
_NEEDED = ("slug", "title", "summary", "Config", "scope", "stock", "decide", "page", "promise")


@cache
def plays() -> Mapping[str, Play]:
    """Every play by slug; an incomplete or duplicate play stops the boot."""
    found: dict[str, Play] = {}
    package = importlib.import_module(PACKAGE)
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.ispkg:
            continue
        module = importlib.import_module(f"{PACKAGE}.{info.name}")
        missing = [name for name in _NEEDED if not hasattr(module, name)]
        if missing:
            raise Misconfigured(f"{PACKAGE}/{info.name}.py is not a play: it lacks {', '.join(missing)}.")
        play = cast(Play, module)
        if not issubclass(play.Config, SharedConfig):
            raise Misconfigured(f"{PACKAGE}/{info.name}.py: Config must extend SharedConfig.")
        if play.slug in found:
            raise Misconfigured(f"Two plays are called {play.slug!r}: rename one in {PACKAGE}/.")
        found[play.slug] = play
    return found


def play(slug: str) -> Play:
    try:
        return plays()[slug]
    except KeyError:
        raise NotFound(N_("There is no play of this name."), code="unknown_play") from None
