"""Tags of the corporation and of one customer with one employee (section 3.9)."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import relations
from growth_engine.sandbox.world import World

routes = Routes()

MOST, LONGEST_NAME, MOST_PER_PAIR = 10_000, 30, 3000


def _all(world: World, corpid: str) -> list[Doc]:
    return list(world.store.all("wecom.tags", f"{corpid}/").values())


@routes("POST", "/cgi-bin/externalcontact/get_corp_tag_list")
def listed(call: Call) -> Doc:
    body = call.json()
    ids, groups = body.get("tag_id") or [], body.get("group_id") or []
    found = [
        tag
        for tag in _all(call.world, call.account["corpid"])
        if (not ids and not groups) or tag["id"] in ids or tag["group_id"] in groups
    ]
    return {"tag_group": _grouped(found)}


def _grouped(tags: list[Doc]) -> list[Doc]:
    groups: dict[str, Doc] = {}
    for tag in tags:
        group = groups.setdefault(
            tag["group_id"],
            {
                "group_id": tag["group_id"],
                "group_name": tag["group_name"],
                "create_time": tag["create_time"],
                "order": 0,
                "tag": [],
            },
        )
        group["tag"].append({name: tag[name] for name in ("id", "name", "create_time")} | {"order": 0})
    return list(groups.values())


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME:
        raise Refused(40058, "invalid Request Parameter: name")
    return value


@routes("POST", "/cgi-bin/externalcontact/add_corp_tag")
def add(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    known = _all(world, corpid)
    group_id, group_name = _group(world, known, body)
    wanted = body.get("tag")
    if not isinstance(wanted, list) or not wanted:
        raise Refused(40058, "invalid Request Parameter: tag")
    if len(known) + len(wanted) > MOST:
        raise Refused(41045, "tag count exceeds limit")
    made: list[Doc] = []
    for one in wanted:
        name = _name(one.get("name") if isinstance(one, dict) else None)
        if any(tag["name"] == name and tag["group_id"] == group_id for tag in known + made):
            raise Refused(40071, "tag name exist")
        made.append(_store(world, corpid, group_id, group_name, name))
    return {"tag_group": _grouped(made)[0]}


def _store(world: World, corpid: str, group_id: str, group_name: str, name: str) -> Doc:
    tag = {
        "id": "et" + world.random_text(30),
        "name": name,
        "group_id": group_id,
        "group_name": group_name,
        "create_time": world.now(),
    }
    return world.store.put("wecom.tags", f"{corpid}/{tag['id']}", tag)


def make(world: World, corpid: str, group_name: str, name: str) -> Doc:
    """A tag made by hand; its group is made when it is new."""
    group_id, group_name = _group(world, _all(world, corpid), {"group_name": group_name})
    return _store(world, corpid, group_id, group_name, _name(name))


def _group(world: World, known: list[Doc], body: Doc) -> tuple[str, str]:
    if body.get("group_id"):
        for tag in known:
            if tag["group_id"] == body["group_id"]:
                return tag["group_id"], tag["group_name"]
        raise Refused(40068, "invalid tag group id")
    name = _name(body.get("group_name"))
    for tag in known:
        if tag["group_name"] == name:
            return tag["group_id"], name
    return "et" + world.random_text(30), name


@routes("POST", "/cgi-bin/externalcontact/edit_corp_tag")
def edit(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    name = _name(body.get("name"))
    found = [tag for tag in _all(world, corpid) if body.get("id") in (tag["id"], tag["group_id"])]
    if not found:
        raise Refused(40068)
    for tag in found:
        field = "name" if tag["id"] == body["id"] else "group_name"
        world.store.put("wecom.tags", f"{corpid}/{tag['id']}", tag | {field: name})
    return {}


@routes("POST", "/cgi-bin/externalcontact/del_corp_tag")
def delete(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    ids, groups = body.get("tag_id") or [], body.get("group_id") or []
    if not ids and not groups:
        raise Refused(40058)
    for tag in _all(world, corpid):
        if tag["id"] in ids or tag["group_id"] in groups:
            world.store.drop("wecom.tags", f"{corpid}/{tag['id']}")
    return {}


@routes("POST", "/cgi-bin/externalcontact/mark_tag")
def mark(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    found = relations.require(world, corpid, body.get("userid"), body.get("external_userid"))
    more, less = body.get("add_tag") or [], body.get("remove_tag") or []
    if not more and not less:
        raise Refused(40058, "invalid Request Parameter: add_tag and remove_tag are empty")
    known = {tag["id"] for tag in _all(world, corpid)}
    if not set(more) <= known:
        raise Refused(40068)
    tags = [tag for tag in found["tags"] if tag not in less]
    tags += [tag for tag in more if tag not in tags]
    if len(tags) > MOST_PER_PAIR:
        raise Refused(41045, "tag count exceeds limit")
    relations.save(world, corpid, found | {"tags": tags})
    return {}
