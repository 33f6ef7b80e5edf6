"""One product for each file of tests, where building it would take longer than what is tried.

A ``conftest.py`` imports these fixtures; they take the place of the ones everybody else uses.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from growth_engine.app import build_parts, create_app
from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.settings import Settings
from tests.conftest import SECRET, START


@pytest.fixture(scope="module")
def standing_clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def clock(standing_clock: FixedClock) -> FixedClock:
    standing_clock.set(START)
    return standing_clock


@pytest.fixture(scope="module")
def built(
    pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory, standing_clock: FixedClock
) -> Iterator[Flask]:
    settings = Settings(
        database_url=pg_url,
        ledger_redis_url=valkey_url,
        queue_redis_url=valkey_url,
        secret_key=SECRET,
        data_dir=tmp_path_factory.mktemp("data"),
    )
    parts = build_parts(settings, clock=standing_clock)
    app = create_app(parts)
    app.testing = True
    yield app
    parts.close()


@pytest.fixture
def app(built: Flask, clock: FixedClock) -> Flask:
    return built


@pytest.fixture
def parts(app: Flask) -> Parts:
    found: Parts = app.extensions["growth"]
    return found
