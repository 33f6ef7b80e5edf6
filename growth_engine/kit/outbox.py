"""The outbox: domain events written with their cause, each reaction run once per event after the commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from growth_engine.kit import discovery
from growth_engine.kit.jobs import job

if TYPE_CHECKING:
    from growth_engine.context import Ctx, Parts

log = structlog.get_logger(__name__)

BATCH = 50
#: Tries before an event is called stuck: the waits double from 5 s to an hour, about five hours in all.
ATTEMPTS = 14
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
KEEP_DONE = timedelta(days=30)

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Handler:
    name: str
    event: type[Any]
    run: Callable[[Ctx, Any], None]


def _load() -> None:
    discovery.find("reactions")


registry: discovery.Registry[Handler] = discovery.Registry("reaction", _load)


def reaction(event: type[E]) -> Callable[[Callable[[Ctx, E], None]], Callable[[Ctx, E], None]]:
    """Declare ``(ctx, event) -> None`` as a reaction: run once per event, in its own transaction."""

    def declare(run: Callable[[Ctx, E], None]) -> Callable[[Ctx, E], None]:
        name = f"{run.__module__.removeprefix('growth_engine.')}.{run.__qualname__}"
        registry.add(name, Handler(name, event, run))
        return run

    return declare


def _by_event() -> dict[str, list[Handler]]:
    handlers: dict[str, list[Handler]] = defaultdict(list)
    for handler in registry.values():
        handlers[handler.event.__name__].append(handler)
    return handlers


@job("outbox.drain", every=5)
def drain(parts: Parts, workspace_id: str) -> int:
    """Deliver a batch of due events to their reactions; one that fails waits, the others go on."""
    handlers = _by_event()
    with parts.db.transaction(workspace_id) as session:
        rows = session.execute(_CLAIM, {"now": parts.clock.now(), "batch": BATCH}).mappings().all()
        for row in rows:
            delivered = set(session.execute(_DELIVERED, {"event_id": row["id"]}).scalars())
            waiting = [h for h in handlers.get(row["name"], ()) if h.name not in delivered]
            errors = [error for h in waiting if (error := _deliver(parts, workspace_id, row, h))]
            _settle(parts, session, row, errors)
    return len(rows)


def _deliver(parts: Parts, workspace_id: str, row: Any, handler: Handler) -> str | None:
    """Run one reaction together with the record of its delivery; the error when it failed."""
    try:
        with parts.open(workspace_id) as ctx:
            record = {
                "event_id": row["id"],
                "handler": handler.name,
                "workspace_id": workspace_id,
                "now": ctx.now(),
            }
            if ctx.session.execute(_RECORD, record).first() is not None:
                handler.run(ctx, handler.event(**row["payload"]))
    except Exception as error:
        log.exception("reaction failed", event_id=row["id"], event_name=row["name"], handler=handler.name)
        return f"{handler.name}: {type(error).__name__}: {error}"
    return None


def _settle(parts: Parts, session: Session, row: Any, errors: list[str]) -> None:
    now = parts.clock.now()
    attempts = row["attempts"] + 1
    values: dict[str, Any] = {"id": row["id"], "attempts": attempts, "now": now}
    if not errors:
        session.execute(_DONE, values)
        return
    wait = min(FIRST_WAIT * 2 ** row["attempts"], LONGEST_WAIT)
    stuck_at = now if attempts >= ATTEMPTS else None
    session.execute(
        _FAILED, values | {"next_at": now + wait, "stuck_at": stuck_at, "error": "\n".join(errors)[:2000]}
    )
    if stuck_at:
        log.error("event is stuck: see growth-engine jobs stuck", event_id=row["id"], event_name=row["name"])


@dataclass(frozen=True, slots=True)
class Stuck:
    """An event whose reactions failed too often; it stays until ``retry``."""

    id: str
    name: str
    attempts: int
    error: str


def stuck(session: Session) -> list[Stuck]:
    """The events of this workspace that gave up."""
    return [Stuck(**row) for row in session.execute(_STUCK).mappings()]


def retry(parts: Parts, workspace_id: str) -> int:
    """Let every stuck event of a workspace try again now; how many."""
    with parts.open(workspace_id) as ctx:
        count = len(ctx.session.execute(_RETRY, {"now": ctx.now()}).all())
        ctx.ring("outbox.drain")
    return count


@job("outbox.prune", every=3600, scope="every_workspace")
def prune(parts: Parts, workspace_id: str) -> int:
    """Forget events delivered more than a month ago."""
    with parts.db.transaction(workspace_id) as session:
        return len(session.execute(_PRUNE, {"before": parts.clock.now() - KEEP_DONE}).all())


# NO KEY UPDATE: the delivery records, written by another connection, refer to the claimed row.
_CLAIM = text(
    "SELECT id, name, payload, attempts FROM outbox"
    " WHERE done_at IS NULL AND stuck_at IS NULL AND next_at <= :now"
    " ORDER BY next_at, id LIMIT :batch FOR NO KEY UPDATE SKIP LOCKED"
)
_DELIVERED = text("SELECT handler FROM outbox_deliveries WHERE event_id = :event_id")
_RECORD = text(
    "INSERT INTO outbox_deliveries (workspace_id, event_id, handler, delivered_at)"
    " VALUES (:workspace_id, :event_id, :handler, :now) ON CONFLICT DO NOTHING RETURNING handler"
)
_DONE = text("UPDATE outbox SET done_at = :now, attempts = :attempts, last_error = NULL WHERE id = :id")
_FAILED = text(
    "UPDATE outbox SET attempts = :attempts, next_at = :next_at, stuck_at = :stuck_at, last_error = :error"
    " WHERE id = :id"
)
_STUCK = text(
    "SELECT id, name, attempts, coalesce(last_error, '') AS error FROM outbox"
    " WHERE stuck_at IS NOT NULL ORDER BY id LIMIT 500"
)
_RETRY = text(
    "UPDATE outbox SET stuck_at = NULL, attempts = 0, next_at = :now WHERE stuck_at IS NOT NULL RETURNING id"
)
_PRUNE = text(
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE done_at < :before LIMIT 1000) RETURNING id"
)
