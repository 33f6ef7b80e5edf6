"""``wechatpy`` as a client: its calls, meant for the real hosts, are led to the sandbox."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient, WeChatOAuth
from wechatpy.client.api import WeChatJSAPI
from wechatpy.enterprise import WeChatClient as CorpClient
from wechatpy.exceptions import WeChatClientException

from growth_engine.sandbox import Sandbox
from tests.sandbox.conftest import HTTP

JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100


class Led(HTTPAdapter):
    """Sends every request to another host, path and query as they are."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        parts = urlsplit(str(request.url))
        request.url = f"{self._base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().send(request, **kwargs)


def _led(client: Any, base: str) -> Any:
    client._http.mount("https://", Led(base))
    client._http.trust_env = False
    return client


@pytest.fixture
def peer(sandbox: Sandbox) -> Any:
    known = sandbox.credentials["oa"]
    made = _led(WeChatClient(known["appid"], known["secret"], auto_retry=False), sandbox.oa_url)
    yield made
    made._http.close()


def test_codes_messages_people_and_media(sandbox: Sandbox, peer: Any) -> None:
    code = peer.qrcode.create(
        {
            "expire_seconds": 600,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": "invite42"}},
        }
    )
    li = sandbox.person("Li")
    li.do("scan", text=code["url"])
    info = peer.user.get(li.openid())
    assert (info["subscribe"], info["qr_scene_str"], info["unionid"]) == (1, "invite42", li.unionid)
    assert peer.user.get_batch([li.openid()])[0]["openid"] == li.openid()
    assert list(peer.user.iter_followers()) == [li.openid()]
    media = peer.media.upload("image", ("a.jpg", io.BytesIO(JPEG)))
    assert peer.message.send_text(li.openid(), "hello")["errcode"] == 0
    assert peer.message.send_image(li.openid(), media["media_id"])["errcode"] == 0
    template = "sandbox-reward-000000000000000000000000000"
    sent = peer.message.send_template(li.openid(), template, {"thing1": {"value": "30 days"}})
    assert sent["msgid"] > 0
    sandbox.advance(2)
    assert [one["kind"] for one in li.chat()] == ["followed", "text", "image", "template"]


def test_a_refusal_reaches_the_peer_as_its_code(sandbox: Sandbox, peer: Any) -> None:
    li = sandbox.person("Li")
    with pytest.raises(WeChatClientException) as refused:
        peer.message.send_text(li.openid(), "hello")
    assert refused.value.errcode == 45015


def test_menus_tags_and_tickets(sandbox: Sandbox, peer: Any) -> None:
    peer.menu.create({"button": [{"type": "click", "name": "海报", "key": "poster"}]})
    assert peer.menu.get()["menu"]["button"][0]["key"] == "poster"
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    tag = peer.tag.create("老带新")["id"]
    peer.tag.tag_user(tag, li.openid())
    assert peer.user.get(li.openid())["tagid_list"] == [tag]
    jsapi: WeChatJSAPI = peer.jsapi
    ticket = jsapi.get_ticket()["ticket"]
    url = "http://127.0.0.1:8000/page"
    config = {"appId": peer.appid, "nonceStr": "n", "timestamp": 1}
    config["signature"] = jsapi.get_jsapi_signature("n", ticket, 1, url)
    assert li.do("js_config", config=config, url=url) == {"problem": ""}


def test_signing_in(sandbox: Sandbox) -> None:
    known, li = sandbox.credentials["oa"], sandbox.person("小明")
    back = "http://127.0.0.1:8000/back"
    oauth = _led(WeChatOAuth(known["appid"], known["secret"], back, "snsapi_userinfo", "abc"), sandbox.oa_url)
    asked = urlsplit(oauth.authorize_url)
    address = f"{sandbox.oa_url}{asked.path}?{asked.query}&_person={li.id}&_answer=allow"
    code = parse_qs(urlsplit(HTTP.get(address).headers["location"]).query)["code"][0]
    assert oauth.fetch_access_token(code)["openid"] == li.openid()
    assert oauth.get_user_info()["nickname"] == "小明"
    assert oauth.check_access_token()
    assert oauth.refresh_access_token(oauth.refresh_token)["openid"] == li.openid()
    oauth._http.close()


def test_wecom_files_and_tickets(sandbox: Sandbox) -> None:
    known = sandbox.credentials["wecom"]
    corp = _led(CorpClient(known["corpid"], known["secret"], auto_retry=False), sandbox.wecom_url)
    assert corp.media.upload("image", ("a.jpg", io.BytesIO(JPEG)))["type"] == "image"
    assert corp.jsapi.get_ticket()["expires_in"] == 7200
    corp._http.close()
