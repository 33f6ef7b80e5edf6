"""Calls to the application: what is sent, how long we wait, and the faults planned for callbacks."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from growth_engine.sandbox import faults
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

#: A callback held back so that the next one overtakes it leaves by itself after this time.
_HOLD_SECONDS = 30.0
_OVERTAKEN_SECONDS = 0.2
_LOGGED_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a call. ``status`` is 0 when no answer came; ``error`` then says why."""

    status: int
    body: bytes
    error: str
    seconds: float


def send(
    world: World,
    service: str,
    method: str,
    url: str,
    *,
    params: Doc | None = None,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    timeout: float | None = None,
) -> Sent:
    """One call, written down in the log. Redirects are not followed, as the platform does not."""
    wait = float(world.option("callback_timeout")) if timeout is None else timeout
    began = time.monotonic()
    status, answer, error = 0, b"", ""
    try:
        # The query in the address stays; httpx's ``params`` would replace it.
        address = httpx.URL(url).copy_merge_params(params or {})
        response = world.http.request(method, address, content=body, headers=headers, timeout=wait)
        status, answer = response.status_code, response.content
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        error = f"{type(failure).__name__}: {failure}"
    seconds = time.monotonic() - began
    with world.open():
        world.store.note(
            world.clock.time(),
            service,
            "out",
            f"{method} {url} → {status or error} ({seconds * 1000:.0f} ms)",
            {
                "query": params or {},
                "body": body[:_LOGGED_CHARACTERS].decode("utf-8", "replace"),
                "answer": answer[:_LOGGED_CHARACTERS].decode("utf-8", "replace"),
            },
        )
    return Sent(status, answer, error, seconds)


def dispatch(world: World, service: str, event: str, kind: str, payload: Doc, lane: str = "") -> None:
    """Have a callback delivered (timer ``kind``), unless a planned fault has other ideas."""
    rule = faults.take(world, service, "callback", event)
    action = rule["action"] if rule else None
    value = rule["value"] if rule else None
    _release(world, service)
    if action == "lose":
        world.store.note(world.clock.time(), service, "out", f"{event} lost as planned", {"payload": payload})
    elif action == "delay":
        world.later(float(value or 1), kind, payload, lane)
    elif action in ("duplicate", "concurrent"):
        for copy in range(int(value or 2)):
            world.later(0, kind, payload, lane if action == "duplicate" else f"{lane}/{copy}")
    elif action == "reorder":
        number = world.store.next("held")
        world.store.put("held", f"{service}/{number}", {"kind": kind, "payload": payload, "lane": lane})
        world.later(_HOLD_SECONDS, "outbound.release", {"key": f"{service}/{number}"})
    elif action:
        world.later(0, kind, payload | {"fault": action}, lane)
    else:
        world.later(0, kind, payload, lane)


def _release(world: World, service: str) -> None:
    for key in world.store.all("held", f"{service}/"):
        world.later(_OVERTAKEN_SECONDS, "outbound.release", {"key": key})


@timer("outbound.release")
def _let_go(world: World, payload: Doc) -> None:
    with world.open():
        held = world.store.get("held", payload["key"])
        if held is not None:
            world.store.drop("held", payload["key"])
            world.later(0, held["kind"], held["payload"], held["lane"])
