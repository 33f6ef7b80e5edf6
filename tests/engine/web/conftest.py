"""The product inside WeChat, for the files of tests that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from growth_engine.sandbox import Sandbox
from tests.factories.inside_wechat import serving


@pytest.fixture(scope="module")
def product(
    sandbox: Sandbox, pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """One for each file: ``InsideWechat`` opens a merchant in it."""
    with serving(sandbox, pg_url, valkey_url, tmp_path_factory.mktemp("data")) as app:
        yield app
