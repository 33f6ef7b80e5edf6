"""Contact-me codes 活码 (section 3.4) and acquisition links (3.6)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from flask import Response

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.oa.codes import picture
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import relations
from growth_engine.sandbox.world import World

routes = Routes()

MOST, MOST_USERS, LONGEST = 500_000, 100, 30
PAGE = 1000
TEMPORARY_SECONDS, LONGEST_TEMPORARY = 7 * 86400, 14 * 86400
MOST_LINK_USERS = 500
ADDRESS = "https://work.weixin.qq.com/ca/"
LINK_ADDRESS = "https://work.weixin.qq.com/ca/cawcde"


@routes("POST", "/cgi-bin/externalcontact/add_contact_way")
def add(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    way = _checked(call, body)
    if (
        world.store.count("wecom.ways", f"{corpid}/") + world.store.count("wecom.join_ways", f"{corpid}/")
        >= MOST
    ):
        raise Refused(41045, "contact way count exceeds limit")
    way["config_id"] = world.random_text(32, "0123456789abcdef")
    way["made"] = world.now()
    if way["scene"] == 2:
        code = world.random_text(16)
        way["content"] = ADDRESS + code
        way["qr_code"] = f"{world.urls['wecom']}/wwhead/{way['config_id']}/0"
        world.store.put(
            "wecom.way_contents", way["content"], {"corpid": corpid, "config_id": way["config_id"]}
        )
    world.store.put("wecom.ways", f"{corpid}/{way['config_id']}", way)
    doc = {"config_id": way["config_id"]}
    return doc | {"qr_code": way["qr_code"]} if way["scene"] == 2 else doc


def _checked(call: Call, body: Doc, known: Doc | None = None) -> Doc:
    way = {
        "type": 0, "scene": 0, "style": 1, "remark": "", "skip_verify": True, "state": "", "user": [],
        "party": [], "is_temp": False, "expires_in": TEMPORARY_SECONDS, "chat_expires_in": 86400,
        "unionid": "", "is_exclusive": False, "conclusions": {},
    }  # fmt: skip
    way |= known or {}
    way |= {name: value for name, value in body.items() if name in way}
    if way["type"] not in (1, 2) or way["scene"] not in (1, 2):
        raise Refused(40058, "invalid Request Parameter: type or scene")
    if len(str(way["state"])) > LONGEST or len(str(way["remark"])) > LONGEST:
        raise Refused(40058, "invalid Request Parameter: state or remark is longer than 30")
    users = way["user"]
    if not isinstance(users, list) or (way["type"] == 1 and len(users) != 1):
        raise Refused(40058, "invalid Request Parameter: type 1 takes exactly one user")
    if len(users) > MOST_USERS or (way["type"] == 2 and not users and not way["party"]):
        raise Refused(40058, "invalid Request Parameter: user")
    if not isinstance(way["expires_in"], int) or not 0 < way["expires_in"] <= LONGEST_TEMPORARY:
        raise Refused(40058, "invalid Request Parameter: expires_in")
    for userid in users:
        relations.require_active(call.world, call.account["corpid"], userid)
    return way


def _way(call: Call) -> Doc:
    config_id = call.json().get("config_id")
    found = call.world.store.get("wecom.ways", f"{call.account['corpid']}/{config_id}")
    if found is None:
        raise Refused(41044, "contact way config_id not exist")
    return found


@routes("POST", "/cgi-bin/externalcontact/get_contact_way")
def show(call: Call) -> Doc:
    return {
        "contact_way": {name: value for name, value in _way(call).items() if name not in ("content", "made")}
    }


@routes("POST", "/cgi-bin/externalcontact/list_contact_way")
def listed(call: Call) -> Doc:
    body = call.json()
    ways = list(call.world.store.all("wecom.ways", f"{call.account['corpid']}/").values())
    since, until = int(body.get("start_time", 0)), int(body.get("end_time", call.world.now()))
    ids = [{"config_id": way["config_id"]} for way in ways if since <= way["made"] <= until]
    begin, limit = int(body.get("cursor") or 0), min(int(body.get("limit", 100)), PAGE)
    doc: Doc = {"contact_way": ids[begin : begin + limit]}
    return doc | {"next_cursor": str(begin + limit)} if begin + limit < len(ids) else doc


@routes("POST", "/cgi-bin/externalcontact/update_contact_way")
def update(call: Call) -> Doc:
    way = _way(call)
    changes = {k: v for k, v in call.json().items() if k not in ("type", "scene", "is_temp")}
    changed = way | _checked(call, changes, {k: v for k, v in way.items() if k not in ("content", "made")})
    call.world.store.put("wecom.ways", f"{call.account['corpid']}/{way['config_id']}", changed)
    return {}


@routes("POST", "/cgi-bin/externalcontact/del_contact_way")
def delete(call: Call) -> Doc:
    way = _way(call)
    call.world.store.drop("wecom.ways", f"{call.account['corpid']}/{way['config_id']}")
    return {}


@routes("GET", "/wwhead/<config_id>/0", token=False)
def qr_picture(call: Call) -> Response:
    """The picture behind ``qr_code``, of a contact way or of a group's join way."""
    for shelf in ("wecom.ways", "wecom.join_ways"):
        for corp in call.world.store.all("wecom.corps"):
            way = call.world.store.get(shelf, f"{corp}/{call.args['config_id']}")
            if way is not None and "content" in way:
                return Response(picture(way["content"]), mimetype="image/png")
    return Response("404", 404, mimetype="text/plain")


def by_content(world: World, text: str) -> tuple[str, Doc] | None:
    """Corporation and way behind a scanned text; a deleted or run-out way is None."""
    found = world.store.get("wecom.way_contents", text)
    way = world.store.get("wecom.ways", f"{found['corpid']}/{found['config_id']}") if found else None
    if found is None or way is None:
        return None
    if way["is_temp"] and world.now() >= way["made"] + way["expires_in"]:
        return None
    return found["corpid"], way


# -- acquisition links ---------------------------------------------------------------------------------


@routes("POST", "/cgi-bin/externalcontact/customer_acquisition/create_link")
def create_link(call: Call) -> Doc:
    body, world, corpid = call.json(), call.world, call.account["corpid"]
    name, users = body.get("link_name"), (body.get("range") or {}).get("user_list")
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST:
        raise Refused(40058, "invalid Request Parameter: link_name")
    if not isinstance(users, list) or not 1 <= len(users) <= MOST_LINK_USERS:
        raise Refused(40058, "invalid Request Parameter: range.user_list")
    for userid in users:
        relations.require_active(world, corpid, userid)
    code = world.random_text(18, "0123456789abcdef")
    link: Doc = {
        "link_id": "caw" + world.random_text(20),
        "link_name": name,
        "url": LINK_ADDRESS + code,
        "create_time": world.now(),
        "skip_verify": bool(body.get("skip_verify", True)),
        "users": users,
    }
    world.store.put("wecom.links", f"{corpid}/{link['link_id']}", link)
    world.store.put("wecom.link_urls", link["url"], {"corpid": corpid, "link_id": link["link_id"]})
    return {"link": {name: link[name] for name in ("link_id", "link_name", "url", "create_time")}}


@routes("POST", "/cgi-bin/externalcontact/customer_acquisition/list_link")
def list_links(call: Call) -> Doc:
    links = call.world.store.all("wecom.links", f"{call.account['corpid']}/").values()
    return {"link_id_list": [link["link_id"] for link in links], "next_cursor": ""}


@routes("POST", "/cgi-bin/externalcontact/customer_acquisition/get")
def get_link(call: Call) -> Doc:
    link = _link(call)
    shown = {name: link[name] for name in ("link_id", "link_name", "url", "create_time", "skip_verify")}
    return {"link": shown, "range": {"user_list": link["users"], "department_list": []}}


@routes("POST", "/cgi-bin/externalcontact/customer_acquisition/delete_link")
def delete_link(call: Call) -> Doc:
    link = _link(call)
    call.world.store.drop("wecom.links", f"{call.account['corpid']}/{link['link_id']}")
    return {}


def _link(call: Call) -> Doc:
    link = call.world.store.get("wecom.links", f"{call.account['corpid']}/{call.json().get('link_id')}")
    if link is None:
        raise Refused(40058, "invalid Request Parameter: link_id")
    return link


def by_link(world: World, text: str) -> tuple[str, Doc, str] | None:
    """Corporation, link and customer_channel behind an opened acquisition link."""
    parts = urlsplit(text)
    found = world.store.get("wecom.link_urls", f"{parts.scheme}://{parts.netloc}{parts.path}")
    link = world.store.get("wecom.links", f"{found['corpid']}/{found['link_id']}") if found else None
    if found is None or link is None:
        return None
    return found["corpid"], link, parse_qs(parts.query).get("customer_channel", [""])[0]
