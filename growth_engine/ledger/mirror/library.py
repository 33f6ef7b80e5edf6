"""The function library the mirror runs on the server: loading it, calling it, and what its errors mean."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, cast

from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
)

from growth_engine.kit.errors import Conflict, GrowthError, Invalid, Misconfigured, Unavailable
from growth_engine.kit.redis import require_noeviction
from growth_engine.ledger.mirror.views import BookKey

LIBRARY = "growth_ledger_v2"
"""Change the number with every change of the code or of what it stores, so that two releases can run
side by side against one server, each with its own functions."""
_PARTS = ("records", "board", "money", "apply", "reads", "epochs")

Client = Redis | RedisCluster


class MirrorUnavailable(Unavailable):
    """The mirror's server does not answer. Nothing is lost: the journal is in SQL, catch up later."""

    code = "mirror_unavailable"


class OpRefused(GrowthError):
    """An op that cannot be; nothing of its chunk was written. The rule that made it is at fault."""

    code = "mirror_op_refused"
    status = 500


class MirrorBroken(GrowthError):
    """The book's keys do not fit together (something deleted or changed them): rebuild the book."""

    code = "mirror_broken"
    status = 500


class StaleEpoch(Conflict):
    """The epoch is neither live nor being built: another rebuild began, or the server was emptied."""

    code = "mirror_stale_epoch"


_NOT_NOW = (
    ConnectionError,
    TimeoutError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,  # a primary that has just become a replica
    RedisClusterException,
)
_ERRORS: dict[str, type[GrowthError]] = {
    "GEREFUSED": OpRefused,
    "GEBROKEN": MirrorBroken,
    "GESTALE": StaleEpoch,
    "GECURSOR": Invalid,
}


@cache
def source() -> str:
    """The library's code: one chunk, so the parts see each other's locals; their order matters."""
    folder = resources.files("growth_engine.ledger") / "functions"
    parts = [(folder / f"{name}.lua").read_text("utf-8") for name in _PARTS]
    return "\n".join([f"#!lua name={LIBRARY}", f"local LIBRARY = '{LIBRARY}'", *parts])


def load(client: Client) -> None:
    """Put the library on the server, on every primary of a cluster; doing it again changes nothing."""
    client.function_load(source(), replace=True)


def call(client: Client, name: str, book: BookKey, *arguments: Any, write: bool = False) -> Any:
    """One function on one book in one round trip; a server that has lost the library gets it again.

    Raises MirrorUnavailable when the server does not answer.
    """
    # redis-py does not annotate the result of these two.
    command = cast(Any, client.fcall if write else client.fcall_ro)
    function = f"{LIBRARY}_{name}"
    try:
        try:
            return command(function, 1, book.redis_key, *arguments)
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        load(client)
        return command(function, 1, book.redis_key, *arguments)
    except _NOT_NOW as error:
        raise MirrorUnavailable from error
    except ResponseError as error:
        raise _meaning(error) from error


def check(client: Client) -> None:
    """Refuse, with one line that says what to do, a server the mirror cannot live on."""
    info: Any = client.info("server")
    for node in [info] if "redis_version" in info else info.values():
        version = str(node["redis_version"])
        if int(version.split(".")[0]) < 7:
            raise Misconfigured(
                f"The ledger Redis is version {version}, but functions need Redis 7 or Valkey:"
                " point LEDGER_REDIS_URL at a newer server."
            )
    require_noeviction(client)


def _meaning(error: ResponseError) -> GrowthError | ResponseError:
    kind, _, text = str(error).partition(" ")
    if kind in ("BUSY", "MASTERDOWN", "MISCONF"):
        return MirrorUnavailable()
    if kind not in _ERRORS:
        return error
    return _ERRORS[kind]("The ledger mirror refused: %(why)s", params={"why": text})
