"""Handing customers and groups over to another employee, in service or after leaving (section 3.8)."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import callbacks, relations
from growth_engine.sandbox.world import World, timer

routes = Routes()

AT_ONCE, LONGEST_MESSAGE = 100, 200
WAIT_SECONDS = 24 * 3600
TIMES, SPAN_SECONDS = 2, 90 * 86400
LEFT_SECONDS = 365 * 86400
GROUPS_PER_DAY = 300
DONE, WAITING, REFUSED, FULL = 1, 2, 3, 4
PAGE = 1000


@routes("POST", "/cgi-bin/externalcontact/transfer_customer")
def in_service(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    message = body.get("transfer_success_msg", "")
    if not isinstance(message, str) or len(message) > LONGEST_MESSAGE:
        raise Refused(40058, "invalid Request Parameter: transfer_success_msg")
    giver = relations.employee(world, corpid, body.get("handover_userid"))
    taker = relations.require_active(world, corpid, body.get("takeover_userid"))
    return {"customer": [_start(call, giver, taker, one) for one in _wanted(body)]}


@routes("POST", "/cgi-bin/externalcontact/resigned/transfer_customer")
def after_leaving(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    giver = _gone(world, corpid, body.get("handover_userid"))
    taker = relations.require_active(world, corpid, body.get("takeover_userid"))
    return {"customer": [_start(call, giver, taker, one) for one in _wanted(body)]}


def _gone(world: World, corpid: str, userid: object) -> Doc:
    found = world.store.get("wecom.employees", f"{corpid}/{userid}")
    if found is None or not found["left_at"]:
        raise Refused(40132, "handover user has not left")
    if world.now() - found["left_at"] > LEFT_SECONDS:
        raise Refused(40132, "handover user left more than a year ago")
    return found


def _wanted(body: Doc) -> list[Any]:
    wanted = body.get("external_userid")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= AT_ONCE:
        raise Refused(40058, "invalid Request Parameter: external_userid takes 1 to 100")
    return wanted


def _start(call: Call, giver: Doc, taker: Doc, external: Any) -> Doc:
    world, corpid = call.world, call.account["corpid"]
    found = relations.relation(world, corpid, giver["userid"], str(external))
    code = 0
    if giver["userid"] == taker["userid"]:
        code = 40097
    elif found is None:
        code = 40096
    elif len(_recent(world, found)) >= TIMES:
        code = 40128
    elif world.store.get("wecom.handovers", _key(corpid, giver["userid"], taker["userid"], external)):
        code = 40130
    if code == 0 and found is not None:
        relations.save(world, corpid, found | {"transfers": [*_recent(world, found), world.now()]})
        handover = {
            "corpid": corpid,
            "from": giver["userid"],
            "to": taker["userid"],
            "external_userid": external,
            "status": WAITING,
            "resigned": bool(giver["left_at"]),
            "at": world.now(),
        }
        key = _key(corpid, giver["userid"], taker["userid"], external)
        world.store.put("wecom.handovers", key, handover)
        world.later(WAIT_SECONDS, "wecom.handover", {"key": key})
    return {"external_userid": external, "errcode": code}


def _recent(world: World, found: Doc) -> list[int]:
    return [at for at in found["transfers"] if world.now() - at < SPAN_SECONDS]


def _key(corpid: str, giver: str, taker: str, external: Any) -> str:
    return f"{corpid}/{giver}/{taker}/{external}"


@timer("wecom.handover")
def _end(world: World, payload: Doc) -> None:
    """A day later the customer belongs to the other employee, unless he refused."""
    with world.open():
        handover = world.store.get("wecom.handovers", payload["key"])
        if handover is None or handover["status"] != WAITING:
            return
        corpid, external = handover["corpid"], handover["external_userid"]
        found = relations.relation(world, corpid, handover["from"], external)
        if found is None:
            world.store.drop("wecom.handovers", payload["key"])
            return
        if found["refuses_transfer"]:
            world.store.put("wecom.handovers", payload["key"], handover | {"status": REFUSED})
            content = {
                "FailReason": "customer_refused",
                "UserID": handover["to"],
                "ExternalUserID": external,
            }
            callbacks.push(world, corpid, relations.CONTACT_EVENT, "transfer_fail", content)
            return
        world.store.put("wecom.handovers", payload["key"], handover | {"status": DONE, "at": world.now()})
        relations.employee_deletes(world, corpid, found, "DELETE_BY_TRANSFER")
        relations.take_over(world, corpid, found, handover["to"])


@routes("POST", "/cgi-bin/externalcontact/transfer_result")
def result(call: Call) -> Doc:
    return _result(call, resigned=False)


@routes("POST", "/cgi-bin/externalcontact/resigned/transfer_result")
def result_after_leaving(call: Call) -> Doc:
    return _result(call, resigned=True)


def _result(call: Call, *, resigned: bool) -> Doc:
    body, corpid = call.json(), call.account["corpid"]
    prefix = _key(corpid, str(body.get("handover_userid")), str(body.get("takeover_userid")), "")
    found = [
        one for one in call.world.store.all("wecom.handovers", prefix).values() if one["resigned"] == resigned
    ]
    begin = int(body.get("cursor") or 0)
    page = [
        {"external_userid": one["external_userid"], "status": one["status"], "takeover_time": one["at"]}
        for one in found[begin : begin + PAGE]
    ]
    more = begin + PAGE < len(found)
    return {"customer": page, "next_cursor": str(begin + PAGE) if more else ""}


@routes("POST", "/cgi-bin/externalcontact/get_unassigned_list")
def unassigned(call: Call) -> Doc:
    world, corpid = call.world, call.account["corpid"]
    rows = []
    for member in world.store.all("wecom.employees", f"{corpid}/").values():
        if member["left_at"]:
            for one in relations.of_employee(world, corpid, member["userid"]):
                rows.append(
                    {
                        "handover_userid": member["userid"],
                        "external_userid": one["external_userid"],
                        "dimission_time": member["left_at"],
                    }
                )
    return {"info": rows, "is_last": True, "next_cursor": ""}


# -- groups ----------------------------------------------------------------------------------------


@routes("POST", "/cgi-bin/externalcontact/groupchat/transfer")
def groups_of_who_left(call: Call) -> Doc:
    return _move_groups(call, in_service=False)


@routes("POST", "/cgi-bin/externalcontact/groupchat/onjob_transfer")
def groups_in_service(call: Call) -> Doc:
    return _move_groups(call, in_service=True)


def _move_groups(call: Call, *, in_service: bool) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    chats, owner = body.get("chat_id_list"), body.get("new_owner")
    if not isinstance(chats, list) or not 1 <= len(chats) <= AT_ONCE:
        raise Refused(40058, "invalid Request Parameter: chat_id_list takes 1 to 100")
    relations.require_active(world, corpid, owner)
    failed = []
    for chat_id in chats:
        code = _move_group(world, corpid, str(chat_id), str(owner), in_service)
        if code:
            failed.append({"chat_id": chat_id, "errcode": code, "errmsg": "not transferred"})
    return {"failed_chat_list": failed}


def _move_group(world: World, corpid: str, chat_id: str, owner: str, in_service: bool) -> int:
    """Done by the API, so no callback follows; the errcode, 0 when moved."""
    key = f"{corpid}/{chat_id}"
    doc = world.store.get("wecom.groups", key)
    if doc is None or doc["dismissed"]:
        return 49008
    member = world.store.get("wecom.employees", f"{corpid}/{doc['owner']}") or {"left_at": 0}
    if bool(member["left_at"]) == in_service:
        return 90500 if not in_service else 90501
    recent = [at for at in doc["moved"] if world.now() - at < SPAN_SECONDS]
    if in_service and len(recent) >= TIMES:
        return 90502
    if not in_service and not world.use_today(f"wecom/{corpid}/groups/{doc['owner']}", GROUPS_PER_DAY):
        return 90503
    world.store.put(
        "wecom.groups", key, doc | {"owner": owner, "left_over": False, "moved": [*recent, world.now()]}
    )
    return 0
