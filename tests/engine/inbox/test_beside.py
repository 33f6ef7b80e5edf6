"""Messages handed to another process: understood there, and here when that process is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as RedisGone

from growth_engine.context import Parts
from growth_engine.inbox import beside, queries
from growth_engine.inbox.handling import Attempt
from growth_engine.inbox.reception import Desk
from growth_engine.inbox.understanding import Understanding
from tests.engine.inbox.test_together import Crowd, crowd, follow_all, messages, said, serving
from tests.factories.callbacks import Caller, connect_oa
from tests.live import until

__all__ = ["crowd"]

PEOPLE = [f"p{number}" for number in range(6)]


@pytest.fixture
def oa(parts: Parts, workspace: str, client: FlaskClient) -> Caller:
    return Caller(client, "wechat_oa", connect_oa(parts, workspace))


@pytest.fixture
def desk(client: FlaskClient) -> Desk:
    found: Desk = client.application.extensions["growth.inbox"]
    return found


@pytest.fixture
def pretended(parts: Parts, desk: Desk) -> Any:
    """A process that gives signs of life and does nothing."""
    parts.queue.set(beside.ALIVE_KEY, "1", ex=30)
    desk._beside._start()
    until(lambda: desk._beside._there, 10, "the web process believes it")
    yield
    parts.queue.delete(beside.ALIVE_KEY, beside.ASKED_KEY)
    until(lambda: not desk._beside._there, 10, "the web process sees that it is gone")


def test_the_web_process_understands_nothing_itself_while_another_does(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk._here, "begin", None)
    with serving(parts, desk):
        assert [said(one) for one in follow_all(oa, PEOPLE)] == PEOPLE
    assert {one.state for one in messages(parts, workspace).values()} == {"done"}


def test_what_a_dead_process_owed_is_understood_here_and_once(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, desk: Desk, pretended: None
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(follow_all, oa, PEOPLE)
        until(lambda: parts.queue.llen(beside.ASKED_KEY) == len(PEOPLE), 5, "all are handed over")
        assert crowd.batches == []
        parts.queue.delete(beside.ALIVE_KEY)
        assert [said(one) for one in answers.result()] == PEOPLE
    assert sorted(who for batch in crowd.batches for who in batch) == PEOPLE
    # A process that starts now finds what was asked of the dead one, and that it is done.
    with serving(parts, desk):
        until(lambda: parts.queue.llen(beside.ASKED_KEY) == 0, 5, "it was looked at")
    assert sorted(who for batch in crowd.batches for who in batch) == PEOPLE
    assert {one.state for one in messages(parts, workspace).values()} == {"done"}


def test_what_cannot_be_handed_over_is_understood_here(
    oa: Caller, crowd: Crowd, parts: Parts, desk: Desk, pretended: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise RedisGone

    monkeypatch.setattr(desk._beside._queue, "pipeline", gone)
    answer = oa.say(Event="subscribe", FromUserName="a")
    monkeypatch.undo()
    assert said(answer.data) == "a"


def test_an_answer_that_is_lost_leaves_nobody_waiting_for_ever(
    parts: Parts, workspace: str, crowd: Crowd, oa: Caller, desk: Desk
) -> None:
    """Redis was emptied; the request has gone long ago."""
    seconds = [0.0]
    alone = beside.Beside(parts, Understanding(parts, 1), seconds=lambda: seconds[0])
    alone._there = True
    alone._thread = threading.Thread()
    oa.say(Event="subscribe", FromUserName="a")
    row = messages(parts, workspace)["a"]
    attempt = Attempt(row.id, 1, queries.inbounds(row)[0])
    task = alone.begin(workspace, attempt, 3.0)
    assert task is not None
    alone._forget()
    assert not task.done()
    seconds[0] = beside.FORGET_SECONDS + 1
    alone._forget()
    assert task.result() is None
    assert alone._asked == {}


def test_a_reply_is_promised_only_while_the_way_back_is_short_enough(parts: Parts) -> None:
    now = [100.0]
    asker = beside._Deadline(101.0, lambda: now[0])
    assert asker.promise()
    asker.release()
    now[0] = 101.0
    assert not asker.promise()


def test_redis_carries_ids_and_no_words(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, pretended: None
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(follow_all, oa, ["oSomebody"])
        until(lambda: parts.queue.llen(beside.ASKED_KEY) == 1, 5, "it is handed over")
        (asked,) = parts.queue.lrange(beside.ASKED_KEY, 0, -1)  # type: ignore[misc]
        parts.queue.delete(beside.ALIVE_KEY)
        answers.result()
    assert b"oSomebody" not in asked
    assert orjson.loads(asked)[:2] == [workspace, messages(parts, workspace)["oSomebody"].id]
