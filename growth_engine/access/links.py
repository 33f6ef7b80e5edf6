"""One-time sign-in links: 256 random bits, kept hashed in the queue Redis, good for exactly one use."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import orjson

from growth_engine.access import queries, rules
from growth_engine.access.models import Staff
from growth_engine.context import Parts
from growth_engine.kit.errors import Conflict, NotFound
from growth_engine.kit.i18n import N_

SHORTEST = timedelta(minutes=15)
LONGEST = timedelta(hours=24)


class NoSuchStaff(NotFound):
    code = "no_such_staff"
    message = N_("Nobody in this workspace has the email address %(email)s.")


class StaffDisabled(Conflict):
    code = "staff_disabled"
    message = N_("This person may not sign in. Enable them first.")


class LinkSpent(NotFound):
    """Used already, too old, or never ours: which one is not told."""

    code = "link_spent"
    message = N_("This link was used already or is too old. Ask for a new one.")


@dataclass(frozen=True, slots=True)
class LinkTarget:
    workspace_id: str
    staff_id: str
    email: str


def create_sign_in_link(parts: Parts, workspace_id: str, email: str, *, ttl: timedelta = SHORTEST) -> str:
    """The full address of a new one-time link, good for 15 minutes to 24 hours.

    Raises NoSuchStaff and StaffDisabled.
    """
    email = rules.tidy_email(email)
    with parts.db.transaction(workspace_id) as session:
        staff = queries.staff_by_email(session, email)
    if staff is None:
        raise NoSuchStaff(params={"email": email})
    if staff.disabled_at is not None:
        raise StaffDisabled
    token = secrets.token_urlsafe(32)
    document = orjson.dumps({"workspace_id": workspace_id, "staff_id": staff.id, "email": email})
    seconds = int(min(max(ttl, SHORTEST), LONGEST).total_seconds())
    parts.queue.set(_key(token), document, ex=seconds)
    return f"{parts.settings.public_url.rstrip('/')}/sign-in/link/{token}"


def look_at(parts: Parts, token: str) -> LinkTarget:
    """Whom a link is for, without using it (a preview in a chat opens links too); raises LinkSpent."""
    return _target(cast("bytes | None", parts.queue.get(_key(token))))


def use(parts: Parts, token: str) -> Staff:
    """Use the link up and return who signs in; of many at once exactly one succeeds, the others LinkSpent."""
    target = _target(cast("bytes | None", parts.queue.getdel(_key(token))))
    with parts.db.transaction(target.workspace_id) as session:
        staff = queries.staff(session, target.staff_id)
    if staff is None or staff.disabled_at is not None:
        raise LinkSpent
    return staff


def _target(raw: bytes | None) -> LinkTarget:
    if raw is None:
        raise LinkSpent
    return LinkTarget(**orjson.loads(raw))


def _key(token: str) -> str:
    return f"ge:link:{hashlib.sha256(token.encode()).hexdigest()}"
