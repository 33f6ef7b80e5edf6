"""The control plane, the state that survives a restart, the clock, and the command."""

from __future__ import annotations

import base64
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from growth_engine.sandbox import Sandbox, start
from growth_engine.sandbox.clock import VirtualClock
from growth_engine.sandbox.handle import Person
from growth_engine.sandbox.oa.actions import CannotDo
from tests.live import clean_environment, command, free_port, until
from tests.sandbox.application import Application
from tests.sandbox.conftest import AT, HTTP, picture_of, stable_token


def _post(sandbox: Sandbox, path: str, doc: Any = None, **more: Any) -> Any:
    return HTTP.post(f"{sandbox.admin_url}/{path}", json=doc or {}, **more)


# -- time ----------------------------------------------------------------------------------------------


def test_a_frozen_clock_moves_only_when_told() -> None:
    clock = VirtualClock(at=100.0, frozen=True)
    clock.jump_to(50.0)
    assert clock.time() == 100.0
    clock.jump_to(160.0)
    assert clock.time() == 160.0


def test_a_running_clock_runs_ahead_of_the_wall() -> None:
    now = [1000.0]
    clock = VirtualClock(wall=lambda: now[0])
    clock.jump_to(1500.0)
    now[0] = 1010.0
    assert (clock.time(), clock.wall()) == (1510.0, 1010.0)


def test_time_is_read_and_moved_from_outside(sandbox: Sandbox) -> None:
    assert HTTP.get(f"{sandbox.admin_url}/clock").json()["now"] == AT
    assert _post(sandbox, "clock/advance", {"seconds": 60}).json()["now"] == AT + 60
    assert _post(sandbox, "clock/advance", {"seconds": -1}).status_code == 400
    assert _post(sandbox, "settle").json() == {"settled": True}


# -- people and their phones -----------------------------------------------------------------------------


def test_a_person_is_made_changed_and_acts_from_outside(sandbox: Sandbox) -> None:
    made = _post(sandbox, "people", {"nickname": "小明", "balance": 5})
    person = made.json()
    assert (made.status_code, person["balance"]) == (201, 5)
    path = f"people/{person['id']}"
    assert _post(sandbox, path, {"real_named": False}).json()["real_named"] is False
    assert _post(sandbox, path, {"wings": 2}).status_code == 400
    assert _post(sandbox, "people", {"nickname": ""}).status_code == 400
    appid = sandbox.credentials["oa"]["appid"]
    followed = _post(sandbox, f"{path}/do/follow", {"appid": appid, "wait": True})
    assert followed.json()["openid"].startswith("o")
    assert _post(sandbox, f"{path}/do/follow", {"appid": appid}).status_code == 409
    assert _post(sandbox, f"{path}/do/fly").status_code == 409
    assert "needs" in _post(sandbox, f"{path}/do/unfollow").json()["error"]
    assert _post(sandbox, "people/p99/do/follow", {"appid": appid}).status_code == 404
    assert HTTP.get(f"{sandbox.admin_url}/people/p99/phone").status_code == 404


def test_openids_differ_between_accounts_and_unionids_do_not(sandbox: Sandbox) -> None:
    li = sandbox.person("Li")
    assert li.openid("wx1") != li.openid("wx2")
    assert li.openid("wx1") == li.openid("wx1")


def test_a_phone_shows_news_at_once(sandbox: Sandbox) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    url = f"{sandbox.admin_url}/people/{li.id}/phone"
    first = HTTP.get(url).json()
    assert first["chats"][0]["open"] is False
    threading.Timer(0.2, lambda: li.do("follow", appid=appid)).start()
    began = time.monotonic()
    later = HTTP.get(url, params={"since": first["version"], "wait": 10}).json()
    assert time.monotonic() - began < 5
    assert later["version"] > first["version"]
    ahead = {"since": later["version"] + 1000, "wait": 10}
    assert HTTP.get(url, params=ahead).json()["version"] == later["version"], "after a restart all is news"
    assert HTTP.get(url).json()["chats"][0]["messages"][0]["kind"] == "followed"


def test_a_person_can_leave_and_come_back(sandbox: Sandbox) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    with pytest.raises(CannotDo, match="does not follow"):
        li.do("unfollow", appid=appid)
    first = li.do("follow", appid=appid)["openid"]
    li.do("unfollow", appid=appid)
    assert li.do("follow", appid=appid)["openid"] == first
    assert [one["kind"] for one in li.chat()] == ["followed", "unfollowed", "followed"]


def test_pictures_are_sent_and_kept(sandbox: Sandbox, application: Application) -> None:
    li, appid = sandbox.person("Li"), sandbox.credentials["oa"]["appid"]
    sandbox.oa_server(application.url + "/oa", mode="plain")
    li.do("follow", appid=appid)
    li.do("picture", appid=appid, content=base64.b64encode(b"\xff\xd8\xff picture").decode())
    shown = f"{sandbox.admin_url}/media/{li.chat()[-1]['media_id']}"
    assert HTTP.get(shown).content == b"\xff\xd8\xff picture"
    assert b"PicUrl" in application.received[-1].body
    assert HTTP.get(f"{sandbox.admin_url}/media/none").status_code == 404


def test_a_code_is_read_from_apicture_of(sandbox: Sandbox) -> None:
    def scan(content: bytes) -> Any:
        return HTTP.post(f"{sandbox.admin_url}/scan", files={"picture": ("a.png", content)}).json()

    assert scan(picture_of("https://a.example/i/abc")) == {"texts": ["https://a.example/i/abc"]}
    assert "no picture" in scan(b"not a picture")["error"]
    assert "send the picture" in _post(sandbox, "scan").json()["error"]
    li = sandbox.person("Li")
    assert li.do("scan", text="https://a.example/") == {"kind": "link", "open": "https://a.example/"}
    assert li.do("scan", text="hello") == {"kind": "text", "text": "hello"}
    for gone in (
        "http://weixin.qq.com/q/none",
        "https://weixin.qq.com/g/none",
        "weixin://wxpay/bizpayurl?pr=0",
    ):
        with pytest.raises(CannotDo):
            li.do("scan", text=gone)


# -- the plane itself --------------------------------------------------------------------------------------


def test_another_sites_page_may_not_play(sandbox: Sandbox) -> None:
    evil = {"Origin": "https://evil.example"}
    assert _post(sandbox, "reset", headers=evil).status_code == 403
    assert _post(sandbox, "settle", headers={"Origin": sandbox.oa_url}).status_code == 200


def test_secrets_stay_out_of_what_is_changed_and_shown(sandbox: Sandbox) -> None:
    changed = _post(sandbox, f"pay/{sandbox.credentials['pay']['mchid']}", {"balance": 1})
    assert "PRIVATE" not in changed.text
    assert "PRIVATE" not in HTTP.get(f"{sandbox.admin_url}/state").text
    wrong = _post(sandbox, "pay/none", {"balance": 1})
    assert wrong.status_code == 400


def test_the_log_tells_calls_in_and_out(sandbox: Sandbox, application: Application) -> None:
    sandbox.oa_server(application.url + "/oa")
    stable_token(sandbox)
    lines = HTTP.get(f"{sandbox.admin_url}/log").json()
    assert [(one["direction"], one["service"]) for one in lines] == [("out", "oa"), ("in", "oa")]
    assert lines[1]["line"] == "POST /cgi-bin/stable_token → 200"
    assert HTTP.get(f"{sandbox.admin_url}/log", params={"since": lines[-1]["id"]}).json() == []
    assert HTTP.get(f"{sandbox.admin_url}/log", params={"service": "pay"}).json() == []


def test_faults_and_options_are_set_from_outside(sandbox: Sandbox) -> None:
    planned = _post(sandbox, "faults", {"service": "oa", "action": "drop"})
    assert planned.status_code == 201
    assert len(HTTP.get(f"{sandbox.admin_url}/faults").json()) == 1
    assert _post(sandbox, "faults", {"service": "oa", "action": "explode"}).status_code == 400
    HTTP.delete(f"{sandbox.admin_url}/faults")
    assert HTTP.get(f"{sandbox.admin_url}/faults").json() == []
    assert _post(sandbox, "options", {"group_lag": 9}).json()["group_lag"] == 9
    assert _post(sandbox, "options", {"unknown": 1}).status_code == 400
    assert HTTP.get(f"{sandbox.admin_url}/options").json()["group_lag"] == 9


def test_the_pages_and_the_script_are_served(sandbox: Sandbox) -> None:
    assert HTTP.get(sandbox.oa_url + "/").headers["location"] == "/_sandbox/"
    page = HTTP.get(sandbox.admin_url + "/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert '<script type="module"' in page.text
    assert "WeixinJSBridge" in HTTP.get(sandbox.oa_url + "/open/js/jweixin-1.6.0.js").text
    for name in ("none.js", "..%2Fapi.py", "api.py"):
        assert HTTP.get(f"{sandbox.admin_url}/static/{name}").status_code == 404
    params = {"config": '{"appId": "wx0"}', "url": "http://127.0.0.1:8000/"}
    script = HTTP.get(f"{sandbox.admin_url}/js-config.js", params=params)
    assert script.text == 'window.__sandboxConfigured("config:invalid appid");'


# -- keeping and forgetting ----------------------------------------------------------------------------------


def test_everything_survives_a_restart(tmp_path: Path, application: Application) -> None:
    application.answer = lambda _: (500, b"")
    with start(tmp_path, at=AT, frozen=True) as first:
        credentials = first.credentials
        first.oa_server(application.url + "/oa", mode="plain")
        li = first.person("Li")
        token = stable_token(first)["access_token"]
        first.fault("oa", "delay", on="callback", value=100)
        li.do("follow", appid=credentials["oa"]["appid"])
        assert application.received == []
    with start(tmp_path, at=AT, frozen=True) as second:
        assert second.credentials["pay"] == credentials["pay"]
        assert stable_token(second)["access_token"] == token
        again = Person(second, li.id)
        assert again.chat()[0]["kind"] == "followed"
        second.advance(100)
        assert len(application.received) == 3, "what was due then is done now"


def test_the_clock_stays_ahead_after_a_restart(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        first.advance(86400)
        ahead = first.world.clock.time()
    with start(tmp_path) as second:
        assert second.world.clock.time() >= ahead


def test_a_reset_forgets_people_and_keeps_the_accounts(sandbox: Sandbox, application: Application) -> None:
    sandbox.oa_server(application.url + "/oa", mode="plain")
    before = sandbox.credentials
    li = sandbox.person("Li")
    li.do("follow", appid=before["oa"]["appid"])
    assert _post(sandbox, "reset").status_code == 200
    assert sandbox.credentials == before
    state = HTTP.get(f"{sandbox.admin_url}/state").json()
    assert [one["nickname"] for one in state["people"]] == ["林小满", "周子墨", "陈思远", "Ada"]
    assert state["accounts"][0]["callback_url"] == application.url + "/oa"


def test_the_same_seed_and_steps_make_the_same_world() -> None:
    def steps() -> Any:
        with start(at=AT, frozen=True, seed_number=7) as made:
            return stable_token(made), made.person("Li").openid()

    assert steps() == steps()


def test_a_port_in_use_is_told_and_nothing_stays_open(sandbox: Sandbox) -> None:
    port = int(sandbox.pay_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        start(ports=(0, 0, port))


def test_the_command_serves_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        command("sandbox", "--data-dir", str(tmp_path), "--port", str(port)),
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: _reachable(port), 30, "the sandbox answers")
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"WXPAY_API_BASE=http://127.0.0.1:{port + 2}" in said
    assert (tmp_path / "sandbox" / "sandbox.sqlite3").exists()


def _reachable(port: int) -> bool:
    import httpx

    try:
        return HTTP.get(f"http://127.0.0.1:{port}/_sandbox/state").status_code == 200
    except httpx.TransportError:
        return False
