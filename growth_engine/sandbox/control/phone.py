"""What a person's phone shows: chats, contacts, wallet; and reading codes off pictures."""

from __future__ import annotations

import io

import zxingcpp
from PIL import Image, UnidentifiedImageError

from growth_engine.sandbox import people, seed
from growth_engine.sandbox.control.actions import transfer_shown
from growth_engine.sandbox.pay import transfers
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import actions as wecom
from growth_engine.sandbox.world import World

_LINES = 200
_LARGEST_PICTURE = 50_000_000
_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def overview(world: World) -> Doc:
    """Accounts, people and time, as the page's start needs them; nothing secret."""
    accounts = [
        {
            "appid": one["appid"],
            "name": one["name"],
            "callback_url": one["callback_url"],
            "mode": one["mode"],
            "format": one["format"],
            "templates": one["templates"],
        }
        for one in world.store.all("oa.accounts").values()
    ]
    pages = {
        host
        for one in world.store.all("oa.accounts").values()
        for host in [*one["oauth_domains"], *one["js_domains"]]
    }
    return {
        "now": world.clock.time(),
        "people": people.everybody(world),
        "accounts": accounts,
        "corps": wecom.overview(world),
        "hosts": seed.hosts(world),
        "frames": world.option("frames"),
        "pages": sorted(pages),
    }


def shown(world: World, person_id: str) -> Doc:
    """The whole phone of a person."""
    person = people.person(world, person_id)
    chats = [_account_chat(world, person, one) for one in world.store.all("oa.accounts").values()]
    chats += [chat | _lines(world, person_id, chat["id"]) for chat in wecom.chats(world, person_id)]
    receipts = _lines(world, person_id, "wxpay")
    if receipts["messages"]:
        chats.append({"id": "wxpay", "kind": "pay", "name": "微信支付", "open": True, **receipts})
    return {
        "person": person,
        "now": world.clock.time(),
        "chats": sorted(
            chats, key=lambda chat: -float(chat["messages"][-1]["at"] if chat["messages"] else 0)
        ),
        "wallet": {
            "balance": person["balance"],
            "lines": list(reversed(world.store.all("wallet", f"{person_id}/").values()))[:_LINES],
            "waiting": [transfer_shown(world, bill) for bill in transfers.waiting_for(world, person_id)],
        },
    }


def _account_chat(world: World, person: Doc, account: Doc) -> Doc:
    appid = account["appid"]
    openid = people.openid(world, appid, person["id"])
    record = world.store.get("oa.followers", f"{appid}/{openid}")
    menu = world.store.get("oa.menus", appid) or {"button": []}
    following = record is not None and record["subscribe"]
    return {
        "id": f"oa:{appid}",
        "kind": "oa",
        "appid": appid,
        "openid": openid,
        "name": account["name"],
        "open": following,
        "muted": bool(record and record["muted"]),
        "menu": menu["button"],
        **_lines(world, person["id"], f"oa:{appid}"),
    }


def _lines(world: World, person_id: str, chat: str) -> Doc:
    messages = people.messages(world, person_id, chat)[-_LINES:]
    return {"messages": messages, "unread": people.unread(world, person_id, chat)}


def texts_on(picture: bytes) -> list[str]:
    """The contents of the QR codes on a picture; ValueError when it is no picture or shows none."""
    try:
        image = Image.open(io.BytesIO(picture))
        if image.width * image.height > _LARGEST_PICTURE:
            raise ValueError("the picture is too large")
        found = zxingcpp.read_barcodes(image.convert("L"), formats=_QR)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError("this is no picture") from error
    if not found:
        raise ValueError("no QR code was found on the picture")
    return [one.text for one in found]
