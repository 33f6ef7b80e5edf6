"""The console's pages about channels."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import text

from growth_engine.connections import queries, service
from growth_engine.context import Parts
from tests.factories.callbacks import (
    AES_KEY,
    API_V3_KEY,
    APPID,
    CORPID,
    MCHID,
    PUB_KEY_ID,
    Caller,
    certificate,
    connect_oa,
    connect_pay,
    connect_wecom,
    merchant_pem,
    public_pem,
)
from tests.factories.console import Console
from tests.factories.workspaces import make_workspace

OA = {"name": "Shop", "appid": APPID, "app_secret": "hush", "mode": "safe"}
PAY = {
    "name": "Till", "mchid": MCHID, "appid": APPID, "serial_no": "1DDE55AD98ED71D6", "api_v3_key": API_V3_KEY,
    "private_key": merchant_pem(), "public_key_id": PUB_KEY_ID, "public_key": public_pem(),
}  # fmt: skip


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    return Console(app, parts, workspace)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(
    console: Console, parts: Parts, workspace: str, lang: str
) -> None:
    for path in ("", *(f"/new/{one}" for one in ("wechat_oa", "wecom", "wechat_pay"))):
        console.get(f"/console/channels{path}", lang=lang)
    for connect in (connect_oa, connect_wecom, connect_pay):
        account_id = connect(parts, workspace)
        console.get(f"/console/channels/{account_id}", lang=lang)
        console.get(f"/console/channels/{account_id}/edit", lang=lang)
    console.get("/console/channels", lang=lang)
    console.get("/console/channels/new/nobody", status=404)
    console.get("/console/channels/chn_0", status=404)


def test_an_account_is_connected_step_by_step(
    console: Console, parts: Parts, workspace: str, app: Flask
) -> None:
    answer = console.post("/console/channels/new/wechat_oa", OA)
    account_id = answer.location.rpartition("/")[2]
    page = console.get(answer.location)
    assert f"/webhooks/wechat_oa/{account_id}" in page
    assert "cannot reach it" in page, "the address of a test machine"
    token, key = (
        re.search(r'id="token" value="(\w{32})"', page),
        re.search(r'id="aes-key" value="(\w{43})"', page),
    )
    assert token
    assert key
    assert "hush" not in page
    assert "has not called yet" in page
    caller = Caller(app.test_client(), "wechat_oa", account_id, token=token[1], key=key[1])
    caller.client.get(caller.path, query_string=caller.query(echostr="1"))
    assert "first called with the right keys" in console.get(answer.location)
    caller.client.get(caller.path, query_string=caller.query(echostr="1") | {"signature": "no"})
    assert "The signature is wrong" in console.get(answer.location)


@pytest.mark.parametrize(
    ("provider", "form", "problem"),
    [
        ("wechat_oa", OA | {"app_secret": ""}, "This is needed"),
        ("wechat_oa", OA | {"appid": "wx 1"}, "Letters and digits"),
        ("wechat_oa", OA | {"aes_key": "short"}, "43 letters"),
        ("wechat_oa", OA | {"token": "with space"}, "Up to 32"),
        ("wechat_oa", OA | {"mode": "none"}, "is-invalid"),
        ("wecom", {"name": "x", "corpid": CORPID}, "This is needed"),
        ("wecom", {"name": "x", "corpid": CORPID, "secret": "s", "agentid": "x"}, "Digits only"),
        ("wechat_pay", PAY | {"api_v3_key": "short"}, "32 characters"),
        ("wechat_pay", PAY | {"private_key": "-----BEGIN"}, "no PEM file"),
        ("wechat_pay", PAY | {"public_key": "x"}, "no PEM file"),
        ("wechat_pay", PAY | {"public_key": ""}, "belong together"),
        ("wechat_pay", PAY | {"public_key_id": "X"}, "PUB_KEY_ID_"),
        ("wechat_pay", PAY | {"certificates": "x"}, "no PEM file"),
        ("wechat_pay", PAY | {"mchid": "abc"}, "Digits only"),
    ],
)
def test_what_is_entered_wrongly_is_said_beside_the_field(
    console: Console, parts: Parts, workspace: str, provider: str, form: dict[str, str], problem: str
) -> None:
    answer = console.post(f"/console/channels/new/{provider}", form, status=422)
    assert problem in answer.text
    with parts.open(workspace) as ctx:
        assert queries.accounts(ctx) == []


def test_a_merchant_is_connected_with_key_and_certificate(
    console: Console, parts: Parts, workspace: str
) -> None:
    answer = console.post("/console/channels/new/wechat_pay", PAY | {"certificates": certificate()[1] * 2})
    with parts.open(workspace) as ctx:
        found = queries.connection(ctx, answer.location.rpartition("/")[2])
    assert [serial for serial, _ in found.platform_keys] == [certificate()[0], PUB_KEY_ID]
    assert "PRIVATE KEY" not in console.get(answer.location)
    again = console.post("/console/channels/new/wechat_pay", PAY, status=422)
    assert "connected already" in again.text
    assert API_V3_KEY not in again.text


def test_correcting_shows_no_key_and_keeps_what_is_left_empty(
    console: Console, parts: Parts, workspace: str
) -> None:
    account_id = connect_oa(parts, workspace)
    page = console.get(f"/console/channels/{account_id}/edit")
    assert AES_KEY not in page
    assert APPID in page
    console.post(
        f"/console/channels/{account_id}/edit", OA | {"name": "New", "app_secret": "", "mode": "plain"}
    )
    with parts.open(workspace) as ctx:
        found = queries.connection(ctx, account_id)
    assert (found.name, found.settings["mode"], found.present("app_secret")) == ("New", "plain", "s")


def test_a_key_is_replaced_and_the_old_one_forgotten(console: Console, parts: Parts, workspace: str) -> None:
    account_id = connect_oa(parts, workspace)
    path = f"/console/channels/{account_id}"
    console.post(f"{path}/replace", {"key": "aes_key"})
    page = console.get(path)
    assert AES_KEY not in page
    assert "is believed until" in page
    console.post(f"{path}/forget", {"key": "aes_key"})
    assert "is believed until" not in console.get(path)
    console.post(f"{path}/replace", {"key": "app_secret"})
    assert "cannot be replaced by itself" in console.get(path)
    console.post(f"{path}/forget", {"key": "app_secret"}, status=404)


def test_disabling_and_enabling(console: Console, parts: Parts, workspace: str) -> None:
    account_id = connect_oa(parts, workspace)
    console.post(f"/console/channels/{account_id}/disable")
    assert "Disabled" in console.get("/console/channels")
    console.post(f"/console/channels/{account_id}/enable")
    assert "Waiting for the first call" in console.get("/console/channels")


def test_an_account_whose_keys_are_lost_still_has_a_page(
    console: Console, parts: Parts, workspace: str
) -> None:
    account_id = connect_oa(parts, workspace)
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE channel_accounts SET secrets = '\\x01'"))
    assert "GROWTH_SECRET_KEY has changed" in console.get(f"/console/channels/{account_id}")


def test_keys_the_platform_refuses_are_shown_in_words_with_its_number(
    console: Console, parts: Parts, workspace: str
) -> None:
    account_id = connect_oa(parts, workspace)
    with parts.open(workspace) as ctx:
        service.note_check(ctx, account_id, "credentials: 40164")
    page = console.get(f"/console/channels/{account_id}")
    assert "list of addresses are wrong. (40164)" in page
    assert "Keys refused" in page
    with parts.open(workspace) as ctx:
        service.note_check(ctx, account_id, None)
    assert "Keys refused" not in console.get(f"/console/channels/{account_id}")


def test_only_administrators_see_channels_and_only_their_own(
    app: Flask, console: Console, parts: Parts, workspace: str
) -> None:
    account_id = connect_oa(parts, workspace)
    for role in ("marketer", "sales"):
        other = Console(app, parts, workspace, role)
        for path in ("", f"/{account_id}", f"/{account_id}/edit", "/new/wecom"):
            other.get(f"/console/channels{path}", status=403)
        for action in ("replace", "forget", "check", "disable", "enable", "edit"):
            other.post(f"/console/channels/{account_id}/{action}", status=403)
    stranger = Console(app, parts, make_workspace(parts))
    stranger.get(f"/console/channels/{account_id}", status=404)
    stranger.post(f"/console/channels/{account_id}/disable", status=404)
    with parts.open(workspace) as ctx:
        assert queries.account(ctx, account_id).state == "waiting"
        service.disable(ctx, account_id)
