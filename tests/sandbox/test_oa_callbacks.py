"""Callbacks of the Official Account, read by wechatpy and werobot; repeats, answers, what people see."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import werobot
from flask import Flask
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.replies import TextReply
from wechatpy.utils import check_signature
from werkzeug.test import Client
from werobot.contrib.flask import make_view

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.control.configure import NotAccepted
from tests.sandbox.application import Answer, Application, Received
from tests.sandbox.conftest import AT, HTTP, Api


def _crypto(sandbox: Sandbox) -> Any:
    known = sandbox.credentials["oa"]
    return WeChatCrypto(known["token"], known["encoding_aes_key"], known["appid"])


def _opened(sandbox: Sandbox, got: Received) -> Any:
    """What wechatpy makes of a delivery in safe mode."""
    query = got.query
    check_signature(
        sandbox.credentials["oa"]["token"], query["signature"], query["timestamp"], query["nonce"]
    )
    text = _crypto(sandbox).decrypt_message(
        got.body, query["msg_signature"], query["timestamp"], query["nonce"]
    )
    return parse_message(text)


def _scan(oa: Api, scene: str = "invite42") -> str:
    body = {
        "action_name": "QR_STR_SCENE",
        "expire_seconds": 600,
        "action_info": {"scene": {"scene_str": scene}},
    }
    return str(oa.post("/cgi-bin/qrcode/create", body)["url"])


def _encrypted(sandbox: Sandbox, text: str) -> Any:
    def answer(got: Received) -> Answer:
        reply = TextReply(content=text, message=_opened(sandbox, got)).render()
        return 200, _crypto(sandbox).encrypt_message(
            reply, got.query["nonce"], got.query["timestamp"]
        ).encode()

    return answer


# -- the address -----------------------------------------------------------------------------------------


def test_an_address_is_taken_only_when_it_gives_the_echostr_back(
    sandbox: Sandbox, application: Application
) -> None:
    seen: list[Received] = []

    def verify(got: Received) -> Answer:
        seen.append(got)
        check_signature(
            sandbox.credentials["oa"]["token"],
            got.query["signature"],
            got.query["timestamp"],
            got.query["nonce"],
        )
        return 200, got.query["echostr"].encode()

    application.verify = verify
    sandbox.oa_server(application.url + "/oa")
    assert len(seen) == 1
    application.verify = lambda got: (200, b'"' + got.query["echostr"].encode() + b'"')
    with pytest.raises(NotAccepted, match="echostr"):
        sandbox.oa_server(application.url + "/other")
    application.verify = lambda got: (403, b"")
    with pytest.raises(NotAccepted, match="403"):
        sandbox.oa_server(application.url + "/other")


def test_wrong_settings_are_not_saved(sandbox: Sandbox) -> None:
    for changes in ({"mode": "secret"}, {"format": "yaml"}, {"encoding_aes_key": "short"}, {"appid": "x"}):
        with pytest.raises(NotAccepted):
            sandbox.oa_server("", **changes)


# -- what is sent ----------------------------------------------------------------------------------------


def test_wechatpy_reads_a_follow_through_a_code_in_safe_mode(
    sandbox: Sandbox, application: Application, oa: Api
) -> None:
    sandbox.oa_server(application.url + "/oa")
    li = sandbox.person("Li")
    li.do("scan", text=_scan(oa))
    (got,) = application.received
    assert set(got.query) == {"signature", "timestamp", "nonce", "openid", "encrypt_type", "msg_signature"}
    message = _opened(sandbox, got)
    assert (message.event, message.scene_id, message.source) == ("subscribe_scan", "invite42", li.openid())
    assert message.target == sandbox.credentials["oa"]["original_id"]
    assert got.query["openid"] == li.openid()


def test_a_follower_who_scans_sends_scan_without_the_prefix(
    sandbox: Sandbox, application: Application, oa: Api
) -> None:
    sandbox.oa_server(application.url + "/oa")
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert li.do("scan", text=_scan(oa))["followed"] is False
    plain, scan = (_opened(sandbox, got) for got in application.received)
    assert (plain.event, scan.event, scan.scene_id) == ("subscribe", "scan", "invite42")


def test_plain_mode_sends_fields_as_xml_or_json(sandbox: Sandbox, application: Application) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    sandbox.oa_server(application.url + "/oa", mode="plain")
    li.do("follow", appid=appid)
    number = li.do("text", appid=appid, text="a ]]> b & <c>")["msgid"]
    follow, text = application.received
    assert set(text.query) == {"signature", "timestamp", "nonce", "openid"}
    message = parse_message(text.body)
    assert (message.content, str(message.id)) == ("a ]]> b & <c>", number)
    assert parse_message(follow.body).event == "subscribe"
    sandbox.oa_server(application.url + "/oa", format="json")
    li.do("unfollow", appid=appid)
    document = json.loads(application.received[-1].body)
    assert document["Event"] == "unsubscribe"
    assert document["CreateTime"] == AT
    assert document["FromUserName"] == li.openid()


@pytest.mark.parametrize("form", ["xml", "json"])
def test_compatible_mode_sends_both(sandbox: Sandbox, application: Application, form: str) -> None:
    sandbox.oa_server(application.url + "/oa", mode="compatible", format=form)
    sandbox.person("Li").do("follow", appid=sandbox.credentials["oa"]["appid"])
    got = application.received[0]
    assert b"subscribe" in got.body
    assert b"Encrypt" in got.body
    if form == "xml":
        assert _opened(sandbox, got).event == "subscribe"


def test_werobot_serves_the_sandbox_in_safe_mode(sandbox: Sandbox, application: Application) -> None:
    known = sandbox.credentials["oa"]
    robot = werobot.WeRoBot(
        token=known["token"],
        encoding_aes_key=known["encoding_aes_key"],
        app_id=known["appid"],
        SESSION_STORAGE=False,
    )

    @robot.subscribe
    def hello(message: Any) -> str:
        return f"welcome {message.source}"

    flask = Flask("peer")
    flask.add_url_rule("/oa", view_func=make_view(robot), methods=["GET", "POST"])
    web = Client(flask)

    def passed(got: Received) -> Answer:
        method = "POST" if got.body else "GET"
        answered = web.open("/oa", method=method, query_string=got.query, data=got.body)
        return answered.status_code, answered.get_data()

    application.answer = application.verify = passed
    sandbox.oa_server(application.url + "/oa")
    li = sandbox.person("Li")
    li.do("follow", appid=known["appid"])
    assert [one.get("text") for one in li.chat()] == [None, f"welcome {li.openid()}"]


# -- answers and repeats ---------------------------------------------------------------------------------


def test_an_encrypted_answer_appears_in_the_chat(sandbox: Sandbox, application: Application) -> None:
    sandbox.oa_server(application.url + "/oa")
    application.answer = _encrypted(sandbox, "你好 welcome")
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert [one.get("text") for one in li.chat()] == [None, "你好 welcome"]
    assert len(application.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (500, b""),
        (302, b""),
        (200, b"ok"),
        (200, b"<xml><a></xml>"),
        (200, b"<xml><ToUserName>x</ToUserName></xml>"),
        (200, b'<!DOCTYPE x [<!ENTITY a "b">]><xml></xml>'),
    ],
)
def test_without_a_valid_answer_it_comes_three_times_and_the_person_is_told(
    sandbox: Sandbox, application: Application, answer: Answer
) -> None:
    sandbox.oa_server(application.url + "/oa")
    application.answer = lambda _: answer
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    first, second, third = application.received
    assert first.body == second.body == third.body
    assert len({one.query["nonce"] for one in (first, second, third)}) == 3
    assert _opened(sandbox, third).event == "subscribe"
    assert li.chat()[-1]["kind"] == "notice"


def test_repeats_may_carry_the_same_signature(sandbox: Sandbox, application: Application) -> None:
    sandbox.options(oa_retry_signature="same")
    sandbox.oa_server(application.url + "/oa")
    application.answer = lambda _: (500, b"")
    sandbox.person("Li").do("follow", appid=sandbox.credentials["oa"]["appid"])
    first, second, third = application.received
    assert first.query == second.query == third.query


@pytest.mark.parametrize("body", [b"", b"success"])
def test_an_empty_answer_or_success_ends_it(sandbox: Sandbox, application: Application, body: bytes) -> None:
    sandbox.oa_server(application.url + "/oa")
    application.answer = lambda _: (200, body)
    sandbox.person("Li").do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert len(application.received) == 1


def test_an_answer_on_the_second_delivery_counts(sandbox: Sandbox, application: Application) -> None:
    sandbox.oa_server(application.url + "/oa")
    application.answer = lambda _: (200 if len(application.received) == 2 else 500, b"")
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert len(application.received) == 2
    assert li.chat()[-1]["kind"] == "followed"


def test_nobody_waits_longer_than_the_limit(sandbox: Sandbox, application: Application) -> None:
    sandbox.options(callback_timeout=0.2)
    sandbox.oa_server(application.url + "/oa")
    application.slow(0.5)
    began = time.monotonic()
    sandbox.person("Li").do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert len(application.received) == 3
    assert time.monotonic() - began < 5


def test_the_platform_waits_five_seconds() -> None:
    from growth_engine.sandbox.world import DEFAULT_OPTIONS

    assert DEFAULT_OPTIONS["callback_timeout"] == 5.0


@pytest.mark.parametrize(("mode", "plain"), [("safe", True), ("plain", False)])
def test_a_reply_of_the_wrong_mode_is_not_taken(
    sandbox: Sandbox, application: Application, mode: str, plain: bool
) -> None:
    known = sandbox.credentials["oa"]
    sandbox.oa_server(application.url + "/oa", mode=mode)
    li = sandbox.person("Li")

    def answer(got: Received) -> Answer:
        message = _opened(sandbox, got) if mode == "safe" else parse_message(got.body)
        reply = TextReply(content="hello", message=message).render()
        if not plain:
            reply = _crypto(sandbox).encrypt_message(reply, got.query["nonce"], got.query["timestamp"])
        return 200, reply.encode()

    application.answer = answer
    li.do("follow", appid=known["appid"])
    assert len(application.received) == 3
    assert li.chat()[-1]["kind"] == "notice"


def _reply(got: Received, inner: str) -> bytes:
    message = parse_message(got.body)
    head = (
        f"<ToUserName>{message.source}</ToUserName><FromUserName>{message.target}</FromUserName>"
        "<CreateTime>1</CreateTime>"
    )
    return f"<xml>{head}{inner}</xml>".encode()


_ITEM = "<item><Title>t</Title><Description>d</Description><PicUrl>p</PicUrl><Url>http://u</Url></item>"


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ("<MsgType>text</MsgType><Content>hi</Content>", "text"),
        (f"<MsgType>news</MsgType><ArticleCount>1</ArticleCount><Articles>{_ITEM}</Articles>", "news"),
        (f"<MsgType>news</MsgType><ArticleCount>2</ArticleCount><Articles>{_ITEM}</Articles>", "notice"),
        ("<MsgType>image</MsgType><Image><MediaId>nothing</MediaId></Image>", "notice"),
        ("<MsgType>transfer_customer_service</MsgType>", "transfer_customer_service"),
        ("<MsgType>music</MsgType><Music><Title>t</Title></Music>", "music"),
        ("<MsgType>text</MsgType><Content></Content>", "notice"),
        ("<MsgType>hologram</MsgType>", "notice"),
    ],
)
def test_replies_of_every_kind_are_checked(
    sandbox: Sandbox, application: Application, inner: str, kind: str
) -> None:
    sandbox.oa_server(application.url + "/oa", mode="plain")
    application.answer = lambda got: (200, _reply(got, inner))
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    assert li.chat()[-1]["kind"] == kind


def test_to_a_message_one_article_is_shown_to_an_event_eight(
    sandbox: Sandbox, application: Application
) -> None:
    appid = sandbox.credentials["oa"]["appid"]
    sandbox.oa_server(application.url + "/oa", mode="plain")
    inner = f"<MsgType>news</MsgType><ArticleCount>9</ArticleCount><Articles>{_ITEM * 9}</Articles>"
    application.answer = lambda got: (200, _reply(got, inner))
    li = sandbox.person("Li")
    li.do("follow", appid=appid)
    li.do("text", appid=appid, text="hi")
    assert [len(one["articles"]) for one in li.chat() if one["kind"] == "news"] == [8, 1]


def test_the_result_of_a_template_message_comes_as_an_event(
    sandbox: Sandbox, application: Application, oa: Api
) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    li.do("follow", appid=appid)
    sandbox.oa_server(application.url + "/oa", mode="plain")
    body = {
        "touser": li.openid(),
        "template_id": "sandbox-reward-000000000000000000000000000",
        "data": {"thing1": {"value": "x"}},
    }
    number = oa.post("/cgi-bin/message/template/send", body)["msgid"]
    li.do("mute", appid=appid)
    oa.post("/cgi-bin/message/template/send", body)
    sandbox.advance(2)
    good, bad = (parse_message(got.body) for got in application.received)
    assert (good.event, good.id, good.status) == ("templatesendjobfinish", number, "failed:user block")
    assert bad.status == "failed:user block"


def test_granting_a_subscription_is_told(sandbox: Sandbox, application: Application) -> None:
    sandbox.oa_server(application.url + "/oa", mode="plain", format="json")
    template = "sandbox-reward-000000000000000000000000000"
    sandbox.person("Li").do("subscribe", appid=sandbox.credentials["oa"]["appid"], template_id=template)
    document = json.loads(application.received[0].body)
    assert document["Event"] == "subscribe_msg_popup_event"
    assert document["SubscribeMsgPopupEvent"]["List"]["SubscribeStatusString"] == "accept"


def test_any_event_can_be_sent(sandbox: Sandbox, application: Application) -> None:
    sandbox.oa_server(application.url + "/oa", mode="plain")
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    path = f"{sandbox.admin_url}/oa/{appid}/push"
    content = {"MsgType": "event", "Event": "LOCATION", "Latitude": "31.2"}
    assert HTTP.post(path, json={"person": li.id, "content": content}).json() == {"openid": li.openid()}
    sandbox.settle()
    assert b"<Latitude><![CDATA[31.2]]></Latitude>" in application.received[0].body
    assert HTTP.post(path, json={"person": "p99", "content": content}).status_code == 404
    assert HTTP.post(path, json={"person": li.id, "content": {}}).status_code == 400
