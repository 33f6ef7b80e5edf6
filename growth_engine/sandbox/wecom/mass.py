"""Mass messages and moments, tasks an employee has to confirm (3.10); group welcome texts (3.7)."""

from __future__ import annotations

import calendar
import datetime as dt
from typing import Any

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.pay.checks import CHINA
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import contacts, relations
from growth_engine.sandbox.world import World, timer

routes = Routes()

MOST_CUSTOMERS, MOST_CHATS, MOST_TAGS = 10_000, 2000, 100
UNSENT, SENT, NO_FRIEND, TOO_MANY = 0, 1, 2, 3
TASK_UNSENT, TASK_SENT = 0, 2
MOMENT_BYTES, MOMENT_PICTURES = 4000, 9
MOMENTS_PER_MONTH, MOMENTS_PER_MINUTE = 100_000, 10
JOB_SECONDS, JOB_WORK_SECONDS = 24 * 3600, 2.0
TEMPLATES, TEMPLATE_BYTES = 100, 3000


@routes("POST", "/cgi-bin/externalcontact/add_msg_template")
def add(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    content = contacts.message_of(call, body)
    kind = body.get("chat_type", "single")
    if kind not in ("single", "group"):
        raise Refused(40058, "invalid Request Parameter: chat_type")
    sender = body.get("sender")
    if sender is not None:
        relations.employee(world, corpid, sender)
    targets, failed = _customers(call, body, sender) if kind == "single" else _chats(call, body, sender)
    if not targets:
        raise Refused(41048, "no customer to send", fail_list=failed)
    msgid = "msg" + world.random_text(29)
    task = {
        "msgid": msgid,
        "kind": kind,
        "content": content,
        "made": world.now(),
        "senders": {userid: {"status": TASK_UNSENT, "time": 0} for userid in targets},
        "targets": {
            userid: {one: {"status": UNSENT, "time": 0} for one in ids} for userid, ids in targets.items()
        },
    }
    world.store.put("wecom.mass", f"{corpid}/{msgid}", task)
    return {"fail_list": failed, "msgid": msgid}


def _customers(call: Call, body: Doc, sender: str | None) -> tuple[dict[str, list[str]], list[str]]:
    world, corpid = call.world, call.account["corpid"]
    wanted = body.get("external_userid")
    if not wanted and sender is None:
        raise Refused(40058, "invalid Request Parameter: external_userid and sender are empty")
    if wanted is not None and (not isinstance(wanted, list) or len(wanted) > MOST_CUSTOMERS):
        raise Refused(40058, "invalid Request Parameter: external_userid takes at most 10000")
    tags = _tag_groups(body)
    found: dict[str, list[str]] = {}
    failed = []
    known = list(world.store.all("wecom.relations", f"{corpid}/").values())
    known = [one for one in known if sender in (None, one["userid"])]
    for external in wanted or [one["external_userid"] for one in known]:
        mine = [one for one in known if one["external_userid"] == external and not one["deleted_by_customer"]]
        if not mine:
            failed.append(external)
            continue
        latest = max(mine, key=lambda one: int(one["made"]))
        if all(set(group) & set(latest["tags"]) for group in tags):
            found.setdefault(latest["userid"], []).append(external)
    return found, failed


def _tag_groups(body: Doc) -> list[list[str]]:
    groups_ = (body.get("tag_filter") or {}).get("group_list") or []
    lists = [one.get("tag_list") or [] for one in groups_]
    if any(len(one) > MOST_TAGS for one in lists):
        raise Refused(40058, "invalid Request Parameter: tag_filter")
    return lists


def _chats(call: Call, body: Doc, sender: str | None) -> tuple[dict[str, list[str]], list[str]]:
    if sender is None:
        raise Refused(40058, "invalid Request Parameter: sender is needed for groups")
    world, corpid = call.world, call.account["corpid"]
    wanted = body.get("chat_id_list")
    if wanted is not None and (not isinstance(wanted, list) or len(wanted) > MOST_CHATS):
        raise Refused(40058, "invalid Request Parameter: chat_id_list takes at most 2000")
    rooms = world.store.all("wecom.groups", f"{corpid}/").values()
    mine = [one["chat_id"] for one in rooms if one["owner"] == sender and not one["dismissed"]]
    failed = [one for one in wanted or [] if one not in mine]
    chosen = [one for one in (wanted or mine) if one in mine]
    return ({sender: chosen} if chosen else {}), failed


def confirm(world: World, corpid: str, userid: str, msgid: str) -> None:
    """The employee taps send: now it is delivered, as far as the month's limit lets it."""
    key = f"{corpid}/{msgid}"
    task = world.store.get("wecom.mass", key)
    if task is None or userid not in task["senders"]:
        raise Refused(40058, "no such task for this employee")
    if task["senders"][userid]["status"] == TASK_SENT:
        return
    task["senders"][userid] = {"status": TASK_SENT, "time": world.now()}
    for target, result in task["targets"][userid].items():
        result |= {"status": _deliver(world, corpid, userid, task, target), "time": world.now()}
    world.store.put("wecom.mass", key, task)


def _deliver(world: World, corpid: str, userid: str, task: Doc, target: str) -> int:
    if task["kind"] == "group":
        room = world.store.get("wecom.groups", f"{corpid}/{target}")
        if room is None or room["dismissed"]:
            return NO_FRIEND
        if not _this_month(world, corpid, target):
            return TOO_MANY
        for member in room["members"]:
            for one in task["content"] if "person" in member else []:
                chat = f"group:{corpid}:{target}"
                people.say(world, member["person"], chat, "them", one["kind"], **one["content"])
        return SENT
    found = relations.relation(world, corpid, userid, target)
    if found is None or found["deleted_by_customer"]:
        return NO_FRIEND
    if not _this_month(world, corpid, target):
        return TOO_MANY
    contacts.deliver(world, corpid, found, task["content"])
    return SENT


def _this_month(world: World, corpid: str, target: str) -> bool:
    """Each customer and group gets at most as many mass messages a month as the month has days."""
    today = dt.datetime.fromtimestamp(world.now(), CHINA)
    counter = f"quota/mass/{corpid}/{target}/{today:%Y-%m}"
    if world.store.counted(counter) >= calendar.monthrange(today.year, today.month)[1]:
        return False
    world.store.next(counter)
    return True


def _task(call: Call, body: Doc) -> Doc:
    task = call.world.store.get("wecom.mass", f"{call.account['corpid']}/{body.get('msgid')}")
    if task is None:
        raise Refused(40058, "invalid Request Parameter: msgid")
    return task


@routes("POST", "/cgi-bin/externalcontact/get_groupmsg_task")
def tasks(call: Call) -> Doc:
    task = _task(call, call.json())
    rows = [
        {"userid": userid, "status": one["status"]} | ({"send_time": one["time"]} if one["time"] else {})
        for userid, one in task["senders"].items()
    ]
    return {"task_list": rows, "next_cursor": ""}


@routes("POST", "/cgi-bin/externalcontact/get_groupmsg_send_result")
def results(call: Call) -> Doc:
    body = call.json()
    task = _task(call, body)
    userid = body.get("userid")
    if userid not in task["targets"]:
        raise Refused(40058, "invalid Request Parameter: userid")
    name = "external_userid" if task["kind"] == "single" else "chat_id"
    rows = [
        {name: target, "userid": userid, "status": one["status"]}
        | ({"send_time": one["time"]} if one["time"] else {})
        for target, one in task["targets"][userid].items()
    ]
    begin, limit = int(body.get("cursor") or 0), int(body.get("limit", 500))
    more = begin + limit < len(rows)
    return {"send_list": rows[begin : begin + limit], "next_cursor": str(begin + limit) if more else ""}


# -- moments -------------------------------------------------------------------------------------------


@routes("POST", "/cgi-bin/externalcontact/add_moment_task")
def add_moment(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    content = _moment(call, body)
    senders = ((body.get("visible_range") or {}).get("sender_list") or {}).get("user_list")
    if senders is None:
        members = world.store.all("wecom.employees", f"{corpid}/").values()
        senders = [one["userid"] for one in members if one["active"] and not one["left_at"]]
    known = {one: world.store.get("wecom.employees", f"{corpid}/{one}") for one in senders}
    invalid = [userid for userid, one in known.items() if one is None or one["left_at"] or not one["active"]]
    if not world.use(f"wecom/{corpid}/moments", MOMENTS_PER_MINUTE, 60):
        raise Refused(45033, "moment task frequency out of limit")
    if not world.use(f"wecom/{corpid}/moments/month", MOMENTS_PER_MONTH, 30 * 86400):
        raise Refused(45009, "api freq out of limit")
    jobid = "job" + world.random_text(29)
    job = {
        "status": 1,
        "made": world.now(),
        "moment_id": "mom" + world.random_text(40),
        "senders": {one: 0 for one in senders if one not in invalid},
        "invalid": invalid,
        "content": content,
    }
    world.store.put("wecom.moments", f"{corpid}/{jobid}", job)
    world.later(JOB_WORK_SECONDS, "wecom.moment", {"key": f"{corpid}/{jobid}"})
    return {"jobid": jobid}


def _moment(call: Call, body: Doc) -> list[Doc]:
    attachments = body.get("attachments") or []
    kinds = {one.get("msgtype") for one in attachments if isinstance(one, dict)}
    most = MOMENT_PICTURES if kinds == {"image"} else 1
    if len(kinds) > 1 or len(attachments) > most or not kinds <= {"image", "video", "link"}:
        raise Refused(40058, "invalid Request Parameter: 9 pictures or 1 video or 1 link")
    return contacts.message_of(call, body, longest=MOMENT_BYTES)


@timer("wecom.moment")
def _made(world: World, payload: Doc) -> None:
    with world.open():
        job = world.store.get("wecom.moments", payload["key"])
        if job is not None:
            world.store.put("wecom.moments", payload["key"], job | {"status": 3})


@routes("GET", "/cgi-bin/externalcontact/get_moment_task_result")
def moment_result(call: Call) -> Doc:
    job = call.world.store.get("wecom.moments", f"{call.account['corpid']}/{call.query.get('jobid')}")
    if job is None or call.world.now() - job["made"] > JOB_SECONDS:
        raise Refused(40058, "invalid Request Parameter: jobid")
    result: Doc = {"errcode": 0, "errmsg": "ok", "invalid_sender_list": {"user_list": job["invalid"]}}
    if job["status"] == 3:
        result["moment_id"] = job["moment_id"]
    return {"status": job["status"], "type": "add_moment_task", "result": result}


def publish(world: World, corpid: str, userid: str, jobid: str) -> None:
    """The employee publishes a moment: every customer of his sees it."""
    job = world.store.get("wecom.moments", f"{corpid}/{jobid}")
    if job is None or userid not in job["senders"]:
        raise Refused(40058, "no such moment for this employee")
    job["senders"][userid] = world.now()
    world.store.put("wecom.moments", f"{corpid}/{jobid}", job)
    for one in relations.of_employee(world, corpid, userid):
        if not one["deleted_by_customer"]:
            contacts.deliver(world, corpid, one, job["content"])


# -- group welcome templates ---------------------------------------------------------------------------


@routes("POST", "/cgi-bin/externalcontact/group_welcome_template/add")
def add_template(call: Call) -> Doc:
    world, corpid = call.world, call.account["corpid"]
    content = _template(call.json())
    if world.store.count("wecom.group_welcome", f"{corpid}/") >= TEMPLATES:
        raise Refused(41045, "template count exceeds limit")
    template_id = "msg" + world.random_text(29)
    world.store.put("wecom.group_welcome", f"{corpid}/{template_id}", content)
    return {"template_id": template_id}


def _template(body: Doc) -> Doc:
    text = (body.get("text") or {}).get("content", "")
    rest: Doc = {
        name: body[name] for name in ("image", "link", "miniprogram", "file", "video") if name in body
    }
    if len(str(text).encode()) > TEMPLATE_BYTES or (not text and not rest):
        raise Refused(40058, "invalid Request Parameter: text")
    return {"text": {"content": text}, **rest}


def _known_template(call: Call, body: Doc) -> tuple[str, Any]:
    key = f"{call.account['corpid']}/{body.get('template_id')}"
    found = call.world.store.get("wecom.group_welcome", key)
    if found is None:
        raise Refused(40058, "invalid Request Parameter: template_id")
    return key, found


@routes("POST", "/cgi-bin/externalcontact/group_welcome_template/edit")
def edit_template(call: Call) -> Doc:
    body = call.json()
    key, _found = _known_template(call, body)
    call.world.store.put("wecom.group_welcome", key, _template(body))
    return {}


@routes("POST", "/cgi-bin/externalcontact/group_welcome_template/get")
def get_template(call: Call) -> Doc:
    found: Doc = _known_template(call, call.json())[1]
    return found


@routes("POST", "/cgi-bin/externalcontact/group_welcome_template/del")
def delete_template(call: Call) -> Doc:
    call.world.store.drop("wecom.group_welcome", _known_template(call, call.json())[0])
    return {}


def waiting(world: World, corpid: str, userid: str) -> list[Doc]:
    """What an employee still has to confirm: mass messages and moments."""
    found = [
        {"kind": "mass", "id": key.split("/")[1], "content": task["content"]}
        for key, task in world.store.all("wecom.mass", f"{corpid}/").items()
        if task["senders"].get(userid, {}).get("status") == TASK_UNSENT
    ]
    found += [
        {"kind": "moment", "id": key.split("/")[1], "content": job["content"]}
        for key, job in world.store.all("wecom.moments", f"{corpid}/").items()
        if job["senders"].get(userid) == 0
    ]
    return found
