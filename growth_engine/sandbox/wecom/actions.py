"""What a person does towards a corporation, and what the phone shows of it."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import groups, mass, relations, ways
from growth_engine.sandbox.world import World


def scan(world: World, person_id: str, text: str) -> Doc | None:
    """Scan a contact way, a group's code, or open an acquisition link; None when it is none of these."""
    way = ways.by_content(world, text)
    if way is not None:
        corpid, doc = way
        userid = doc["user"][int.from_bytes(world.random_bytes(2)) % len(doc["user"])]
        return _added(world, corpid, person_id, userid, doc["state"], relations.SCAN)
    link = ways.by_link(world, text)
    if link is not None:
        return _by_link(world, person_id, *link)
    if text.startswith(groups.ADDRESS):
        try:
            joined = groups.join_by_code(world, text, person_id)
        except Refused as full:
            raise CannotDo(f"{full.errmsg}") from full
        if joined is not None:
            return {"kind": "group", "chat": f"group:{joined['corpid']}:{joined['chat_id']}", **joined}
    if text.startswith(("https://work.weixin.qq.com/ca/", groups.ADDRESS)):
        raise CannotDo("二维码已失效 · the code has run out")
    return None


def _by_link(world: World, person_id: str, corpid: str, link: Doc, channel: str) -> Doc:
    corp = world.store.get("wecom.corps", corpid)
    assert corp is not None
    if corp["acquisition_quota"] < 1:
        raise CannotDo("获客链接额度已用完 · the corporation has no quota left")
    world.store.put("wecom.corps", corpid, corp | {"acquisition_quota": corp["acquisition_quota"] - 1})
    userid = link["users"][int.from_bytes(world.random_bytes(2)) % len(link["users"])]
    return _added(world, corpid, person_id, userid, channel, relations.LINK)


def _added(world: World, corpid: str, person_id: str, userid: str, state: str, way: int) -> Doc:
    done = relations.add(world, corpid, person_id, userid, state=state, add_way=way)
    return {
        "kind": "wecom",
        "userid": userid,
        "external_userid": done["external_userid"],
        "chat": relations.chat_of(corpid, userid),
    }


def _relation(world: World, person_id: str, userid: str) -> tuple[str, Doc]:
    for corpid in world.store.all("wecom.corps"):
        external = relations.external_id(world, corpid, person_id)
        found = relations.relation(world, corpid, userid, external)
        if found is not None and not found["deleted_by_customer"]:
            return corpid, found
    raise CannotDo("this person has not added the employee")


def write(world: World, person_id: str, userid: str, text: str) -> None:
    """Write to an employee: what is said is between the two, but the talk has begun."""
    corpid, doc = _relation(world, person_id, userid)
    relations.save(world, corpid, doc | {"talked": True})
    people.say(world, person_id, relations.chat_of(corpid, userid), "me", "text", text=text)


def delete_employee(world: World, person_id: str, userid: str) -> None:
    corpid, doc = _relation(world, person_id, userid)
    relations.customer_deletes(world, corpid, doc)


def refuse_transfer(world: World, person_id: str, userid: str) -> None:
    corpid, doc = _relation(world, person_id, userid)
    relations.save(world, corpid, doc | {"refuses_transfer": True})


def leave_group(world: World, person_id: str, chat_id: str) -> None:
    for corpid, doc in groups.of_person(world, person_id):
        if doc["chat_id"] == chat_id:
            groups.leave(world, corpid, doc, person_id, removed=False)
            return
    raise CannotDo("this person is not in the group")


def chats(world: World, person_id: str) -> list[Doc]:
    """The chats with employees and groups on a person's phone."""
    found: list[Doc] = []
    for corpid, corp in world.store.all("wecom.corps").items():
        external = relations.external_text(world, corpid, person_id)
        for one in relations.of_customer(world, corpid, external):
            member = world.store.get("wecom.employees", f"{corpid}/{one['userid']}") or {
                "name": one["userid"]
            }
            found.append(
                {
                    "id": relations.chat_of(corpid, one["userid"]),
                    "kind": "wecom",
                    "userid": one["userid"],
                    "name": member["name"],
                    "company": corp["name"],
                    "open": not one["deleted_by_customer"],
                }
            )
    for corpid, doc in groups.of_person(world, person_id):
        found.append(
            {
                "id": f"group:{corpid}:{doc['chat_id']}",
                "kind": "group",
                "chat_id": doc["chat_id"],
                "name": f"{doc['name']} ({len(doc['members'])})",
                "open": True,
            }
        )
    return found


def overview(world: World) -> list[Doc]:
    """The corporations with their staff and groups, for the staff's page."""
    found = []
    for corpid, corp in world.store.all("wecom.corps").items():
        members = world.store.all("wecom.employees", f"{corpid}/").values()
        rooms = world.store.all("wecom.groups", f"{corpid}/").values()
        found.append(
            {
                "corpid": corpid,
                "name": corp["name"],
                "callback_url": corp["callback_url"],
                "employees": [
                    one | {"waiting": mass.waiting(world, corpid, one["userid"])} for one in members
                ],
                "groups": [_room(one) for one in rooms if not one["dismissed"]],
            }
        )
    return found


def _room(one: Doc) -> Doc:
    return {name: one[name] for name in ("chat_id", "name", "owner")} | {"size": len(one["members"])}
