"""Commands of access on the real database: workspaces, staff, API tokens."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from growth_engine.access import queries, service, tokens
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.crypto import digest
from growth_engine.kit.errors import Invalid
from tests.factories.staff import PASSWORD, make_staff
from tests.factories.workspaces import make_workspace


def test_a_workspace_is_found_by_its_slug(parts: Parts) -> None:
    slug = parts.ids.new("w")[2:].replace("_", "-")
    workspace_id = service.create_workspace(parts, slug, "晨光书店", "Asia/Shanghai")
    with parts.db.transaction(None) as session:
        assert queries.workspace_id_of(session, slug) == workspace_id
        assert workspace_id in queries.workspace_ids(session)


def test_a_slug_is_given_out_once(parts: Parts) -> None:
    slug = parts.ids.new("w")[2:]
    service.create_workspace(parts, slug, "One", "UTC")
    with pytest.raises(service.SlugTaken):
        service.create_workspace(parts, slug, "Two", "UTC")


def test_a_wrong_workspace_says_which_fields_are_wrong(parts: Parts) -> None:
    with pytest.raises(Invalid) as refused:
        service.create_workspace(parts, "Not A Slug", " ", "Mars/Olympus", locale="tlh")
    assert set(refused.value.extra["errors"]) == {"slug", "name", "timezone", "locale"}


def test_an_email_is_known_once_in_a_workspace_however_it_is_written(parts: Parts, workspace: str) -> None:
    make_staff(parts, workspace, email="double@example.com")
    with pytest.raises(service.EmailTaken):
        make_staff(parts, workspace, email="Double@Example.com ")
    make_staff(parts, make_workspace(parts), email="double@example.com")


def test_two_people_adding_the_same_email_at_once_make_one(parts: Parts, workspace: str) -> None:
    taken: list[Exception] = []
    start = threading.Barrier(4)

    def add() -> None:
        start.wait()
        try:
            make_staff(parts, workspace, email="race@example.com", password=None)
        except service.EmailTaken as error:
            taken.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 3


def test_the_last_administrator_can_neither_leave_nor_change_role(parts: Parts, workspace: str) -> None:
    only = make_staff(parts, workspace)
    make_staff(parts, workspace, role="marketer")
    for leave in (
        lambda ctx: service.disable(ctx, only.id),
        lambda ctx: service.change_role(ctx, only.id, "sales"),
    ):
        with pytest.raises(service.LastAdmin), parts.open(workspace) as ctx:
            leave(ctx)


def test_of_two_administrators_disabling_each_other_at_once_one_stays(parts: Parts, workspace: str) -> None:
    def disable(staff_id: str, start: threading.Barrier) -> str:
        start.wait()
        try:
            with parts.open(workspace) as ctx:
                service.disable(ctx, staff_id)
        except service.LastAdmin:
            return "refused"
        return "disabled"

    make_staff(parts, workspace)
    for _ in range(8):  # a race is met now and then only
        make_staff(parts, workspace)
        with parts.open(workspace) as ctx:
            both = [one.id for one in queries.all_staff(ctx.session) if one.disabled_at is None]
        start = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(disable, both, [start] * 2)) == ["disabled", "refused"]
        with parts.open(workspace) as ctx:
            assert queries.active_admins(ctx.session) == 1


def test_staff_of_another_workspace_do_not_exist_here(parts: Parts, workspace: str) -> None:
    other = make_staff(parts, make_workspace(parts))
    with pytest.raises(service.StaffNotFound), parts.open(workspace) as ctx:
        service.disable(ctx, other.id)


def test_passwords_are_stored_as_argon2id_only(parts: Parts, workspace: str) -> None:
    staff = make_staff(parts, workspace)
    assert staff.password_hash is not None
    assert staff.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in staff.password_hash


def test_a_password_hashed_with_old_parameters_is_hashed_anew_at_sign_in(
    parts: Parts, workspace: str
) -> None:
    from argon2 import PasswordHasher

    staff = make_staff(parts, workspace)
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with parts.open(workspace) as ctx:
        queries_staff = queries.staff(ctx.session, staff.id)
        assert queries_staff is not None
        queries_staff.password_hash = old
    (signed_in,) = service.check_password(parts, staff.email, PASSWORD, "10.0.0.1")
    assert signed_in.password_hash is not None
    assert "m=19456" in signed_in.password_hash


# -- API tokens --------------------------------------------------------------------------------------


def test_a_token_is_stored_only_as_its_hash(parts: Parts, workspace: str) -> None:
    token = service.create_token(parts, workspace, ["campaigns:read"], "shop")
    with parts.open(workspace) as ctx:
        (stored,) = queries.all_tokens(ctx.session)
        everything = ctx.session.execute(text("SELECT t::text FROM api_tokens t")).scalars().all()
    assert stored.hash == digest(token)
    assert all(token not in row for row in everything)


def test_a_token_opens_its_own_workspace_with_its_scopes(parts: Parts, workspace: str) -> None:
    token = service.create_token(parts, workspace, ["campaigns:read", "contacts:*"], "shop")
    workspace_id, actor = tokens.authenticate_token(parts, token)
    assert workspace_id == workspace
    assert actor.kind == "token"
    assert actor.scopes == {"campaigns:read", "contacts:*"}
    tokens.require_scope(actor, "contacts:write")
    with pytest.raises(tokens.ScopeMissing):
        tokens.require_scope(actor, "campaigns:write")


@pytest.mark.parametrize(
    "forged", ["", "ge_", "ge_" + "a" * 43, "x" * 46, "ge_" + "é" * 43, "ge_" + "a" * 5000]
)
def test_forged_tokens_are_refused(parts: Parts, forged: str) -> None:
    with pytest.raises(tokens.BadToken):
        tokens.authenticate_token(parts, forged)


def test_a_revoked_token_is_refused_at_once_here(parts: Parts, workspace: str) -> None:
    token = service.create_token(parts, workspace, ["*"], "shop")
    _, actor = tokens.authenticate_token(parts, token)
    with parts.open(workspace) as ctx:
        service.revoke_token(ctx, actor.id)
    with pytest.raises(tokens.BadToken):
        tokens.authenticate_token(parts, token)


def test_a_token_revoked_by_another_process_is_refused_within_two_seconds(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    token = service.create_token(parts, workspace, ["*"], "shop")
    tokens.authenticate_token(parts, token)
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE api_tokens SET revoked_at = :now"), {"now": ctx.now()})
    tokens.authenticate_token(parts, token)  # remembered
    clock.advance(timedelta(seconds=2))
    with pytest.raises(tokens.BadToken):
        tokens.authenticate_token(parts, token)


def test_the_last_use_of_a_token_is_noted_once_a_minute(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    token = service.create_token(parts, workspace, ["*"], "shop")
    first = clock.now()
    for _ in range(5):
        tokens.authenticate_token(parts, token)
        clock.advance(timedelta(seconds=10))
    with parts.open(workspace) as ctx:
        assert queries.all_tokens(ctx.session)[0].last_used_at == first
    clock.advance(timedelta(seconds=30))
    tokens.authenticate_token(parts, token)
    with parts.open(workspace) as ctx:
        assert queries.all_tokens(ctx.session)[0].last_used_at == clock.now()


def test_unknown_scopes_and_empty_names_are_refused(parts: Parts, workspace: str) -> None:
    for scopes, name in ((["money:print"], "shop"), ([], "shop"), (["*"], " "), (["*"], "n" * 61)):
        with pytest.raises(Invalid):
            service.create_token(parts, workspace, scopes, name)


def test_a_token_of_another_workspace_cannot_be_revoked(parts: Parts, workspace: str) -> None:
    other = make_workspace(parts)
    token = service.create_token(parts, other, ["*"], "theirs")
    _, actor = tokens.authenticate_token(parts, token)
    with pytest.raises(service.TokenNotFound), parts.open(workspace) as ctx:
        service.revoke_token(ctx, actor.id)
