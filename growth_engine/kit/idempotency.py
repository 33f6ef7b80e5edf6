"""``Idempotency-Key``: a write sent twice happens once, and the second caller gets the first one's answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.kit.jobs import job

if TYPE_CHECKING:
    from growth_engine.context import Parts

#: A request that has not answered after so long has died; its key may be tried again.
LEASE = timedelta(seconds=30)
#: Answers are kept this long.
KEPT = timedelta(days=7)
_SWEEP_BATCH = 5_000
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class KeyReused(Invalid):
    code = "idempotency_key_reused"
    message = N_("This Idempotency-Key was used with another request body. Use a new key for a new request.")


class StillRunning(Conflict):
    code = "idempotency_running"
    message = N_("The first request with this Idempotency-Key is still running. Ask again in a moment.")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request was answered; ``body`` is JSON, empty for none."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry out the request of a key, until the lease ends."""

    workspace_id: str
    scope: str
    key: str
    at: datetime

    def _names(self) -> dict[str, Any]:
        return {"workspace_id": self.workspace_id, "scope": self.scope, "key": self.key, "at": self.at}

    def fulfil(self, session: Session, answer: StoredAnswer) -> None:
        """Store the answer, in the transaction of the write itself where there is one.

        Raises StillRunning when the lease ended meanwhile and somebody else took over: the caller's
        transaction must not commit then.
        """
        body = answer.body.decode() if answer.body else None
        stored = session.execute(_FULFIL, {**self._names(), "status": answer.status, "body": body})
        if stored.first() is None:
            raise StillRunning(extra={"retry_after": 1})

    def keep_refusal(self, session: Session, answer: StoredAnswer) -> None:
        """Store that the request was refused; nothing happens when somebody else took over meanwhile."""
        names = {**self._names(), "status": answer.status, "body": answer.body.decode()}
        session.execute(_FULFIL, names)

    def release(self, session: Session) -> None:
        """Nothing was done: let the next request with this key try."""
        session.execute(_RELEASE, self._names())


def checked_key(key: str) -> str:
    """The header's value; raises Invalid for what is no key."""
    if _KEY.fullmatch(key) is None:
        raise Invalid(fields={"Idempotency-Key": [N_("Use 1 to 200 visible ASCII characters.")]})
    return key


def claim(parts: Parts, workspace_id: str, scope: str, key: str, payload_hash: bytes) -> Claim | StoredAnswer:
    """Claim a key, or get what is known of it. Raises KeyReused and StillRunning.

    The claim commits by itself, so that whoever comes second sees it.
    """
    now = parts.clock.now()
    mine = Claim(workspace_id, scope, key, now)
    names = {
        "workspace_id": workspace_id,
        "scope": scope,
        "key": key,
        "hash": payload_hash,
        "at": now,
        "expired": now - LEASE,
    }
    with parts.db.transaction(workspace_id) as session:
        if session.execute(_CLAIM, names).first() is not None:
            return mine
        found = session.execute(_KNOWN, names).first()
    if found is None:  # released between the two statements
        raise StillRunning(extra={"retry_after": 1})
    if bytes(found.payload_hash) != payload_hash:
        raise KeyReused
    if found.status is None:
        raise StillRunning(extra={"retry_after": 1})
    return StoredAnswer(found.status, orjson.dumps(found.body) if found.body is not None else b"")


_CLAIM = text(
    "INSERT INTO idempotency_keys AS k (workspace_id, scope, key, payload_hash, created_at)"
    " VALUES (:workspace_id, :scope, :key, :hash, :at)"
    " ON CONFLICT (workspace_id, scope, key) DO UPDATE SET created_at = :at"
    "  WHERE k.status IS NULL AND k.created_at < :expired AND k.payload_hash = :hash"
    " RETURNING 1"
)
_MINE = "workspace_id = :workspace_id AND scope = :scope AND key = :key"
_KNOWN = text(f"SELECT payload_hash, status, body FROM idempotency_keys WHERE {_MINE}")  # noqa: S608
_FULFIL = text(
    "UPDATE idempotency_keys SET status = :status, body = CAST(:body AS jsonb)"  # noqa: S608
    f" WHERE {_MINE} AND status IS NULL AND created_at = :at RETURNING 1"
)
_RELEASE = text(
    f"DELETE FROM idempotency_keys WHERE {_MINE} AND status IS NULL AND created_at = :at"  # noqa: S608
)
_FORGET = text(
    "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY("
    " SELECT ctid FROM idempotency_keys WHERE workspace_id = :workspace_id AND created_at < :before"
    " LIMIT :most)) RETURNING 1"
)


@job("idempotency.forget", every=3600, scope="every_workspace")
def forget(parts: Parts, workspace_id: str) -> int:
    """Delete answers kept long enough; how many."""
    names = {"workspace_id": workspace_id, "before": parts.clock.now() - KEPT, "most": _SWEEP_BATCH}
    with parts.db.transaction(workspace_id) as session:
        return len(session.execute(_FORGET, names).all())
