"""Customer groups and the codes to join them (section 3.7); members change with versions and a lag."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import callbacks, relations, ways
from growth_engine.sandbox.world import World

routes = Routes()

MOST_CHATS, LONGEST_STATE, LONGEST_NAME = 5, 30, 40
PAGE = 1000
INVITED, BY_LINK, BY_CODE = 1, 2, 3
ADDRESS = "https://weixin.qq.com/g/"
#: A group's code in the client ends after seven days (general knowledge; not on the sheet).
OWN_CODE_SECONDS = 7 * 24 * 3600
GROUP_EVENT = "change_external_chat"
#: ``JoinScene`` of the event (0 invited, 3 QR) by ``join_scene`` of the query (1 invited, 2 link, 3 QR).
_EVENT_SCENE = {INVITED: 0, BY_LINK: 2, BY_CODE: 3}


def group(world: World, corpid: str, chat_id: object) -> Doc:
    found = world.store.get("wecom.groups", f"{corpid}/{chat_id}")
    if found is None or found["dismissed"]:
        raise Refused(49008, "chat not found")
    return found


def of_person(world: World, person_id: str) -> list[tuple[str, Doc]]:
    """The groups somebody is in, with their corporation."""
    found = world.store.all("wecom.groups").items()
    return [
        (key.split("/")[0], one) for key, one in found
        if not one["dismissed"] and any(member.get("person") == person_id for member in one["members"])
    ]  # fmt: skip


def make(world: World, corpid: str, owner: str, name: str) -> Doc:
    """An employee opens a group."""
    relations.employee(world, corpid, owner)
    doc: Doc = {
        "chat_id": "wr" + world.random_text(30),
        "name": name,
        "owner": owner,
        "create_time": world.now(),
        "notice": "",
        "members": [_staff_member(world, owner)],
        "version": world.random_text(32, "0123456789abcdef"),
        "dismissed": False,
        "left_over": False,
        "moved": [],
        "earlier": None,
        "changed": 0,
    }
    world.store.put("wecom.groups", f"{corpid}/{doc['chat_id']}", doc)
    callbacks.push(world, corpid, GROUP_EVENT, "create", {"ChatId": doc["chat_id"]})
    return doc


def _staff_member(world: World, userid: str) -> Doc:
    return {"userid": userid, "type": 1, "join_time": world.now(), "join_scene": INVITED, "name": userid}


def join(
    world: World, corpid: str, doc: Doc, person_id: str, scene: int, state: str = "", invitor: str = ""
) -> None:
    """Somebody comes in. ``invitor`` is an employee; friends who bring friends are not reported."""
    person = people.person(world, person_id)
    member = {
        "userid": relations.external_id(world, corpid, person_id),
        "person": person_id,
        "unionid": person["unionid"],
        "type": 2,
        "join_time": world.now(),
        "join_scene": scene,
        "name": person["nickname"],
        "state": state,
        "invitor": invitor,
    }
    _changed(world, corpid, doc, [*doc["members"], member], "add_member", member)
    people.say(world, person_id, f"group:{corpid}:{doc['chat_id']}", "system", "joined", name=doc["name"])


def leave(world: World, corpid: str, doc: Doc, person_id: str, removed: bool) -> None:
    gone = [one for one in doc["members"] if one.get("person") == person_id]
    if not gone:
        raise Refused(40058, "not in the group")
    rest = [one for one in doc["members"] if one.get("person") != person_id]
    _changed(world, corpid, doc, rest, "del_member", gone[0], removed=removed)
    people.say(world, person_id, f"group:{corpid}:{doc['chat_id']}", "system", "left", name=doc["name"])


def _changed(
    world: World, corpid: str, doc: Doc, members: list[Doc], detail: str, who: Doc, *, removed: bool = False
) -> None:
    before = doc["version"]
    earlier = {"members": doc["members"], "version": before}
    doc |= {
        "members": members,
        "version": world.random_text(32, "0123456789abcdef"),
        "earlier": earlier,
        "changed": world.clock.time(),
    }
    world.store.put("wecom.groups", f"{corpid}/{doc['chat_id']}", doc)
    added = detail == "add_member"
    content = {
        "ChatId": doc["chat_id"],
        "UpdateDetail": detail,
        "JoinScene": _EVENT_SCENE[who["join_scene"]] if added else None,
        "QuitScene": None if added else int(removed),
        "MemChangeCnt": 1,
        "MemChangeList": {"Item": who["userid"]},
        "LastMemVer": before,
        "CurMemVer": doc["version"],
    }
    callbacks.push(world, corpid, GROUP_EVENT, "update", content)


def rename(world: World, corpid: str, doc: Doc, name: str) -> None:
    world.store.put("wecom.groups", f"{corpid}/{doc['chat_id']}", doc | {"name": name})
    content = {"ChatId": doc["chat_id"], "UpdateDetail": "change_name"}
    callbacks.push(world, corpid, GROUP_EVENT, "update", content)


def dismiss(world: World, corpid: str, doc: Doc) -> None:
    world.store.put("wecom.groups", f"{corpid}/{doc['chat_id']}", doc | {"dismissed": True})
    callbacks.push(world, corpid, GROUP_EVENT, "dismiss", {"ChatId": doc["chat_id"]})


@routes("POST", "/cgi-bin/externalcontact/groupchat/list")
def listed(call: Call) -> Doc:
    body = call.json()
    limit = body.get("limit")
    if not isinstance(limit, int) or not 1 <= limit <= PAGE:
        raise Refused(40058, "invalid Request Parameter: limit")
    owners = (body.get("owner_filter") or {}).get("userid_list")
    found = [
        one for one in call.world.store.all("wecom.groups", f"{call.account['corpid']}/").values()
        if not one["dismissed"] and (not owners or one["owner"] in owners)
    ]  # fmt: skip
    begin = int(body.get("cursor") or 0)
    page = [
        {"chat_id": one["chat_id"], "status": int(one["left_over"])} for one in found[begin : begin + limit]
    ]
    doc: Doc = {"group_chat_list": page}
    return doc | {"next_cursor": str(begin + limit)} if begin + limit < len(found) else doc


@routes("POST", "/cgi-bin/externalcontact/groupchat/get")
def show(call: Call) -> Doc:
    body = call.json()
    doc = group(call.world, call.account["corpid"], body.get("chat_id"))
    seen = doc
    lag = float(call.world.option("group_lag"))
    if doc["earlier"] and call.world.clock.time() < doc["changed"] + lag:
        seen = doc | doc["earlier"]
    names = bool(body.get("need_name"))
    return {
        "group_chat": {
            **{name: doc[name] for name in ("chat_id", "name", "owner", "create_time", "notice")},
            "member_list": [_member(one, names, call.account["developer_bound"]) for one in seen["members"]],
            "admin_list": [],
            "member_version": seen["version"],
        }
    }


def _member(one: Doc, names: bool, union: bool) -> Doc:
    doc = {name: one[name] for name in ("userid", "type", "join_time", "join_scene")}
    if one.get("invitor"):
        doc["invitor"] = {"userid": one["invitor"]}
    if one.get("state"):
        doc["state"] = one["state"]
    if one["type"] == 2 and union:
        doc["unionid"] = one["unionid"]
    return doc | {"name": one["name"], "group_nickname": ""} if names else doc


# -- ways to join --------------------------------------------------------------------------------------


@routes("POST", "/cgi-bin/externalcontact/groupchat/add_join_way")
def add_way(call: Call) -> Doc:
    world, corpid = call.world, call.account["corpid"]
    way = _checked(call)
    if (
        world.store.count("wecom.ways", f"{corpid}/") + world.store.count("wecom.join_ways", f"{corpid}/")
        >= ways.MOST
    ):
        raise Refused(41045, "join way count exceeds limit")
    way |= {
        "config_id": world.random_text(32, "0123456789abcdef"),
        "content": ADDRESS + world.random_text(16),
        "rooms": 0,
    }
    way["qr_code"] = f"{world.urls['wecom']}/wwhead/{way['config_id']}/0"
    world.store.put("wecom.join_ways", f"{corpid}/{way['config_id']}", way)
    world.store.put("wecom.join_contents", way["content"], {"corpid": corpid, "config_id": way["config_id"]})
    return {"config_id": way["config_id"]}


def _checked(call: Call) -> Doc:
    body = call.json()
    way: Doc = {
        "scene": body.get("scene"),
        "remark": str(body.get("remark", "")),
        "auto_create_room": int(body.get("auto_create_room", 1)),
        "room_base_name": str(body.get("room_base_name", "")),
        "room_base_id": int(body.get("room_base_id", 1)),
        "chat_id_list": body.get("chat_id_list"),
        "state": str(body.get("state", "")),
    }
    if way["scene"] not in (1, 2) or len(way["state"]) > LONGEST_STATE or len(way["remark"]) > LONGEST_STATE:
        raise Refused(40058, "invalid Request Parameter: scene, state or remark")
    chats = way["chat_id_list"]
    if not isinstance(chats, list) or not 1 <= len(chats) <= MOST_CHATS:
        raise Refused(40058, "invalid Request Parameter: chat_id_list takes 1 to 5")
    if len(way["room_base_name"]) > LONGEST_NAME:
        raise Refused(40058, "invalid Request Parameter: room_base_name")
    for chat_id in chats:
        group(call.world, call.account["corpid"], chat_id)
    return way


def _way(call: Call) -> Doc:
    key = f"{call.account['corpid']}/{call.json().get('config_id')}"
    found = call.world.store.get("wecom.join_ways", key)
    if found is None:
        raise Refused(41044, "join way config_id not exist")
    return found


@routes("POST", "/cgi-bin/externalcontact/groupchat/get_join_way")
def get_way(call: Call) -> Doc:
    return {"join_way": {k: v for k, v in _way(call).items() if k not in ("content", "rooms")}}


@routes("POST", "/cgi-bin/externalcontact/groupchat/update_join_way")
def update_way(call: Call) -> Doc:
    """Overwrites every field: what is left out falls back to its default."""
    way = _way(call)
    kept = {name: way[name] for name in ("config_id", "content", "qr_code", "rooms")}
    call.world.store.put(
        "wecom.join_ways", f"{call.account['corpid']}/{way['config_id']}", _checked(call) | kept
    )
    return {}


@routes("POST", "/cgi-bin/externalcontact/groupchat/del_join_way")
def delete_way(call: Call) -> Doc:
    way = _way(call)
    call.world.store.drop("wecom.join_ways", f"{call.account['corpid']}/{way['config_id']}")
    return {}


def own_code(world: World, corpid: str, chat_id: object) -> Doc:
    """The code of one group as an employee's WeCom shows it, apart from any join way: good for seven days."""
    room = group(world, corpid, chat_id)
    content = ADDRESS + world.random_text(16)
    found = {"corpid": corpid, "chat_id": room["chat_id"], "until": world.now() + OWN_CODE_SECONDS}
    world.store.put("wecom.group_codes", content, found)
    return {"content": content, "until": found["until"]}


def _join_by_own_code(world: World, text: str, person_id: str) -> Doc | None:
    found = world.store.get("wecom.group_codes", text)
    if found is None or found["until"] <= world.now():
        return None
    corpid = found["corpid"]
    room = group(world, corpid, found["chat_id"])
    corp = world.store.get("wecom.corps", corpid)
    assert corp is not None
    inside = any(member.get("person") == person_id for member in room["members"])
    if not inside and len(room["members"]) >= corp["group_capacity"]:
        raise Refused(40058, "the group is full")
    if not inside:
        join(world, corpid, room, person_id, BY_CODE)
    return {"chat_id": room["chat_id"], "name": room["name"], "joined": not inside, "corpid": corpid}


def join_by_code(world: World, text: str, person_id: str) -> Doc | None:
    """Scan a group's code: into the first group with room, a new one when all are full; None for no code."""
    if (joined := _join_by_own_code(world, text, person_id)) is not None:
        return joined
    found = world.store.get("wecom.join_contents", text)
    way = world.store.get("wecom.join_ways", f"{found['corpid']}/{found['config_id']}") if found else None
    if found is None or way is None:
        return None
    corpid = found["corpid"]
    corp = world.store.get("wecom.corps", corpid)
    assert corp is not None
    chats = [world.store.get("wecom.groups", f"{corpid}/{chat_id}") for chat_id in way["chat_id_list"]]
    living = [one for one in chats if one is not None and not one["dismissed"]]
    for one in living:
        if any(member.get("person") == person_id for member in one["members"]):
            return {"chat_id": one["chat_id"], "name": one["name"], "joined": False, "corpid": corpid}
    room = next((one for one in living if len(one["members"]) < corp["group_capacity"]), None)
    if room is None:
        room = _new_room(world, corpid, way, living)
    join(world, corpid, room, person_id, BY_CODE, way["state"])
    return {"chat_id": room["chat_id"], "name": room["name"], "joined": True, "corpid": corpid}


def _new_room(world: World, corpid: str, way: Doc, living: list[Doc]) -> Doc:
    if not way["auto_create_room"] or not living:
        raise Refused(40058, "the group is full")
    name = f"{way['room_base_name'] or living[0]['name']}{way['room_base_id'] + way['rooms']}"
    room = make(world, corpid, living[0]["owner"], name)
    full = way["chat_id_list"]
    way |= {"rooms": way["rooms"] + 1, "chat_id_list": [*full, room["chat_id"]][-MOST_CHATS:]}
    world.store.put("wecom.join_ways", f"{corpid}/{way['config_id']}", way)
    return room
