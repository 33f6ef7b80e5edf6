"""What the tests of WeCom share: calls, codes read from pictures, events opened with wechatpy's crypto."""

from __future__ import annotations

import io
from typing import Any

import xmltodict
import zxingcpp
from PIL import Image
from wechatpy.enterprise.crypto import WeChatCrypto

from growth_engine.sandbox import Sandbox
from tests.sandbox.application import Application
from tests.sandbox.conftest import HTTP, Api

BASE = "/cgi-bin/externalcontact/"


def crypto_of(sandbox: Sandbox) -> Any:
    known = sandbox.credentials["wecom"]
    return WeChatCrypto(known["token"], known["encoding_aes_key"], known["corpid"])


def events_of(sandbox: Sandbox, told: Application) -> list[Any]:
    found = []
    for got in told.received:
        query = got.query
        text = crypto_of(sandbox).decrypt_message(
            got.body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
        found.append(xmltodict.parse(text)["xml"])
    return found


def changes_of(sandbox: Sandbox, told: Application) -> list[str]:
    return [one["ChangeType"] for one in events_of(sandbox, told)]


def post(wecom: Api, name: str, /, **body: Any) -> Any:
    return wecom.post(BASE + name, body)


def make_way(wecom: Api, **changes: Any) -> Any:
    body = {"type": 1, "scene": 2, "state": "s42", "user": ["ZhangSan"]} | changes
    return post(wecom, "add_contact_way", **body)


def text_of(url: str) -> str:
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(HTTP.get(url).content)).convert("L"))
    return str(found[0].text)


def added(sandbox: Sandbox, wecom: Api, nickname: str = "Li", **changes: Any) -> tuple[Any, str]:
    """A new person who scanned a contact way, and the external_userid."""
    person = sandbox.person(nickname)
    found = person.do("scan", text=text_of(make_way(wecom, **changes)["qr_code"]))
    sandbox.advance(1)
    return person, found["external_userid"]


def staff(sandbox: Sandbox, userid: str, action: str, **params: Any) -> Any:
    return HTTP.post(f"{sandbox.admin_url}/employee/{userid}/{action}", json=params).json()
