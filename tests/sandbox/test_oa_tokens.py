"""Access tokens of the Official Account: two kinds, their lives, their quotas, every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from growth_engine.sandbox import Sandbox
from tests.sandbox.conftest import AT, HTTP, Api, stable_token


def _plain(sandbox: Sandbox) -> Any:
    known = sandbox.credentials["oa"]
    params = {"grant_type": "client_credential", "appid": known["appid"], "secret": known["secret"]}
    return HTTP.get(sandbox.oa_url + "/cgi-bin/token", params=params).json()


def _code(sandbox: Sandbox, token: str) -> int:
    answer = Api(sandbox.oa_url, lambda: token).get("/cgi-bin/user/get")
    return int(answer.get("errcode", 0))


def test_a_stable_token_stays_the_same_until_five_minutes_before_its_end(sandbox: Sandbox) -> None:
    first = stable_token(sandbox)
    assert first["expires_in"] == 7200
    sandbox.advance(6899)
    assert stable_token(sandbox) == {"access_token": first["access_token"], "expires_in": 301}
    sandbox.advance(1)
    second = stable_token(sandbox)
    assert second["access_token"] != first["access_token"]
    assert _code(sandbox, first["access_token"]) == 0, "both are good in the overlap"
    sandbox.advance(300)
    assert _code(sandbox, first["access_token"]) == 42001
    assert _code(sandbox, second["access_token"]) == 0


def test_a_new_plain_token_ends_the_earlier_after_five_minutes_and_leaves_the_stable_one(
    sandbox: Sandbox,
) -> None:
    stable = stable_token(sandbox)["access_token"]
    first, second = _plain(sandbox)["access_token"], _plain(sandbox)["access_token"]
    assert first != second
    assert _code(sandbox, first) == 0
    sandbox.advance(300)
    assert _code(sandbox, first) == 40001
    assert _code(sandbox, second) == 0
    assert _code(sandbox, stable) == 0


def test_forcing_a_token_is_limited_by_time_and_by_day(sandbox: Sandbox) -> None:
    first = stable_token(sandbox)["access_token"]
    forced = stable_token(sandbox, force_refresh=True)["access_token"]
    assert forced != first
    assert _code(sandbox, first) == 40001
    assert stable_token(sandbox, force_refresh=True)["errcode"] == 45011
    for _ in range(19):
        sandbox.advance(30)
        assert "access_token" in stable_token(sandbox, force_refresh=True)
    sandbox.advance(30)
    assert stable_token(sandbox, force_refresh=True)["errcode"] == 45009


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant_type": "password"}, 40002),
        ({"appid": ""}, 41002),
        ({"appid": "wx0000000000000000"}, 40013),
        ({"secret": ""}, 41004),
        ({"secret": "x"}, 40125),
    ],
)
def test_wrong_credentials_are_refused(sandbox: Sandbox, changes: Any, code: int) -> None:
    assert stable_token(sandbox, **changes)["errcode"] == code


def test_a_frozen_secret_and_an_unknown_address_are_refused(sandbox: Sandbox) -> None:
    known = sandbox.credentials["oa"]["appid"]
    admin = sandbox.admin_url + f"/oa/{known}"
    HTTP.post(admin, json={"ip_whitelist": ["10.0.0.1"]})
    assert stable_token(sandbox)["errcode"] == 40164
    HTTP.post(admin, json={"ip_whitelist": [], "secret_frozen": True})
    assert stable_token(sandbox)["errcode"] == 40243


@pytest.mark.parametrize(("token", "code"), [("", 41001), ("garbage", 40014), ("x" * 150, 40001)])
def test_a_token_that_is_none_is_refused(sandbox: Sandbox, token: str, code: int) -> None:
    assert _code(sandbox, token) == code


def test_errors_come_with_status_200_and_a_rid_that_begins_with_the_time(sandbox: Sandbox) -> None:
    answer = HTTP.get(sandbox.oa_url + "/cgi-bin/user/get")
    assert answer.status_code == 200
    rid = answer.json()["errmsg"].partition("rid: ")[2]
    first, second, third = rid.split("-")
    assert int(first, 16) == AT
    assert (len(second), len(third)) == (8, 8)


def test_the_wrong_method_and_an_unknown_path_are_refused(oa: Api) -> None:
    assert oa.get("/cgi-bin/qrcode/create")["errcode"] == 43002
    assert oa.post("/cgi-bin/user/info", {})["errcode"] == 43001
    assert oa.get("/cgi-bin/nothing")["errcode"] == 40066


def test_a_body_that_is_no_object_is_refused(sandbox: Sandbox, oa: Api) -> None:
    url = sandbox.oa_url + "/cgi-bin/qrcode/create"
    params = {"access_token": oa.token}
    assert HTTP.post(url, params=params).json()["errcode"] == 44002
    assert HTTP.post(url, params=params, content=b"{").json()["errcode"] == 47001
    assert HTTP.post(url, params=params, json=[]).json()["errcode"] == 47001


def test_a_days_quota_ends_and_can_be_cleared(sandbox: Sandbox, oa: Api) -> None:
    appid = sandbox.credentials["oa"]["appid"]
    quota = {"daily_quota": {"/cgi-bin/user/get": 2}}
    HTTP.post(f"{sandbox.admin_url}/oa/{appid}", json=quota)
    assert [oa.get("/cgi-bin/user/get").get("errcode") for _ in range(3)] == [None, None, 45009]
    assert oa.post("/cgi-bin/clear_quota", {"appid": appid})["errcode"] == 0
    assert "total" in oa.get("/cgi-bin/user/get")
    for _ in range(9):
        oa.post("/cgi-bin/clear_quota", {"appid": appid})
    assert oa.post("/cgi-bin/clear_quota", {"appid": appid})["errcode"] == 48006
