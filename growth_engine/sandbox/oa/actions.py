"""What a person does with an account on the phone: follow, scan, leave, write, tap the menu."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.oa import callbacks, codes, followers, media, templates, windows
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World


class CannotDo(Exception):
    """The phone would not offer this now; the message says why."""


def account(world: World, appid: str) -> Doc:
    found = world.store.get("oa.accounts", appid)
    if found is None:
        raise CannotDo(f"there is no account {appid}")
    return found


def follow(world: World, person_id: str, appid: str, code: Doc | None = None) -> str:
    """Follow an account, by search or through a parametric code; the openid."""
    account(world, appid)
    openid = people.openid(world, appid, person_id)
    earlier = followers.follower(world, appid, openid)
    if earlier is not None and earlier["subscribe"]:
        raise CannotDo("this person follows the account already")
    scene, text = (code["scene"], code["text"]) if code else ("", False)
    followers.save(
        world,
        appid,
        {
            "openid": openid,
            "person": person_id,
            "subscribe": True,
            "subscribe_time": world.now(),
            "subscribe_scene": "ADD_SCENE_QR_CODE" if code else "ADD_SCENE_SEARCH",
            "qr_scene": int(scene) if scene and not text else 0,
            "qr_scene_str": scene if text else "",
            "remark": "",
            "groupid": 0,
            "tagid_list": [],
            "muted": False,
        },
    )
    windows.opened(world, appid, openid, "follow")
    people.say(world, person_id, f"oa:{appid}", "system", "followed")
    event: Doc = {"MsgType": "event", "Event": "subscribe", "EventKey": ""}
    if code:
        event |= {"EventKey": f"qrscene_{scene}", "Ticket": code["ticket"]}
    callbacks.push(world, appid, openid, event)
    return openid


def scan(world: World, person_id: str, url: str) -> Doc:
    """Scan a parametric code: a newcomer follows through it, a follower sends a SCAN event."""
    code = codes.by_url(world, url)
    if code is None:
        raise CannotDo("this is no code of an account")
    if codes.is_over(world, code):
        raise CannotDo("the code has run out")
    appid = code["appid"]
    openid = people.openid(world, appid, person_id)
    record = followers.follower(world, appid, openid)
    if record is None or not record["subscribe"]:
        follow(world, person_id, appid, code)
        return {"appid": appid, "openid": openid, "followed": True}
    windows.opened(world, appid, openid, "scan")
    event = {"MsgType": "event", "Event": "SCAN", "EventKey": code["scene"], "Ticket": code["ticket"]}
    callbacks.push(world, appid, openid, event)
    return {"appid": appid, "openid": openid, "followed": False}


def unfollow(world: World, person_id: str, appid: str) -> None:
    openid, record = _following(world, person_id, appid)
    followers.save(world, appid, record | {"subscribe": False, "tagid_list": [], "remark": ""})
    windows.closed(world, appid, openid)
    people.say(world, person_id, f"oa:{appid}", "system", "unfollowed")
    callbacks.push(world, appid, openid, {"MsgType": "event", "Event": "unsubscribe", "EventKey": ""})


def mute(world: World, person_id: str, appid: str, muted: bool) -> None:
    """Refuse (or take again) what the account writes."""
    _openid, record = _following(world, person_id, appid)
    followers.save(world, appid, record | {"muted": muted})


def send_text(world: World, person_id: str, appid: str, text: str) -> str:
    """Write to the account; the MsgId."""
    openid, _record = _following(world, person_id, appid)
    windows.opened(world, appid, openid, "message")
    people.say(world, person_id, f"oa:{appid}", "me", "text", text=text)
    number = "2" + world.digits(16)
    callbacks.push(world, appid, openid, {"MsgType": "text", "Content": text, "MsgId": int(number)})
    return number


def send_picture(world: World, person_id: str, appid: str, content: bytes) -> str:
    openid, _record = _following(world, person_id, appid)
    windows.opened(world, appid, openid, "message")
    media_id = media.store(world, appid, "image", content)
    people.say(world, person_id, f"oa:{appid}", "me", "image", media_id=media_id)
    number = "2" + world.digits(16)
    address = f"{world.urls.get('oa', '')}/_sandbox/media/{media_id}"
    message: Doc = {"MsgType": "image", "PicUrl": address, "MsgId": int(number), "MediaId": media_id}
    callbacks.push(world, appid, openid, message)
    return number


def tap_menu(world: World, person_id: str, appid: str, key: str) -> Doc:
    """Tap a menu button, named by its key or its address; what the phone opens, if anything."""
    openid, _record = _following(world, person_id, appid)
    button = _button(world, appid, key)
    if button["type"] == "view":
        event = {"MsgType": "event", "Event": "VIEW", "EventKey": button["url"]}
        callbacks.push(world, appid, openid, event)
        return {"open": button["url"]}
    windows.opened(world, appid, openid, "click")
    callbacks.push(world, appid, openid, {"MsgType": "event", "Event": "CLICK", "EventKey": button["key"]})
    return {}


def _button(world: World, appid: str, key: str) -> Doc:
    menu = world.store.get("oa.menus", appid) or {"button": []}
    for top in menu["button"]:
        for one in top.get("sub_button") or [top]:
            if key in (one.get("key"), one.get("url")):
                found: Doc = one
                return found
    raise CannotDo("the menu has no such button")


def choose(world: World, person_id: str, appid: str, choice_id: str, text: str) -> str:
    """Tap an item of a menu message: it counts as a menu click and comes as a text with its id."""
    openid, _record = _following(world, person_id, appid)
    windows.opened(world, appid, openid, "click")
    people.say(world, person_id, f"oa:{appid}", "me", "text", text=text)
    number = "2" + world.digits(16)
    content: Doc = {"MsgType": "text", "Content": text, "MsgId": int(number), "bizmsgmenuid": choice_id}
    callbacks.push(world, appid, openid, content)
    return number


def answer_subscription(world: World, person_id: str, appid: str, template_id: str, accept: bool) -> None:
    """Answer the question whether a template's messages may come: one message for each yes."""
    account(world, appid)
    openid = people.openid(world, appid, person_id)
    if accept:
        templates.grant(world, appid, openid, template_id)
    item = {
        "TemplateId": template_id,
        "SubscribeStatusString": "accept" if accept else "reject",
        "PopupScene": 2,
    }
    event: Doc = {"MsgType": "event", "Event": "subscribe_msg_popup_event"}
    callbacks.push(world, appid, openid, event | {"SubscribeMsgPopupEvent": {"List": item}})


def withdraw_subscription(world: World, person_id: str, appid: str, template_id: str) -> None:
    account(world, appid)
    openid = people.openid(world, appid, person_id)
    templates.revoke(world, appid, openid, template_id)
    item = {"TemplateId": template_id, "SubscribeStatusString": "reject"}
    event: Doc = {"MsgType": "event", "Event": "subscribe_msg_change_event"}
    callbacks.push(world, appid, openid, event | {"SubscribeMsgChangeEvent": {"List": item}})


def _following(world: World, person_id: str, appid: str) -> tuple[str, Doc]:
    account(world, appid)
    openid = people.openid(world, appid, person_id)
    record = followers.follower(world, appid, openid)
    if record is None or not record["subscribe"]:
        raise CannotDo("this person does not follow the account")
    return openid, record
