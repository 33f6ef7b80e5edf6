"""Clients of Redis: what they repeat, what they refuse, what they show."""

from __future__ import annotations

import pytest
import redis

from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.redis import (
    ledger_client,
    queue_client,
    require_noeviction,
    require_reachable,
    without_password,
)


def test_a_lost_reply_does_not_count_twice(valkey: str) -> None:
    client = queue_client(valkey)
    client.delete("test:count")
    connection = client.connection_pool.get_connection()
    original = type(connection).read_response
    lost = []

    def lose_once(self: object, *args: object, **kwargs: object) -> object:
        answer = original(self, *args, **kwargs)
        if not lost and isinstance(answer, int):
            lost.append(answer)
            raise redis.exceptions.ConnectionError("the reply was lost")
        return answer

    patch = pytest.MonkeyPatch()
    patch.setattr(type(connection), "read_response", lose_once)
    client.connection_pool.release(connection)
    with pytest.raises(redis.exceptions.ConnectionError):
        client.incr("test:count")
    patch.undo()
    assert client.get("test:count") == b"1"
    client.close()


def test_a_connection_the_server_has_closed_is_replaced_without_an_error(valkey: str) -> None:
    client = queue_client(valkey)
    other = queue_client(valkey)
    client.ping()
    other.execute_command("CLIENT", "KILL", "ID", client.client_id())
    assert client.incr("test:after-close") >= 1
    client.close()
    other.close()


def test_the_ledger_refuses_a_server_that_evicts(valkey: str) -> None:
    client = queue_client(valkey)
    require_noeviction(client)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Misconfigured, match="noeviction"):
            require_noeviction(client)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pass@host:6379/0", "redis://host:6379/0"),
        ("rediss://user:p%40ss@host:6379?cluster=1", "rediss://host:6379"),
        ("unix:///run/valkey.sock?db=3", "unix:///run/valkey.sock"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_options_of_a_unix_address_survive(valkey: str) -> None:
    client = ledger_client(valkey.replace("db=0", "db=5&cluster=0"))
    client.set("test:here", "1")
    assert client.get_connection_kwargs()["db"] == 5
    assert queue_client(valkey).get("test:here") is None
    client.close()


def test_an_unreachable_server_is_one_clear_line() -> None:
    with pytest.raises(Misconfigured, match=r"QUEUE_REDIS_URL \(redis://127\.0\.0\.1:1\)"):
        require_reachable("redis://:secret@127.0.0.1:1", "QUEUE_REDIS_URL")
