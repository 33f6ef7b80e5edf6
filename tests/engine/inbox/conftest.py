"""One product for each file of tests: building it takes longer than most of what is tried here."""

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
def _standing_clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def clock(_standing_clock: FixedClock) -> FixedClock:
    _standing_clock.set(START)
    return _standing_clock


@pytest.fixture(scope="module")
def _built(
    pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory, _standing_clock: FixedClock
) -> Iterator[Flask]:
    settings = Settings(
        database_url=pg_url,
        ledger_redis_url=valkey_url,
        queue_redis_url=valkey_url,
        secret_key=SECRET,
        data_dir=tmp_path_factory.mktemp("data"),
    )
    parts = build_parts(settings, clock=_standing_clock)
    app = create_app(parts)
    app.testing = True
    yield app
    parts.close()


@pytest.fixture
def app(_built: Flask, clock: FixedClock) -> Flask:
    return _built


@pytest.fixture
def parts(app: Flask) -> Parts:
    found: Parts = app.extensions["growth"]
    return found
