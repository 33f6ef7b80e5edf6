"""Faults on demand: calls refused, slow, cut off, unanswered; callbacks lost, late, doubled, swapped."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException

from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.faults import BadFault
from tests.sandbox.application import Application
from tests.sandbox.conftest import HTTP, Api, stable_token

SEND = "/cgi-bin/message/custom/send"


def _send(oa: Api, openid: str) -> Any:
    return oa.post(SEND, {"touser": openid, "msgtype": "text", "text": {"content": "hi"}})


@pytest.fixture
def follower(sandbox: Sandbox) -> Any:
    li = sandbox.person("Li")
    li.do("follow", appid=sandbox.credentials["oa"]["appid"])
    return li


def test_an_errcode_strikes_as_often_as_planned(sandbox: Sandbox, oa: Api, follower: Any) -> None:
    sandbox.fault("oa", "errcode", match=SEND, value=45047, times=2, skip=1)
    answers = [_send(oa, follower.openid())["errcode"] for _ in range(4)]
    assert answers == [0, 45047, 45047, 0]


def test_busy_is_an_errcode_too(sandbox: Sandbox, oa: Api, follower: Any) -> None:
    sandbox.fault("oa", "errcode", match="/cgi-bin/*", value=-1)
    with pytest.raises(KeyError):
        _ = oa.token
    assert _send(oa, follower.openid())["errcode"] == 0


def test_a_gateway_page_comes_instead_of_json(sandbox: Sandbox) -> None:
    sandbox.fault("oa", "status", match="/cgi-bin/getcallbackip", value=502)
    answer = HTTP.get(sandbox.oa_url + "/cgi-bin/getcallbackip")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_a_connection_breaks_before_or_after_the_work(sandbox: Sandbox, oa: Api, follower: Any) -> None:
    sandbox.fault("oa", "drop", match=SEND)
    with pytest.raises(httpx.TransportError):
        _send(oa, follower.openid())
    assert len(follower.chat()) == 1, "nothing was done"
    sandbox.fault("oa", "lose_answer", match=SEND)
    with pytest.raises(httpx.TransportError):
        _send(oa, follower.openid())
    assert [one.get("text") for one in follower.chat()] == [None, "hi"], "done, and nobody was told"


def test_a_slow_answer_outlasts_a_client(sandbox: Sandbox, oa: Api) -> None:
    sandbox.fault("oa", "delay", match="/cgi-bin/user/get", value=1)
    with pytest.raises(httpx.TimeoutException):
        HTTP.get(sandbox.oa_url + "/cgi-bin/user/get", params={"access_token": oa.token}, timeout=0.2)


def test_a_token_runs_out_in_the_middle(sandbox: Sandbox, oa: Api, follower: Any) -> None:
    token = stable_token(sandbox)["access_token"]
    fixed = Api(sandbox.oa_url, lambda: token)
    sandbox.fault("oa", "expire_token", match=SEND, skip=1)
    assert [_send(fixed, follower.openid())["errcode"] for _ in range(3)] == [0, 42001, 42001]
    assert _send(oa, follower.openid())["errcode"] == 0


def test_unknown_faults_are_refused(sandbox: Sandbox) -> None:
    for rule in ({"action": "explode"}, {"action": "lose"}, {"action": "drop", "on": "moon"}):
        with pytest.raises(BadFault):
            sandbox.fault("oa", **rule)
    with pytest.raises(BadFault):
        sandbox.fault("bank", "drop")


# -- callbacks -------------------------------------------------------------------------------------------


@pytest.fixture
def told(sandbox: Sandbox, application: Application) -> Application:
    sandbox.oa_server(application.url + "/oa", mode="plain", format="json")
    return application


def _events(told: Application) -> list[Any]:
    return [json.loads(got.body).get("Event") or json.loads(got.body)["Content"] for got in told.received]


def _plan(sandbox: Sandbox, action: str, **rule: Any) -> str:
    sandbox.fault("oa", action, on="callback", **rule)
    return str(sandbox.credentials["oa"]["appid"])


def test_a_callback_is_lost(sandbox: Sandbox, told: Application) -> None:
    appid = _plan(sandbox, "lose", match="subscribe")
    li = sandbox.person("Li")
    li.do("follow", appid=appid)
    li.do("unfollow", appid=appid)
    assert _events(told) == ["unsubscribe"]


def test_a_callback_is_late(sandbox: Sandbox, told: Application) -> None:
    appid = _plan(sandbox, "delay", value=30)
    sandbox.person("Li").do("follow", appid=appid)
    assert told.received == []
    sandbox.advance(30)
    assert _events(told) == ["subscribe"]


def test_a_callback_comes_twice(sandbox: Sandbox, told: Application) -> None:
    appid = _plan(sandbox, "duplicate", value=3)
    sandbox.person("Li").do("follow", appid=appid)
    first, second, third = told.received
    assert first.body == second.body == third.body


def test_deliveries_overlap(sandbox: Sandbox, told: Application) -> None:
    told.slow(0.4)
    appid = _plan(sandbox, "concurrent", value=5)
    sandbox.person("Li").do("follow", appid=appid)
    assert len(told.received) == 5
    assert told.most_at_once > 1


def test_the_next_callback_overtakes(sandbox: Sandbox, told: Application) -> None:
    appid = _plan(sandbox, "reorder", match="first")
    li = sandbox.person("Li")
    li.do("follow", appid=appid)
    li.do("text", appid=appid, text="x")
    told.received.clear()
    sandbox.fault("oa", "reorder", on="callback", match="text")
    li.do("text", appid=appid, text="one")
    li.do("text", appid=appid, text="two")
    sandbox.advance(1)
    assert _events(told) == ["two", "one"]


def test_what_nobody_overtakes_comes_by_itself(sandbox: Sandbox, told: Application) -> None:
    appid = _plan(sandbox, "reorder")
    sandbox.person("Li").do("follow", appid=appid)
    sandbox.advance(30)
    assert _events(told) == ["subscribe"]


@pytest.mark.parametrize("action", ["bad_signature", "tampered", "wrong_receiver"])
def test_a_forged_callback_is_one_to_wechatpy_too(
    sandbox: Sandbox, application: Application, action: str
) -> None:
    known = sandbox.credentials["oa"]
    sandbox.oa_server(application.url + "/oa", mode="safe", format="xml")
    sandbox.fault("oa", action, on="callback")
    sandbox.person("Li").do("follow", appid=known["appid"])
    got = application.received[0]
    crypto = WeChatCrypto(known["token"], known["encoding_aes_key"], known["appid"])
    with pytest.raises((InvalidSignatureException, InvalidAppIdException, ValueError)) as refused:
        parse_message(
            crypto.decrypt_message(
                got.body, got.query["msg_signature"], got.query["timestamp"], got.query["nonce"]
            )
        )
    if action == "bad_signature":
        assert isinstance(refused.value, InvalidSignatureException)
