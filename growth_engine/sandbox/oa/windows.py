"""When an account may write to a person, and how often (section 2.6)."""

from __future__ import annotations

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.world import World

#: What opens a window: messages allowed (None: any number) and seconds.
TRIGGERS: dict[str, tuple[int | None, int]] = {
    "message": (5, 48 * 3600),
    "follow": (3, 60),
    "scan": (3, 60),
    "click": (3, 60),
    "pay": (None, 48 * 3600),
}


def opened(world: World, appid: str, openid: str, trigger: str) -> None:
    """The person did something that lets the account write; an earlier window of that kind is replaced."""
    count, seconds = TRIGGERS[trigger]
    windows = world.store.get("oa.windows", f"{appid}/{openid}") or {}
    windows[trigger] = {"left": count, "until": world.now() + seconds}
    world.store.put("oa.windows", f"{appid}/{openid}", windows)


def closed(world: World, appid: str, openid: str) -> None:
    """The person left: nothing may be written any more."""
    world.store.drop("oa.windows", f"{appid}/{openid}")


def take(world: World, appid: str, openid: str) -> None:
    """Count one message; Refused with 45015 outside every window, with 45047 when all are used up."""
    windows = world.store.get("oa.windows", f"{appid}/{openid}") or {}
    current = {name: one for name, one in windows.items() if world.now() < one["until"]}
    if not current:
        raise Refused(45015)
    usable = [one for one in current.values() if one["left"] is None or one["left"] > 0]
    if not usable:
        raise Refused(45047)
    # What ends first is used first, as nobody would waste the two days of a conversation on a greeting.
    first = min(usable, key=lambda one: int(one["until"]))
    if first["left"] is not None:
        first["left"] -= 1
    world.store.put("oa.windows", f"{appid}/{openid}", windows)
