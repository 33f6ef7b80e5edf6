"""What one request or one job works with: the parts of the program, one transaction, one actor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from growth_engine.kit.clock import Clock
from growth_engine.kit.ids import Ids
from growth_engine.kit.tx import Database
from growth_engine.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

    from growth_engine.events import DomainEvent


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a member of staff, an API token, a contact on the phone page, or the program itself."""

    kind: Literal["staff", "token", "contact", "system"]
    id: str
    role: str = ""
    """Staff only: admin, marketer or sales."""
    scopes: frozenset[str] = frozenset()
    """API tokens only; ``*`` means all."""


SYSTEM = Actor("system", "system")


class Bell(Protocol):
    """The doorbell: tells a worker that rows wait. Losing a ring is harmless, cron rings again."""

    def ring(self, job: str, workspace_id: str) -> None: ...

    def ring_all(self, jobs: Sequence[str], workspace_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The long-lived parts of one process, built by ``app.build_parts`` and nowhere else."""

    settings: Settings
    db: Database
    clock: Clock
    ids: Ids
    queue: Redis
    """Client of the queue Redis: sessions, rate limits, doorbells."""
    bell: Bell
    mirror: Any
    """``ledger.mirror.Mirror``."""
    ledger: Any
    """``ledger.poster.Poster``: hands Events to the books."""
    storage: Any
    """``channels.storage.Storage``: pictures by content hash."""
    sms: Any
    """``channels.sms.SmsProvider``."""
    gear: Any = None
    """``channels.wire.Gear``: the process's connections to WeChat, WeCom and WeChat Pay."""
    close_hooks: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def open(self, workspace_id: str, actor: Actor = SYSTEM, *, lazily: bool = False) -> Iterator[Ctx]:
        """A ``Ctx`` around one transaction; doorbells asked for inside ring after the commit.

        ``lazily``: the transaction begins with the first statement, if there is one.
        """
        rings: list[str] = []
        with self.db.transaction(workspace_id, lazily=lazily) as session:
            yield Ctx(self, session, workspace_id, actor, rings)
        if rings:
            self.bell.ring_all(list(dict.fromkeys(rings)), workspace_id)

    def close(self) -> None:
        for hook in reversed(self.close_hooks):
            hook()


@dataclass(frozen=True, slots=True)
class Ctx:
    """One request or job: one transaction in one workspace, for one actor."""

    parts: Parts
    session: Session
    workspace_id: str
    actor: Actor
    _rings: list[str]

    def now(self) -> datetime:
        return self.parts.clock.now()

    def new_id(self, prefix: str) -> str:
        return self.parts.ids.new(prefix)

    def ring(self, job: str) -> None:
        """Ring the doorbell of ``job`` for this workspace once the transaction has committed."""
        self._rings.append(job)

    def publish(self, *events: DomainEvent) -> None:
        """Write domain events to the outbox, in this transaction; reactions run after the commit."""
        if not events:
            return
        rows = [
            {"id": self.new_id("evt"), "name": type(event).__name__, "payload": event} for event in events
        ]
        self.session.execute(
            _PUBLISH,
            # One JSON text costs a fraction of what arrays of columns cost to send.
            {"rows": orjson.dumps(rows).decode(), "workspace_id": self.workspace_id, "at": self.now()},
        )
        self.ring("outbox.drain")


_PUBLISH = text(
    "INSERT INTO outbox (id, workspace_id, name, payload, occurred_at, next_at)"
    " SELECT n.id, :workspace_id, n.name, n.payload, :at, :at"
    " FROM json_to_recordset(CAST(:rows AS json)) AS n (id text, name text, payload jsonb)"
)
