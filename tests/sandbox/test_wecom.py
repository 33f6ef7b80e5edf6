"""WeCom: tokens, codes, welcome, tags, handovers, groups, mass messages; events read by wechatpy's crypto."""

from __future__ import annotations

import time
from typing import Any

import pytest
import xmltodict
import zxingcpp
from PIL import Image
from wechatpy.enterprise.crypto import WeChatCrypto

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.control.configure import NotAccepted
from growth_engine.sandbox.oa.actions import CannotDo
from tests.sandbox.application import Application, Received
from tests.sandbox.conftest import HTTP, Api

BASE = "/cgi-bin/externalcontact/"


def _crypto(sandbox: Sandbox) -> Any:
    known = sandbox.credentials["wecom"]
    return WeChatCrypto(known["token"], known["encoding_aes_key"], known["corpid"])


@pytest.fixture
def told(sandbox: Sandbox, application: Application) -> Application:
    """An application that passes the check as WeCom wants it, with wechatpy's crypto."""

    def verify(got: Received) -> tuple[int, bytes]:
        query = got.query
        echo = _crypto(sandbox).check_signature(
            query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"]
        )
        return 200, echo.encode() if isinstance(echo, str) else echo

    application.verify = verify
    sandbox.wecom_server(application.url + "/wecom")
    return application


def _events(sandbox: Sandbox, told: Application) -> list[Any]:
    found = []
    for got in told.received:
        query = got.query
        text = _crypto(sandbox).decrypt_message(
            got.body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
        found.append(xmltodict.parse(text)["xml"])
    return found


def _changes(sandbox: Sandbox, told: Application) -> list[str]:
    return [one["ChangeType"] for one in _events(sandbox, told)]


def _post(wecom: Api, name: str, /, **body: Any) -> Any:
    return wecom.post(BASE + name, body)


def _way(wecom: Api, **changes: Any) -> Any:
    body = {"type": 1, "scene": 2, "state": "s42", "user": ["ZhangSan"]} | changes
    return _post(wecom, "add_contact_way", **body)


def _text_of(url: str) -> str:
    import io

    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(HTTP.get(url).content)).convert("L"))
    return str(found[0].text)


def _added(sandbox: Sandbox, wecom: Api, nickname: str = "Li", **changes: Any) -> tuple[Any, str]:
    """A new person who scanned a contact way, and the external_userid."""
    person = sandbox.person(nickname)
    found = person.do("scan", text=_text_of(_way(wecom, **changes)["qr_code"]))
    sandbox.advance(1)
    return person, found["external_userid"]


def _staff(sandbox: Sandbox, userid: str, action: str, **params: Any) -> Any:
    return HTTP.post(f"{sandbox.admin_url}/employee/{userid}/{action}", json=params).json()


# -- tokens and refusals -------------------------------------------------------------------------------


def test_a_token_is_the_same_while_it_lives(sandbox: Sandbox, wecom: Api) -> None:
    first = wecom.token
    assert wecom.token == first
    fixed = Api(wecom.base, lambda: first)
    sandbox.advance(7200)
    late = fixed.get(BASE + "get_follow_user_list")
    assert late["errcode"] == 42001
    assert "hint: [" in late["errmsg"]
    assert wecom.get(BASE + "get_follow_user_list")["errcode"] == 0
    assert Api(wecom.base, lambda: "x").get(BASE + "list")["errcode"] == 40014
    assert Api(wecom.base, lambda: "").get(BASE + "list")["errcode"] == 41001


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"corpid": "", "corpsecret": "x"}, 41002),
        ({"corpid": "ww0", "corpsecret": "x"}, 40013),
        ({"corpid": "ww5a4d9b0c3e7f1268", "corpsecret": "x"}, 40001),
        ({"corpid": "ww5a4d9b0c3e7f1268"}, 41004),
    ],
)
def test_wrong_credentials_are_refused(sandbox: Sandbox, params: dict[str, str], code: int) -> None:
    assert HTTP.get(sandbox.wecom_url + "/cgi-bin/gettoken", params=params).json()["errcode"] == code


def test_calls_from_elsewhere_are_refused(sandbox: Sandbox, wecom: Api) -> None:
    token = wecom.token
    HTTP.post(
        f"{sandbox.admin_url}/wecom/{sandbox.credentials['wecom']['corpid']}",
        json={"ip_whitelist": ["10.0.0.1"]},
    )
    assert Api(wecom.base, lambda: token).get(BASE + "get_follow_user_list")["errcode"] == 60020


def test_an_address_has_a_second_to_decrypt_and_nothing_to_add(sandbox: Sandbox, told: Application) -> None:
    good = told.verify
    told.verify = lambda got: (200, good(got)[1] + b"\n")
    with pytest.raises(NotAccepted, match="line feed"):
        sandbox.wecom_server(told.url + "/other")

    def late(got: Received) -> tuple[int, bytes]:
        time.sleep(1.3)
        return good(got)

    told.verify = late
    with pytest.raises(NotAccepted):
        sandbox.wecom_server(told.url + "/other")


# -- contact ways and the welcome ----------------------------------------------------------------------


def test_adding_through_a_code_is_told_half_and_then_whole(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    _, external = _added(sandbox, wecom)
    half, full = _events(sandbox, told)
    assert (half["ChangeType"], full["ChangeType"]) == ("add_half_external_contact", "add_external_contact")
    assert half["State"] == full["State"] == "s42"
    assert half["ExternalUserID"] == external
    assert half["WelcomeCode"] != full["WelcomeCode"], "the first was not used, so there is another"
    assert set(told.received[0].query) == {"msg_signature", "timestamp", "nonce"}


def test_the_welcome_is_sent_once_within_twenty_seconds(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    li, _ = _added(sandbox, wecom)
    half, full = (one["WelcomeCode"] for one in _events(sandbox, told))
    hello = {"text": {"content": "你好"}}
    assert _post(wecom, "send_welcome_msg", welcome_code="x", **hello)["errcode"] == 41050
    assert _post(wecom, "send_welcome_msg", welcome_code=half)["errcode"] == 40058
    assert _post(wecom, "send_welcome_msg", welcome_code=half, **hello)["errcode"] == 0
    assert _post(wecom, "send_welcome_msg", welcome_code=half, **hello)["errcode"] == 41051
    assert _post(wecom, "send_welcome_msg", welcome_code=full, **hello)["errcode"] == 41051
    assert [one.get("text") for one in li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")] == [None, "你好"]


def test_a_welcome_after_21_seconds_is_too_late(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    _added(sandbox, wecom)
    code = _events(sandbox, told)[-1]["WelcomeCode"]
    sandbox.advance(20)
    late = _post(wecom, "send_welcome_msg", welcome_code=code, text={"content": "x"})
    assert late["errcode"] == 41050


def test_no_welcome_code_comes_to_old_friends_or_beside_the_consoles_welcome(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    li, _ = _added(sandbox, wecom)
    li.do("text", userid="ZhangSan", text="hi")
    li.do("delete_employee", userid="ZhangSan")
    told.received.clear()
    li.do("scan", text=_text_of(_way(wecom)["qr_code"]))
    sandbox.advance(1)
    assert ["WelcomeCode" in one for one in _events(sandbox, told)] == [False, False]
    _staff(sandbox, "LiSi", "set_welcome", text="欢迎")
    told.received.clear()
    mei, _ = _added(sandbox, wecom, "Mei", user=["LiSi"])
    assert ["WelcomeCode" in one for one in _events(sandbox, told)] == [False, False]
    assert [one.get("text") for one in mei.chat("wecom:ww5a4d9b0c3e7f1268:LiSi")] == [None, "欢迎"]


def test_an_add_without_a_code_has_no_state(sandbox: Sandbox, told: Application) -> None:
    _staff(sandbox, "ZhangSan", "add", person=sandbox.person("Li").id)
    sandbox.settle()
    assert "State" not in _events(sandbox, told)[0]


def test_a_welcome_may_carry_pictures_and_links(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, _ = _added(sandbox, wecom)
    code = _events(sandbox, told)[-1]["WelcomeCode"]
    media = wecom.upload("image", b"\xff\xd8\xff" + b"0" * 50)
    assert isinstance(media["created_at"], str)
    parts = [
        {"msgtype": "image", "image": {"media_id": media["media_id"]}},
        {"msgtype": "link", "link": {"title": "会员", "url": "http://a/", "desc": "d"}},
    ]
    long = [{"msgtype": "link", "link": {"title": "x" * 129, "url": "http://a/"}}]
    assert _post(wecom, "send_welcome_msg", welcome_code=code, attachments=long)["errcode"] == 40058
    assert _post(wecom, "send_welcome_msg", welcome_code=code, attachments=parts * 5)["errcode"] == 40058
    unknown = [{"msgtype": "image", "image": {"media_id": "x"}}]
    assert _post(wecom, "send_welcome_msg", welcome_code=code, attachments=unknown)["errcode"] == 40007
    assert _post(wecom, "send_welcome_msg", welcome_code=code, attachments=parts)["errcode"] == 0
    assert [one["kind"] for one in li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")] == ["added", "image", "news"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "x" * 31}, 40058),
        ({"remark": "x" * 31}, 40058),
        ({"user": ["ZhangSan", "LiSi"]}, 40058),
        ({"type": 3}, 40058),
        ({"type": 2, "user": []}, 40058),
        ({"type": 2, "user": ["ZhangSan"] * 101}, 40058),
        ({"user": ["ZhaoLiu"]}, 41054),
        ({"user": ["Nobody"]}, 60111),
        ({"expires_in": 14 * 86400 + 1}, 40058),
    ],
)
def test_wrong_contact_ways_are_refused(wecom: Api, changes: dict[str, Any], code: int) -> None:
    assert _way(wecom, **changes)["errcode"] == code


def test_a_contact_way_is_read_changed_listed_and_removed(sandbox: Sandbox, wecom: Api) -> None:
    made = _way(wecom)
    config = {"config_id": made["config_id"]}
    text = _text_of(made["qr_code"])
    assert _post(wecom, "get_contact_way", **config)["contact_way"]["state"] == "s42"
    assert _post(wecom, "update_contact_way", **config, state="s43", user=["LiSi"])["errcode"] == 0
    assert sandbox.person("Li").do("scan", text=text)["userid"] == "LiSi"
    assert _post(wecom, "list_contact_way", limit=10)["contact_way"] == [config]
    assert _post(wecom, "del_contact_way", **config)["errcode"] == 0
    assert _post(wecom, "get_contact_way", **config)["errcode"] == 41044
    with pytest.raises(CannotDo, match="run out"):
        sandbox.person("Mei").do("scan", text=text)


def test_an_acquisition_link_brings_its_channel_and_uses_quota(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    sandbox.wecom_server("", acquisition_quota=1)
    sandbox.wecom_server(told.url + "/wecom")
    link = _post(wecom, "customer_acquisition/create_link", link_name="l", range={"user_list": ["LiSi"]})[
        "link"
    ]
    li = sandbox.person("Li")
    assert li.do("scan", text=link["url"] + "?customer_channel=ch1")["userid"] == "LiSi"
    assert _events(sandbox, told)[0]["State"] == "ch1"
    with pytest.raises(CannotDo, match="quota"):
        sandbox.person("Mei").do("scan", text=link["url"])


# -- customers -----------------------------------------------------------------------------------------


def test_what_is_known_of_a_customer(sandbox: Sandbox, wecom: Api) -> None:
    assert wecom.get(BASE + "list", userid="ZhangSan")["errcode"] == 84061
    li, external = _added(sandbox, wecom)
    assert wecom.get(BASE + "list", userid="ZhangSan")["external_userid"] == [external]
    found = wecom.get(BASE + "get", external_userid=external)
    assert external.startswith("wm")
    assert found["external_contact"]["unionid"] == li.unionid
    assert (found["follow_user"][0]["state"], found["follow_user"][0]["add_way"]) == ("s42", 1)
    many = _post(wecom, "batch/get_by_user", userid_list=["ZhangSan"], limit=100)
    assert many["external_contact_list"][0]["follow_info"]["userid"] == "ZhangSan"
    sandbox.wecom_server("", developer_bound=False)
    assert "unionid" not in wecom.get(BASE + "get", external_userid=external)["external_contact"]
    assert wecom.get(BASE + "get", external_userid="wmNobody")["errcode"] == 40096
    assert _post(wecom, "convert_to_openid", external_userid="wo1")["errcode"] == 40096
    assert _post(wecom, "convert_to_openid", external_userid=external)["openid"].startswith("o")


def test_remarks_and_tags_made_by_the_api_are_not_told(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    _, external = _added(sandbox, wecom)
    before = len(told.received)
    pair = {"userid": "ZhangSan", "external_userid": external}
    group = _post(wecom, "add_corp_tag", group_name="来源", tag=[{"name": "老带新"}, {"name": "直播"}])[
        "tag_group"
    ]
    first, second = (one["id"] for one in group["tag"])
    assert _post(wecom, "mark_tag", **pair, add_tag=[first, second])["errcode"] == 0
    assert _post(wecom, "mark_tag", **pair, remove_tag=[second])["errcode"] == 0
    assert _post(wecom, "mark_tag", **pair, add_tag=["et0"])["errcode"] == 40068
    assert _post(wecom, "mark_tag", **pair)["errcode"] == 40058
    assert _post(wecom, "remark", **pair, remark="小李")["errcode"] == 0
    assert _post(wecom, "remark", **pair, remark="x" * 21)["errcode"] == 40058
    assert _post(wecom, "remark", userid="LiSi", external_userid=external, remark="x")["errcode"] == 84061
    follow = wecom.get(BASE + "get", external_userid=external)["follow_user"][0]
    assert (follow["remark"], [tag["tag_name"] for tag in follow["tags"]]) == ("小李", ["老带新"])
    sandbox.settle()
    assert len(told.received) == before


def test_corporation_tags_are_made_renamed_and_removed(wecom: Api) -> None:
    made = _post(wecom, "add_corp_tag", group_name="g", tag=[{"name": "a"}])["tag_group"]
    assert _post(wecom, "add_corp_tag", group_name="g", tag=[{"name": "a"}])["errcode"] == 40071
    assert _post(wecom, "add_corp_tag", group_name="x" * 31, tag=[{"name": "a"}])["errcode"] == 40058
    tag = made["tag"][0]["id"]
    assert _post(wecom, "edit_corp_tag", id=tag, name="b")["errcode"] == 0
    listed = _post(wecom, "get_corp_tag_list", tag_id=[tag])["tag_group"]
    assert listed[0]["tag"][0]["name"] == "b"
    assert _post(wecom, "del_corp_tag", tag_id=[tag])["errcode"] == 0
    assert _post(wecom, "get_corp_tag_list")["tag_group"] == []
    assert _post(wecom, "edit_corp_tag", id=tag, name="b")["errcode"] == 40068


def test_parting_is_told_from_either_side(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, external = _added(sandbox, wecom)
    told.received.clear()
    li.do("delete_employee", userid="ZhangSan")
    assert wecom.get(BASE + "list", userid="ZhangSan")["external_userid"] == [external]
    _staff(sandbox, "ZhangSan", "delete", person=li.id)
    sandbox.settle()
    assert _changes(sandbox, told) == ["del_follow_user", "del_external_contact"]
    assert "Source" not in _events(sandbox, told)[1]
    assert wecom.get(BASE + "list", userid="ZhangSan")["errcode"] == 84061


# -- handing over --------------------------------------------------------------------------------------


def _hand(wecom: Api, external: str, giver: str = "ZhangSan", taker: str = "LiSi") -> Any:
    body = {"handover_userid": giver, "takeover_userid": taker, "external_userid": [external]}
    return _post(wecom, "transfer_customer", **body)["customer"][0]["errcode"]


def _status(wecom: Api, giver: str = "ZhangSan", taker: str = "LiSi") -> Any:
    return _post(wecom, "transfer_result", handover_userid=giver, takeover_userid=taker)["customer"][0][
        "status"
    ]


def test_a_customer_changes_hands_after_a_day(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    _, external = _added(sandbox, wecom)
    told.received.clear()
    assert _hand(wecom, external) == 0
    assert _hand(wecom, external) == 40130
    assert _status(wecom) == 2
    assert told.received == []
    sandbox.advance(86400)
    assert _status(wecom) == 1
    gone, come = _events(sandbox, told)
    assert (gone["ChangeType"], gone["Source"]) == ("del_external_contact", "DELETE_BY_TRANSFER")
    assert (come["ChangeType"], come["UserID"]) == ("add_external_contact", "LiSi")
    assert "State" not in come
    assert "WelcomeCode" not in come
    assert wecom.get(BASE + "get", external_userid=external)["follow_user"][0]["add_way"] == 202


def test_a_customer_may_refuse(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, external = _added(sandbox, wecom)
    told.received.clear()
    _hand(wecom, external)
    li.do("refuse_transfer", userid="ZhangSan")
    sandbox.advance(86400)
    (failed,) = _events(sandbox, told)
    assert (failed["ChangeType"], failed["FailReason"]) == ("transfer_fail", "customer_refused")
    assert _status(wecom) == 3


def test_a_customer_changes_hands_twice_in_ninety_days(sandbox: Sandbox, wecom: Api) -> None:
    _, external = _added(sandbox, wecom)
    for giver, taker in (("ZhangSan", "LiSi"), ("LiSi", "WangWu")):
        assert _hand(wecom, external, giver, taker) == 0
        sandbox.advance(86400)
    assert _hand(wecom, external, "WangWu", "ZhangSan") == 40128
    sandbox.advance(90 * 86400)
    assert _hand(wecom, external, "WangWu", "ZhangSan") == 0


def test_handovers_that_cannot_be_are_refused(sandbox: Sandbox, wecom: Api) -> None:
    assert _hand(wecom, "wmNobody") == 40096
    body = {"handover_userid": "ZhangSan", "external_userid": ["wm"]}
    assert _post(wecom, "transfer_customer", **body, takeover_userid="ZhaoLiu")["errcode"] == 41054
    many = body | {"external_userid": ["wm"] * 101, "takeover_userid": "LiSi"}
    assert _post(wecom, "transfer_customer", **many)["errcode"] == 40058
    assert _post(wecom, "resigned/transfer_customer", **body, takeover_userid="LiSi")["errcode"] == 40132


def test_who_left_leaves_customers_and_groups(sandbox: Sandbox, wecom: Api) -> None:
    _, external = _added(sandbox, wecom)
    chat = _staff(sandbox, "ZhangSan", "open_group", name="g")["chat_id"]
    _staff(sandbox, "ZhangSan", "leave_company")
    assert _way(wecom)["errcode"] == 60111
    assert _post(wecom, "get_unassigned_list")["info"][0]["external_userid"] == external
    body = {"handover_userid": "ZhangSan", "takeover_userid": "LiSi", "external_userid": [external]}
    assert _post(wecom, "resigned/transfer_customer", **body)["customer"][0]["errcode"] == 0
    sandbox.advance(86400)
    done = _post(wecom, "resigned/transfer_result", handover_userid="ZhangSan", takeover_userid="LiSi")
    assert done["customer"][0]["status"] == 1
    moved = _post(wecom, "groupchat/onjob_transfer", chat_id_list=[chat], new_owner="LiSi")
    assert moved["failed_chat_list"][0]["errcode"] == 90501
    assert _post(wecom, "groupchat/transfer", chat_id_list=[chat], new_owner="LiSi")["failed_chat_list"] == []
    assert _post(wecom, "groupchat/get", chat_id=chat)["group_chat"]["owner"] == "LiSi"


# -- groups --------------------------------------------------------------------------------------------


def _room(sandbox: Sandbox, wecom: Api, **changes: Any) -> tuple[str, str]:
    chat = str(_staff(sandbox, "ZhangSan", "open_group", name="福利群")["chat_id"])
    body = {"scene": 2, "chat_id_list": [chat], "state": "g7", "room_base_name": "福利群"} | changes
    config = _post(wecom, "groupchat/add_join_way", **body)["config_id"]
    way = _post(wecom, "groupchat/get_join_way", config_id=config)["join_way"]
    return chat, _text_of(way["qr_code"])


def test_joining_by_code_is_told_with_versions_and_seen_two_seconds_later(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    chat, code = _room(sandbox, wecom)
    li = sandbox.person("Li")
    first = _post(wecom, "groupchat/get", chat_id=chat)["group_chat"]["member_version"]
    assert li.do("scan", text=code)["joined"] is True
    event = _events(sandbox, told)[-1]
    assert (event["ChangeType"], event["UpdateDetail"], event["JoinScene"]) == ("update", "add_member", "3")
    assert event["LastMemVer"] == first
    lagging = _post(wecom, "groupchat/get", chat_id=chat)["group_chat"]
    assert (len(lagging["member_list"]), lagging["member_version"]) == (1, first)
    sandbox.advance(2)
    fresh = _post(wecom, "groupchat/get", chat_id=chat, need_name=1)["group_chat"]
    member = fresh["member_list"][1]
    assert fresh["member_version"] == event["CurMemVer"]
    assert (member["state"], member["join_scene"], member["unionid"]) == ("g7", 3, li.unionid)
    assert "invitor" not in member


def test_leaving_being_removed_invited_and_dismissed_are_told(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    chat, code = _room(sandbox, wecom)
    li = sandbox.person("Li")
    li.do("scan", text=code)
    li.do("leave_group", chat_id=chat)
    _staff(sandbox, "ZhangSan", "invite", chat_id=chat, person=li.id)
    _staff(sandbox, "ZhangSan", "remove", chat_id=chat, person=li.id)
    _staff(sandbox, "ZhangSan", "rename_group", chat_id=chat, name="新群")
    _staff(sandbox, "ZhangSan", "dismiss", chat_id=chat)
    sandbox.settle()
    events = _events(sandbox, told)
    assert [one.get("UpdateDetail", one["ChangeType"]) for one in events] == [
        "create", "add_member", "del_member", "add_member", "del_member", "change_name", "dismiss",
    ]  # fmt: skip
    assert [one.get("QuitScene") for one in events[2:5:2]] == ["0", "1"]
    assert events[3]["JoinScene"] == "0"
    assert _post(wecom, "groupchat/get", chat_id=chat)["errcode"] == 49008


def test_a_full_group_leads_to_a_new_one_or_to_nowhere(sandbox: Sandbox, wecom: Api) -> None:
    sandbox.wecom_server("", group_capacity=2)
    _, code = _room(sandbox, wecom)
    _, closed = _room(sandbox, wecom, auto_create_room=0)
    rooms = [sandbox.person(name).do("scan", text=code)["name"] for name in ("a", "b")]
    assert rooms == ["福利群", "福利群1"]
    sandbox.person("c").do("scan", text=closed)
    with pytest.raises(CannotDo, match="full"):
        sandbox.person("d").do("scan", text=closed)


def test_a_join_way_is_overwritten_by_its_update(sandbox: Sandbox, wecom: Api) -> None:
    chat, _ = _room(sandbox, wecom)
    config = _post(wecom, "groupchat/add_join_way", scene=2, chat_id_list=[chat], state="s")["config_id"]
    _post(wecom, "groupchat/update_join_way", config_id=config, scene=2, chat_id_list=[chat])
    assert _post(wecom, "groupchat/get_join_way", config_id=config)["join_way"]["state"] == ""
    for wrong in ({"state": "x" * 31}, {"chat_id_list": []}, {"chat_id_list": [chat] * 6}, {"scene": 3}):
        body = {"scene": 2, "chat_id_list": [chat]} | wrong
        assert _post(wecom, "groupchat/add_join_way", **body)["errcode"] == 40058
    assert _post(wecom, "groupchat/del_join_way", config_id=config)["errcode"] == 0
    assert _post(wecom, "groupchat/get_join_way", config_id=config)["errcode"] == 41044
    assert _post(wecom, "groupchat/list", limit=10)["group_chat_list"] == [{"chat_id": chat, "status": 0}]
    assert _post(wecom, "groupchat/list", limit=0)["errcode"] == 40058


# -- mass messages and moments -------------------------------------------------------------------------


def _mass(wecom: Api, external: str) -> Any:
    return _post(wecom, "add_msg_template", external_userid=[external], text={"content": "周五直播"})


def _sent(wecom: Api, msgid: str) -> Any:
    return _post(wecom, "get_groupmsg_send_result", msgid=msgid, userid="ZhangSan")["send_list"][0]["status"]


def test_a_mass_message_waits_for_the_employee(sandbox: Sandbox, wecom: Api) -> None:
    li, external = _added(sandbox, wecom)
    msgid = _mass(wecom, external)["msgid"]
    assert _post(wecom, "get_groupmsg_task", msgid=msgid)["task_list"] == [
        {"userid": "ZhangSan", "status": 0}
    ]
    assert _sent(wecom, msgid) == 0
    assert len(li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")) == 1
    _staff(sandbox, "ZhangSan", "confirm", msgid=msgid)
    assert _sent(wecom, msgid) == 1
    assert li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")[-1]["text"] == "周五直播"


def test_a_month_holds_as_many_mass_messages_as_days(sandbox: Sandbox, wecom: Api) -> None:
    _, external = _added(sandbox, wecom)
    states = []
    for _ in range(31):
        msgid = _mass(wecom, external)["msgid"]
        _staff(sandbox, "ZhangSan", "confirm", msgid=msgid)
        states.append(_sent(wecom, msgid))
    assert states == [1] * 30 + [3], "November has 30 days"


def test_who_left_is_not_reached(sandbox: Sandbox, wecom: Api) -> None:
    li, external = _added(sandbox, wecom)
    msgid = _mass(wecom, external)["msgid"]
    li.do("delete_employee", userid="ZhangSan")
    _staff(sandbox, "ZhangSan", "confirm", msgid=msgid)
    assert _sent(wecom, msgid) == 2
    nobody = _mass(wecom, external)
    assert (nobody["errcode"], nobody["fail_list"]) == (41048, [external])


def test_wrong_mass_messages_are_refused(sandbox: Sandbox, wecom: Api) -> None:
    text = {"content": "x"}
    assert _post(wecom, "add_msg_template", text=text)["errcode"] == 40058
    assert _post(wecom, "add_msg_template", chat_type="group", text=text)["errcode"] == 40058
    assert _post(wecom, "add_msg_template", external_userid=["wm"] * 10_001, text=text)["errcode"] == 40058
    assert _post(wecom, "add_msg_template", external_userid=["wm"])["errcode"] == 40058
    long = {"content": "x" * 4001}
    assert _post(wecom, "add_msg_template", external_userid=["wm"], text=long)["errcode"] == 40058
    assert "no such task" in _staff(sandbox, "LiSi", "confirm", msgid="none")["error"]


def test_a_group_message_reaches_the_members(sandbox: Sandbox, wecom: Api) -> None:
    chat, code = _room(sandbox, wecom)
    li = sandbox.person("Li")
    li.do("scan", text=code)
    made = _post(wecom, "add_msg_template", chat_type="group", sender="ZhangSan", text={"content": "公告"})
    _staff(sandbox, "ZhangSan", "confirm", msgid=made["msgid"])
    assert li.chat(f"group:ww5a4d9b0c3e7f1268:{chat}")[-1]["text"] == "公告"


def test_a_moment_is_a_job_the_employee_publishes(sandbox: Sandbox, wecom: Api) -> None:
    li, _ = _added(sandbox, wecom)
    path = "get_moment_task_result"
    made = _post(
        wecom,
        "add_moment_task",
        text={"content": "今天开课"},
        visible_range={"sender_list": {"user_list": ["ZhangSan", "ZhaoLiu"]}},
    )
    first = wecom.get(BASE + path, jobid=made["jobid"])
    assert (first["status"], first["result"]["invalid_sender_list"]) == (1, {"user_list": ["ZhaoLiu"]})
    sandbox.advance(2)
    assert wecom.get(BASE + path, jobid=made["jobid"])["status"] == 3
    _staff(sandbox, "ZhangSan", "publish", jobid=made["jobid"])
    assert li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")[-1]["text"] == "今天开课"
    sandbox.advance(86400)
    assert wecom.get(BASE + path, jobid=made["jobid"])["errcode"] == 40058
    mixed = [{"msgtype": "link", "link": {"title": "a", "url": "http://a"}}] * 2
    assert _post(wecom, "add_moment_task", attachments=mixed)["errcode"] == 40058
    codes = [_post(wecom, "add_moment_task", text={"content": "x"}).get("errcode") for _ in range(11)]
    assert codes == [0] * 10 + [45033]


def test_group_welcome_texts_are_kept(wecom: Api) -> None:
    made = _post(wecom, "group_welcome_template/add", text={"content": "欢迎 %NICKNAME%"})
    template = {"template_id": made["template_id"]}
    assert _post(wecom, "group_welcome_template/edit", **template, text={"content": "你好"})["errcode"] == 0
    assert _post(wecom, "group_welcome_template/get", **template)["text"] == {"content": "你好"}
    assert _post(wecom, "group_welcome_template/del", **template)["errcode"] == 0
    assert _post(wecom, "group_welcome_template/get", **template)["errcode"] == 40058
    assert _post(wecom, "group_welcome_template/add", text={"content": "x" * 3001})["errcode"] == 40058


# -- changes by hand -----------------------------------------------------------------------------------


def test_what_employees_change_by_hand_is_told(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, external = _added(sandbox, wecom)
    told.received.clear()
    tag = _staff(sandbox, "ZhangSan", "make_tag", group="来源", name="直播")["id"]
    _staff(sandbox, "ZhangSan", "edit", person=li.id, tags=[tag], remark="小李")
    sandbox.settle()
    made, changed = _events(sandbox, told)
    assert (made["Event"], made["ChangeType"], made["Id"]) == ("change_external_tag", "create", tag)
    assert (changed["ChangeType"], changed["ExternalUserID"]) == ("edit_external_contact", external)
    follow = wecom.get(BASE + "get", external_userid=external)["follow_user"][0]
    assert (follow["remark"], follow["tags"][0]["tag_name"]) == ("小李", "直播")


def test_any_event_can_be_sent(sandbox: Sandbox, told: Application) -> None:
    path = f"{sandbox.admin_url}/wecom/{sandbox.credentials['wecom']['corpid']}/push"
    assert HTTP.post(path, json={"content": {"Event": "x"}}).status_code == 400
    HTTP.post(path, json={"content": {"Event": "customer_acquisition", "ChangeType": "balance_low"}})
    sandbox.settle()
    assert _changes(sandbox, told) == ["balance_low"]


# -- delivery ------------------------------------------------------------------------------------------


def test_an_error_of_the_application_is_not_repeated_a_broken_network_is(
    sandbox: Sandbox, told: Application
) -> None:
    told.answer = lambda _: (500, b"")
    _staff(sandbox, "ZhangSan", "open_group", name="a")
    sandbox.settle()
    assert len(told.received) == 1
    sandbox.options(callback_timeout=0.15)
    told.slow(0.4)
    _staff(sandbox, "ZhangSan", "open_group", name="b")
    sandbox.settle()
    assert len(told.received) == 5


def test_lost_and_swapped_events_show_in_the_versions(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    _, code = _room(sandbox, wecom)
    sandbox.fault("wecom", "lose", on="callback", match="update")
    for name in ("a", "b", "c"):
        sandbox.person(name).do("scan", text=code)
    second, third = _events(sandbox, told)[1:]
    assert second["CurMemVer"] == third["LastMemVer"]
    assert second["LastMemVer"] not in {one.get("CurMemVer") for one in _events(sandbox, told)}


def test_tickets_are_counted_by_the_hour(wecom: Api) -> None:
    first = wecom.get("/cgi-bin/get_jsapi_ticket")
    assert first["expires_in"] == 7200
    codes = [wecom.get("/cgi-bin/ticket/get", type="agent_config")["errcode"] for _ in range(101)]
    assert codes == [0] * 100 + [45009]
