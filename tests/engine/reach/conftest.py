"""One sandbox and one product for each file of tests; a merchant for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import SECRET
from tests.factories.stages import Stage, raised, theatre


@pytest.fixture(scope="module")
def _theatre(pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with theatre(pg_url, valkey_url, SECRET, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def stage(_theatre: Stage) -> Stage:
    return raised(_theatre)
