"""Who follows an account, and what the account may know about them (section 2.10); tags."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

BATCH = 100
PAGE = 10_000
TAGS, TAGS_PER_PERSON, TAGGED_AT_ONCE, LONGEST_TAG = 100, 20, 50, 30
OK: Doc = {"errcode": 0, "errmsg": "ok"}


def follower(world: World, appid: str, openid: str) -> Doc | None:
    """The follower's record, also of somebody who left; None for an openid that never followed."""
    return world.store.get("oa.followers", f"{appid}/{openid}")


def save(world: World, appid: str, record: Doc) -> None:
    world.store.put("oa.followers", f"{appid}/{record['openid']}", record)


def following(world: World, appid: str, openid: object) -> Doc:
    """The record of somebody who follows; 40003 for nobody's openid, 43004 for who does not follow."""
    if not isinstance(openid, str) or people.by_openid(world, appid, openid) is None:
        raise Refused(40003)
    found = follower(world, appid, openid)
    if found is None or not found["subscribe"]:
        raise Refused(43004)
    return found


@routes("GET", "/cgi-bin/user/info")
def info(call: Call) -> Doc:
    openid = call.query.get("openid", "")
    if not openid:
        raise Refused(41009)
    return _described(call, openid, call.query.get("lang", "zh_CN"))


@routes("POST", "/cgi-bin/user/info/batchget")
def info_of_many(call: Call) -> Doc:
    wanted = call.json().get("user_list")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= BATCH:
        raise Refused(40035, "invalid parameter: user_list takes 1 to 100")
    found = []
    for one in wanted:
        if not isinstance(one, dict) or not isinstance(one.get("openid"), str):
            raise Refused(41009)
        found.append(_described(call, one["openid"], str(one.get("lang", "zh_CN"))))
    return {"user_info_list": found}


def _described(call: Call, openid: str, lang: str) -> Doc:
    person = people.by_openid(call.world, call.account["appid"], openid)
    if person is None:
        raise Refused(40003)
    record = follower(call.world, call.account["appid"], openid)
    if record is None or not record["subscribe"]:
        return {"subscribe": 0, "openid": openid}
    # Nickname, picture, sex and region have been empty since 2021-12-27.
    doc = {
        "subscribe": 1,
        "openid": openid,
        "nickname": "",
        "sex": 0,
        "language": lang,
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        **{name: record[name] for name in ("subscribe_time", "remark", "groupid", "tagid_list")},
        **{name: record[name] for name in ("subscribe_scene", "qr_scene", "qr_scene_str")},
    }
    if call.account["bound_union"]:
        doc["unionid"] = person["unionid"]
    return doc


@routes("GET", "/cgi-bin/user/get")
def all_followers(call: Call) -> Doc:
    records = call.world.store.all("oa.followers", f"{call.account['appid']}/").values()
    everybody = [record["openid"] for record in records if record["subscribe"]]
    after = call.query.get("next_openid", "")
    rest = [openid for openid in everybody if openid > after][:PAGE] if after else everybody[:PAGE]
    doc: Doc = {"total": len(everybody), "count": len(rest)}
    if rest:
        doc["data"] = {"openid": rest}
    doc["next_openid"] = rest[-1] if rest else ""
    return doc


@routes("POST", "/cgi-bin/user/info/updateremark")
def remark(call: Call) -> Doc:
    body = call.json()
    record = following(call.world, call.account["appid"], body.get("openid"))
    text = body.get("remark")
    if not isinstance(text, str) or len(text) > LONGEST_TAG:
        raise Refused(40035)
    save(call.world, call.account["appid"], record | {"remark": text})
    return OK


# -- tags ------------------------------------------------------------------------------------------


@routes("POST", "/cgi-bin/tags/create")
def create_tag(call: Call) -> Doc:
    tag = call.json().get("tag")
    name = tag.get("name") if isinstance(tag, dict) else None
    if not isinstance(name, str) or not name or len(name.encode()) > LONGEST_TAG:
        raise Refused(45158, "tag name too long") if name else Refused(45157)
    world, appid = call.world, call.account["appid"]
    known = world.store.all("oa.tags", f"{appid}/")
    if any(one["name"] == name for one in known.values()):
        raise Refused(45157)
    if len(known) >= TAGS:
        raise Refused(45056, "too many tags")
    number = 100 + world.store.next(f"oa/{appid}/tags")
    world.store.put("oa.tags", f"{appid}/{number:06}", {"id": number, "name": name})
    return {"tag": {"id": number, "name": name}}


@routes("GET", "/cgi-bin/tags/get")
def tags(call: Call) -> Doc:
    world, appid = call.world, call.account["appid"]
    records = list(world.store.all("oa.followers", f"{appid}/").values())

    def count(number: int) -> int:
        return sum(number in one["tagid_list"] for one in records)

    return {
        "tags": [
            tag | {"count": count(tag["id"])} for tag in world.store.all("oa.tags", f"{appid}/").values()
        ]
    }


@routes("POST", "/cgi-bin/tags/members/batchtagging")
def tag_many(call: Call) -> Doc:
    return _tagged(call, add=True)


@routes("POST", "/cgi-bin/tags/members/batchuntagging")
def untag_many(call: Call) -> Doc:
    return _tagged(call, add=False)


def _tagged(call: Call, *, add: bool) -> Doc:
    body, world, appid = call.json(), call.world, call.account["appid"]
    openids, number = body.get("openid_list"), body.get("tagid")
    if not isinstance(openids, list) or not 1 <= len(openids) <= TAGGED_AT_ONCE:
        raise Refused(40032, "invalid openid list size")
    if not isinstance(number, int) or world.store.get("oa.tags", f"{appid}/{number:06}") is None:
        raise Refused(45159)
    records = [following(world, appid, openid) for openid in openids]
    for record in records:
        others = [one for one in record["tagid_list"] if one != number]
        if add and len(others) >= TAGS_PER_PERSON:
            raise Refused(45059, "too many tags on this person")
        save(world, appid, record | {"tagid_list": [*others, number] if add else others})
    return OK
