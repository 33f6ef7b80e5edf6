"""Signing in on a page: order, consent, codes that work once, the snapshot person; the JS-SDK."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from growth_engine.sandbox import Sandbox
from tests.sandbox.conftest import HTTP, Api

BACK = "http://127.0.0.1:8000/h5/back?x=1"


def _address(sandbox: Sandbox, scope: str = "snsapi_base", state: str = "abc", **changes: str) -> str:
    fields = {
        "appid": sandbox.credentials["oa"]["appid"],
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": scope,
        "state": state,
    } | changes
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    return f"{sandbox.oa_url}/connect/oauth2/authorize?{query}"


def _code(sandbox: Sandbox, person: Any, scope: str = "snsapi_base") -> str:
    address = _address(sandbox, scope) + f"&_person={person.id}&_answer=allow"
    target = HTTP.get(address).headers["location"]
    found = parse_qs(urlsplit(target).query)
    assert target.startswith(BACK + "&code=")
    assert found["state"] == ["abc"]
    return found["code"][0]


def _exchange(sandbox: Sandbox, code: str, **changes: str) -> Any:
    known = sandbox.credentials["oa"]
    params = {
        "appid": known["appid"],
        "secret": known["secret"],
        "code": code,
        "grant_type": "authorization_code",
    }
    return HTTP.get(sandbox.oa_url + "/sns/oauth2/access_token", params=params | changes).json()


def test_a_silent_sign_in_tells_the_openid_only(sandbox: Sandbox) -> None:
    li = sandbox.person("Li")
    told = _exchange(sandbox, _code(sandbox, li))
    assert (told["openid"], told["scope"], told["expires_in"]) == (li.openid(), "snsapi_base", 7200)
    assert "unionid" not in told
    params = {"access_token": told["access_token"], "openid": told["openid"]}
    assert HTTP.get(sandbox.oa_url + "/sns/userinfo", params=params).json()["errcode"] == 48001
    assert HTTP.get(sandbox.oa_url + "/sns/auth", params=params).json()["errcode"] == 0


def test_with_consent_name_picture_and_unionid_are_told(sandbox: Sandbox) -> None:
    li = sandbox.person("小明")
    told = _exchange(sandbox, _code(sandbox, li, "snsapi_userinfo"))
    assert told["unionid"] == li.unionid
    params = {"access_token": told["access_token"], "openid": told["openid"], "lang": "zh_CN"}
    info = HTTP.get(sandbox.oa_url + "/sns/userinfo", params=params).json()
    assert (info["nickname"], info["unionid"]) == ("小明", li.unionid)
    assert HTTP.get(info["headimgurl"]).headers["content-type"] == "image/png"
    wrong = params | {"openid": "oNobody"}
    assert HTTP.get(sandbox.oa_url + "/sns/userinfo", params=wrong).json()["errcode"] == 40003


def test_consent_is_asked_and_may_be_refused(sandbox: Sandbox) -> None:
    li = sandbox.person("Li")
    address = _address(sandbox, "snsapi_userinfo") + f"&_person={li.id}"
    page = HTTP.get(address)
    assert page.status_code == 200
    assert "_answer=allow" in page.text
    refused = HTTP.get(address + "&_answer=refuse").headers["location"]
    assert "code" not in parse_qs(urlsplit(refused).query)
    assert "Ada" in HTTP.get(_address(sandbox)).text, "without a person it asks who holds the phone"


def test_a_snapshot_page_signs_in_somebody_who_is_nobody(sandbox: Sandbox) -> None:
    li = sandbox.person("Li", snapshot=True)
    told = _exchange(sandbox, _code(sandbox, li, "snsapi_userinfo"))
    assert told["is_snapshotuser"] == 1
    assert told["openid"] != li.openid()
    assert "unionid" not in told


def test_a_code_works_once_and_for_five_minutes(sandbox: Sandbox) -> None:
    li = sandbox.person("Li")
    code = _code(sandbox, li)
    assert "openid" in _exchange(sandbox, code)
    assert _exchange(sandbox, code)["errcode"] == 40163
    late = _code(sandbox, li)
    sandbox.advance(300)
    assert _exchange(sandbox, late)["errcode"] == 42003
    assert _exchange(sandbox, "0nothing")["errcode"] == 40029


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"appid": ""}, 41002),
        ({"appid": "wx0"}, 40013),
        ({"secret": ""}, 41004),
        ({"secret": "x"}, 40125),
        ({"code": ""}, 41008),
        ({"grant_type": "x"}, 40002),
    ],
)
def test_wrong_exchanges_are_refused(sandbox: Sandbox, changes: dict[str, str], code: int) -> None:
    assert _exchange(sandbox, changes.pop("code", "c"), **changes)["errcode"] == code


def test_a_refresh_token_lives_thirty_days(sandbox: Sandbox) -> None:
    told = _exchange(sandbox, _code(sandbox, sandbox.person("Li")))
    params = {"appid": sandbox.credentials["oa"]["appid"], "refresh_token": told["refresh_token"]}
    url = sandbox.oa_url + "/sns/oauth2/refresh_token"
    sandbox.advance(7200)
    old = {"access_token": told["access_token"], "openid": told["openid"]}
    assert HTTP.get(sandbox.oa_url + "/sns/auth", params=old).json()["errcode"] == 42001
    assert HTTP.get(url, params=params).json()["openid"] == told["openid"]
    sandbox.advance(30 * 86400)
    assert HTTP.get(url, params=params).json()["errcode"] == 42002
    assert HTTP.get(url, params=params | {"refresh_token": "x"}).json()["errcode"] == 40030


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"appid": "wx0"}, "appid"),
        ({"redirect_uri": "http://evil.example/"}, "10003"),
        ({"response_type": "token"}, "10004"),
        ({"scope": "everything"}, "10005"),
        ({"state": "a-b"}, "state"),
        ({"state": "a" * 129}, "state"),
    ],
)
def test_wrong_addresses_show_an_error_and_go_nowhere(
    sandbox: Sandbox, changes: dict[str, str], says: str
) -> None:
    page = HTTP.get(_address(sandbox, **changes) + "&_person=p1")
    assert "location" not in page.headers
    assert says in page.text


def test_the_order_of_the_parameters_is_fixed(sandbox: Sandbox) -> None:
    swapped = (
        f"{sandbox.oa_url}/connect/oauth2/authorize?redirect_uri={quote(BACK, safe='')}"
        f"&appid={sandbox.credentials['oa']['appid']}&response_type=code&scope=snsapi_base&_person=p1"
    )
    assert "order" in HTTP.get(swapped).text


# -- the JS-SDK ------------------------------------------------------------------------------------------


def test_a_page_is_taken_with_the_right_signature_only(sandbox: Sandbox, oa: Api) -> None:
    appid, url = sandbox.credentials["oa"]["appid"], "http://127.0.0.1:8000/h5/page?a=1"
    first = oa.get("/cgi-bin/ticket/getticket", type="jsapi")
    assert first["expires_in"] == 7200
    assert oa.get("/cgi-bin/ticket/getticket", type="jsapi")["ticket"] == first["ticket"]
    assert oa.get("/cgi-bin/ticket/getticket", type="x")["errcode"] == 40097
    params = {"appid": appid, "noncestr": "n", "timestamp": "1", "url": url + "#top"}
    signature = HTTP.get(sandbox.admin_url + "/js-signature", params=params).json()["signature"]
    config = {"appId": appid, "nonceStr": "n", "timestamp": 1, "signature": signature}
    li = sandbox.person("Li")
    assert li.do("js_config", config=config, url=url) == {"problem": ""}
    assert li.do("js_config", config=config, url=url + "&b=2")["problem"] == "config:invalid signature"
    other = "http://elsewhere.example/"
    assert li.do("js_config", config=config, url=other)["problem"] == "config:invalid url domain"
    sandbox.advance(7200)
    assert oa.get("/cgi-bin/ticket/getticket", type="jsapi")["ticket"] != first["ticket"]
    assert li.do("js_config", config=config, url=url)["problem"] == "config:invalid signature"
