"""API tokens on the hot path: from the bearer's secret to workspace and scopes, kept for two seconds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlalchemy import or_, update

from growth_engine.access import queries, rules
from growth_engine.access.models import ApiToken
from growth_engine.context import Actor, Parts
from growth_engine.kit.crypto import digest
from growth_engine.kit.errors import Forbidden, Unauthorized
from growth_engine.kit.i18n import N_

PREFIX = "ge_"
#: A revoked token is refused everywhere at the latest after this.
REMEMBERED = timedelta(seconds=2)
_USE_NOTED = timedelta(minutes=1)
_MOST_REMEMBERED = 10_000
_SHAPE = re.compile(r"ge_[A-Za-z0-9_-]{43}")

_Known = tuple[datetime, str, Actor]
# Keyed by the database too: one process may hold two sets of parts (tests, the embedded default).
_known: dict[tuple[str, bytes], _Known] = {}
_noted: dict[str, datetime] = {}


class BadToken(Unauthorized):
    code = "bad_token"
    message = N_("This API token is unknown or was revoked.")


class ScopeMissing(Forbidden):
    code = "scope_missing"
    message = N_("This API token lacks the scope %(scope)s.")


def authenticate_token(parts: Parts, token: str) -> tuple[str, Actor]:
    """Workspace and actor of a bearer token; raises BadToken."""
    if _SHAPE.fullmatch(token) is None:
        raise BadToken
    now = parts.clock.now()
    key = (parts.settings.database_url, digest(token))
    known = _known.get(key)
    if known is not None and now < known[0]:
        return known[1], known[2]
    with parts.db.transaction(None) as session:
        row = queries.token_by_hash(session, key[1])
    if row is None or row.revoked:
        _known.pop(key, None)
        raise BadToken
    if len(_known) >= _MOST_REMEMBERED:
        _known.clear()
    actor = Actor("token", row.token_id, scopes=row.scopes)
    _known[key] = (now + REMEMBERED, row.workspace_id, actor)
    _note_use(parts, row.workspace_id, row.token_id, now)
    return row.workspace_id, actor


def require_scope(actor: Actor, scope: str) -> None:
    """Raises ScopeMissing unless the token's scopes include ``scope``."""
    if not rules.allows(actor.scopes, scope):
        raise ScopeMissing(params={"scope": scope}, extra={"scope": scope})


def forget(parts: Parts, token_hash: bytes) -> None:
    """Refuse a token in this process at once; others follow within ``REMEMBERED``."""
    _known.pop((parts.settings.database_url, token_hash), None)


def _note_use(parts: Parts, workspace_id: str, token_id: str, now: datetime) -> None:
    """Remember the last use, at most once a minute a token: a write for each request would be the load."""
    if now < _noted.get(token_id, now):
        return
    if len(_noted) >= _MOST_REMEMBERED:
        _noted.clear()
    _noted[token_id] = now + _USE_NOTED
    unused = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= now - _USE_NOTED)
    with parts.db.transaction(workspace_id) as session:
        session.execute(update(ApiToken).where(ApiToken.id == token_id, unused).values(last_used_at=now))
