"""Accounts at the platforms: connected, corrected, their keys sealed and replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from growth_engine.connections import credentials, queries, rules, service
from growth_engine.connections.rules import Secret
from growth_engine.connections.sealing import Sealer, SecretsUnreadable
from growth_engine.connections.service import Entered
from growth_engine.context import Ctx, Parts
from growth_engine.kit.clock import FixedClock
from tests.factories.callbacks import (
    AES_KEY,
    APPID,
    MCHID,
    PUB_KEY_ID,
    TOKEN,
    certificate,
    connect_oa,
    connect_pay,
    connect_wecom,
    merchant_pem,
    public_pem,
)
from tests.factories.workspaces import make_workspace

KEY = "k" * 40


def entered(**secrets: str) -> Entered:
    return Entered("Shop", {"appid": APPID}, {"mode": "safe"}, secrets)


# -- sealing -----------------------------------------------------------------------------------------


def test_what_is_sealed_is_opened_with_the_same_key_in_the_same_row_alone() -> None:
    sealed = Sealer(KEY).seal({"app_secret": "中文"}, "chn_1")
    assert Sealer(KEY).open(sealed, "chn_1") == {"app_secret": "中文"}
    for sealer, row in ((Sealer("x" * 40), "chn_1"), (Sealer(KEY), "chn_2")):
        with pytest.raises(SecretsUnreadable):
            sealer.open(sealed, row)
    for damaged in (b"", sealed[:8], sealed[:-1], b"\x02" + sealed[1:], sealed[:20] + b"x" + sealed[21:]):
        with pytest.raises(SecretsUnreadable):
            Sealer(KEY).open(damaged, "chn_1")


def test_the_same_keys_sealed_twice_look_different() -> None:
    assert Sealer(KEY).seal("x", "a") != Sealer(KEY).seal("x", "a")


def test_no_key_lies_readable_in_the_database(parts: Parts, workspace: str) -> None:
    connect_oa(parts, workspace)
    connect_pay(parts, workspace)
    with parts.open(workspace) as ctx:
        rows = ctx.session.scalars(
            text("SELECT (a.*)::text || encode(secrets, 'escape') FROM channel_accounts a")
        )
        everything = "".join(rows)
    for secret in (TOKEN, AES_KEY, "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb", "PRIVATE KEY"):
        assert secret not in everything
    assert AES_KEY not in repr(queries.Connection("", "", "", "", {}, {}, "", {"aes_key": [Secret(AES_KEY)]}))


# -- keys that are replaced --------------------------------------------------------------------------


def test_a_replaced_key_is_believed_for_a_week_and_the_new_one_comes_first() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    secrets = rules.replaced({"token": [Secret("a")]}, "token", "b", now)
    assert rules.believed(secrets, "token", now) == ("b", "a")
    again = rules.replaced(secrets, "token", "c", now + timedelta(days=3))
    assert rules.believed(again, "token", now + timedelta(days=3)) == ("c", "b", "a")
    assert rules.believed(again, "token", now + timedelta(days=8)) == ("c", "b")
    assert rules.believed(again, "token", now + timedelta(days=11)) == ("c",)
    assert rules.secrets_from_json(rules.secrets_to_json(again)) == again
    back = rules.replaced(secrets, "token", "a", now)
    assert rules.believed(back, "token", now) == ("a", "b"), "the old one again is the present one, once"


def test_a_key_is_replaced_and_the_old_one_forgotten(ctx: Ctx, parts: Parts) -> None:
    account_id = service.connect(ctx, "wechat_oa", entered(app_secret="s"))
    made = queries.connection(ctx, account_id)
    assert len(made.present("token")) == 32
    assert len(made.present("aes_key")) == 43
    service.replace_key(ctx, account_id, "aes_key")
    both = queries.connection(ctx, account_id).believed("aes_key", ctx.now())
    assert both[1:] == (made.present("aes_key"),)
    assert len(both[0]) == 43
    service.forget_replaced(ctx, account_id, "aes_key")
    assert queries.connection(ctx, account_id).believed("aes_key", ctx.now()) == both[:1]


@pytest.mark.parametrize("name", ["app_secret", "private_key", "api_v3_key", "nonsense", ""])
def test_other_keys_are_not_replaced_by_themselves(ctx: Ctx, name: str) -> None:
    account_id = service.connect(ctx, "wechat_oa", entered(app_secret="s"))
    with pytest.raises(service.NotReplaceable):
        service.replace_key(ctx, account_id, name)


# -- connecting and correcting -----------------------------------------------------------------------


def test_an_account_is_connected_once_and_the_same_one_by_another_merchant_too(
    parts: Parts, workspace: str
) -> None:
    connect_oa(parts, workspace)
    with pytest.raises(service.AlreadyConnected):
        connect_oa(parts, workspace)
    other = connect_oa(parts, make_workspace(parts))
    assert queries.workspace_of(parts.db, other) != workspace
    with pytest.raises(queries.UnknownAccount), parts.open(workspace) as ctx:
        queries.account(ctx, other)


def test_two_applications_of_one_company_are_two_accounts(ctx: Ctx) -> None:
    for agent in ("1", "2"):
        service.connect(ctx, "wecom", Entered("A", {"corpid": "ww1", "agentid": agent}))
    assert len(queries.connections(ctx, "wecom")) == 2


def test_correcting_keeps_what_is_left_empty(ctx: Ctx, clock: FixedClock) -> None:
    account_id = service.connect(ctx, "wechat_oa", entered(app_secret="old", token=TOKEN, aes_key=AES_KEY))
    service.correct(ctx, account_id, entered(app_secret=""))
    assert queries.connection(ctx, account_id).present("app_secret") == "old"
    service.correct(ctx, account_id, entered(app_secret="new", token="another"))
    found = queries.connection(ctx, account_id)
    assert found.believed("app_secret", ctx.now()) == ("new",)
    assert found.believed("token", ctx.now()) == ("another", TOKEN)
    twin = service.connect(ctx, "wechat_oa", Entered("B", {"appid": "wxother"}))
    with pytest.raises(service.AlreadyConnected):
        service.correct(ctx, twin, entered())


def test_keys_that_cannot_be_decrypted_any_more_can_be_entered_anew(ctx: Ctx) -> None:
    account_id = service.connect(ctx, "wechat_oa", entered(app_secret="s"))
    ctx.session.execute(text("UPDATE channel_accounts SET secrets = '\\x01'"))
    ctx.session.expire_all()
    with pytest.raises(SecretsUnreadable):
        queries.connection(ctx, account_id)
    service.correct(ctx, account_id, entered(app_secret="again"))
    found = queries.connection(ctx, account_id)
    assert found.present("app_secret") == "again"
    assert len(found.present("aes_key")) == 43


def test_platform_keys_join_those_that_are_there(parts: Parts, workspace: str) -> None:
    account_id = connect_pay(parts, workspace)
    with parts.open(workspace) as ctx:
        service.learn_platform_keys(ctx, account_id, [("ABC", "pem"), (PUB_KEY_ID, "another")])
    with parts.open(workspace) as ctx:
        keys = dict(queries.connection(ctx, account_id).platform_keys)
    assert keys == {PUB_KEY_ID: public_pem(), certificate()[0]: certificate()[1], "ABC": "pem"}


def test_a_disabled_account_comes_back_as_it_was(parts: Parts, workspace: str) -> None:
    account_id = connect_wecom(parts, workspace)
    with parts.open(workspace) as ctx:
        for called in (False, True):
            if called:
                service.note_call(ctx, account_id)
            service.disable(ctx, account_id)
            assert queries.connections(ctx, "wecom") == []
            service.enable(ctx, account_id)
            assert queries.account(ctx, account_id).state == ("active" if called else "waiting")


def test_clients_get_the_credentials_they_ask_for(parts: Parts, workspace: str) -> None:
    oa, wecom, pay = (connect(parts, workspace) for connect in (connect_oa, connect_wecom, connect_pay))
    with parts.open(workspace) as ctx:
        first = credentials.official_account(queries.connection(ctx, oa))
        second = credentials.wecom(queries.connection(ctx, wecom))
        third = credentials.pay(queries.connection(ctx, pay))
    assert (first.account_id, first.app_id, first.app_secret) == (oa, APPID, "s")
    assert (second.secret, second.agent_id) == ("s", "218")
    assert (third.mch_id, third.private_key_pem) == (MCHID, merchant_pem())
    assert [one.serial for one in third.platform_keys] == [PUB_KEY_ID, certificate()[0]]


# -- addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "provider", "troubles"),
    [
        ("https://shop.example.com", "wechat_oa", 0),
        ("http://shop.example.com", "wechat_oa", 0),
        ("https://shop.example.com:8443", "wechat_oa", 1),
        ("https://shop.example.com:8443", "wecom", 0),
        ("http://shop.example.com", "wechat_pay", 1),
        ("http://127.0.0.1:8000", "wechat_oa", 2),
        ("http://localhost", "wecom", 1),
        ("https://10.0.0.7", "wechat_pay", 1),
        ("https://8.8.8.8", "wechat_pay", 0),
    ],
)
def test_an_address_the_platform_cannot_call_is_said_to_be_one(
    url: str, provider: str, troubles: int
) -> None:
    assert len(rules.problems_of(rules.callback_url(url, provider, "chn_1"), provider)) == troubles


def test_the_callback_address_has_no_query_and_names_the_account() -> None:
    url = rules.callback_url("https://shop.example.com/", "wechat_pay", "chn_1")
    assert url == "https://shop.example.com/webhooks/wechat_pay/chn_1"
