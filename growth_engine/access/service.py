"""Commands of access: workspaces, staff, passwords, sign-in, API tokens."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from growth_engine.access import lockout, passwords, queries, rules, tokens
from growth_engine.access.models import ApiToken, Staff, Workspace
from growth_engine.context import Ctx, Parts
from growth_engine.kit.crypto import digest
from growth_engine.kit.errors import Conflict, Invalid, NotFound, Unauthorized
from growth_engine.kit.i18n import LOCALES, N_, is_timezone


class SlugTaken(Conflict):
    code = "slug_taken"
    message = N_("There is a workspace called %(slug)s already.")


class EmailTaken(Conflict):
    code = "email_taken"
    message = N_("Somebody in this workspace has this email address already.")


class WrongCredentials(Unauthorized):
    """One answer for an unknown email, a wrong password and a disabled account."""

    code = "wrong_credentials"
    message = N_("Email or password is not right.")


class LastAdmin(Conflict):
    code = "last_admin"
    message = N_("Somebody must stay administrator. Make another person administrator first.")


class StaffNotFound(NotFound):
    code = "staff_not_found"
    message = N_("This person is not in your workspace.")


class TokenNotFound(NotFound):
    code = "token_not_found"
    message = N_("There is no such API token.")


# -- workspaces --------------------------------------------------------------------------------------


def create_workspace(
    parts: Parts, slug: str, name: str, timezone: str, *, locale: str = "", currency: str = "CNY"
) -> str:
    """A new workspace; returns its id. Wallets pay out ``currency``. Raises Invalid and SlugTaken."""
    locale = locale or parts.settings.default_locale
    fields: dict[str, list[str]] = {}
    if not rules.is_slug(slug):
        fields["slug"] = [N_("Use lower-case letters, digits and hyphens.")]
    if not name.strip() or len(name) > 100:
        fields["name"] = [N_("Give it a name of at most 100 characters.")]
    if not is_timezone(timezone):
        fields["timezone"] = [N_("This is not a time zone, such as Asia/Shanghai.")]
    if locale not in LOCALES:
        fields["locale"] = [N_("This language is not available.")]
    if currency not in rules.CURRENCIES:
        fields["currency"] = [N_("This currency is not available.")]
    if fields:
        raise Invalid(fields=fields)
    workspace_id = parts.ids.new("wsp")
    made = Workspace(
        id=workspace_id,
        slug=slug,
        name=name.strip(),
        timezone=timezone,
        locale=locale,
        currency=currency,
        merchant_tier="free",
        salt=secrets.token_hex(16),
        created_at=parts.clock.now(),
    )
    try:
        with parts.open(workspace_id) as ctx:
            ctx.session.add(made)
    except IntegrityError as error:
        if "uq_workspaces_slug" not in str(error.orig):
            raise
        raise SlugTaken(params={"slug": slug}) from None
    return workspace_id


# -- staff -------------------------------------------------------------------------------------------


def set_merchant_tier(ctx: Ctx, tier: str) -> None:
    """The merchant's own membership with the platform; orders placed from now on are charged for it."""
    if tier not in rules.MERCHANT_TIERS:
        raise Invalid(fields={"tier": [N_("Choose free or member.")]})
    ctx.session.execute(update(Workspace).where(Workspace.id == ctx.workspace_id).values(merchant_tier=tier))


def create_staff(
    ctx: Ctx, *, email: str, name: str, role: str, locale: str = "", password: str | None = None
) -> Staff:
    """Add a member of staff; without a password they sign in by link. Raises Invalid and EmailTaken."""
    email = rules.tidy_email(email)
    fields: dict[str, list[str]] = {}
    if not rules.is_email(email):
        fields["email"] = [N_("This is not an email address.")]
    if not name.strip() or len(name) > 60:
        fields["name"] = [N_("Give a name of at most 60 characters.")]
    if role not in rules.ROLES:
        fields["role"] = [N_("Choose a role.")]
    if fields:
        raise Invalid(fields=fields)
    if queries.staff_by_email(ctx.session, email) is not None:
        raise EmailTaken(extra={"errors": {"email": [EmailTaken.message]}})
    now = ctx.now()
    staff = Staff(
        id=ctx.new_id("stf"),
        workspace_id=ctx.workspace_id,
        email=email,
        name=name.strip(),
        role=role,
        locale=locale if locale in LOCALES else "",
        sessions_valid_from=now,
        created_at=now,
    )
    if password is not None:
        _set_password(staff, password)
    ctx.session.add(staff)
    try:
        ctx.session.flush()
    except IntegrityError as error:
        if "uq_staff_workspace_id_email" not in str(error.orig):
            raise
        raise EmailTaken(extra={"errors": {"email": [EmailTaken.message]}}) from None
    return staff


def set_password(ctx: Ctx, staff_id: str, password: str) -> Staff:
    """Set a password and end every session of this person; raises Invalid (field ``password``)."""
    staff = _staff(ctx, staff_id)
    _set_password(staff, password)
    _end_sessions(staff, ctx.now())
    return staff


def change_password(ctx: Ctx, staff_id: str, current: str, password: str) -> Staff:
    """The person's own change: the present password is asked for, where there is one."""
    staff = _staff(ctx, staff_id)
    if staff.password_hash is not None and not passwords.matches(staff.password_hash, current):
        raise Invalid(fields={"current": [N_("This is not your present password.")]})
    return set_password(ctx, staff_id, password)


def sign_out_everywhere(ctx: Ctx, staff_id: str) -> None:
    """End every session of this person, on every device."""
    _end_sessions(_staff(ctx, staff_id), ctx.now())


def change_role(ctx: Ctx, staff_id: str, role: str) -> None:
    """Raises Invalid, StaffNotFound, LastAdmin."""
    if role not in rules.ROLES:
        raise Invalid(fields={"role": [N_("Choose a role.")]})
    admins = queries.active_admins(ctx.session)
    staff = _staff(ctx, staff_id)
    if staff.role == role:
        return
    _keep_an_admin(staff, admins)
    staff.role = role


def disable(ctx: Ctx, staff_id: str) -> None:
    """Refuse this person from now on; their sessions end. Raises StaffNotFound, LastAdmin."""
    admins = queries.active_admins(ctx.session)
    staff = _staff(ctx, staff_id)
    if staff.disabled_at is not None:
        return
    _keep_an_admin(staff, admins)
    staff.disabled_at = ctx.now()
    _end_sessions(staff, ctx.now())


def enable(ctx: Ctx, staff_id: str) -> None:
    _staff(ctx, staff_id).disabled_at = None


def prefer(ctx: Ctx, staff_id: str, *, name: str, locale: str) -> None:
    """The person's own name and language (empty: follow the browser)."""
    if not name.strip() or len(name) > 60:
        raise Invalid(fields={"name": [N_("Give a name of at most 60 characters.")]})
    staff = _staff(ctx, staff_id)
    staff.name = name.strip()
    staff.locale = locale if locale in LOCALES else ""


def _staff(ctx: Ctx, staff_id: str) -> Staff:
    found = queries.staff(ctx.session, staff_id, lock=True)
    if found is None:
        raise StaffNotFound
    return found


def _set_password(staff: Staff, password: str) -> None:
    problem = rules.password_problem(password, staff.email)
    if problem:
        raise Invalid(
            problem,
            params={"least": rules.PASSWORD_MIN, "most": rules.PASSWORD_MAX},
            fields={"password": [problem]},
        )
    staff.password_hash = passwords.hash_password(password)


def _end_sessions(staff: Staff, now: datetime) -> None:
    # Sessions compare for equality, so the value must change even when the clock has not moved.
    staff.sessions_valid_from = max(now, staff.sessions_valid_from + timedelta(microseconds=1))


def _keep_an_admin(staff: Staff, admins: int) -> None:
    if staff.role == "admin" and staff.disabled_at is None and admins <= 1:
        raise LastAdmin


# -- signing in --------------------------------------------------------------------------------------


def check_password(parts: Parts, email: str, password: str, address: str) -> list[Staff]:
    """Whom this email and password sign in: one account a workspace; never empty.

    Raises LockedOut and WrongCredentials; unknown emails take the same time and get the same answer.
    """
    email = rules.tidy_email(email)[:254]
    password = password[: rules.PASSWORD_MAX + 1]
    attempt = lockout.Attempt(parts, email, address)
    attempt.begin()
    with parts.db.transaction(None) as session:
        accounts = queries.accounts_of(session, email)
    if not accounts:
        passwords.matches(None, password)
    right = [
        account
        for account in accounts
        if passwords.matches(account.password_hash, password) and not account.disabled
    ]
    if not right:
        raise WrongCredentials
    attempt.succeeded()
    return [_signed_in(parts, account, password) for account in right]


def _signed_in(parts: Parts, account: queries.Account, password: str) -> Staff:
    with parts.open(account.workspace_id) as ctx:
        staff = _staff(ctx, account.staff_id)
        if account.password_hash and passwords.is_outdated(account.password_hash):
            staff.password_hash = passwords.hash_password(password)
    return staff


def staff_to_sign_in(parts: Parts, workspace_id: str, staff_id: str, *, generation: str) -> Staff:
    """The person a signed choice names; raises WrongCredentials when they changed in between."""
    with parts.db.transaction(workspace_id) as session:
        staff = queries.staff(session, staff_id)
    if staff is None or staff.disabled_at or staff.sessions_valid_from.isoformat() != generation:
        raise WrongCredentials
    return staff


def workspace_name(parts: Parts, workspace_id: str) -> str:
    with parts.db.transaction(workspace_id) as session:
        found = queries.workspace(session, workspace_id)
    return found.name if found else ""


# -- API tokens --------------------------------------------------------------------------------------


def create_token(parts: Parts, workspace_id: str, scopes: Iterable[str], name: str) -> str:
    """A new API token, for the command line; this is the only time it can be seen."""
    with parts.open(workspace_id) as ctx:
        return issue_token(ctx, scopes, name)


def issue_token(ctx: Ctx, scopes: Iterable[str], name: str) -> str:
    """A new API token (``ge_…``, 256 random bits) in this transaction; raises Invalid."""
    wanted = list(dict.fromkeys(scope.strip() for scope in scopes if scope.strip()))
    fields: dict[str, list[str]] = {}
    if not wanted:
        fields["scopes"] = [N_("Choose at least one scope.")]
    elif unknown := rules.unknown_scopes(wanted):
        raise Invalid(
            N_("There is no scope %(scope)s."),
            params={"scope": unknown[0]},
            fields={"scopes": [N_("Choose scopes from the list.")]},
        )
    if not name.strip() or len(name) > 60:
        fields["name"] = [N_("Give a name of at most 60 characters.")]
    if fields:
        raise Invalid(fields=fields)
    token = tokens.PREFIX + secrets.token_urlsafe(32)
    ctx.session.add(
        ApiToken(
            id=ctx.new_id("tok"),
            workspace_id=ctx.workspace_id,
            name=name.strip(),
            hash=digest(token),
            scopes=wanted,
            created_by=ctx.actor.id,
            created_at=ctx.now(),
        )
    )
    return token


def revoke_token(ctx: Ctx, token_id: str) -> None:
    """Refuse a token from now on: here at once, in other processes within two seconds."""
    found = queries.token(ctx.session, token_id)
    if found is None:
        raise TokenNotFound
    if found.revoked_at is None:
        found.revoked_at = ctx.now()
        ctx.session.flush()
    tokens.forget(ctx.parts, found.hash)
