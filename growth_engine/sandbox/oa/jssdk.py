"""Tickets of the JS-SDK and the check of a page's signature (section 2.12)."""

from __future__ import annotations

import hashlib

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

routes = Routes()

LIFE_SECONDS = 7200


@routes("GET", "/cgi-bin/ticket/getticket")
def ticket(call: Call) -> Doc:
    kind = call.query.get("type")
    if kind not in ("jsapi", "wx_card"):
        raise Refused(40097, "invalid args: type")
    found = current(call.world, "oa", f"{call.account['appid']}/{kind}")
    return {
        "errcode": 0,
        "errmsg": "ok",
        "ticket": found["ticket"],
        "expires_in": found["until"] - call.world.now(),
    }


def current(world: World, service: str, key: str) -> Doc:
    """The ticket of an account, a new one when the last has run out."""
    found = world.store.get(f"{service}.tickets", key)
    if found is None or world.now() >= found["until"]:
        made = {"ticket": world.random_text(86), "until": world.now() + LIFE_SECONDS}
        found = world.store.put(f"{service}.tickets", key, made)
    return found


def signature(ticket_text: str, nonce: str, timestamp: str, url: str) -> str:
    """What a page at ``url`` has to present; the part after # does not count."""
    text = f"jsapi_ticket={ticket_text}&noncestr={nonce}&timestamp={timestamp}&url={url.split('#')[0]}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def problem_of(world: World, config: Doc, url: str) -> str:
    """What ``wx.config`` would say about a page's signature: "" or an errMsg."""
    account = world.store.get("oa.accounts", str(config.get("appId")))
    if account is None:
        return "config:invalid appid"
    host = url.split("//", 1)[-1].split("/", 1)[0].split("?", 1)[0]
    if host not in account["js_domains"]:
        return "config:invalid url domain"
    text = current(world, "oa", f"{account['appid']}/jsapi")["ticket"]
    nonce, stamp = str(config.get("nonceStr", "")), str(config.get("timestamp", ""))
    if config.get("signature") != signature(text, nonce, stamp, url):
        return "config:invalid signature"
    return ""
