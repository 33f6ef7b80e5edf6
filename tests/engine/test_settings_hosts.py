"""Where WeChat's servers are can be set, and never to a place that would get our keys in plain."""

from __future__ import annotations

import pytest

from growth_engine.kit.errors import Misconfigured
from growth_engine.settings import HOSTS, Settings, environment_name, from_env

NEEDED = {
    "DATABASE_URL": "postgresql://x",
    "LEDGER_REDIS_URL": "redis://x",
    "QUEUE_REDIS_URL": "redis://x",
    "GROWTH_SECRET_KEY": "k" * 32,
}


def settings(**environ: str) -> Settings:
    return from_env({**NEEDED, **environ})


def test_the_real_servers_are_the_default() -> None:
    assert all(getattr(settings(), name).startswith("https://") for name in HOSTS)


@pytest.mark.parametrize("name", HOSTS)
def test_the_sandbox_on_this_machine_may_speak_plain_http(name: str) -> None:
    for url in ("http://127.0.0.1:9001", "http://localhost:9001/", "http://[::1]:9001"):
        assert getattr(settings(**{environment_name(name): url}), name) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.weixin.qq.com",
        "http://10.0.0.1:9001",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "https://api.example.com/pay",  # the signed path would be another one
        "https://api.example.com?x=1",
        "https://user:secret@api.example.com",
        "api.weixin.qq.com",
        "https://",
    ],
)
def test_anything_else_stops_the_start(url: str) -> None:
    with pytest.raises(Misconfigured, match="WXPAY_API_BASE"):
        settings(WXPAY_API_BASE=url)
