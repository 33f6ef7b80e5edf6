"""How often one address may write: fixed windows in the queue Redis, by a keyed hash of the address."""

from __future__ import annotations

from flask import request

from growth_engine.context import Parts
from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.errors import TooMany
from growth_engine.kit.web import parts

WINDOW_SECONDS = 60


def address() -> str:
    """The visitor's network address (behind trusted proxies: theirs, not the proxy's)."""
    return request.remote_addr or ""


def require_room(what: str) -> None:
    """Count one write of this address; raises TooMany beyond ``visitor_rate_per_minute``."""
    if not take(parts(), what, address(), parts().settings.visitor_rate_per_minute):
        raise TooMany(extra={"retry_after": WINDOW_SECONDS})


def take(of: Parts, what: str, whose: str, most: int) -> bool:
    """Whether this is one of the first ``most`` of the present minute."""
    minute = int(of.clock.now().timestamp()) // WINDOW_SECONDS
    key = f"ge:h5:{what}:{keyed_digest(of.settings.secret_key, f'{what} {whose}')}:{minute}"
    pipe = of.queue.pipeline()
    pipe.incr(key)
    pipe.expire(key, 2 * WINDOW_SECONDS)
    count: int = pipe.execute()[0]
    return count <= most
