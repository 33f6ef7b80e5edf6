"""The menu under an account's chat."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc

routes = Routes()

TOP, BELOW = 3, 5
_NEEDS = {"click": "key", "view": "url", "scancode_push": "key", "scancode_waitmsg": "key"}


@routes("POST", "/cgi-bin/menu/create")
def create(call: Call) -> Doc:
    buttons = call.json().get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= TOP:
        raise Refused(40017, "invalid button size")
    for button in buttons:
        below = button.get("sub_button") if isinstance(button, dict) else None
        if below:
            if not isinstance(below, list) or len(below) > BELOW:
                raise Refused(40023, "invalid sub button size")
            for one in below:
                _check(one)
        else:
            _check(button)
    call.world.store.put("oa.menus", call.account["appid"], {"button": buttons})
    return {"errcode": 0, "errmsg": "ok"}


def _check(button: Any) -> None:
    if not isinstance(button, dict) or not button.get("name"):
        raise Refused(40018, "invalid button name size")
    need = _NEEDS.get(str(button.get("type")))
    if need is None:
        raise Refused(40016, "invalid button type")
    if not button.get(need):
        raise Refused(40019 if need == "key" else 40020, f"invalid button {need} size")


@routes("GET", "/cgi-bin/menu/get")
def show(call: Call) -> Doc:
    menu = call.world.store.get("oa.menus", call.account["appid"])
    if menu is None:
        raise Refused(46003, "menu no exist")
    return {"menu": menu}


@routes("GET", "/cgi-bin/menu/delete")
def delete(call: Call) -> Doc:
    call.world.store.drop("oa.menus", call.account["appid"])
    return {"errcode": 0, "errmsg": "ok"}
