"""A storm begins on tables the database knows nothing of yet: each callback must find its own row there."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from growth_engine.context import Parts

_MISTAKABLE = text(
    "SELECT i.indexrelid::regclass::text FROM pg_index i"
    " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
    " WHERE i.indrelid = CAST(:table AS regclass) AND a.attname = 'workspace_id'"
    "  AND NOT i.indisunique AND i.indpred IS NULL"
)


@pytest.mark.parametrize("table", ["followers", "deliveries"])
def test_no_index_can_be_mistaken_for_the_key(parts: Parts, table: str) -> None:
    """Every statement compares the workspace (row-level security). Without statistics an index that starts
    with it looks as good as the primary key; such a plan, once prepared, reads all followers for each."""
    with parts.db.transaction(None) as session:
        assert session.scalars(_MISTAKABLE, {"table": table}).all() == []
