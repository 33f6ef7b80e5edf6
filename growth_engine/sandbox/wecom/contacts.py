"""Reading customers, remarks, the welcome message, and the way from external_userid to openid (3.5, 3.11)."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.oa import jssdk, media
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import relations
from growth_engine.sandbox.world import World

routes = Routes()

PAGE, BATCH_USERS, BATCH_LIMIT = 500, 100, 100
WELCOME_BYTES, TEXT_BYTES, ATTACHMENTS = 4000, 4000, 9
_LINK_TITLE, _LINK_TEXT, _MINI_TITLE = 128, 512, 64


@routes("GET", "/cgi-bin/externalcontact/get_follow_user_list")
def staff(call: Call) -> Doc:
    members = call.world.store.all("wecom.employees", f"{call.account['corpid']}/").values()
    return {"follow_user": [one["userid"] for one in members if not one["left_at"] and one["active"]]}


@routes("GET", "/cgi-bin/externalcontact/list")
def listed(call: Call) -> Doc:
    corpid, userid = call.account["corpid"], call.query.get("userid", "")
    relations.employee(call.world, corpid, userid)
    found = relations.of_employee(call.world, corpid, userid)
    if not found:
        raise Refused(84061, "not external contact")
    return {"external_userid": [one["external_userid"] for one in found]}


@routes("GET", "/cgi-bin/externalcontact/get")
def show(call: Call) -> Doc:
    world, corpid = call.world, call.account["corpid"]
    external = call.query.get("external_userid", "")
    person = relations.person_of(world, corpid, external)
    if person is None:
        raise Refused(40096, "invalid external userid")
    found = relations.of_customer(world, corpid, external)
    if not found:
        raise Refused(84061, "not external contact")
    begin = int(call.query.get("cursor") or 0)
    page = found[begin : begin + PAGE]
    doc: Doc = {
        "external_contact": _contact(call, person, external),
        "follow_user": [_follow(world, corpid, one) for one in page],
    }
    return doc | {"next_cursor": str(begin + PAGE)} if begin + PAGE < len(found) else doc


@routes("POST", "/cgi-bin/externalcontact/batch/get_by_user")
def of_many(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    userids, limit = body.get("userid_list"), int(body.get("limit", 50))
    if not isinstance(userids, list) or not 1 <= len(userids) <= BATCH_USERS or not 1 <= limit <= BATCH_LIMIT:
        raise Refused(40058)
    found: list[Doc] = []
    for userid in userids:
        relations.employee(world, corpid, userid)
        found += relations.of_employee(world, corpid, userid)
    begin = int(body.get("cursor") or 0)
    rows = []
    for one in found[begin : begin + limit]:
        person = people.person(world, one["person"])
        contact = _contact(call, person, one["external_userid"])
        rows.append({"external_contact": contact, "follow_info": _follow(world, corpid, one, ids_only=True)})
    more = begin + limit < len(found)
    return {"external_contact_list": rows, "next_cursor": str(begin + limit) if more else ""}


def _contact(call: Call, person: Doc, external: str) -> Doc:
    doc: Doc = {
        "external_userid": external,
        "name": person["nickname"],
        "type": 1,
        "avatar": f"{call.world.urls.get('oa', '')}/_sandbox/avatar/{person['avatar']}.png",
        "gender": 0,
    }
    if call.account["developer_bound"]:
        doc["unionid"] = person["unionid"]
    return doc


def _follow(world: World, corpid: str, one: Doc, *, ids_only: bool = False) -> Doc:
    names = {tag["id"]: tag for tag in world.store.all("wecom.tags", f"{corpid}/").values()}
    doc: Doc = {
        "userid": one["userid"],
        "remark": one["remark"],
        "description": one["description"],
        "createtime": one["made"],
        "remark_mobiles": one["mobiles"],
        "add_way": one["add_way"],
        "oper_userid": one["userid"],
    }
    if ids_only:
        doc["tag_id"] = one["tags"]
    else:
        doc["tags"] = [
            {"group_name": names[tag]["group_name"], "tag_name": names[tag]["name"], "tag_id": tag, "type": 1}
            for tag in one["tags"] if tag in names
        ]  # fmt: skip
    return doc | {"state": one["state"]} if one["state"] else doc


@routes("POST", "/cgi-bin/externalcontact/remark")
def remark(call: Call) -> Doc:
    body, corpid = call.json(), call.account["corpid"]
    found = relations.require(call.world, corpid, body.get("userid"), body.get("external_userid"))
    names = {"remark": ("remark", 20), "description": ("description", 150)}
    for theirs, (ours, longest) in names.items():
        if theirs in body:
            if not isinstance(body[theirs], str) or len(body[theirs]) > longest:
                raise Refused(40058, f"invalid Request Parameter: {theirs}")
            found[ours] = body[theirs]
    if "remark_mobiles" in body:
        found["mobiles"] = list(body["remark_mobiles"])
    relations.save(call.world, corpid, found)
    return {}


@routes("POST", "/cgi-bin/externalcontact/convert_to_openid")
def to_openid(call: Call) -> Doc:
    external = str(call.json().get("external_userid", ""))
    person = relations.person_of(call.world, call.account["corpid"], external)
    if person is None or not external.startswith("wm"):
        raise Refused(40096, "invalid external userid")
    return {"openid": people.openid(call.world, call.account["corpid"], person["id"])}


# -- the welcome message -----------------------------------------------------------------------------


@routes("POST", "/cgi-bin/externalcontact/send_welcome_msg")
def welcome(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    content = message_of(call, body)
    key = str(body.get("welcome_code", ""))
    code = world.store.get("wecom.welcome", key)
    if code is None or code["corpid"] != corpid:
        raise Refused(41050, "invalid welcome_code")
    found = relations.relation(world, corpid, code["userid"], code["external_userid"])
    if found is None or world.now() >= code["until"]:
        raise Refused(41050, "welcome_code expired")
    if found["welcomed"] or found["talked"]:
        raise Refused(41051, "external user has started chatting or the welcome message was delivered")
    relations.save(world, corpid, found | {"welcomed": True})
    deliver(world, corpid, found, content)
    return {}


def deliver(world: World, corpid: str, relation: Doc, content: list[Doc]) -> None:
    """Put messages into the customer's chat with the employee."""
    chat = relations.chat_of(corpid, relation["userid"])
    for one in content:
        people.say(world, relation["person"], chat, "them", one["kind"], **one["content"])


def message_of(call: Call, body: Doc, *, longest: int = WELCOME_BYTES) -> list[Doc]:
    """Text and attachments of a message, checked; 41063 when there is nothing."""
    found: list[Doc] = []
    text = (body.get("text") or {}).get("content", "")
    if text:
        if len(text.encode()) > longest:
            raise Refused(40058, "invalid Request Parameter: text.content is too long")
        found.append({"kind": "text", "content": {"text": text}})
    attachments = body.get("attachments") or []
    if not isinstance(attachments, list) or len(attachments) > ATTACHMENTS:
        raise Refused(40058, "invalid Request Parameter: attachments")
    found += [_attachment(call, one) for one in attachments]
    if not found:
        raise Refused(40058, "invalid Request Parameter: text and attachments are empty")
    return found


def _attachment(call: Call, one: Any) -> Doc:
    kind = one.get("msgtype") if isinstance(one, dict) else None
    part = one.get(kind) if kind else None
    if kind not in ("image", "link", "miniprogram", "video", "file") or not isinstance(part, dict):
        raise Refused(40058, "invalid Request Parameter: attachments.msgtype")
    corpid = call.account["corpid"]
    if kind in ("image", "video", "file"):
        if kind == "image" and part.get("pic_url"):
            return {"kind": "image", "content": {"url": str(part["pic_url"])}}
        return {
            "kind": kind,
            "content": {"media_id": media.require(call.world, corpid, part.get("media_id"), kind)},
        }
    title, most = str(part.get("title", "")), _LINK_TITLE if kind == "link" else _MINI_TITLE
    if not title or len(title.encode()) > most or len(str(part.get("desc", "")).encode()) > _LINK_TEXT:
        raise Refused(40058, f"invalid Request Parameter: {kind}.title or desc")
    if kind == "miniprogram":
        return {"kind": "miniprogrampage", "content": {"title": title, "pagepath": str(part.get("page", ""))}}
    if not part.get("url"):
        raise Refused(40058, "invalid Request Parameter: link.url")
    article = {"title": title, "text": str(part.get("desc", "")), "url": str(part["url"])}
    return {"kind": "news", "content": {"articles": [article | {"picture": str(part.get("picurl", ""))}]}}


# -- files and tickets -------------------------------------------------------------------------------

_LARGEST = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "image": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"),
    "voice": (b"#!AMR",),
}
LEAST_BYTES = 5


@routes("POST", "/cgi-bin/media/upload")
def upload(call: Call) -> Doc:
    kind = call.query.get("type", "")
    if kind not in _LARGEST:
        raise Refused(40004)
    media_id = media.keep(call, kind, _LARGEST[kind], _BEGINNINGS.get(kind, ()))
    if len(call.world.store.file(media_id) or b"") <= LEAST_BYTES:
        raise Refused(40006, "invalid file size")
    return {"type": kind, "media_id": media_id, "created_at": str(call.world.now())}


@routes("GET", "/cgi-bin/get_jsapi_ticket")
def corp_ticket(call: Call) -> Doc:
    return _ticket(call, "corp", 400)


@routes("GET", "/cgi-bin/ticket/get")
def agent_ticket(call: Call) -> Doc:
    if call.query.get("type") != "agent_config":
        raise Refused(40058)
    return _ticket(call, "agent", 100)


def _ticket(call: Call, kind: str, hourly: int) -> Doc:
    corpid = call.account["corpid"]
    if not call.world.use(f"wecom/{corpid}/ticket/{kind}", hourly, 3600):
        raise Refused(45009, "api freq out of limit")
    found = jssdk.current(call.world, "wecom", f"{corpid}/{kind}")
    return {"ticket": found["ticket"], "expires_in": found["until"] - call.world.now()}
