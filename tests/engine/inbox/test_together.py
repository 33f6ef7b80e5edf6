"""Callbacks of one moment are understood together, and what is wrong with one is wrong with one only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.inbox import interpreting, queries, service
from growth_engine.inbox.beside import Serving
from growth_engine.inbox.contract import Inbound, TextReply
from growth_engine.inbox.interpreting import ByThemselves, Understood
from growth_engine.inbox.models import InboxMessage
from growth_engine.inbox.reception import Desk
from growth_engine.inbox.understanding import Understanding
from growth_engine.kit import discovery
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import GrowthError
from tests.factories.callbacks import Caller, connect_oa, decrypt
from tests.factories.workspaces import make_workspace
from tests.live import until


class Crowd:
    """Stands in for an interpreter that understands many at once; notes each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.does: Callable[[Ctx, Inbound], Understood] = lambda ctx, inbound: TextReply(inbound.sender)

    def __call__(self, ctx: Ctx, several: Sequence[Inbound]) -> list[Understood]:
        self.batches.append([one.sender for one in several])
        self.gate.wait(10)
        return [self.does(ctx, one) for one in several]


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    one = Crowd()
    assert len(interpreting.registry), "the product's own are found first, or they would land in the stand-in"
    monkeypatch.setattr(interpreting, "registry", discovery.Registry("interpreter", lambda: None))

    @interpreting.interprets_together("wechat_oa", "follow", "scan")
    def come(ctx: Ctx, several: Sequence[Inbound]) -> list[Understood]:
        return one(ctx, several)

    return one


@pytest.fixture(params=["here", "beside"])
def oa(request: pytest.FixtureRequest, parts: Parts, workspace: str, client: FlaskClient) -> Iterator[Caller]:
    """An account whose callbacks are understood by the web process, or by another one."""
    caller = Caller(client, "wechat_oa", connect_oa(parts, workspace))
    if request.param == "here":
        yield caller
    else:
        with serving(parts, client.application.extensions["growth.inbox"]):
            yield caller


@contextmanager
def serving(parts: Parts, desk: Desk) -> Iterator[Understanding]:
    """What ``growth-engine callbacks`` runs, until the end of the block."""
    stop, here = threading.Event(), Understanding(parts, 4)
    thread = threading.Thread(target=Serving(parts, here).run, args=(stop,))
    thread.start()
    desk._beside._start()
    until(lambda: desk._beside._there, 10, "the web process sees it")
    try:
        yield here
    finally:
        stop.set()
        thread.join()
        until(lambda: not desk._beside._there, 10, "the web process sees that it is gone")


def messages(parts: Parts, workspace: str) -> dict[str, InboxMessage]:
    with parts.open(workspace) as ctx:
        return {one.sender: one for one in queries.page(ctx, limit=99)}


def follow_all(oa: Caller, senders: Sequence[str]) -> list[bytes]:
    """Everybody at once; what each was answered."""
    app = oa.client.application

    def follow(sender: str) -> bytes:
        caller = Caller(app.test_client(), "wechat_oa", oa.account)
        answer = caller.say(Event="subscribe", FromUserName=sender)
        assert answer.status_code == 200
        return bytes(answer.data)

    with ThreadPoolExecutor(len(senders)) as pool:
        return list(pool.map(follow, senders))


def said(answer: bytes) -> str:
    import xmltodict

    if answer == b"success":
        return ""
    envelope = xmltodict.parse(answer)["xml"]
    return str(xmltodict.parse(decrypt(envelope["Encrypt"])[0])["xml"]["Content"])


def stuck(oa: Caller, crowd: Crowd) -> ThreadPoolExecutor:
    """The first message holds everything up, so that the others gather."""
    crowd.gate.clear()
    pool = ThreadPoolExecutor(1)
    pool.submit(follow_all, oa, ["first"])
    while not crowd.batches:
        threading.Event().wait(0.01)
    return pool


def test_what_gathers_is_understood_at_once_and_each_gets_their_own_reply(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str
) -> None:
    people = [f"p{number}" for number in range(8)]
    with stuck(oa, crowd):
        threading.Timer(0.7, crowd.gate.set).start()
        assert [said(one) for one in follow_all(oa, people)] == people
    assert sum(len(batch) for batch in crowd.batches) == 9
    assert max(len(batch) for batch in crowd.batches) > 1
    assert {one.state for one in messages(parts, workspace).values()} == {"done"}


def test_one_that_crashes_takes_no_other_with_it(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str
) -> None:
    def poisoned(ctx: Ctx, inbound: Inbound) -> Understood:
        ctx.session.execute(
            text("UPDATE inbox_messages SET altered = altered + 1 WHERE sender = :who"),
            {"who": inbound.sender},
        )
        if inbound.sender == "poison":
            raise ZeroDivisionError("oops")
        return TextReply(inbound.sender)

    crowd.does = poisoned
    people = ["a", "poison", "b", "c"]
    with stuck(oa, crowd):
        threading.Timer(0.7, crowd.gate.set).start()
        answers = [said(one) for one in follow_all(oa, people)]
    assert answers == ["a", "", "b", "c"]
    found = messages(parts, workspace)
    assert {who: one.state for who, one in found.items()} == {
        "first": "done", "a": "done", "b": "done", "c": "done", "poison": "received",
    }  # fmt: skip
    assert found["poison"].error == "ZeroDivisionError: oops"
    # What the batch had done of each was undone before they were tried alone.
    assert {who: one.altered for who, one in found.items()} == {
        "first": 1, "a": 1, "b": 1, "c": 1, "poison": 0,
    }  # fmt: skip


def test_one_that_is_returned_as_failed_is_tried_again_later_and_one_by_itself_at_once(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, clock: FixedClock, run_jobs: Callable[..., int]
) -> None:
    tried: list[str] = []

    def picky(ctx: Ctx, inbound: Inbound) -> Understood:
        tried.append(inbound.sender)
        if inbound.sender == "later" and tried.count("later") == 1:
            return GrowthError("not yet")
        if inbound.sender == "alone" and len(crowd.batches[-1]) > 1:
            return ByThemselves()
        return TextReply(inbound.sender)

    crowd.does = picky
    with stuck(oa, crowd):
        threading.Timer(0.7, crowd.gate.set).start()
        answers = [said(one) for one in follow_all(oa, ["a", "later", "alone"])]
    assert answers == ["a", "", "alone"]
    assert messages(parts, workspace)["later"].state == "received"
    clock.advance(timedelta(minutes=1))
    assert run_jobs(workspace, "inbox.interpret") == 1
    assert {one.state for one in messages(parts, workspace).values()} == {"done"}


def test_two_messages_of_one_person_never_meet_in_a_batch(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str
) -> None:
    with stuck(oa, crowd):
        threading.Timer(0.7, crowd.gate.set).start()
        app = oa.client.application
        callers = [Caller(app.test_client(), "wechat_oa", oa.account) for _ in range(6)]

        def scan(number: int) -> int:
            who = "twice" if number < 4 else f"other{number}"
            return callers[number].say(Event="SCAN", EventKey=f"s{number}", FromUserName=who).status_code

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(scan, range(6))) == {200}
    assert all(len(batch) == len(set(batch)) for batch in crowd.batches)
    assert sum(batch.count("twice") for batch in crowd.batches) == 4


def test_workspaces_do_not_meet_in_a_batch(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, client: FlaskClient
) -> None:
    other_workspace = make_workspace(parts)
    other = Caller(client, "wechat_oa", connect_oa(parts, other_workspace))
    where: list[str] = []

    def note(ctx: Ctx, inbound: Inbound) -> Understood:
        where.append(f"{ctx.workspace_id} {inbound.account}")
        return None

    crowd.does = note
    with stuck(oa, crowd), ThreadPoolExecutor(2) as pool:
        threading.Timer(0.7, crowd.gate.set).start()
        list(pool.map(lambda one: follow_all(one, ["x", "y", "z"]), (oa, other)))
    assert set(where) == {f"{workspace} {oa.account}", f"{other_workspace} {other.account}"}
    assert len(where) == 7


def test_an_attempt_of_a_batch_that_outlived_its_lease_is_rolled_back_alone(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str
) -> None:
    def overtaken(ctx: Ctx, inbound: Inbound) -> Understood:
        ctx.session.execute(text("SELECT 1"))  # it writes: so the mark stands in its transaction
        if inbound.sender == "slow":
            with parts.open(workspace) as other:
                other.session.execute(text("UPDATE inbox_messages SET attempts = 2 WHERE sender = 'slow'"))
        return TextReply(inbound.sender)

    crowd.does = overtaken
    with stuck(oa, crowd):
        threading.Timer(0.7, crowd.gate.set).start()
        answers = [said(one) for one in follow_all(oa, ["a", "slow", "b"])]
    assert answers == ["a", "", "b"]
    found = messages(parts, workspace)
    assert (found["slow"].state, found["a"].state, found["b"].state) == ("received", "done", "done")


def test_what_a_batch_takes_too_long_for_is_sent_another_way(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[str] = []
    monkeypatch.setattr("growth_engine.inbox.reception.RESERVE_SECONDS", 4.6)
    monkeypatch.setattr(
        interpreting.late_registry,
        "get",
        lambda provider, default=None: lambda ctx, inbound, reply: late.append(inbound.sender),
    )
    with stuck(oa, crowd):
        assert [said(one) for one in follow_all(oa, ["a", "b"])] == ["", ""]
        crowd.gate.set()
    while len(late) < 3:
        threading.Event().wait(0.02)
    assert sorted(late) == ["a", "b", "first"]


def test_the_job_understands_together_what_requests_left_and_keeps_the_order_of_each_sender(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, clock: FixedClock, run_jobs: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for attempt in ("_begin", "_interpret"):
        monkeypatch.setattr(Desk, attempt, lambda *_: None)
    heard: list[tuple[str, str]] = []

    def note(ctx: Ctx, inbound: Inbound) -> Understood:
        heard.append((inbound.sender, inbound.payload.scene))  # type: ignore[union-attr]
        return None

    crowd.does = note
    for number, who in enumerate("aabacb"):
        clock.advance(timedelta(milliseconds=10))
        oa.say(Event="SCAN", EventKey=str(number), FromUserName=who)
    clock.advance(service.LEASE + timedelta(seconds=1))
    assert run_jobs(workspace, "inbox.interpret") == 6
    assert crowd.batches == [["a", "b", "c"], ["a", "b"], ["a"]]
    assert [scene for who, scene in heard if who == "a"] == ["0", "1", "3"]
    assert {one.state for one in messages(parts, workspace).values()} == {"done"}
