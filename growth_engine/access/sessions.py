"""Sessions of staff: an opaque random cookie, its hash in the queue Redis, idle and absolute ends."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import orjson
from flask import g, request
from werkzeug.wrappers import Response

from growth_engine.access import queries
from growth_engine.access.models import Staff, Workspace
from growth_engine.context import Actor, Parts
from growth_engine.kit import web

IDLE = timedelta(days=3)
ABSOLUTE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Session:
    workspace_id: str
    staff_id: str
    began_at: datetime
    generation: str
    """``staff.sessions_valid_from`` at sign-in; the session ends when that changes."""


def cookie_name(parts: Parts) -> str:
    """Under https the ``__Host-`` prefix keeps other subdomains from planting the cookie."""
    return "__Host-ge_session" if parts.settings.secure_cookies else "ge_session"


def begin(parts: Parts, staff: Staff) -> str:
    """A new session for this person; returns the cookie's value. It is never one that existed before."""
    token = secrets.token_urlsafe(32)
    document = orjson.dumps(
        {
            "workspace_id": staff.workspace_id,
            "staff_id": staff.id,
            "began_at": parts.clock.now(),
            "generation": staff.sessions_valid_from.isoformat(),
        }
    )
    parts.queue.set(_key(_name(token)), document, ex=int(IDLE.total_seconds()))
    return token


def end(parts: Parts, token: str) -> None:
    parts.queue.delete(_key(_name(token)))


def sign_in(response: Response, staff: Staff) -> Response:
    """Give the browser a new session; the one it had, if any, ends (rotation)."""
    parts = web.parts()
    old = request.cookies.get(cookie_name(parts))
    if old:
        end(parts, old)
    token = begin(parts, staff)
    web.set_cookie(response, cookie_name(parts), token, max_age=int(ABSOLUTE.total_seconds()))
    return response


def sign_out(response: Response) -> Response:
    parts = web.parts()
    old = request.cookies.get(cookie_name(parts))
    if old:
        end(parts, old)
    response.delete_cookie(
        cookie_name(parts), path="/", secure=parts.settings.secure_cookies, httponly=True, samesite="Lax"
    )
    return response


def identify() -> None:
    """Before a request: find out from the cookie who is signed in, and act for them."""
    parts = web.parts()
    token = request.cookies.get(cookie_name(parts))
    if not token or request.path.startswith("/api/"):
        return
    found = _read(parts, token)
    if found is None:
        return
    with parts.db.transaction(found.workspace_id) as session:
        row = queries.staff_and_workspace(session, found.staff_id)
    if row is None or not _is_valid(found, row[0]):
        end(parts, token)
        return
    _act_as(_name(token), *row)


def _act_as(name: str, staff: Staff, workspace: Workspace) -> None:
    g.signed_in = web.SignedIn(staff.id, staff.email, staff.name, staff.role, staff.locale, name)
    g.place = web.Place(workspace.id, workspace.slug, workspace.name, workspace.timezone, workspace.locale)
    web.act_as(workspace.id, Actor("staff", staff.id, role=staff.role))


def _read(parts: Parts, token: str) -> _Session | None:
    if len(token) > 100:
        return None
    raw = cast("bytes | None", parts.queue.getex(_key(_name(token)), ex=int(IDLE.total_seconds())))
    if raw is None:
        return None
    document = orjson.loads(raw)
    began_at = datetime.fromisoformat(document["began_at"])
    if parts.clock.now() - began_at > ABSOLUTE:
        end(parts, token)
        return None
    return _Session(document["workspace_id"], document["staff_id"], began_at, document["generation"])


def _is_valid(session: _Session, staff: Staff) -> bool:
    return staff.disabled_at is None and staff.sessions_valid_from.isoformat() == session.generation


def _name(token: str) -> str:
    """What Redis knows of a session: the cookie cannot be made from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _key(name: str) -> str:
    return f"ge:session:{name}"
