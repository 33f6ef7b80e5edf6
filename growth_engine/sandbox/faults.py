"""What goes wrong on demand: answers refused, slow or lost, callbacks lost, late, doubled or out of order."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

#: Answers to the application. ``lose_answer`` does what was asked, then breaks the connection.
REQUEST_FAULTS: Final = frozenset({"errcode", "status", "delay", "drop", "lose_answer", "expire_token"})
#: Callbacks to the application. ``reorder`` lets the next one overtake.
CALLBACK_FAULTS: Final = frozenset(
    {"lose", "delay", "duplicate", "concurrent", "reorder", "bad_signature", "signtest", "bad_serial",
     "old_timestamp", "tampered", "wrong_receiver"}
)  # fmt: skip
SERVICES: Final = frozenset({"oa", "wecom", "pay"})


class BadFault(ValueError):
    """No such fault; the message says what there is."""


def plan(world: World, fault: Doc) -> Doc:
    """Add a rule: ``{"service", "on": "request"|"callback", "match", "action", "value", "times", "skip"}``.

    ``match`` is a shell pattern over the path (requests) or over the event's name (callbacks); ``skip``
    lets that many pass first.
    """
    on = fault.get("on", "request")
    known = {"request": REQUEST_FAULTS, "callback": CALLBACK_FAULTS}.get(on)
    if known is None:
        raise BadFault("on must be request or callback")
    if fault.get("action") not in known:
        raise BadFault(f"action must be one of {', '.join(sorted(known))}")
    if fault.get("service") not in SERVICES:
        raise BadFault(f"service must be one of {', '.join(sorted(SERVICES))}")
    with world.open():
        number = world.store.next("faults")
        rule = {
            "id": number,
            "service": fault["service"],
            "on": on,
            "match": str(fault.get("match", "*")),
            "action": fault["action"],
            "value": fault.get("value"),
            "times": int(fault.get("times", 1)),
            "skip": int(fault.get("skip", 0)),
        }
        return world.store.put("faults", f"{number:08}", rule)


def take(world: World, service: str, on: str, name: str) -> Doc | None:
    """The rule that strikes now, counted down; None when all is well."""
    with world.open():
        for key, rule in world.store.all("faults").items():
            if rule["service"] != service or rule["on"] != on or not fnmatchcase(name, rule["match"]):
                continue
            if rule["skip"] > 0:
                rule["skip"] -= 1
                world.store.put("faults", key, rule)
                continue
            rule["times"] -= 1
            if rule["times"] > 0:
                world.store.put("faults", key, rule)
            else:
                world.store.drop("faults", key)
            return rule
    return None


def planned(world: World) -> list[Doc]:
    return list(world.store.all("faults").values())


def clear(world: World) -> None:
    with world.open():
        for key in world.store.all("faults"):
            world.store.drop("faults", key)
