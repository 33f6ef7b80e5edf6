"""The schema: brought up to date by the owner, checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from growth_engine.kit import schema
from growth_engine.kit.errors import Misconfigured


def test_an_empty_database_is_refused_with_the_command_that_helps(
    empty_database: Callable[[str], str],
) -> None:
    url = empty_database("schema_empty").replace("growth_owner@", "growth_app@")
    with pytest.raises(Misconfigured, match="run growth-engine db upgrade"):
        schema.require_ready(url)


def test_two_upgrades_at_once_take_turns(empty_database: Callable[[str], str]) -> None:
    url = empty_database("schema_twice")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_upgrade_in_process, url) for _ in range(2)]:
            done.result()
    assert schema.revision_of(url) == schema.head()
    schema.require_ready(url.replace("growth_owner@", "growth_app@"))


def _upgrade_in_process(url: str) -> None:
    import subprocess
    import sys

    script = f"from growth_engine.kit import schema; schema.upgrade({url!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_database_that_was_migrated_further_is_refused(empty_database: Callable[[str], str]) -> None:
    url = empty_database("schema_ahead")
    schema.upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Misconfigured, match="at revision 9999"):
        schema.require_ready(url.replace("growth_owner@", "growth_app@"))


def test_the_owner_may_not_serve(owner_url: str) -> None:
    with pytest.raises(Misconfigured, match="row-level security does not bind"):
        schema.require_ready(owner_url)


def test_the_application_role_owns_nothing_and_bypasses_nothing(pg_url: str) -> None:
    with psycopg.connect(pg_url) as connection:
        owned = connection.execute(
            "SELECT relname FROM pg_class WHERE relowner = current_user::regrole"
        ).fetchall()
        rights = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert owned == []
    assert rights == (False,) * 5
