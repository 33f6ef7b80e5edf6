"""What the channel clients need: the queue Redis, a clock that stands still, a platform that is scripted."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from redis import Redis

from growth_engine.channels.contract import (
    Hosts,
    OfficialAccountCredentials,
    PayCredentials,
    PlatformKey,
    WecomCredentials,
)
from growth_engine.channels.wechat_pay import WechatPay
from growth_engine.channels.wire import Gear
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.ids import Ids
from growth_engine.kit.redis import queue_client
from tests.factories.pay import MCH, MERCHANT, PLATFORM, PUB, V3_KEY, Signing, pem, public_pem
from tests.factories.platforms import Scripted


@pytest.fixture
def queue(valkey_url: str) -> Iterator[Redis]:
    client = queue_client(valkey_url)
    yield client
    client.close()


@pytest.fixture
def account() -> str:
    """An account nobody has used before: its counters are fresh."""
    return f"con_{secrets.token_hex(6)}"


@pytest.fixture
def platform() -> Scripted:
    return Scripted()


@pytest.fixture
def gear(queue: Redis, clock: FixedClock, platform: Scripted) -> Iterator[Gear]:
    built = Gear(queue=queue, clock=clock, ids=Ids(clock), hosts=Hosts(), transport=platform.transport())
    yield built
    built.close()


@pytest.fixture
def oa_credentials(account: str) -> OfficialAccountCredentials:
    return OfficialAccountCredentials(account, "wx0123456789abcdef", "the-app-secret-never-shown")


@pytest.fixture
def wecom_credentials(account: str) -> WecomCredentials:
    return WecomCredentials(account, "ww0123456789abcdef", "the-corp-secret-never-shown")


@pytest.fixture
def signed(clock: FixedClock) -> Signing:
    return Signing(clock)


@pytest.fixture
def credentials(account: str) -> PayCredentials:
    keys = (PlatformKey(PUB, public_pem(PLATFORM)),)
    return PayCredentials(account, MCH, "wx1", "5157F09E", pem(MERCHANT), V3_KEY, keys)


@pytest.fixture
def pay(credentials: PayCredentials, gear: Gear) -> WechatPay:
    return WechatPay(credentials, gear)
