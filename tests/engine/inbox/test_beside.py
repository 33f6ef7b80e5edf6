"""Messages handed to another process: understood there, and here when that process is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import ResponseError
from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.inbox import beside, interpreting, queries
from growth_engine.inbox.contract import Inbound, PassiveReply, TextReply
from growth_engine.inbox.handling import Attempt
from growth_engine.inbox.reception import Desk
from growth_engine.inbox.understanding import Understanding
from growth_engine.kit.errors import Misconfigured
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
    parts.queue.set(beside.BORN_KEY, "one")
    parts.queue.set(beside.ALIVE_KEY, "1", ex=30)
    desk._beside._start()
    until(lambda: desk._beside._there, 10, "the web process believes it")
    yield
    parts.queue.delete(beside.ALIVE_KEY, beside.ASKED_KEY, beside.BORN_KEY)
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


def unheard(parts: Parts, **options: Any) -> beside.Beside:
    """The web process's end, without the thread that hears the answers."""
    alone = beside.Beside(parts, Understanding(parts, 1), **options)
    alone._there = True
    alone._thread = threading.Thread()
    parts.queue.delete(beside.BORN_KEY)
    return alone


def attempt_at(oa: Caller, parts: Parts, workspace: str) -> Attempt:
    """The first attempt at a message that is done."""
    oa.say(Event="subscribe", FromUserName="a")
    row = messages(parts, workspace)["a"]
    return Attempt(row.id, 1, queries.inbounds(row)[0])


def test_an_answer_that_is_lost_leaves_nobody_waiting_for_ever(
    parts: Parts, workspace: str, crowd: Crowd, oa: Caller, desk: Desk
) -> None:
    """Redis was emptied; the request has gone long ago."""
    seconds = [0.0]
    alone = unheard(parts, seconds=lambda: seconds[0])
    task = alone.begin(workspace, attempt_at(oa, parts, workspace), 3.0)
    assert task is not None
    parts.queue.set(beside.ALIVE_KEY, "1", ex=30)
    alone._look()
    alone._look()
    assert not task.done()
    seconds[0] = beside.OVERDUE_SECONDS + 1
    alone._look()
    assert task.result(10) is None
    assert alone._asked == {}
    parts.queue.delete(beside.ALIVE_KEY)


def test_a_redis_that_fails_is_not_asked_again_before_somebody_looked(
    parts: Parts, workspace: str, crowd: Crowd, oa: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time it hangs, nobody would be received for a second."""
    alone = unheard(parts)

    def gone(*_: Any, **__: Any) -> Any:
        raise RedisGone

    monkeypatch.setattr(alone._queue, "pipeline", gone)
    attempt = attempt_at(oa, parts, workspace)
    assert alone.begin(workspace, attempt, 3.0) is not None
    alone.flush()
    assert alone.begin(workspace, attempt, 3.0) is None


def test_what_is_owed_when_the_web_process_ends_is_begun_here(
    parts: Parts, workspace: str, crowd: Crowd, oa: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "CLOSE_SECONDS", 0.05)
    alone = unheard(parts)
    monkeypatch.setattr(alone._thread, "join", lambda: None)
    attempt = attempt_at(oa, parts, workspace)
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE inbox_messages SET state = 'received', reply = NULL"))
    task = alone.begin(workspace, attempt, 3.0)
    assert task is not None
    alone.close()
    task.result(10)
    assert messages(parts, workspace)["a"].state == "done"


@pytest.mark.parametrize("emptied", [False, True])
def test_one_that_was_killed_and_started_again_at_once_owes_what_it_had_taken(
    oa: Caller, crowd: Crowd, parts: Parts, pretended: None, emptied: bool
) -> None:
    """Its sign of life had no time to go out. An emptied Redis shows the same way."""
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(follow_all, oa, PEOPLE)
        until(lambda: parts.queue.llen(beside.ASKED_KEY) == len(PEOPLE), 5, "all are handed over")
        parts.queue.delete(beside.ASKED_KEY)  # taken
        if emptied:
            parts.queue.delete(beside.BORN_KEY)
        else:
            parts.queue.set(beside.BORN_KEY, "another")
        assert [said(one) for one in answers.result()] == PEOPLE
    assert sorted(who for batch in crowd.batches for who in batch) == PEOPLE


def test_a_promised_reply_whose_way_back_was_cut_is_given_all_the_same(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, pretended: None
) -> None:
    """Killed between the commit and the answer."""

    def writing(ctx: Ctx, inbound: Inbound) -> PassiveReply:
        ctx.session.execute(text("SELECT 1"))  # so the mark that it is done stands in its transaction
        return TextReply(inbound.sender)

    crowd.does = writing
    serving = beside.Serving(parts, Understanding(parts, 1))
    serving._say = lambda answers: None  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(follow_all, oa, PEOPLE)
        until(lambda: parts.queue.llen(beside.ASKED_KEY) == len(PEOPLE), 5, "all are handed over")
        serving._serve(beside._popped(parts.queue, beside.ASKED_KEY, 1))
        assert {one.state for one in messages(parts, workspace).values()} == {"done"}
        parts.queue.delete(beside.ALIVE_KEY)
        assert [said(one) for one in answers.result()] == PEOPLE


@pytest.mark.parametrize("lost", [False, True])
def test_a_reply_promised_to_a_request_that_has_gone_is_sent_another_way(
    oa: Caller, crowd: Crowd, parts: Parts, workspace: str, pretended: None, lost: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The clocks of the two hosts differ; or the answer was lost as well."""

    def deliver(ctx: Ctx, inbound: Inbound, reply: PassiveReply) -> None:
        """Counted in the row, so that what is rolled back does not count."""
        sent = text("UPDATE inbox_messages SET altered = altered + 1 WHERE sender = :who")
        ctx.session.execute(sent, {"who": inbound.sender})

    monkeypatch.setattr("growth_engine.inbox.reception.RESERVE_SECONDS", 4.6)
    monkeypatch.setattr(beside, "BACK_SECONDS", -60.0)
    monkeypatch.setattr(interpreting.late_registry, "get", lambda *_: deliver)
    serving = beside.Serving(parts, Understanding(parts, 1))
    if lost:
        serving._say = lambda answers: None  # type: ignore[method-assign]
    assert [said(one) for one in follow_all(oa, ["a"])] == [""]
    serving._serve(beside._popped(parts.queue, beside.ASKED_KEY, 1))
    parts.queue.delete(beside.ALIVE_KEY)
    until(lambda: messages(parts, workspace)["a"].altered, 10, "it is sent")
    found = messages(parts, workspace)["a"]
    assert (found.state, found.altered, found.reply) == ("done", 1, None)


def test_what_the_other_process_cannot_even_look_at_is_understood_here_at_once(
    oa: Caller, crowd: Crowd, parts: Parts, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection to the database was cut, say."""

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(queries, "readable", broken)
    with serving(parts, desk):
        parts.queue.rpush(beside.ASKED_KEY, b"of another version")  # beside the good ones
        assert [said(one) for one in follow_all(oa, PEOPLE)] == PEOPLE


def test_what_it_cannot_read_takes_no_other_with_it(
    oa: Caller, crowd: Crowd, parts: Parts, desk: Desk, pretended: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk._here, "begin", None)
    other = beside.Serving(parts, Understanding(parts, 1))
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(follow_all, oa, PEOPLE)
        until(lambda: parts.queue.llen(beside.ASKED_KEY) == len(PEOPLE), 5, "all are handed over")
        asked = beside._popped(parts.queue, beside.ASKED_KEY, 1)
        parts.queue.rpush(desk._beside._mine, b'"of another version"')
        other._serve([b"[]", b"nonsense", *asked])
        assert [said(one) for one in answers.result()] == PEOPLE


def test_told_to_stop_amid_a_batch_it_answers_before_it_says_that_it_goes(
    oa: Caller, crowd: Crowd, parts: Parts, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        with serving(parts, desk):
            answers = pool.submit(follow_all, oa, ["a"])
            until(lambda: len(crowd.batches) == 1, 5, "it has begun")
            threading.Timer(1.2, crowd.gate.set).start()
        assert [said(one) for one in answers.result()] == ["a"]
    assert crowd.batches == [["a"]]


def test_it_gives_no_sign_of_life_while_nothing_moves(
    oa: Caller, crowd: Crowd, parts: Parts, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "STUCK_SECONDS", 0.8)
    crowd.gate.clear()
    with ThreadPoolExecutor(1) as pool, serving(parts, desk):
        answers = pool.submit(follow_all, oa, ["a"])
        until(lambda: not desk._beside._there, 8, "nobody counts on it")
        crowd.gate.set()
        answers.result()
        until(lambda: desk._beside._there, 8, "it goes on")


def test_a_redis_too_old_to_wait_with_is_refused_in_one_line(parts: Parts) -> None:
    beside.require_server(parts.queue)

    class Old:
        def lmpop(self, *_: Any, **__: Any) -> None:
            raise ResponseError("unknown command 'LMPOP', with args beginning with: '1'")

    with pytest.raises(Misconfigured, match="QUEUE_REDIS_URL"):
        beside.require_server(Old())  # type: ignore[arg-type]


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
