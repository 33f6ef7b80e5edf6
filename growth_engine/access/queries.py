"""Every select of access; the ``ge_…`` directory functions answer before a workspace is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from growth_engine.access.models import ApiToken, Staff, Workspace


@dataclass(frozen=True, slots=True)
class TokenRow:
    workspace_id: str
    token_id: str
    scopes: frozenset[str]
    revoked: bool


@dataclass(frozen=True, slots=True)
class Account:
    """One place an email address can sign in to."""

    workspace_id: str
    staff_id: str
    password_hash: str | None
    disabled: bool


def workspace_id_of(session: Session, slug: str) -> str | None:
    return session.execute(text("SELECT ge_workspace_by_slug(:slug)"), {"slug": slug}).scalar()


def workspace_ids(session: Session) -> list[str]:
    return list(session.execute(text("SELECT ge_workspaces()")).scalars())


def token_by_hash(session: Session, digest: bytes) -> TokenRow | None:
    row = session.execute(
        text("SELECT workspace_id, token_id, scopes, revoked FROM ge_token(:hash)"), {"hash": digest}
    ).one_or_none()
    return TokenRow(row.workspace_id, row.token_id, frozenset(row.scopes), row.revoked) if row else None


def accounts_of(session: Session, email: str) -> list[Account]:
    rows = session.execute(
        text("SELECT workspace_id, staff_id, password_hash, disabled FROM ge_staff_by_email(:email)"),
        {"email": email},
    )
    return [Account(row.workspace_id, row.staff_id, row.password_hash, row.disabled) for row in rows]


def workspace(session: Session, workspace_id: str) -> Workspace | None:
    return session.get(Workspace, workspace_id)


def staff(session: Session, staff_id: str, *, lock: bool = False) -> Staff | None:
    """A member of staff of this transaction's workspace."""
    query = select(Staff).where(Staff.id == staff_id)
    return session.execute(query.with_for_update() if lock else query).scalar_one_or_none()


def staff_by_email(session: Session, email: str) -> Staff | None:
    return session.execute(select(Staff).where(Staff.email == email)).scalar_one_or_none()


def staff_and_workspace(session: Session, staff_id: str) -> tuple[Staff, Workspace] | None:
    row = session.execute(
        select(Staff, Workspace)
        .join(Workspace, Workspace.id == Staff.workspace_id)
        .where(Staff.id == staff_id)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def all_staff(session: Session) -> Sequence[Staff]:
    return session.execute(select(Staff).order_by(Staff.disabled_at.nulls_first(), Staff.id)).scalars().all()


def active_admins(session: Session) -> int:
    """How many administrators can sign in; their rows stay locked, so that two cannot leave at once.

    Locked in one order, and to be asked before any other row of staff is locked: two administrators who
    disable each other would wait for each other else.
    """
    admins = select(Staff.id).where(Staff.role == "admin", Staff.disabled_at.is_(None))
    return len(session.execute(admins.order_by(Staff.id).with_for_update()).all())


def all_tokens(session: Session) -> Sequence[ApiToken]:
    query = select(ApiToken).order_by(ApiToken.revoked_at.nulls_first(), ApiToken.id.desc())
    return session.execute(query).scalars().all()


def token(session: Session, token_id: str) -> ApiToken | None:
    return session.get(ApiToken, token_id)
