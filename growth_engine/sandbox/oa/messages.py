"""Customer-service messages (section 2.6): kinds, sizes, windows; they appear in the person's chat."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.oa import followers, media, windows
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc

routes = Routes()

LONGEST_TEXT = 2048


@routes("POST", "/cgi-bin/message/custom/send")
def send(call: Call) -> Doc:
    body, world, account = call.json(), call.world, call.account
    appid, openid = account["appid"], body.get("touser")
    if not isinstance(openid, str) or people.by_openid(world, appid, openid) is None:
        raise Refused(40003)
    kind = str(body.get("msgtype"))
    if kind not in _CHECKS:
        raise Refused(40008)
    part = body.get(kind)
    if not isinstance(part, dict):
        raise Refused(44004)
    content = _CHECKS[kind](call, part)
    record = followers.follower(world, appid, openid)
    if record is None or not record["subscribe"]:
        raise Refused(45015)
    if record["muted"]:
        raise Refused(48002)
    windows.take(world, appid, openid)
    people.say(world, record["person"], f"oa:{appid}", "them", kind, **content)
    return {"errcode": 0, "errmsg": "ok"}


def _text(_call: Call, part: Doc) -> Doc:
    text = part.get("content")
    if not isinstance(text, str) or not text:
        raise Refused(44004)
    if len(text.encode()) > LONGEST_TEXT:
        raise Refused(45002)
    return {"text": text}


def _file(*kinds: str) -> Any:
    def check(call: Call, part: Doc) -> Doc:
        return {"media_id": media.require(call.world, call.account["appid"], part.get("media_id"), *kinds)}

    return check


def _news(_call: Call, part: Doc) -> Doc:
    articles = part.get("articles")
    if not isinstance(articles, list) or not articles or not isinstance(articles[0], dict):
        raise Refused(44003, "empty news data")
    if len(articles) > 1:
        raise Refused(45008)
    one = articles[0]
    if not one.get("title") or not one.get("url"):
        raise Refused(44003, "empty news data")
    names = {"title": "title", "description": "text", "url": "url", "picurl": "picture"}
    return {"articles": [{ours: str(one.get(theirs, "")) for theirs, ours in names.items()}]}


def _mini_program(call: Call, part: Doc) -> Doc:
    media.require(call.world, call.account["appid"], part.get("thumb_media_id"), "image", "thumb")
    if not part.get("appid") or not part.get("pagepath"):
        raise Refused(40035)
    return {"title": str(part.get("title", "")), "pagepath": str(part["pagepath"])}


def _menu(_call: Call, part: Doc) -> Doc:
    items = part.get("list")
    if not isinstance(items, list) or not items:
        raise Refused(44004)
    choices = [{"id": str(one.get("id", "")), "text": str(one.get("content", ""))} for one in items]
    return {
        "head": str(part.get("head_content", "")),
        "choices": choices,
        "tail": str(part.get("tail_content", "")),
    }


_CHECKS: dict[Any, Any] = {
    "text": _text,
    "image": _file("image"),
    "voice": _file("voice"),
    "video": _file("video"),
    "news": _news,
    "miniprogrampage": _mini_program,
    "msgmenu": _menu,
}
