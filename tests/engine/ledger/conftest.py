"""What tests of the books share: a shop that has sold, an intruder with the owner's rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from growth_engine.context import Parts
from tests.factories.selling import PRICE, Shop

Do = Callable[..., None]


@pytest.fixture
def shop(parts: Parts, workspace: str) -> Shop:
    """Ann brought Bob, Bob bought two books; half of it went back."""
    made = Shop(parts, workspace)
    made.join("ann")
    made.join("bob", "ann")
    made.refund(made.buy("bob", 2), PRICE)
    return made


@pytest.fixture
def as_owner(owner_url: str) -> Iterator[Do]:
    """Statements past every trigger, as whoever owns the tables could run them."""

    def do(table: str, statement: str, **names: Any) -> None:
        with psycopg.connect(owner_url) as connection:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
            connection.execute(statement.encode(), names)
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())

    return do
