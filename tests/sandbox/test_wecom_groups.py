"""WeCom: groups and their codes, mass messages, moments, changes by hand, delivery of events."""

from __future__ import annotations

import io
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.oa.actions import CannotDo
from tests.sandbox.application import Application
from tests.sandbox.conftest import HTTP, Api
from tests.sandbox.corp import BASE, added, changes_of, events_of, post, staff, text_of

# -- groups --------------------------------------------------------------------------------------------


def _room(sandbox: Sandbox, wecom: Api, **changes: Any) -> tuple[str, str]:
    chat = str(staff(sandbox, "ZhangSan", "open_group", name="福利群")["chat_id"])
    body = {"scene": 2, "chat_id_list": [chat], "state": "g7", "room_base_name": "福利群"} | changes
    config = post(wecom, "groupchat/add_join_way", **body)["config_id"]
    way = post(wecom, "groupchat/get_join_way", config_id=config)["join_way"]
    return chat, text_of(way["qr_code"])


def test_joining_by_code_is_told_with_versions_and_seen_two_seconds_later(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    chat, code = _room(sandbox, wecom)
    li = sandbox.person("Li")
    first = post(wecom, "groupchat/get", chat_id=chat)["group_chat"]["member_version"]
    assert li.do("scan", text=code)["joined"] is True
    event = events_of(sandbox, told)[-1]
    assert (event["ChangeType"], event["UpdateDetail"], event["JoinScene"]) == ("update", "add_member", "3")
    assert event["LastMemVer"] == first
    lagging = post(wecom, "groupchat/get", chat_id=chat)["group_chat"]
    assert (len(lagging["member_list"]), lagging["member_version"]) == (1, first)
    sandbox.advance(2)
    fresh = post(wecom, "groupchat/get", chat_id=chat, need_name=1)["group_chat"]
    member = fresh["member_list"][1]
    assert fresh["member_version"] == event["CurMemVer"]
    assert (member["state"], member["join_scene"], member["unionid"]) == ("g7", 3, li.unionid)
    assert "invitor" not in member


def test_the_code_an_employee_saves_from_the_client_lets_in_until_it_ends_or_the_group_is_full(
    sandbox: Sandbox, told: Application
) -> None:
    chat = staff(sandbox, "ZhangSan", "open_group", name="福利群")["chat_id"]
    code = staff(sandbox, "ZhangSan", "group_code", chat_id=chat)["content"]
    shown = HTTP.get(f"{sandbox.oa_url}/_sandbox/code.png", params={"text": code})
    with Image.open(io.BytesIO(shown.content)) as picture:
        assert [one.text for one in zxingcpp.read_barcodes(picture.convert("L"))] == [code]
    li, late = sandbox.person("Li"), sandbox.person("Late")
    assert li.do("scan", text=code)["joined"] is True
    assert events_of(sandbox, told)[-1]["JoinScene"] == "3"
    assert li.do("scan", text=code)["joined"] is False, "already inside"
    sandbox.advance(7 * 24 * 3600)
    with pytest.raises(CannotDo, match="run out"):
        late.do("scan", text=code)


def test_leaving_being_removed_invited_and_dismissed_are_told(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    chat, code = _room(sandbox, wecom)
    li = sandbox.person("Li")
    li.do("scan", text=code)
    li.do("leave_group", chat_id=chat)
    staff(sandbox, "ZhangSan", "invite", chat_id=chat, person=li.id)
    staff(sandbox, "ZhangSan", "remove", chat_id=chat, person=li.id)
    staff(sandbox, "ZhangSan", "rename_group", chat_id=chat, name="新群")
    staff(sandbox, "ZhangSan", "dismiss", chat_id=chat)
    sandbox.settle()
    events = events_of(sandbox, told)
    assert [one.get("UpdateDetail", one["ChangeType"]) for one in events] == [
        "create", "add_member", "del_member", "add_member", "del_member", "change_name", "dismiss",
    ]  # fmt: skip
    assert [one.get("QuitScene") for one in events[2:5:2]] == ["0", "1"]
    assert events[3]["JoinScene"] == "0"
    assert post(wecom, "groupchat/get", chat_id=chat)["errcode"] == 49008


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
    config = post(wecom, "groupchat/add_join_way", scene=2, chat_id_list=[chat], state="s")["config_id"]
    post(wecom, "groupchat/update_join_way", config_id=config, scene=2, chat_id_list=[chat])
    assert post(wecom, "groupchat/get_join_way", config_id=config)["join_way"]["state"] == ""
    for wrong in ({"state": "x" * 31}, {"chat_id_list": []}, {"chat_id_list": [chat] * 6}, {"scene": 3}):
        body = {"scene": 2, "chat_id_list": [chat]} | wrong
        assert post(wecom, "groupchat/add_join_way", **body)["errcode"] == 40058
    assert post(wecom, "groupchat/del_join_way", config_id=config)["errcode"] == 0
    assert post(wecom, "groupchat/get_join_way", config_id=config)["errcode"] == 41044
    assert post(wecom, "groupchat/list", limit=10)["group_chat_list"] == [{"chat_id": chat, "status": 0}]
    assert post(wecom, "groupchat/list", limit=0)["errcode"] == 40058


# -- mass messages and moments -------------------------------------------------------------------------


def _mass(wecom: Api, external: str) -> Any:
    return post(wecom, "add_msg_template", external_userid=[external], text={"content": "周五直播"})


def _sent(wecom: Api, msgid: str) -> Any:
    return post(wecom, "get_groupmsg_send_result", msgid=msgid, userid="ZhangSan")["send_list"][0]["status"]


def test_a_mass_message_waits_for_the_employee(sandbox: Sandbox, wecom: Api) -> None:
    li, external = added(sandbox, wecom)
    msgid = _mass(wecom, external)["msgid"]
    assert post(wecom, "get_groupmsg_task", msgid=msgid)["task_list"] == [{"userid": "ZhangSan", "status": 0}]
    assert _sent(wecom, msgid) == 0
    assert len(li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")) == 1
    staff(sandbox, "ZhangSan", "confirm", msgid=msgid)
    assert _sent(wecom, msgid) == 1
    assert li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")[-1]["text"] == "周五直播"


def test_a_month_holds_as_many_mass_messages_as_days(sandbox: Sandbox, wecom: Api) -> None:
    _, external = added(sandbox, wecom)
    states = []
    for _ in range(31):
        msgid = _mass(wecom, external)["msgid"]
        staff(sandbox, "ZhangSan", "confirm", msgid=msgid)
        states.append(_sent(wecom, msgid))
    assert states == [1] * 30 + [3], "November has 30 days"


def test_who_left_is_not_reached(sandbox: Sandbox, wecom: Api) -> None:
    li, external = added(sandbox, wecom)
    msgid = _mass(wecom, external)["msgid"]
    li.do("delete_employee", userid="ZhangSan")
    staff(sandbox, "ZhangSan", "confirm", msgid=msgid)
    assert _sent(wecom, msgid) == 2
    nobody = _mass(wecom, external)
    assert (nobody["errcode"], nobody["fail_list"]) == (41048, [external])


def test_wrong_mass_messages_are_refused(sandbox: Sandbox, wecom: Api) -> None:
    text = {"content": "x"}
    assert post(wecom, "add_msg_template", text=text)["errcode"] == 40058
    assert post(wecom, "add_msg_template", chat_type="group", text=text)["errcode"] == 40058
    assert post(wecom, "add_msg_template", external_userid=["wm"] * 10_001, text=text)["errcode"] == 40058
    assert post(wecom, "add_msg_template", external_userid=["wm"])["errcode"] == 40058
    long = {"content": "x" * 4001}
    assert post(wecom, "add_msg_template", external_userid=["wm"], text=long)["errcode"] == 40058
    assert "no such task" in staff(sandbox, "LiSi", "confirm", msgid="none")["error"]


def test_a_group_message_reaches_the_members(sandbox: Sandbox, wecom: Api) -> None:
    chat, code = _room(sandbox, wecom)
    li = sandbox.person("Li")
    li.do("scan", text=code)
    made = post(wecom, "add_msg_template", chat_type="group", sender="ZhangSan", text={"content": "公告"})
    staff(sandbox, "ZhangSan", "confirm", msgid=made["msgid"])
    assert li.chat(f"group:ww5a4d9b0c3e7f1268:{chat}")[-1]["text"] == "公告"


def test_a_moment_is_a_job_the_employee_publishes(sandbox: Sandbox, wecom: Api) -> None:
    li, _ = added(sandbox, wecom)
    path = "get_moment_task_result"
    made = post(
        wecom,
        "add_moment_task",
        text={"content": "今天开课"},
        visible_range={"sender_list": {"user_list": ["ZhangSan", "ZhaoLiu"]}},
    )
    first = wecom.get(BASE + path, jobid=made["jobid"])
    assert (first["status"], first["result"]["invalid_sender_list"]) == (1, {"user_list": ["ZhaoLiu"]})
    sandbox.advance(2)
    assert wecom.get(BASE + path, jobid=made["jobid"])["status"] == 3
    staff(sandbox, "ZhangSan", "publish", jobid=made["jobid"])
    assert li.chat("wecom:ww5a4d9b0c3e7f1268:ZhangSan")[-1]["text"] == "今天开课"
    sandbox.advance(86400)
    assert wecom.get(BASE + path, jobid=made["jobid"])["errcode"] == 40058
    mixed = [{"msgtype": "link", "link": {"title": "a", "url": "http://a"}}] * 2
    assert post(wecom, "add_moment_task", attachments=mixed)["errcode"] == 40058
    codes = [post(wecom, "add_moment_task", text={"content": "x"}).get("errcode") for _ in range(11)]
    assert codes == [0] * 10 + [45033]


def test_group_welcome_texts_are_kept(wecom: Api) -> None:
    made = post(wecom, "group_welcome_template/add", text={"content": "欢迎 %NICKNAME%"})
    template = {"template_id": made["template_id"]}
    assert post(wecom, "group_welcome_template/edit", **template, text={"content": "你好"})["errcode"] == 0
    assert post(wecom, "group_welcome_template/get", **template)["text"] == {"content": "你好"}
    assert post(wecom, "group_welcome_template/del", **template)["errcode"] == 0
    assert post(wecom, "group_welcome_template/get", **template)["errcode"] == 40058
    assert post(wecom, "group_welcome_template/add", text={"content": "x" * 3001})["errcode"] == 40058


# -- changes by hand -----------------------------------------------------------------------------------


def test_what_employees_change_by_hand_is_told(sandbox: Sandbox, told: Application, wecom: Api) -> None:
    li, external = added(sandbox, wecom)
    told.received.clear()
    tag = staff(sandbox, "ZhangSan", "make_tag", group="来源", name="直播")["id"]
    staff(sandbox, "ZhangSan", "edit", person=li.id, tags=[tag], remark="小李")
    sandbox.settle()
    made, changed = events_of(sandbox, told)
    assert (made["Event"], made["ChangeType"], made["Id"]) == ("change_external_tag", "create", tag)
    assert (changed["ChangeType"], changed["ExternalUserID"]) == ("edit_external_contact", external)
    follow = wecom.get(BASE + "get", external_userid=external)["follow_user"][0]
    assert (follow["remark"], follow["tags"][0]["tag_name"]) == ("小李", "直播")


def test_any_event_can_be_sent(sandbox: Sandbox, told: Application) -> None:
    path = f"{sandbox.admin_url}/wecom/{sandbox.credentials['wecom']['corpid']}/push"
    assert HTTP.post(path, json={"content": {"Event": "x"}}).status_code == 400
    HTTP.post(path, json={"content": {"Event": "customer_acquisition", "ChangeType": "balance_low"}})
    sandbox.settle()
    assert changes_of(sandbox, told) == ["balance_low"]


# -- delivery ------------------------------------------------------------------------------------------


def test_an_error_of_the_application_is_not_repeated_a_broken_network_is(
    sandbox: Sandbox, told: Application
) -> None:
    told.answer = lambda _: (500, b"")
    staff(sandbox, "ZhangSan", "open_group", name="a")
    sandbox.settle()
    assert len(told.received) == 1
    sandbox.options(callback_timeout=0.15)
    told.slow(0.4)
    staff(sandbox, "ZhangSan", "open_group", name="b")
    sandbox.settle()
    assert len(told.received) == 5


def test_lost_and_swapped_events_show_in_the_versions(
    sandbox: Sandbox, told: Application, wecom: Api
) -> None:
    _, code = _room(sandbox, wecom)
    sandbox.fault("wecom", "lose", on="callback", match="update")
    for name in ("a", "b", "c"):
        sandbox.person(name).do("scan", text=code)
    second, third = events_of(sandbox, told)[1:]
    assert second["CurMemVer"] == third["LastMemVer"]
    assert second["LastMemVer"] not in {one.get("CurMemVer") for one in events_of(sandbox, told)}


def test_tickets_are_counted_by_the_hour(wecom: Api) -> None:
    first = wecom.get("/cgi-bin/get_jsapi_ticket")
    assert first["expires_in"] == 7200
    codes = [wecom.get("/cgi-bin/ticket/get", type="agent_config")["errcode"] for _ in range(101)]
    assert codes == [0] * 100 + [45009]
