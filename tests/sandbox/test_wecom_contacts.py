"""WeCom: tokens, contact ways, the welcome message, customers, tags, handing over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.control.configure import NotAccepted
from growth_engine.sandbox.oa.actions import CannotDo
from tests.sandbox.application import Application, Received
from tests.sandbox.conftest import HTTP, Api
from tests.sandbox.corp import BASE, added, changes_of, events_of, make_way, post, staff, text_of

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
    _, external = added(sandbox, wecom)
    half, full = events_of(sandbox, told)
    assert (half["ChangeType"], full["ChangeType"]) == ("add_half_external_contact", "add_external_contact")
    assert half["State"] == full["State"] == "s42"
    assert half["ExternalUserID"] == external
    assert half["WelcomeCode"] != full["WelcomeCode"], "the first was not used, so there is another"
    assert set(told.received[0].query) == {"msg_signature", "timestamp", "nonce"}


def test_the_welcome_is_sent_once_within_twenty_seconds(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    li, _ = added(sandbox, wecom)
    half, full = (one["WelcomeCode"] for one in events_of(sandbox, told))
    hello = {"text": {"content": "你好"}}
    assert post(wecom, "send_welcome_msg", welcome_code="x", **hello)["errcode"] == 41050
    assert post(wecom, "send_welcome_msg", welcome_code=half)["errcode"] == 40058
    assert post(wecom, "send_welcome_msg", welcome_code=half, **hello)["errcode"] == 0
    assert post(wecom, "send_welcome_msg", welcome_code=half, **hello)["errcode"] == 41051
    assert post(wecom, "send_welcome_msg", welcome_code=full, **hello)["errcode"] == 41051
    assert [one.get("text") for one in li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")] == [None, "你好"]


def test_a_welcome_after_21_seconds_is_too_late(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    added(sandbox, wecom)
    code = events_of(sandbox, told)[-1]["WelcomeCode"]
    sandbox.advance(20)
    late = post(wecom, "send_welcome_msg", welcome_code=code, text={"content": "x"})
    assert late["errcode"] == 41050


def test_no_welcome_code_comes_to_old_friends_or_beside_the_consoles_welcome(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    li, _ = added(sandbox, wecom)
    li.do("text", userid="ZhangSan", text="hi")
    li.do("delete_employee", userid="ZhangSan")
    told.received.clear()
    li.do("scan", text=text_of(make_way(wecom)["qr_code"]))
    sandbox.advance(1)
    assert ["WelcomeCode" in one for one in events_of(sandbox, told)] == [False, False]
    staff(sandbox, "LiSi", "set_welcome", text="欢迎")
    told.received.clear()
    mei, _ = added(sandbox, wecom, "Mei", user=["LiSi"])
    assert ["WelcomeCode" in one for one in events_of(sandbox, told)] == [False, False]
    assert [one.get("text") for one in mei.chat("wecom:ww5a4d9b0c3e7f1268:LiSi")] == [None, "欢迎"]


def test_an_add_without_a_code_has_no_state(sandbox: Sandbox, told: Application) -> None:
    staff(sandbox, "ZhangSan", "add", person=sandbox.person("Li").id)
    sandbox.settle()
    assert "State" not in events_of(sandbox, told)[0]


def test_a_welcome_may_carry_pictures_and_links(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, _ = added(sandbox, wecom)
    code = events_of(sandbox, told)[-1]["WelcomeCode"]
    media = wecom.upload("image", b"\xff\xd8\xff" + b"0" * 50)
    assert isinstance(media["created_at"], str)
    parts = [
        {"msgtype": "image", "image": {"media_id": media["media_id"]}},
        {"msgtype": "link", "link": {"title": "会员", "url": "http://a/", "desc": "d"}},
    ]
    long = [{"msgtype": "link", "link": {"title": "x" * 129, "url": "http://a/"}}]
    assert post(wecom, "send_welcome_msg", welcome_code=code, attachments=long)["errcode"] == 40058
    assert post(wecom, "send_welcome_msg", welcome_code=code, attachments=parts * 5)["errcode"] == 40058
    unknown = [{"msgtype": "image", "image": {"media_id": "x"}}]
    assert post(wecom, "send_welcome_msg", welcome_code=code, attachments=unknown)["errcode"] == 40007
    assert post(wecom, "send_welcome_msg", welcome_code=code, attachments=parts)["errcode"] == 0
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
    assert make_way(wecom, **changes)["errcode"] == code


def test_a_contact_way_is_read_changed_listed_and_removed(sandbox: Sandbox, wecom: Api) -> None:
    made = make_way(wecom)
    config = {"config_id": made["config_id"]}
    text = text_of(made["qr_code"])
    assert post(wecom, "get_contact_way", **config)["contact_way"]["state"] == "s42"
    assert post(wecom, "update_contact_way", **config, state="s43", user=["LiSi"])["errcode"] == 0
    assert sandbox.person("Li").do("scan", text=text)["userid"] == "LiSi"
    assert post(wecom, "list_contact_way", limit=10)["contact_way"] == [config]
    assert post(wecom, "del_contact_way", **config)["errcode"] == 0
    assert post(wecom, "get_contact_way", **config)["errcode"] == 41044
    with pytest.raises(CannotDo, match="run out"):
        sandbox.person("Mei").do("scan", text=text)


def test_an_acquisition_link_brings_its_channel_and_uses_quota(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    sandbox.wecom_server("", acquisition_quota=1)
    sandbox.wecom_server(told.url + "/wecom")
    link = post(wecom, "customer_acquisition/create_link", link_name="l", range={"user_list": ["LiSi"]})[
        "link"
    ]
    li = sandbox.person("Li")
    assert li.do("scan", text=link["url"] + "?customer_channel=ch1")["userid"] == "LiSi"
    assert events_of(sandbox, told)[0]["State"] == "ch1"
    with pytest.raises(CannotDo, match="quota"):
        sandbox.person("Mei").do("scan", text=link["url"])


# -- customers -----------------------------------------------------------------------------------------


def test_what_is_known_of_a_customer(sandbox: Sandbox, wecom: Api) -> None:
    assert wecom.get(BASE + "list", userid="ZhangSan")["errcode"] == 84061
    li, external = added(sandbox, wecom)
    assert wecom.get(BASE + "list", userid="ZhangSan")["external_userid"] == [external]
    found = wecom.get(BASE + "get", external_userid=external)
    assert external.startswith("wm")
    assert found["external_contact"]["unionid"] == li.unionid
    assert (found["follow_user"][0]["state"], found["follow_user"][0]["add_way"]) == ("s42", 1)
    many = post(wecom, "batch/get_by_user", userid_list=["ZhangSan"], limit=100)
    assert many["external_contact_list"][0]["follow_info"]["userid"] == "ZhangSan"
    sandbox.wecom_server("", developer_bound=False)
    assert "unionid" not in wecom.get(BASE + "get", external_userid=external)["external_contact"]
    assert wecom.get(BASE + "get", external_userid="wmNobody")["errcode"] == 40096
    assert post(wecom, "convert_to_openid", external_userid="wo1")["errcode"] == 40096
    assert post(wecom, "convert_to_openid", external_userid=external)["openid"].startswith("o")


def test_remarks_and_tags_made_by_the_api_are_not_told(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    _, external = added(sandbox, wecom)
    before = len(told.received)
    pair = {"userid": "ZhangSan", "external_userid": external}
    group = post(wecom, "add_corp_tag", group_name="来源", tag=[{"name": "老带新"}, {"name": "直播"}])[
        "tag_group"
    ]
    first, second = (one["id"] for one in group["tag"])
    assert post(wecom, "mark_tag", **pair, add_tag=[first, second])["errcode"] == 0
    assert post(wecom, "mark_tag", **pair, remove_tag=[second])["errcode"] == 0
    assert post(wecom, "mark_tag", **pair, add_tag=["et0"])["errcode"] == 40068
    assert post(wecom, "mark_tag", **pair)["errcode"] == 40058
    assert post(wecom, "remark", **pair, remark="小李")["errcode"] == 0
    assert post(wecom, "remark", **pair, remark="x" * 21)["errcode"] == 40058
    assert post(wecom, "remark", userid="LiSi", external_userid=external, remark="x")["errcode"] == 84061
    follow = wecom.get(BASE + "get", external_userid=external)["follow_user"][0]
    assert (follow["remark"], [tag["tag_name"] for tag in follow["tags"]]) == ("小李", ["老带新"])
    sandbox.settle()
    assert len(told.received) == before


def test_corporation_tags_are_made_renamed_and_removed(wecom: Api) -> None:
    made = post(wecom, "add_corp_tag", group_name="g", tag=[{"name": "a"}])["tag_group"]
    assert post(wecom, "add_corp_tag", group_name="g", tag=[{"name": "a"}])["errcode"] == 40071
    assert post(wecom, "add_corp_tag", group_name="x" * 31, tag=[{"name": "a"}])["errcode"] == 40058
    tag = made["tag"][0]["id"]
    assert post(wecom, "edit_corp_tag", id=tag, name="b")["errcode"] == 0
    listed = post(wecom, "get_corp_tag_list", tag_id=[tag])["tag_group"]
    assert listed[0]["tag"][0]["name"] == "b"
    assert post(wecom, "del_corp_tag", tag_id=[tag])["errcode"] == 0
    assert post(wecom, "get_corp_tag_list")["tag_group"] == []
    assert post(wecom, "edit_corp_tag", id=tag, name="b")["errcode"] == 40068


def test_parting_is_told_from_either_side(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, external = added(sandbox, wecom)
    told.received.clear()
    li.do("delete_employee", userid="ZhangSan")
    assert wecom.get(BASE + "list", userid="ZhangSan")["external_userid"] == [external]
    staff(sandbox, "ZhangSan", "delete", person=li.id)
    sandbox.settle()
    assert changes_of(sandbox, told) == ["del_follow_user", "del_external_contact"]
    assert "Source" not in events_of(sandbox, told)[1]
    assert wecom.get(BASE + "list", userid="ZhangSan")["errcode"] == 84061


# -- handing over --------------------------------------------------------------------------------------


def _hand(wecom: Api, external: str, giver: str = "ZhangSan", taker: str = "LiSi") -> Any:
    body = {"handover_userid": giver, "takeover_userid": taker, "external_userid": [external]}
    return post(wecom, "transfer_customer", **body)["customer"][0]["errcode"]


def _status(wecom: Api, giver: str = "ZhangSan", taker: str = "LiSi") -> Any:
    return post(wecom, "transfer_result", handover_userid=giver, takeover_userid=taker)["customer"][0][
        "status"
    ]


def test_a_customer_changes_hands_after_a_day(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    _, external = added(sandbox, wecom)
    told.received.clear()
    assert _hand(wecom, external) == 0
    assert _hand(wecom, external) == 40130
    assert _status(wecom) == 2
    assert told.received == []
    sandbox.advance(86400)
    assert _status(wecom) == 1
    gone, come = events_of(sandbox, told)
    assert (gone["ChangeType"], gone["Source"]) == ("del_external_contact", "DELETE_BY_TRANSFER")
    assert (come["ChangeType"], come["UserID"]) == ("add_external_contact", "LiSi")
    assert "State" not in come
    assert "WelcomeCode" not in come
    assert wecom.get(BASE + "get", external_userid=external)["follow_user"][0]["add_way"] == 202


def test_a_customer_may_refuse(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, external = added(sandbox, wecom)
    told.received.clear()
    _hand(wecom, external)
    li.do("refuse_transfer", userid="ZhangSan")
    sandbox.advance(86400)
    (failed,) = events_of(sandbox, told)
    assert (failed["ChangeType"], failed["FailReason"]) == ("transfer_fail", "customer_refused")
    assert _status(wecom) == 3


def test_a_customer_changes_hands_twice_in_ninety_days(sandbox: Sandbox, wecom: Api) -> None:
    _, external = added(sandbox, wecom)
    for giver, taker in (("ZhangSan", "LiSi"), ("LiSi", "WangWu")):
        assert _hand(wecom, external, giver, taker) == 0
        sandbox.advance(86400)
    assert _hand(wecom, external, "WangWu", "ZhangSan") == 40128
    sandbox.advance(90 * 86400)
    assert _hand(wecom, external, "WangWu", "ZhangSan") == 0


def test_handovers_that_cannot_be_are_refused(sandbox: Sandbox, wecom: Api) -> None:
    assert _hand(wecom, "wmNobody") == 40096
    body = {"handover_userid": "ZhangSan", "external_userid": ["wm"]}
    assert post(wecom, "transfer_customer", **body, takeover_userid="ZhaoLiu")["errcode"] == 41054
    many = body | {"external_userid": ["wm"] * 101, "takeover_userid": "LiSi"}
    assert post(wecom, "transfer_customer", **many)["errcode"] == 40058
    assert post(wecom, "resigned/transfer_customer", **body, takeover_userid="LiSi")["errcode"] == 40132


def test_who_left_leaves_customers_and_groups(sandbox: Sandbox, wecom: Api) -> None:
    _, external = added(sandbox, wecom)
    chat = staff(sandbox, "ZhangSan", "open_group", name="g")["chat_id"]
    staff(sandbox, "ZhangSan", "leave_company")
    assert make_way(wecom)["errcode"] == 60111
    assert post(wecom, "get_unassigned_list")["info"][0]["external_userid"] == external
    body = {"handover_userid": "ZhangSan", "takeover_userid": "LiSi", "external_userid": [external]}
    assert post(wecom, "resigned/transfer_customer", **body)["customer"][0]["errcode"] == 0
    sandbox.advance(86400)
    done = post(wecom, "resigned/transfer_result", handover_userid="ZhangSan", takeover_userid="LiSi")
    assert done["customer"][0]["status"] == 1
    moved = post(wecom, "groupchat/onjob_transfer", chat_id_list=[chat], new_owner="LiSi")
    assert moved["failed_chat_list"][0]["errcode"] == 90501
    assert post(wecom, "groupchat/transfer", chat_id_list=[chat], new_owner="LiSi")["failed_chat_list"] == []
    assert post(wecom, "groupchat/get", chat_id=chat)["group_chat"]["owner"] == "LiSi"
