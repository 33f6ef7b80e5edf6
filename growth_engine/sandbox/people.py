"""The simulated people: who they are, what they have, and everything their phones show."""

from __future__ import annotations

import base64

from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

#: What a new person has in the wallet, in fen.
FIRST_BALANCE = 100_000


class NoSuchPerson(KeyError):
    """Nobody has this id."""


def make(world: World, nickname: str, **given: object) -> Doc:
    """A new person. ``given``: real_name, real_named, balance, locale, snapshot."""
    number = world.store.next("people")
    person_id = f"p{number}"
    person: Doc = {
        "id": person_id,
        "nickname": nickname,
        "avatar": number % 12,
        "unionid": opaque(world, "o6_", 28, "union", person_id),
        "real_name": nickname,
        "real_named": True,
        "balance": FIRST_BALANCE,
        "locale": "zh_CN",
        "snapshot": False,
        "created": world.now(),
    }
    unknown = given.keys() - person.keys()
    if unknown:
        raise ValueError(f"a person has no {sorted(unknown)[0]}")
    person.update(given)
    for appid in world.store.all("oa.accounts"):
        openid(world, appid, person_id)
    return world.store.put("people", person_id, person)


def change(world: World, person_id: str, **values: object) -> Doc:
    found = person(world, person_id)
    unknown = values.keys() - found.keys() - {"id"}
    if unknown:
        raise ValueError(f"a person has no {sorted(unknown)[0]}")
    return world.store.put("people", person_id, found | values)


def person(world: World, person_id: str) -> Doc:
    found = world.store.get("people", person_id)
    if found is None:
        raise NoSuchPerson(person_id)
    return found


def everybody(world: World) -> list[Doc]:
    return sorted(world.store.all("people").values(), key=lambda one: int(one["id"][1:]))


def opaque(world: World, prefix: str, length: int, *names: str) -> str:
    """An id as the platform makes them: it looks random and is always the same for the same names."""
    tail = base64.urlsafe_b64encode(world.derived(*names)).decode().rstrip("=")
    return (prefix + tail)[:length]


def openid(world: World, appid: str, person_id: str) -> str:
    """A person's openid with one account: another one for each account."""
    made = opaque(world, "o", 28, "openid", appid, person_id)
    if world.store.get("openids", f"{appid}/{made}") is None:
        world.store.put("openids", f"{appid}/{made}", {"person": person_id, "virtual": False})
    return made


def by_openid(world: World, appid: str, one: str) -> Doc | None:
    """The person behind an openid of this account; None when nobody is."""
    found = world.store.get("openids", f"{appid}/{one}")
    return None if found is None or found["virtual"] else world.store.get("people", found["person"])


# -- what phones show ------------------------------------------------------------------------------


def say(world: World, person_id: str, chat: str, sender: str, kind: str, **content: object) -> Doc:
    """Put a message into one of a person's chats. ``sender`` is ``me``, ``them`` or ``system``."""
    number = world.store.next("messages")
    message: Doc = {
        "id": number,
        "at": world.clock.time(),
        "chat": chat,
        "from": sender,
        "kind": kind,
        **content,
    }
    if sender == "them":
        unread = world.store.get("unread", f"{person_id}/{chat}") or {"count": 0}
        world.store.put("unread", f"{person_id}/{chat}", {"count": unread["count"] + 1})
    return world.store.put("messages", f"{person_id}/{chat}/{number:010}", message)


def messages(world: World, person_id: str, chat: str) -> list[Doc]:
    return list(world.store.all("messages", f"{person_id}/{chat}/").values())


def unread(world: World, person_id: str, chat: str) -> int:
    found = world.store.get("unread", f"{person_id}/{chat}")
    return int(found["count"]) if found else 0


def read(world: World, person_id: str, chat: str) -> None:
    world.store.drop("unread", f"{person_id}/{chat}")


def pay_in(world: World, person_id: str, fen: int, title: str, number: str) -> None:
    """Money into (or, below zero, out of) a person's wallet, with a line in its history."""
    one = person(world, person_id)
    one["balance"] += fen
    world.store.put("people", person_id, one)
    line = world.store.next("wallet")
    world.store.put(
        "wallet",
        f"{person_id}/{line:010}",
        {"at": world.clock.time(), "fen": fen, "title": title, "number": number, "balance": one["balance"]},
    )
