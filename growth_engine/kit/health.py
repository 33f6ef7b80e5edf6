"""Is every part of the product up? One answer for load balancers, operators and the start-up screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text

from growth_engine.kit import alive

if TYPE_CHECKING:
    from growth_engine.context import Parts

log = structlog.get_logger(__name__)

UP = "up"


class Down(Exception):
    """A part does not do its work; the text says which and why, without secrets."""


def check(parts: Parts) -> dict[str, str]:
    """The state of each part by name: ``up``, or ``down: why`` in a few words."""
    return {name: _state(name, look, parts) for name, look in _LOOKS.items()}


def is_up(states: dict[str, str]) -> bool:
    return all(state == UP for state in states.values())


def _state(name: str, look: Callable[[Parts], None], parts: Parts) -> str:
    try:
        look(parts)
    except Exception as error:
        # Whoever asks may be anybody: the kind of failure goes out, its text into the log.
        why = str(error) if isinstance(error, Down) else type(error).__name__
        log.warning("part is down", part=name, error=str(error).partition("\n")[0])
        return f"down: {why}"
    return UP


def _database(parts: Parts) -> None:
    with parts.db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _queue(parts: Parts) -> None:
    parts.queue.ping()


def _ledger(parts: Parts) -> None:
    parts.mirror.ping()


def _workers(parts: Parts) -> None:
    if not alive.living(parts.queue, "worker"):
        raise Down("no worker gives a sign of life")


def _cron(parts: Parts) -> None:
    if not alive.living(parts.queue, "cron"):
        raise Down("cron gives no sign of life")


_LOOKS: dict[str, Callable[[Parts], None]] = {
    "database": _database,
    "queue": _queue,
    "ledger": _ledger,
    "workers": _workers,
    "cron": _cron,
}
