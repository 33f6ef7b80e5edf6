"""Providers are found by the file they lie in; one that is incomplete or doubled stops the boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import webhooks
from growth_engine.inbox import providers
from growth_engine.kit.errors import Misconfigured, NotFound

COMPLETE = (
    "slug = {slug!r}\ntitle = 'x'\nheaders = ()\nanswer_seconds = 5.0\n"
    "def challenge(request, account): ...\ndef verify(request, account): ...\n"
    "def parse(content, account): ...\ndef acknowledge(*_, **__): ...\ndef refuse(error): ...\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A further folder of the package, with nothing remembered before and after."""
    monkeypatch.setattr(webhooks, "__path__", [*webhooks.__path__, str(tmp_path)])
    providers.providers.cache_clear()
    yield tmp_path
    providers.providers.cache_clear()


def test_the_three_are_found_by_their_file_names() -> None:
    providers.providers.cache_clear()
    assert {slug: one.slug for slug, one in providers.providers().items()} == {
        name: name for name in ("wechat_oa", "wechat_pay", "wecom")
    }
    assert providers.provider("wecom").answer_seconds == 5.0
    with pytest.raises(NotFound):
        providers.provider("nobody")


def test_a_file_dropped_in_is_a_provider(folder: Path) -> None:
    (folder / "w1_dropped.py").write_text(COMPLETE.format(slug="w1_dropped"))
    (folder / "_private.py").write_text("raise AssertionError")
    assert "w1_dropped" in providers.providers()


def test_an_incomplete_or_doubled_provider_stops_the_boot(folder: Path) -> None:
    (folder / "w1_half.py").write_text("slug = 'w1_half'\n")
    with pytest.raises(Misconfigured, match=r"w1_half\.py is no provider: it lacks title, headers"):
        providers.providers()
    (folder / "w1_half.py").unlink()
    (folder / "w1_twin.py").write_text(COMPLETE.format(slug="wecom"))
    with pytest.raises(Misconfigured, match="Two providers are called 'wecom'"):
        providers.providers()
