"""A product that lives by the sandbox's clock, for each file of tests; a till for each test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from growth_engine.channels import wire
from growth_engine.context import Parts
from growth_engine.sandbox import Sandbox
from tests.factories.tills import SandboxClock, Till, product


@pytest.fixture(scope="module")
def _product(
    sandbox: Sandbox, pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "_TIMEOUT", httpx.Timeout(1.0))  # lost answers are waited for
        with product(sandbox, pg_url, valkey_url, tmp_path_factory.mktemp("data")) as parts:
            yield parts


@pytest.fixture
def parts(_product: Parts, sandbox: Sandbox) -> Iterator[Parts]:
    yield _product
    assert isinstance(_product.clock, SandboxClock)
    _product.clock.ahead *= 0
    sandbox.reset()


@pytest.fixture
def till(parts: Parts, sandbox: Sandbox) -> Till:
    return Till.open(parts, sandbox)
