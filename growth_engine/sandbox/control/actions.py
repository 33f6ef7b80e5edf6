"""Everything a person can do on the simulated phone, by name."""

from __future__ import annotations

import base64
from collections.abc import Callable

from growth_engine.sandbox import people
from growth_engine.sandbox.oa import actions as oa
from growth_engine.sandbox.oa import codes, jssdk
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.pay import orders, transfers
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import actions as wecom
from growth_engine.sandbox.world import World

Action = Callable[[World, str, Doc], Doc]
ACTIONS: dict[str, Action] = {}


def _action(function: Action) -> Action:
    ACTIONS[function.__name__] = function
    return function


def do(world: World, person_id: str, action: str, params: Doc) -> Doc:
    """Do one thing as this person, wholly or not at all; CannotDo where the phone would refuse."""
    if action not in ACTIONS:
        raise CannotDo(f"nobody can {action}; known are {', '.join(sorted(ACTIONS))}")
    with world.open():
        people.person(world, person_id)
        try:
            return ACTIONS[action](world, person_id, params)
        except KeyError as missing:
            raise CannotDo(f"{action} needs {missing}") from missing


@_action
def scan(world: World, person_id: str, params: Doc) -> Doc:
    """Scan a code by its text. What it is decides what happens; ``kind`` says what it was."""
    text = str(params["text"]).strip()
    if text.startswith(codes.ADDRESS):
        return {"kind": "oa", **oa.scan(world, person_id, text)}
    if text.startswith("weixin://wxpay/"):
        return {"kind": "pay", "sheet": orders.native_sheet(world, person_id, text)}
    found = wecom.scan(world, person_id, text)
    if found is not None:
        return found
    if text.startswith(("http://", "https://")):
        return {"kind": "link", "open": text}
    return {"kind": "text", "text": text}


@_action
def follow(world: World, person_id: str, params: Doc) -> Doc:
    return {"openid": oa.follow(world, person_id, params["appid"])}


@_action
def unfollow(world: World, person_id: str, params: Doc) -> Doc:
    oa.unfollow(world, person_id, params["appid"])
    return {}


@_action
def mute(world: World, person_id: str, params: Doc) -> Doc:
    oa.mute(world, person_id, params["appid"], bool(params.get("muted", True)))
    return {}


@_action
def text(world: World, person_id: str, params: Doc) -> Doc:
    """Write to an account (``appid``) or to an employee (``userid``)."""
    if "appid" in params:
        return {"msgid": oa.send_text(world, person_id, params["appid"], str(params["text"]))}
    wecom.write(world, person_id, params["userid"], str(params["text"]))
    return {}


@_action
def picture(world: World, person_id: str, params: Doc) -> Doc:
    content = base64.b64decode(params["content"])
    return {"msgid": oa.send_picture(world, person_id, params["appid"], content)}


@_action
def menu(world: World, person_id: str, params: Doc) -> Doc:
    return oa.tap_menu(world, person_id, params["appid"], params["key"])


@_action
def choose(world: World, person_id: str, params: Doc) -> Doc:
    return {"msgid": oa.choose(world, person_id, params["appid"], params["id"], str(params["text"]))}


@_action
def subscribe(world: World, person_id: str, params: Doc) -> Doc:
    """Answer the question whether messages of a template may come (``accept``)."""
    oa.answer_subscription(
        world, person_id, params["appid"], params["template_id"], bool(params.get("accept", True))
    )
    return {}


@_action
def grant_once(world: World, person_id: str, params: Doc) -> Doc:
    """Grant one one-time subscription message of a template for a scene."""
    from growth_engine.sandbox.oa import templates

    openid = people.openid(world, params["appid"], person_id)
    templates.grant(world, params["appid"], openid, params["template_id"], int(params["scene"]))
    return {"openid": openid}


@_action
def withdraw(world: World, person_id: str, params: Doc) -> Doc:
    oa.withdraw_subscription(world, person_id, params["appid"], params["template_id"])
    return {}


@_action
def read(world: World, person_id: str, params: Doc) -> Doc:
    people.read(world, person_id, str(params["chat"]))
    return {}


# -- pages inside the phone's browser ----------------------------------------------------------------


@_action
def js_config(world: World, person_id: str, params: Doc) -> Doc:  # noqa: ARG001
    """What ``wx.config`` of a page says: ``problem`` is "" when the signature fits."""
    return {"problem": jssdk.problem_of(world, params["config"], str(params["url"]))}


@_action
def pay_sheet(world: World, person_id: str, params: Doc) -> Doc:
    """A page asks to be paid (``request`` as given to getBrandWCPayRequest)."""
    return orders.sheet(world, person_id, params["request"])


@_action
def pay(world: World, person_id: str, params: Doc) -> Doc:
    return orders.pay(world, person_id, params["prepay_id"])


@_action
def transfer_sheet(world: World, person_id: str, params: Doc) -> Doc:
    """A page asks to confirm a transfer (requestMerchantTransfer: mchId, appId, package)."""
    request = params["request"]
    bill = transfers.request_of(
        world, person_id, str(request.get("package")), str(request.get("mchId")), str(request.get("appId"))
    )
    return transfer_shown(world, bill)


def transfer_shown(world: World, bill: Doc) -> Doc:
    merchant = world.store.get("pay.merchants", bill["mchid"]) or {"name": ""}
    return {
        "package": bill["package_info"],
        "merchant": merchant["name"],
        "fen": bill["amount"],
        "remark": bill["request"]["transfer_remark"],
        "title": bill["request"].get("user_recv_perception", ""),
        "until": bill["made"] + transfers.CONFIRM_SECONDS,
    }


@_action
def confirm_transfer(world: World, person_id: str, params: Doc) -> Doc:
    transfers.confirm(world, person_id, params["package"])
    return {}


# -- WeCom -------------------------------------------------------------------------------------------


@_action
def leave_group(world: World, person_id: str, params: Doc) -> Doc:
    wecom.leave_group(world, person_id, params["chat_id"])
    return {}


@_action
def delete_employee(world: World, person_id: str, params: Doc) -> Doc:
    wecom.delete_employee(world, person_id, params["userid"])
    return {}


@_action
def refuse_transfer(world: World, person_id: str, params: Doc) -> Doc:
    """Refuse to be handed over to another employee."""
    wecom.refuse_transfer(world, person_id, params["userid"])
    return {}
