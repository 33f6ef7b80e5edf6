"""Clients of the two Redis roles (queue and ledger), with the few retries we mean and short timeouts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

from growth_engine.kit.errors import Misconfigured

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0

#: redis-py repeats a command up to ten times by itself; when only the reply was lost that doubles an
#: INCR. The pool already notices a connection the server has closed before it hands it out, so a
#: restart of the server costs nothing here.
_NO_RETRY = {"retry": Retry(NoBackoff(), 0), "retry_on_error": [redis.exceptions.ConnectionError]}
#: The ledger's functions may be repeated: ``apply`` skips what it has already applied.
_ONE_RETRY = {"retry": Retry(ConstantBackoff(0.05), 1), "retry_on_error": [redis.exceptions.ConnectionError]}
_TIMEOUTS = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}


def queue_client(url: str, **options: Any) -> redis.Redis:
    """A client of the queue Redis: sessions, rate limits, doorbells. Never repeats a command by itself."""
    return redis.Redis.from_url(url, **(_TIMEOUTS | _NO_RETRY | options))


def ledger_client(url: str, **options: Any) -> redis.Redis | RedisCluster:
    """A client of the ledger Redis; ``?cluster=1`` in the URL means a cluster (any of its nodes named)."""
    plain, cluster = _without_cluster_flag(url)
    if cluster:
        retry = Retry(ConstantBackoff(0.05), 3)  # a cluster client needs a few tries to follow a fail-over
        return RedisCluster.from_url(plain, **(_TIMEOUTS | {"retry": retry} | options))
    return redis.Redis.from_url(plain, **(_TIMEOUTS | _ONE_RETRY | options))


def require_noeviction(client: redis.Redis | RedisCluster) -> None:
    """Refuse a ledger Redis that may throw keys away when its memory is full."""
    info: Any = client.info("memory")
    # A cluster answers once per node; ``maxmemory_policy`` is then in each of the answers.
    nodes = [info] if "maxmemory_policy" in info else list(info.values())
    for node in nodes:
        policy = node.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise Misconfigured(
                f"The ledger Redis evicts keys (maxmemory-policy {policy}):"
                " set maxmemory-policy noeviction on the server of LEDGER_REDIS_URL."
            )


def require_reachable(url: str, variable: str) -> None:
    """One clear line when nothing answers at ``url`` (the value of ``variable``)."""
    client = ledger_client(url, socket_connect_timeout=CONNECT_SECONDS)
    try:
        client.ping()
    except (RedisError, OSError, ValueError) as error:
        raise Misconfigured(
            f"Cannot reach the Redis of {variable} ({without_password(url)}): {error}."
            " Check the address and that the server runs."
        ) from error
    finally:
        client.close()


def without_password(url: str) -> str:
    """The URL as it may be shown on a screen or in a log."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rsplit('@', 1)[-1]}"


def _without_cluster_flag(url: str) -> tuple[str, bool]:
    base, _, tail = url.partition("?")  # not urlunsplit: it forgets the empty host of unix:///path
    query = dict(parse_qsl(tail))
    flag = query.pop("cluster", "0").lower()
    return f"{base}?{urlencode(query)}" if query else base, flag in ("1", "true", "yes")
