"""Codes, messages and their windows, media, people, tags and menus of the Official Account."""

from __future__ import annotations

import io
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.oa.actions import CannotDo
from tests.sandbox.conftest import AT, HTTP, Api

JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100
TEMPLATE = "sandbox-reward-000000000000000000000000000"


def _code(oa: Api, scene: Any = "invite42", **changes: Any) -> Any:
    body = {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}, **changes}
    return oa.post("/cgi-bin/qrcode/create", {k: v for k, v in body.items() if v is not None})


def _text(oa: Api, openid: str, text: str = "hello") -> int:
    body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
    return int(oa.post("/cgi-bin/message/custom/send", body)["errcode"])


# -- parametric codes ----------------------------------------------------------------------------------


def test_the_picture_of_a_code_says_what_the_answer_said(sandbox: Sandbox, oa: Api) -> None:
    made = _code(oa, expire_seconds=2_592_000)
    assert made["expire_seconds"] == 2_592_000
    shown = HTTP.get(sandbox.oa_url + "/cgi-bin/showqrcode", params={"ticket": made["ticket"]})
    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(shown.content)).convert("L"))
    assert [one.text for one in read] == [made["url"]]


def test_a_code_without_a_life_lives_a_minute(sandbox: Sandbox, oa: Api) -> None:
    made = _code(oa)
    assert made["expire_seconds"] == 60
    sandbox.advance(60)
    with pytest.raises(CannotDo, match="run out"):
        sandbox.person("Li").do("scan", text=made["url"])
    shown = HTTP.get(sandbox.oa_url + "/cgi-bin/showqrcode", params={"ticket": made["ticket"]})
    assert shown.status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expire_seconds": 2_592_001}, 40097),
        ({"expire_seconds": 0}, 40097),
        ({"expire_seconds": "60"}, 40097),
        ({"action_name": "QR_OTHER"}, 40052),
        ({"action_info": {"scene": {"scene_str": ""}}}, 40053),
        ({"action_info": {"scene": {"scene_str": "x" * 65}}}, 40053),
        ({"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 0}}}, 40053),
        ({"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 2**32}}}, 40053),
        ({"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 100_001}}}, 40053),
    ],
)
def test_wrong_codes_are_refused(oa: Api, changes: Any, code: int) -> None:
    assert _code(oa, **changes)["errcode"] == code


def test_a_wrong_nesting_silently_makes_scene_0(sandbox: Sandbox, oa: Api) -> None:
    made = _code(oa, action_info={"scene_str": "lost"})
    li = sandbox.person("Li")
    li.do("scan", text=made["url"])
    info = oa.get("/cgi-bin/user/info", openid=li.openid())
    assert (info["qr_scene"], info["qr_scene_str"]) == (0, "")


def test_a_permanent_code_is_made_once(oa: Api) -> None:
    body = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": "shop"}}}
    first, second = (oa.post("/cgi-bin/qrcode/create", body) for _ in range(2))
    assert first == second
    assert "expire_seconds" not in first


# -- customer-service messages -------------------------------------------------------------------------


def test_after_a_follow_three_messages_pass_within_a_minute(sandbox: Sandbox, oa: Api) -> None:
    li = sandbox.person("Li")
    li.do("scan", text=_code(oa, expire_seconds=600)["url"])
    assert [_text(oa, li.openid()) for _ in range(4)] == [0, 0, 0, 45047]
    sandbox.advance(60)
    assert _text(oa, li.openid()) == 45015


def test_after_a_message_five_pass_within_two_days(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    li.do("follow", appid=appid)
    sandbox.advance(61)
    assert _text(oa, li.openid()) == 45015
    li.do("text", appid=appid, text="hi")
    sandbox.advance(48 * 3600 - 1)
    assert [_text(oa, li.openid()) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    li.do("text", appid=appid, text="hi again")
    assert _text(oa, li.openid()) == 0
    sandbox.advance(48 * 3600)
    assert _text(oa, li.openid()) == 45015


def test_a_click_and_a_scan_open_three_each_and_what_ends_first_is_used_first(
    sandbox: Sandbox, oa: Api
) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    oa.post(
        "/cgi-bin/menu/create",
        {
            "button": [
                {"name": "a", "type": "click", "key": "K"},
                {"name": "b", "type": "view", "url": "http://x/"},
            ]
        },
    )
    code = _code(oa, expire_seconds=600)["url"]
    li.do("follow", appid=appid)
    sandbox.advance(61)
    assert li.do("menu", appid=appid, key="http://x/") == {"open": "http://x/"}
    assert _text(oa, li.openid()) == 45015, "a page that opens gives no window"
    li.do("menu", appid=appid, key="K")
    li.do("scan", text=code)
    assert [_text(oa, li.openid()) for _ in range(7)] == [0] * 6 + [45047]


def test_who_left_blocked_or_never_was_gets_nothing(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    assert _text(oa, "oNobody") == 40003
    assert _text(oa, li.openid()) == 45015
    li.do("follow", appid=appid)
    li.do("mute", appid=appid)
    assert _text(oa, li.openid()) == 48002
    li.do("mute", appid=appid, muted=False)
    assert _text(oa, li.openid()) == 0
    li.do("unfollow", appid=appid)
    assert _text(oa, li.openid()) == 45015


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"msgtype": "text", "text": {"content": ""}}, 44004),
        ({"msgtype": "text", "text": {"content": "x" * 2049}}, 45002),
        ({"msgtype": "text"}, 44004),
        ({"msgtype": "hologram", "hologram": {}}, 40008),
        ({"msgtype": "image", "image": {"media_id": "nothing"}}, 40007),
        ({"msgtype": "news", "news": {"articles": []}}, 44003),
        ({"msgtype": "news", "news": {"articles": [{"title": "a", "url": "http://a"}] * 2}}, 45008),
        ({"msgtype": "msgmenu", "msgmenu": {"list": []}}, 44004),
    ],
)
def test_messages_out_of_shape_are_refused_and_cost_nothing(
    sandbox: Sandbox, oa: Api, body: Any, code: int
) -> None:
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    answer = oa.post("/cgi-bin/message/custom/send", {"touser": li.openid(), **body})
    assert answer["errcode"] == code
    assert [_text(oa, li.openid()) for _ in range(4)] == [0, 0, 0, 45047]


def test_a_payment_opens_two_days_without_a_count(sandbox: Sandbox, oa: Api) -> None:
    from growth_engine.sandbox.oa import windows

    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    li.do("follow", appid=appid)
    with sandbox.world.open():
        windows.opened(sandbox.world, appid, li.openid(), "pay")
    assert [_text(oa, li.openid()) for _ in range(12)] == [0] * 12


# -- templates and subscriptions -----------------------------------------------------------------------


def _card(openid: str, **more: Any) -> Any:
    return {"touser": openid, "template_id": TEMPLATE, "data": {"thing1": {"value": "30 days"}}, **more}


def test_a_template_message_arrives_once_for_a_client_number(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    path = "/cgi-bin/message/template/send"
    assert oa.post(path, _card(li.openid()))["errcode"] == 43004
    li.do("follow", appid=appid)
    assert oa.post(path, _card(li.openid(), client_msg_id="n1"))["msgid"] > 0
    assert oa.post(path, _card(li.openid(), client_msg_id="n1"))["errcode"] == 45065
    assert oa.post(path, _card(li.openid(), template_id="unknown"))["errcode"] == 40037
    assert oa.post(path, _card("oNobody"))["errcode"] == 40003
    assert oa.post(path, _card(li.openid(), data={}))["errcode"] == 47003
    sandbox.advance(2)
    assert [one["kind"] for one in li.chat()] == ["followed", "template"]


def test_the_days_template_messages_are_limited(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    HTTP.post(f"{sandbox.admin_url}/oa/{appid}", json={"template_daily": 1})
    li.do("follow", appid=appid)
    path = "/cgi-bin/message/template/send"
    assert oa.post(path, _card(li.openid()))["errcode"] == 0
    assert oa.post(path, _card(li.openid()))["errcode"] == 45009
    sandbox.advance(86400)
    assert oa.post(path, _card(li.openid()))["errcode"] == 0


def test_one_grant_is_one_subscription_message(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    path = "/cgi-bin/message/subscribe/bizsend"
    assert oa.post(path, _card(li.openid()))["errcode"] == 43101
    li.do("subscribe", appid=appid, template_id=TEMPLATE, accept=False)
    assert oa.post(path, _card(li.openid()))["errcode"] == 43101
    li.do("subscribe", appid=appid, template_id=TEMPLATE)
    assert oa.post(path, _card(li.openid()))["errcode"] == 0
    assert oa.post(path, _card(li.openid()))["errcode"] == 43101
    li.do("subscribe", appid=appid, template_id=TEMPLATE)
    li.do("withdraw", appid=appid, template_id=TEMPLATE)
    assert oa.post(path, _card(li.openid()))["errcode"] == 43101


def test_a_one_time_grant_belongs_to_its_scene(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    li.do("grant_once", appid=appid, template_id=TEMPLATE, scene=7)
    path = "/cgi-bin/message/template/subscribe"
    assert oa.post(path, _card(li.openid(), scene=8, title="奖励"))["errcode"] == 43101
    assert oa.post(path, _card(li.openid(), scene=7, title="x" * 16))["errcode"] == 40035
    assert oa.post(path, _card(li.openid(), scene=7, title="奖励"))["errcode"] == 0
    assert oa.post(path, _card(li.openid(), scene=7, title="奖励"))["errcode"] == 43101


# -- media -----------------------------------------------------------------------------------------------


def test_a_file_lives_three_days(sandbox: Sandbox, oa: Api) -> None:
    made = oa.upload("image", JPEG)
    assert made["type"] == "image"
    assert made["created_at"] == AT
    got = HTTP.get(
        sandbox.oa_url + "/cgi-bin/media/get", params={"access_token": oa.token, "media_id": made["media_id"]}
    )
    assert got.content == JPEG
    sandbox.advance(3 * 86400)
    assert oa.get("/cgi-bin/media/get", media_id=made["media_id"])["errcode"] == 40007


@pytest.mark.parametrize(
    ("kind", "content", "name", "code"),
    [
        ("hologram", JPEG, "media", 40004),
        ("image", JPEG, "file", 41005),
        ("image", b"BM bitmap", "media", 40005),
        ("image", b"", "media", 44001),
        ("image", JPEG + b"0" * (10 << 20), "media", 45001),
        ("thumb", JPEG + b"0" * (64 << 10), "media", 45001),
    ],
)
def test_files_out_of_shape_are_refused(oa: Api, kind: str, content: bytes, name: str, code: int) -> None:
    assert oa.upload(kind, content, name)["errcode"] == code


# -- people ------------------------------------------------------------------------------------------------


def test_what_an_account_learns_of_a_follower(sandbox: Sandbox, oa: Api) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    assert oa.get("/cgi-bin/user/info", openid=li.openid()) == {"subscribe": 0, "openid": li.openid()}
    li.do("scan", text=_code(oa, expire_seconds=600)["url"])
    info = oa.get("/cgi-bin/user/info", openid=li.openid())
    assert (info["nickname"], info["headimgurl"]) == ("", "")
    assert (info["subscribe_scene"], info["qr_scene_str"]) == ("ADD_SCENE_QR_CODE", "invite42")
    assert (info["unionid"], info["subscribe_time"]) == (li.unionid, AT)
    both = oa.post("/cgi-bin/user/info/batchget", {"user_list": [{"openid": li.openid()}] * 100})
    assert len(both["user_info_list"]) == 100
    assert oa.get("/cgi-bin/user/get")["data"] == {"openid": [li.openid()]}
    HTTP.post(f"{sandbox.admin_url}/oa/{appid}", json={"bound_union": False})
    assert "unionid" not in oa.get("/cgi-bin/user/info", openid=li.openid())
    li.do("unfollow", appid=appid)
    assert oa.get("/cgi-bin/user/info", openid=li.openid())["subscribe"] == 0


def test_wrong_questions_about_people_are_refused(oa: Api) -> None:
    assert oa.get("/cgi-bin/user/info", openid="oNobody")["errcode"] == 40003
    assert oa.get("/cgi-bin/user/info")["errcode"] == 41009
    many = {"user_list": [{"openid": "o"}] * 101}
    assert oa.post("/cgi-bin/user/info/batchget", many)["errcode"] == 40035


def test_tags_are_put_on_followers_only(sandbox: Sandbox, oa: Api) -> None:
    li = sandbox.person("Li")
    tag = oa.post("/cgi-bin/tags/create", {"tag": {"name": "老带新"}})["tag"]
    assert oa.post("/cgi-bin/tags/create", {"tag": {"name": "老带新"}})["errcode"] == 45157
    body = {"openid_list": [li.openid()], "tagid": tag["id"]}
    assert oa.post("/cgi-bin/tags/members/batchtagging", body)["errcode"] == 43004
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert oa.post("/cgi-bin/tags/members/batchtagging", body)["errcode"] == 0
    assert oa.get("/cgi-bin/user/info", openid=li.openid())["tagid_list"] == [tag["id"]]
    assert oa.get("/cgi-bin/tags/get")["tags"][0]["count"] == 1
    assert oa.post("/cgi-bin/tags/members/batchtagging", body | {"tagid": 9})["errcode"] == 45159
    assert oa.post("/cgi-bin/tags/members/batchuntagging", body)["errcode"] == 0


def test_menus_are_checked(oa: Api) -> None:
    assert oa.get("/cgi-bin/menu/get")["errcode"] == 46003
    four = {"button": [{"name": "a", "type": "click", "key": "k"}] * 4}
    assert oa.post("/cgi-bin/menu/create", four)["errcode"] == 40017
    assert oa.post("/cgi-bin/menu/create", {"button": [{"name": "a", "type": "click"}]})["errcode"] == 40019
    assert oa.post("/cgi-bin/menu/create", {"button": [{"name": "a", "type": "fly"}]})["errcode"] == 40016
