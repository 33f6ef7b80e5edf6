"""Template messages and the two kinds of subscription messages (section 2.7)."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.oa import callbacks, followers
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

routes = Routes()

TEMPLATES = 25
RESULT_SECONDS = 1.0
LONGEST_TITLE, LARGEST_SUBSCRIBE_SCENE = 15, 10_000


@routes("POST", "/cgi-bin/message/template/send")
def send(call: Call) -> Doc:
    body, world, account = call.json(), call.world, call.account
    template = _template(account, body)
    record = followers.following(world, account["appid"], body.get("touser"))
    _check_data(body)
    client_id = body.get("client_msg_id")
    if client_id is not None:
        key = f"{account['appid']}/{client_id}"
        if not isinstance(client_id, str) or len(client_id) > 32:
            raise Refused(40035)
        if world.store.get("oa.client_msg_ids", key) is not None:
            raise Refused(45065)
        world.store.put("oa.client_msg_ids", key, {"at": world.now()})
    if not world.use_today(f"oa/{account['appid']}/templates", account["template_daily"]):
        raise Refused(45009)
    number = world.digits(18)
    payload = {"appid": account["appid"], "openid": record["openid"], "msgid": int(number)}
    content = _card(template, body)
    world.later(RESULT_SECONDS, "oa.template", payload | {"card": content})
    return {"errcode": 0, "errmsg": "ok", "msgid": int(number)}


@timer("oa.template")
def _finished(world: World, payload: Doc) -> None:
    with world.open():
        record = followers.follower(world, payload["appid"], payload["openid"])
        status = "success"
        if record is None or not record["subscribe"] or record["muted"]:
            status = "failed:user block"
        else:
            people.say(
                world, record["person"], f"oa:{payload['appid']}", "them", "template", **payload["card"]
            )
        callbacks.push(
            world,
            payload["appid"],
            payload["openid"],
            {
                "MsgType": "event",
                "Event": "TEMPLATESENDJOBFINISH",
                "MsgID": payload["msgid"],
                "Status": status,
            },
        )


@routes("POST", "/cgi-bin/message/template/subscribe")
def send_once(call: Call) -> Doc:
    """One-time subscription: one grant of a person is one message; following is not needed."""
    body, world, appid = call.json(), call.world, call.account["appid"]
    template = _template(call.account, body)
    person = _person(call, body)
    title = body.get("title")
    if not isinstance(title, str) or not 1 <= len(title) <= LONGEST_TITLE:
        raise Refused(40035, "invalid parameter: title")
    _check_data(body)
    _use_grant(world, appid, str(body["touser"]), f"{template['template_id']}/{body.get('scene')}")
    people.say(
        world, person["id"], f"oa:{appid}", "them", "template", **_card(template, body) | {"title": title}
    )
    return {"errcode": 0, "errmsg": "ok"}


@routes("POST", "/cgi-bin/message/subscribe/bizsend")
def send_subscribed(call: Call) -> Doc:
    body, world, appid = call.json(), call.world, call.account["appid"]
    template = _template(call.account, body)
    person = _person(call, body)
    _check_data(body)
    openid = str(body["touser"])
    _use_grant(world, appid, openid, template["template_id"])
    people.say(world, person["id"], f"oa:{appid}", "them", "template", **_card(template, body))
    item = {
        "TemplateId": template["template_id"],
        "MsgID": int(world.digits(18)),
        "ErrorCode": 0,
        "ErrorStatus": "success",
    }
    callbacks.push(
        world,
        appid,
        openid,
        {
            "MsgType": "event",
            "Event": "subscribe_msg_sent_event",
            "SubscribeMsgSentEvent": {"List": item},
        },
    )
    return {"errcode": 0, "errmsg": "ok"}


def grant(world: World, appid: str, openid: str, template_id: str, scene: int | None = None) -> None:
    """A person allows one more message of a template."""
    key = f"{template_id}/{scene}" if scene is not None else template_id
    name = f"{appid}/{openid}/{key}"
    found = world.store.get("oa.grants", name) or {"left": 0}
    world.store.put("oa.grants", name, {"left": found["left"] + 1})


def revoke(world: World, appid: str, openid: str, template_id: str) -> None:
    for name in world.store.all("oa.grants", f"{appid}/{openid}/{template_id}"):
        world.store.drop("oa.grants", name)


def _use_grant(world: World, appid: str, openid: str, key: str) -> None:
    name = f"{appid}/{openid}/{key}"
    found = world.store.get("oa.grants", name)
    if found is None or found["left"] < 1:
        raise Refused(43101)
    world.store.put("oa.grants", name, {"left": found["left"] - 1})


def _person(call: Call, body: Doc) -> Doc:
    openid = body.get("touser")
    person = people.by_openid(call.world, call.account["appid"], str(openid))
    if person is None:
        raise Refused(40003)
    return person


def _template(account: Doc, body: Doc) -> Doc:
    for template in account["templates"]:
        if template["template_id"] == body.get("template_id"):
            found: Doc = template
            return found
    raise Refused(40037)


def _check_data(body: Doc) -> None:
    data = body.get("data")
    if not isinstance(data, dict) or not data:
        raise Refused(47003, "argument invalid! data is empty")
    for name, one in data.items():
        if not isinstance(one, dict) or not isinstance(one.get("value"), str):
            raise Refused(47003, f"argument invalid! data.{name}.value is empty")


def _card(template: Doc, body: Doc) -> Doc:
    lines = [
        {"name": template["words"].get(name, name), "value": one["value"]}
        for name, one in body["data"].items()
    ]
    return {"title": template["title"], "lines": lines, "url": str(body.get("url") or body.get("page") or "")}
