"""A callback from its arrival to its answer: believed, written down once, understood, answered in time."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from growth_engine.connections import service as connections
from growth_engine.context import Ctx, Parts
from growth_engine.inbox import interpreting, queries, service
from growth_engine.inbox.contract import Inbound, PassiveReply, TextReply
from growth_engine.inbox.intake import Intake
from growth_engine.inbox.models import InboxMessage
from growth_engine.inbox.payloads import Followed, TextReceived
from growth_engine.inbox.reception import Desk
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Misconfigured
from tests.factories.callbacks import (
    OPENID,
    OTHER_AES_KEY,
    PAYMENT,
    Caller,
    connect_oa,
    connect_pay,
    connect_wecom,
    decrypt,
    document,
    notice,
    pay_headers,
)


class Listener:
    """Stands in for the product's interpreters: notes what it hears, does what the test says."""

    def __init__(self) -> None:
        self.heard: list[Inbound] = []
        self.late: list[tuple[Inbound, PassiveReply]] = []
        self.does: Callable[[Ctx, Inbound], PassiveReply | None] = lambda ctx, inbound: None

    def __call__(self, ctx: Ctx, inbound: Inbound) -> PassiveReply | None:
        self.heard.append(inbound)
        return self.does(ctx, inbound)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    one = Listener()
    kinds = ("text", "follow", "scan", "payment", "contact_added")
    found = {
        f"{provider} {kind} test": interpreting.Interpreter("test", provider, kind, one)
        for provider in ("wechat_oa", "wecom", "wechat_pay")
        for kind in kinds
    }
    monkeypatch.setattr(interpreting, "registry", found)
    monkeypatch.setattr(
        interpreting.late_registry,
        "get",
        lambda provider, default=None: lambda ctx, inbound, reply: one.late.append((inbound, reply)),
    )
    return one


@pytest.fixture
def oa(parts: Parts, workspace: str, client: FlaskClient) -> Caller:
    return Caller(client, "wechat_oa", connect_oa(parts, workspace))


def messages(parts: Parts, workspace: str) -> list[InboxMessage]:
    """Everything in the inbox, the oldest first."""
    with parts.open(workspace) as ctx:
        return list(queries.page(ctx, limit=99))[::-1]


# -- once, however often it is said ------------------------------------------------------------------


def test_three_deliveries_are_one_message_understood_once(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    content = document("xml", oa.message(Event="subscribe", EventKey="qrscene_abc", Ticket="t"))
    answers = [oa.post(*oa.encrypted_body(content)) for _ in range(3)]  # each with a nonce of its own
    assert [(one.status_code, one.data) for one in answers] == [(200, b"success")] * 3
    assert [one.payload for one in listener.heard] == [Followed("abc", "t")]
    (message,) = messages(parts, workspace)
    assert (message.deliveries, message.altered, message.state) == (3, 0, "done")
    assert message.sender == OPENID
    assert message.content == content
    assert OPENID not in message.identity
    assert OPENID not in str(message.request)


def test_concurrent_deliveries_are_one_row_and_none_waits_for_the_other(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    release = threading.Event()
    listener.does = lambda ctx, inbound: (release.wait(10), TextReply("hello"))[1]
    content = document("xml", oa.message(MsgType="text", Content="hi", MsgId=6054768590064713728))
    body = oa.encrypted_body(content)
    app = oa.client.application
    with ThreadPoolExecutor(16) as pool:
        calls = [
            pool.submit(Caller(app.test_client(), "wechat_oa", oa.account).post, *body) for _ in range(16)
        ]
        quick = [call for call in calls if _answered(call)]
        assert len(quick) == 15, "fifteen are answered while the first is still being understood"
        release.set()
        answers = [call.result() for call in calls]
    assert {one.status_code for one in answers} == {200}
    assert sorted(one.data == b"success" for one in answers) == [False] + [True] * 15
    (message,) = messages(parts, workspace)
    assert (message.deliveries, message.state, len(listener.heard)) == (16, "done", 1)


def _answered(call: Any) -> bool:
    try:
        call.result(timeout=1.5)
    except TimeoutError:
        return False
    return True


def test_two_events_of_one_second_are_two_messages(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    for event, key in (("SCAN", "a"), ("SCAN", "b"), ("CLICK", "a"), ("subscribe", "qrscene_a")):
        oa.say(Event=event, EventKey=key, CreateTime=1714112445)
    assert len(messages(parts, workspace)) == 4


def test_the_same_identity_with_other_words_is_seen_and_does_not_count(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    oa.say(MsgType="text", Content="first", MsgId=77)
    oa.say(MsgType="text", Content="second", MsgId=77)
    (message,) = messages(parts, workspace)
    assert (message.deliveries, message.altered) == (2, 1)
    assert [one.payload for one in listener.heard] == [TextReceived("first", "77")]


def test_the_same_message_at_two_accounts_is_two(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, client: FlaskClient
) -> None:
    other = Caller(client, "wecom", connect_wecom(parts, workspace), receiver="wx5823bf96d3bd56c7")
    for one in (oa, other):
        one.say(MsgType="text", Content="x", MsgId=1, FromUserName="ann")
    assert len(messages(parts, workspace)) == 2


# -- answers -----------------------------------------------------------------------------------------


def test_a_reply_is_encrypted_with_the_key_that_opened_the_question(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    listener.does = lambda ctx, inbound: TextReply("你好 ]]> <b>")
    with parts.open(workspace) as ctx:
        connections.replace_key(ctx, oa.account, "aes_key", OTHER_AES_KEY)
    for key in (oa.key, OTHER_AES_KEY):
        oa.key = key
        answer = oa.say(MsgType="text", Content="hi", MsgId=len(key) + hash(key) % 999)
        envelope = _xml(answer.data)
        reply, receiver = decrypt(envelope["Encrypt"], key)
        assert receiver == oa.receiver
        assert _xml(reply)["Content"] == "你好 ]]> <b>"
        assert (_xml(reply)["ToUserName"], _xml(reply)["FromUserName"]) == (OPENID, "gh_10f6c3c3ac5a")


def test_json_is_answered_in_json(oa: Caller, listener: Listener) -> None:
    import json

    listener.does = lambda ctx, inbound: TextReply("hello")
    oa.form = "json"
    answer = oa.say(MsgType="text", Content="hi", MsgId=1)
    reply = json.loads(decrypt(answer.json["Encrypt"])[0])
    assert (reply["MsgType"], reply["Content"]) == ("text", "hello")
    assert answer.mimetype == "application/json"


def test_a_repetition_gets_the_reply_the_first_one_got(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    listener.does = lambda ctx, inbound: TextReply("once")
    for _ in range(2):
        answer = oa.say(MsgType="text", Content="hi", MsgId=5)
        assert _xml(decrypt(_xml(answer.data)["Encrypt"])[0])["Content"] == "once"
    assert len(listener.heard) == 1
    assert listener.late == []


def test_what_takes_too_long_is_answered_empty_and_its_reply_goes_another_way(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growth_engine.inbox.reception.RESERVE_SECONDS", 4.8)
    release, done = threading.Event(), threading.Event()

    def slow(ctx: Ctx, inbound: Inbound) -> PassiveReply:
        release.wait(10)
        done.set()
        return TextReply("at last")

    listener.does = slow
    assert oa.say(MsgType="text", Content="hi", MsgId=9).data == b"success"
    assert [one.state for one in messages(parts, workspace)] == ["received"]
    release.set()
    assert done.wait(10)
    _until(lambda: messages(parts, workspace)[0].state == "done")
    assert [reply for _, reply in listener.late] == [TextReply("at last")]
    assert messages(parts, workspace)[0].reply is None


def test_when_every_place_is_taken_the_job_understands_it(
    listener: Listener,
    parts: Parts,
    workspace: str,
    client: FlaskClient,
    run_jobs: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace))
    desk: Desk = client.application.extensions["growth.inbox"]
    monkeypatch.setattr(desk, "_places", threading.BoundedSemaphore(1))
    release = threading.Event()
    listener.does = lambda ctx, inbound: (release.wait(10), None)[1]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(Caller(client.application.test_client(), "wechat_oa", oa.account).say,
                            MsgType="text", Content="1", MsgId=1)  # fmt: skip
        _until(lambda: len(listener.heard) == 1)
        assert oa.say(MsgType="text", Content="2", MsgId=2).data == b"success"
        assert len(listener.heard) == 1
        release.set()
        assert first.result().status_code == 200
    assert run_jobs(workspace, "inbox.interpret") == 1
    assert [one.state for one in messages(parts, workspace)] == ["done", "done"]


def test_what_an_interpreter_writes_is_committed_with_the_mark_that_it_is_done(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    def writes(ctx: Ctx, inbound: Inbound) -> PassiveReply:
        ctx.session.execute(text("UPDATE workspaces SET name = 'changed'"))
        return TextReply("done")

    listener.does = writes
    answer = oa.say(MsgType="text", Content="hi", MsgId=1)
    assert _xml(decrypt(_xml(answer.data)["Encrypt"])[0])["Content"] == "done"
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT name FROM workspaces")) == "changed"
    (message,) = messages(parts, workspace)
    assert (message.state, message.reply) == ("done", {"kind": "text", "text": "done"})


# -- what goes wrong ---------------------------------------------------------------------------------


def test_a_failure_undoes_everything_is_shown_and_tried_again(
    oa: Caller,
    listener: Listener,
    parts: Parts,
    workspace: str,
    clock: FixedClock,
    run_jobs: Callable[..., int],
) -> None:
    def broken(ctx: Ctx, inbound: Inbound) -> None:
        ctx.session.execute(text("UPDATE workspaces SET name = 'changed'"))
        raise ZeroDivisionError("oops")

    listener.does = broken
    assert oa.say(MsgType="text", Content="hi", MsgId=1).data == b"success"
    (message,) = messages(parts, workspace)
    assert (message.state, message.error, message.attempts) == ("received", "ZeroDivisionError: oops", 1)
    for _ in range(service.ATTEMPTS):
        clock.advance(timedelta(minutes=30))
        run_jobs(workspace, "inbox.interpret")
    (message,) = messages(parts, workspace)
    assert (message.state, message.attempts) == ("failed", service.ATTEMPTS)
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT name FROM workspaces")) == "Test shop"
        assert [one.id for one in queries.failed(ctx)] == [message.id]
    listener.does = lambda ctx, inbound: None
    with parts.open(workspace) as ctx:
        service.replay(ctx, message.id)
    run_jobs(workspace, "inbox.interpret")
    assert [one.state for one in messages(parts, workspace)] == ["done"]


def test_a_process_that_died_leaves_its_message_to_the_job(
    oa: Caller,
    listener: Listener,
    parts: Parts,
    workspace: str,
    clock: FixedClock,
    run_jobs: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Desk, "_interpret", lambda *_: None)
    oa.say(Event="subscribe", EventKey="qrscene_x")
    assert run_jobs(workspace, "inbox.interpret") == 0, "its lease is not over"
    clock.advance(service.LEASE + timedelta(seconds=1))
    assert run_jobs(workspace, "inbox.interpret") == 1
    assert [one.payload for one in listener.heard] == [Followed("x", "")]


def test_one_whose_process_dies_every_time_is_given_up(
    oa: Caller,
    listener: Listener,
    parts: Parts,
    workspace: str,
    clock: FixedClock,
    run_jobs: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Desk, "_interpret", lambda *_: None)
    oa.say(Event="subscribe")
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE inbox_messages SET attempts = :n"), {"n": service.ATTEMPTS})
    clock.advance(service.LEASE + timedelta(seconds=1))
    run_jobs(workspace, "inbox.interpret")
    (message,) = messages(parts, workspace)
    assert message.state == "failed"
    assert "stopped" in (message.error or "")
    assert listener.heard == []


def test_an_attempt_that_outlived_its_lease_is_rolled_back(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    def overtaken(ctx: Ctx, inbound: Inbound) -> None:
        ctx.session.execute(text("UPDATE workspaces SET name = 'changed'"))
        with parts.open(workspace) as other:
            other.session.execute(text("UPDATE inbox_messages SET attempts = 2"))

    listener.does = overtaken
    oa.say(Event="subscribe")
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT name FROM workspaces")) == "Test shop"


def test_what_nobody_understands_stays_and_can_be_looked_at(
    oa: Caller, listener: Listener, parts: Parts, workspace: str
) -> None:
    assert oa.say(Event="debug_demo", debug_str="hello").data == b"success"
    assert oa.say(Event="VIEW", EventKey="https://example.com").data == b"success"
    assert oa.post(*oa.encrypted_body(b"no document at all")).data == b"success"
    found = messages(parts, workspace)
    assert {(one.kind, one.state) for one in found} == {
        ("unknown", "unknown"), ("menu_view", "unknown"), ("unreadable", "unknown"),
    }  # fmt: skip
    with parts.open(workspace) as ctx:
        assert queries.trouble(ctx) == {"unknown": 3}


@pytest.mark.parametrize(
    "event", [{"Event": "VIEW", "EventKey": "https://x"}, {"Event": "TEMPLATESENDJOBFINISH"}]
)
def test_what_nothing_follows_from_is_done_and_nobody_has_to_look_at_it(
    oa: Caller, parts: Parts, workspace: str, event: dict[str, str]
) -> None:
    assert oa.say(**event).data == b"success"
    assert [one.state for one in messages(parts, workspace)] == ["done"]
    with parts.open(workspace) as ctx:
        assert queries.trouble(ctx) == {}


def test_what_went_wrong_is_told_without_whom_it_was_about(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stored, logged and shown in the console, and outlives the person's erasure."""

    def broken(ctx: Ctx, inbound: Inbound) -> None:
        values = {"a": "x", "person": inbound.sender}
        ctx.session.execute(text("SELECT CAST(:a AS int), CAST(:person AS text)"), values)

    listener.does = broken
    oa.say(MsgType="text", Content="hi", MsgId=1)
    (message,) = messages(parts, workspace)
    assert "invalid input syntax" in str(message.error)
    assert OPENID not in str(message.error) + caplog.text
    with parts.open(workspace) as ctx:
        service.note_failure(ctx, message.id, 1, f"E: oops\nDETAIL: Key (sender)=({OPENID}) is there.")
    (message,) = messages(parts, workspace)
    assert OPENID not in str(message.error)


def test_a_message_understood_later_is_understood_when_replayed(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, run_jobs: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    oa.say(Event="VIEW", EventKey="https://example.com")
    found = {"x": interpreting.Interpreter("test", "wechat_oa", "menu_view", listener)}
    monkeypatch.setattr(interpreting, "registry", found)
    with parts.open(workspace) as ctx:
        service.replay(ctx, queries.page(ctx)[0].id)
    run_jobs(workspace, "inbox.interpret")
    assert [one.state for one in messages(parts, workspace)] == ["done"]


def test_two_who_answer_one_message_are_a_mistake_that_shows(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.does = lambda ctx, inbound: TextReply("me")
    twice = {name: interpreting.Interpreter(name, "wechat_oa", "text", listener) for name in "ab"}
    monkeypatch.setattr(interpreting, "registry", twice)
    oa.say(MsgType="text", Content="hi", MsgId=1)
    assert "Two parts" in (messages(parts, workspace)[0].error or "")


def test_an_interpreter_of_a_kind_there_is_not_stops_the_boot() -> None:
    with pytest.raises(Misconfigured, match="folow"):
        interpreting.interprets("wechat_oa", "folow")(lambda ctx, inbound: None)


# -- the first call, keys, accounts ------------------------------------------------------------------


def test_the_first_right_call_makes_an_account_active(oa: Caller, parts: Parts, workspace: str) -> None:
    def state() -> str:
        with parts.open(workspace) as ctx:
            return str(ctx.session.scalar(text("SELECT state FROM channel_accounts")))

    assert state() == "waiting"
    echo = oa.client.get(oa.path, query_string=oa.query(echostr="5927782489442352469"))
    assert (echo.status_code, echo.data, echo.mimetype) == (200, b"5927782489442352469", "text/plain")
    assert state() == "active"


def test_a_key_just_changed_counts_at_once(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk: Desk = oa.client.application.extensions["growth.inbox"]
    now = [0.0]
    monkeypatch.setattr(desk.accounts, "_seconds", lambda: now[0])
    assert oa.say(Event="subscribe").status_code == 200
    with parts.open(workspace) as ctx:  # another process did this
        connections.replace_key(ctx, oa.account, "token", "another-token")
    oa.token = "another-token"
    now[0] += 2
    assert oa.say(Event="SCAN", EventKey="x").status_code == 200


def test_a_replaced_key_is_believed_for_a_week_and_no_longer(
    oa: Caller, parts: Parts, workspace: str, clock: FixedClock
) -> None:
    with parts.open(workspace) as ctx:
        connections.replace_key(ctx, oa.account, "aes_key", OTHER_AES_KEY)
    desk: Desk = oa.client.application.extensions["growth.inbox"]
    assert oa.say(Event="subscribe").status_code == 200
    clock.advance(timedelta(days=7, seconds=1))
    desk.accounts.forget(oa.account)
    assert oa.say(Event="subscribe").status_code == 400


def test_a_disabled_account_takes_nothing(oa: Caller, parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        connections.disable(ctx, oa.account)
    assert oa.say(Event="subscribe").status_code == 404
    assert messages(parts, workspace) == []


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/wechat_oa/chn_00000000000000000000000000",
        "/webhooks/wechat_oa/x",
        "/webhooks/nobody/chn_00000000000000000000000000",
    ],
)
def test_nobody_is_at_other_addresses(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=b"<xml/>").status_code == 404


def test_an_account_answers_at_its_own_provider_only(oa: Caller) -> None:
    assert oa.client.post(f"/webhooks/wecom/{oa.account}", data=b"<xml/>").status_code == 404


# -- WeCom and Pay -----------------------------------------------------------------------------------


def test_wecom_is_heard(listener: Listener, parts: Parts, workspace: str, client: FlaskClient) -> None:
    caller = Caller(client, "wecom", connect_wecom(parts, workspace), receiver="wx5823bf96d3bd56c7")
    answer = caller.say(
        Event="change_external_contact", ChangeType="add_external_contact", UserID="zhang",
        ExternalUserID="wmAAA", State="abc", WelcomeCode="code",
    )  # fmt: skip
    assert (answer.status_code, answer.data) == (200, b"")
    (inbound,) = listener.heard
    assert (inbound.kind, inbound.sender) == ("contact_added", "wmAAA")


@pytest.mark.parametrize("serial", ["key", "certificate"])
def test_pay_is_heard_whichever_key_signs(
    serial: str, listener: Listener, parts: Parts, workspace: str, client: FlaskClient, clock: FixedClock
) -> None:
    from tests.factories.callbacks import PUB_KEY_ID, certificate

    caller = Caller(client, "wechat_pay", connect_pay(parts, workspace))
    body = notice("TRANSACTION.SUCCESS", PAYMENT)
    headers = pay_headers(body, clock.now(), PUB_KEY_ID if serial == "key" else certificate()[0])
    for _ in range(2):
        answer = caller.post(body, {}, headers)
        assert (answer.status_code, answer.json) == (200, {"code": "SUCCESS"})
    (inbound,) = listener.heard
    assert (inbound.kind, inbound.sender, inbound.payload.total) == ("payment", OPENID, 9900)  # type: ignore[union-attr]
    (message,) = messages(parts, workspace)
    assert message.deliveries == 2


def test_old_messages_are_forgotten_but_not_those_that_failed(
    oa: Caller,
    listener: Listener,
    parts: Parts,
    workspace: str,
    clock: FixedClock,
    run_jobs: Callable[..., int],
) -> None:
    oa.say(Event="subscribe")
    oa.post(b"<xml/>", {"signature": "wrong"})
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE inbox_messages SET state = 'failed' WHERE kind = 'follow'"))
    oa.say(Event="SCAN", EventKey="x")
    clock.advance(timedelta(days=8))
    assert run_jobs(workspace, "inbox.prune") == 1
    clock.advance(timedelta(days=90))
    assert run_jobs(workspace, "inbox.prune") == 1
    assert [one.state for one in messages(parts, workspace)] == ["failed"]


def _xml(data: bytes) -> dict[str, Any]:
    import xmltodict

    found: dict[str, Any] = xmltodict.parse(data)["xml"]
    return found


def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- written together --------------------------------------------------------------------------------


def test_callbacks_of_one_moment_are_written_with_one_commit_and_each_knows_its_own(
    oa: Caller, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty at once, some of them the same, one of those with other words."""
    commits = []
    storing = service.storing

    def counted(workspace_id: str, drafts: Any, now: Any) -> Any:
        commits.append(len(drafts))
        return storing(workspace_id, drafts, now)

    monkeypatch.setattr(service, "storing", counted)
    said = [
        document("xml", oa.message(MsgType="text", Content="a", MsgId=number % 10)) for number in range(40)
    ]
    said[39] = said[39].replace(b"[a]", b"[other]")
    callers = [Caller(oa.client.application.test_client(), "wechat_oa", oa.account) for _ in said]
    gate = threading.Barrier(20)

    def call(number: int) -> int:
        if number < 20:
            gate.wait(10)
        return callers[number].post(*oa.encrypted_body(said[number])).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(call, range(40))) == {200}
    found = messages(parts, workspace)
    assert sorted(one.deliveries for one in found) == [4] * 10
    assert sum(one.altered for one in found) >= 1
    assert sum(commits) == 40
    assert len(commits) < 40


def test_one_the_database_refuses_does_not_take_the_others_with_it(
    oa: Caller, parts: Parts, workspace: str
) -> None:
    import dataclasses

    desk: Desk = oa.client.application.extensions["growth.inbox"]
    inbound = Inbound(
        "wechat_oa", oa.account, "msg:1", "text", parts.clock.now(), "", "", TextReceived("", "")
    )
    good = service.Draft("inb_1" + workspace, oa.account, inbound, "{}", b"", b"", b"", "unknown")
    bad_inbound = dataclasses.replace(inbound, identity="msg:2", sender="\0")
    bad = dataclasses.replace(good, id="inb_2" + workspace, inbound=bad_inbound)
    from growth_engine.inbox.intake import _Waiting

    several = [_Waiting(workspace, drafts=[bad]), _Waiting(workspace, drafts=[good])]
    desk._intake._write(workspace, several)
    assert [one.identity for one in messages(parts, workspace)] == ["msg:1"]
    assert isinstance(several[0].over.get_nowait(), Exception)
    assert several[1].over.get_nowait()[0].fresh


def test_a_connection_that_was_cut_costs_no_callback(oa: Caller, parts: Parts, workspace: str) -> None:
    assert oa.say(Event="subscribe").status_code == 200
    desk: Desk = oa.client.application.extensions["growth.inbox"]
    assert desk._intake._conn is not None
    with parts.db.transaction(None) as session:  # the same role may
        process = {"pid": desk._intake._conn.info.backend_pid}
        assert session.scalar(text("SELECT pg_terminate_backend(:pid)"), process)
    assert oa.say(Event="subscribe").status_code == 200
    assert len(messages(parts, workspace)) == 2


def test_without_a_database_the_platform_is_asked_to_come_again(
    oa: Caller, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from growth_engine.inbox import intake

    assert oa.say(Event="subscribe").status_code == 200
    desk: Desk = oa.client.application.extensions["growth.inbox"]

    def refused(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("no route")

    desk._intake._disconnect()
    monkeypatch.setattr(intake.psycopg, "connect", refused)
    assert oa.say(Event="subscribe").status_code == 503
    monkeypatch.undo()
    assert oa.say(Event="subscribe").status_code == 200


# -- the thread that writes them down ------------------------------------------------------------------


def test_what_cannot_begin_leaves_nobody_waiting_and_does_not_end_the_thread(
    oa: Caller, listener: Listener, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk: Desk = oa.client.application.extensions["growth.inbox"]

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(desk, "_begin", broken)
    assert oa.say(Event="subscribe", FromUserName="a").status_code == 200
    monkeypatch.undo()
    monkeypatch.setattr(desk._intake, "_after", broken)
    began = time.monotonic()
    oa.say(Event="subscribe", FromUserName="b")
    monkeypatch.undo()
    assert oa.say(Event="subscribe", FromUserName="c").status_code == 200
    assert time.monotonic() - began < 5
    assert [one.state for one in messages(parts, workspace)] == ["done"] * 3


def test_a_request_that_stops_waiting_sees_what_was_begun_for_it(parts: Parts, workspace: str) -> None:
    """Else it would begin the same again, and the first would keep its place for ever."""
    intake = Intake(parts)
    begun: list[Future[None]] = []

    def slowly(_: list[service.Stored]) -> Future[None]:
        time.sleep(0.4)
        begun.append(Future())
        return begun[0]

    began = time.monotonic()
    assert intake.put(workspace, list, slowly, seconds=0.1) == []
    assert len(begun) == 1
    assert time.monotonic() - began < 5, "it does not wait until that is over"
    intake.close()


def test_what_is_raised_for_a_request_is_not_kept_in_memory(parts: Parts, workspace: str) -> None:
    class Forged(Exception):
        pass

    kept: list[weakref.ref[Forged]] = []

    def read() -> list[service.Draft]:
        error = Forged()
        kept.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    intake = Intake(parts)
    gc.disable()
    try:
        with pytest.raises(Forged):
            intake.put(workspace, read)
        assert kept[0]() is None
    finally:
        gc.enable()
        intake.close()


def test_a_forged_callback_is_verified_once(oa: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are, on one thread, and genuine ones wait behind them."""
    import webhooks.wechat_oa

    verify, verified = webhooks.wechat_oa.verify, []

    def counted(request: Any, account: Any) -> Any:
        verified.append(request)
        return verify(request, account)

    oa.say(Event="subscribe")
    monkeypatch.setattr(webhooks.wechat_oa, "verify", counted)
    body, query = oa.encrypted_body(document("xml", oa.message(Event="subscribe")))
    assert oa.post(body, query | {"msg_signature": "0" * 40}).status_code == 403
    assert len(verified) == 1
