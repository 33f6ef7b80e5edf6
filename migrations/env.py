"""Runs the migrations: as the owner of the tables, one process at a time; imports nothing of ours."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

#: Any number will do as long as it is only used here: two processes that migrate take turns.
LOCK = 7_203_110_551


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url") or os.environ["MIGRATION_DATABASE_URL"]
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        role = os.environ.get("GROWTH_APP_ROLE", "growth_app")
        quoted = connection.dialect.identifier_preparer.quote(role)
        # The application compares this with what it was written for (`growth-engine web` at its start).
        connection.execute(text(f"GRANT SELECT ON alembic_version TO {quoted}"))
        connection.commit()


run()
