"""The state of the database schema: bring it up to date, and say when it is not."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

import growth_engine
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.tx import psycopg_url

MIGRATIONS = Path(growth_engine.__file__).parent.parent / "migrations"
CONNECT_SECONDS = 5


def _config(url: str = "") -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    if url:
        config.set_main_option("sqlalchemy.url", psycopg_url(url).replace("%", "%%"))
    return config


def head() -> str:
    """The revision this version of the program is written for."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def revision_of(url: str) -> str:
    """The revision the database is at; empty when it has none yet."""
    with connect(url, "DATABASE_URL") as connection:
        known = connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone()
        if not known or not known[0]:
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""


def upgrade(url: str) -> None:
    """Run every migration the database lacks, as the owner of the tables."""
    connect(url, "MIGRATION_DATABASE_URL").close()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(_config(url), "head")


def require_ready(url: str) -> None:
    """Refuse a database at another revision, or a role that row-level security does not bind."""
    with connect(url, "DATABASE_URL") as connection:
        row = connection.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR EXISTS (SELECT FROM pg_class c"
            "  WHERE c.relname = 'workspaces' AND c.relowner = r.oid)"
            " FROM pg_roles r WHERE rolname = current_user"
        ).fetchone()
    if row and row[1]:
        raise Misconfigured(
            f"DATABASE_URL connects as {row[0]}, whom row-level security does not bind:"
            " connect as the application role (see docs/operations.md)."
        )
    found, wanted = revision_of(url), head()
    if found != wanted:
        raise Misconfigured(
            f"The database is at revision {found or 'none'}, this version needs {wanted}:"
            " run growth-engine db upgrade."
        )


def connect(url: str, variable: str) -> psycopg.Connection[tuple[object, ...]]:
    """A plain connection, or one clear line; ``variable`` is the setting the URL came from."""
    target = make_url(url).set(drivername="postgresql")
    try:
        return psycopg.connect(target.render_as_string(hide_password=False), connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        shown = target.set(password=None).render_as_string()
        raise Misconfigured(
            f"Cannot connect to the database of {variable} ({shown}): {reason}."
            f" Check host, port, name, user and password."
        ) from error
