"""The one place (with the ledger's poster) where a transaction begins and commits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

#: Row-level security compares ``workspace_id`` with this transaction-local setting.
WORKSPACE_SETTING = "ge.workspace_id"

_SCOPE = text(f"SELECT set_config('{WORKSPACE_SETTING}', :workspace_id, true)")


def psycopg_url(url: str) -> str:
    """The same database, named for SQLAlchemy's psycopg 3 driver."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def libpq_url(url: str) -> str:
    """The same database, named for psycopg itself."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


#: A connection is believed to live for so long after it was used.
BELIEVED_SECONDS = 1.0
_USED = "ge.used_at"


def _note_use(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def driver(session: Session) -> psycopg.Connection[Any]:
    """The session's own connection as psycopg knows it, inside the session's transaction: for questions that
    go out together (``pipeline``), each way to the database and back being one less."""
    raw = session.connection().connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


class Database:
    """Connections to PostgreSQL as the unprivileged application role."""

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        self.url = url
        self.engine: Engine = create_engine(
            psycopg_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            # An error is logged, stored with its message and shown: without the names and numbers in it.
            hide_parameters=True,
        )

    def _check(
        self, connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        """Ask a connection that lay idle whether it still lives; the pool makes another if not. One that was
        used a moment ago is believed: in a storm the question would cost as much as the work."""
        if time.monotonic() - record.info.get(_USED, 0.0) < BELIEVED_SECONDS:
            return
        try:
            self.engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise DisconnectionError(str(error)) from error

    @contextmanager
    def transaction(self, workspace_id: str | None, *, lazily: bool = False) -> Iterator[Session]:
        """One transaction that sees one workspace's rows only; commits at the end, rolls back on error.

        ``None`` sees no workspace's rows at all: only the directory functions of migration 0001
        (``ge_…``) answer there. ``lazily``: nothing is asked of the database before the first statement.
        """
        scope = {"workspace_id": workspace_id or ""}
        with Session(self.engine, expire_on_commit=False) as session:
            try:
                if lazily:
                    event.listen(session, "after_begin", lambda _s, _t, conn: conn.execute(_SCOPE, scope))
                else:
                    session.execute(_SCOPE, scope)
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def close(self) -> None:
        self.engine.dispose()
