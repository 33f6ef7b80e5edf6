"""The poster: one bad Event harms no other, nothing accepted is lost, every Event is one Entry."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.tx import libpq_url
from growth_engine.ledger import queries
from growth_engine.ledger.contract import EntryDraft, Event, PayloadMismatch, Posted, Received
from growth_engine.ledger.poster import Poster
from growth_engine.ledger.service import retry_parked, sweep, verify_all
from growth_engine.people import service as people
from growth_engine.plays.posting import CampaignRules
from growth_engine.plays.posting.batch import Rules
from tests.factories.campaigns import join_event, make_campaign
from tests.factories.people import make_contact


class Touchy(CampaignRules):
    """Rules that break on a registration named poison while ``broken``."""

    broken = True

    def decide(self, event: Event, seq: int) -> EntryDraft:
        if self.broken and event.person and event.person["nickname"] == "poison":
            raise RuntimeError("the rules broke")
        return super().decide(event, seq)


@pytest.fixture
def poster(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A poster with touchy rules and a short temper for locks."""
    monkeypatch.setattr(Touchy, "broken", True)
    built = Poster(
        parts.settings.database_url,
        clock=parts.clock,
        ids=parts.ids,
        rules=Rules(parts.ids, Touchy),
        mirrored=parts.ledger._teller._mirrored,
        ring=parts.bell.ring,
        lock_timeout_ms=200,
    )
    yield built
    built.close()


@pytest.fixture
def campaign(parts: Parts, workspace: str) -> str:
    return make_campaign(parts, workspace)


def entries(parts: Parts, workspace: str) -> int:
    with parts.open(workspace) as ctx:
        return int(ctx.session.scalar(text("SELECT count(*) FROM entries")) or 0)


def pending(parts: Parts, workspace: str) -> list[tuple[str, bool]]:
    with parts.open(workspace) as ctx:
        rows = ctx.session.execute(text("SELECT error, parked_at IS NOT NULL FROM pending_events"))
        return [(row[0], row[1]) for row in rows]


def test_the_same_event_again_is_answered_from_the_journal(
    parts: Parts, workspace: str, campaign: str
) -> None:
    event = join_event(parts, workspace, campaign, "ann", key="k")
    first, again = parts.ledger.submit(event), parts.ledger.submit(event)
    assert (first.seq, first.result) == (again.seq, again.result)
    assert (first.duplicate, again.duplicate) == (False, True)
    assert entries(parts, workspace) == 1


def test_the_same_key_with_another_payload_is_refused(parts: Parts, workspace: str, campaign: str) -> None:
    parts.ledger.submit(join_event(parts, workspace, campaign, "ann", key="k"))
    with pytest.raises(PayloadMismatch):
        parts.ledger.submit(join_event(parts, workspace, campaign, "bob", key="k"))


def test_equal_keys_with_different_payloads_in_one_batch_are_told_apart(
    parts: Parts, workspace: str, campaign: str
) -> None:
    events = [join_event(parts, workspace, campaign, who, key="k") for who in ("ann", "bob")]
    futures = parts.ledger.enqueue(events)
    outcomes = [future.exception() or future.result() for future in futures]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["PayloadMismatch", "Posted"]
    assert entries(parts, workspace) == 1


@pytest.mark.parametrize("known", [True, False], ids=["stored before", "new"])
def test_who_repeats_an_event_is_answered_whatever_else_comes_under_its_name(
    parts: Parts, workspace: str, campaign: str, known: bool
) -> None:
    first = join_event(parts, workspace, campaign, "anna")
    other = dataclasses.replace(first, facts={"invite_token": "somebody"})
    if known:
        parts.ledger.submit(first)
    outcomes = [
        future.exception() or future.result() for future in parts.ledger.enqueue([first, other, first])
    ]
    assert [type(one) for one in outcomes] == [Posted, PayloadMismatch, Posted]
    assert [one.duplicate for one in outcomes if isinstance(one, Posted)] == [known, True]
    assert entries(parts, workspace) == 1


def test_one_bad_event_is_kept_and_the_rest_go_on(
    parts: Parts, poster: Poster, workspace: str, campaign: str, clock: FixedClock, monkeypatch: Any
) -> None:
    events = [join_event(parts, workspace, campaign, who) for who in ("ann", "poison", "bob")]
    receipts = poster.submit_many(events)
    assert [type(receipt) for receipt in receipts] == [Posted, Received, Posted]
    assert entries(parts, workspace) == 2
    [(error, parked)] = pending(parts, workspace)
    assert "the rules broke" in error
    assert not parked

    monkeypatch.setattr(Touchy, "broken", False)
    clock.advance(timedelta(minutes=1))
    posted = poster.submit(events[1])
    assert isinstance(posted, Posted)
    assert pending(parts, workspace) == []
    assert all(report.clean for report in verify_all(parts, workspace))


def test_an_event_that_never_posts_is_parked_visibly_and_can_be_retried(
    parts: Parts, poster: Poster, workspace: str, campaign: str, clock: FixedClock, monkeypatch: Any
) -> None:
    poster.submit(join_event(parts, workspace, campaign, "poison"))
    touchy = dataclasses.replace(parts, ledger=poster)
    for _ in range(12):
        clock.advance(timedelta(hours=2))
        sweep(touchy, workspace)
    [(_, parked)] = pending(parts, workspace)
    assert parked
    [report] = verify_all(parts, workspace)
    assert [fault.check for fault in report.faults] == ["parked"]

    monkeypatch.setattr(Touchy, "broken", False)
    assert retry_parked(touchy, workspace) == 1
    sweep(touchy, workspace)
    assert pending(parts, workspace) == []
    assert entries(parts, workspace) == 1


def test_a_locked_book_means_received_and_the_sweep_posts_it(
    parts: Parts, poster: Poster, workspace: str, campaign: str, clock: FixedClock
) -> None:
    with psycopg.connect(parts.settings.database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (campaign,))
        receipt = poster.submit(join_event(parts, workspace, campaign, "ann", key="late"))
        assert isinstance(receipt, Received)
        assert entries(parts, workspace) == 0
    clock.advance(timedelta(minutes=1))
    assert sweep(parts, workspace) == 1
    assert entries(parts, workspace) == 1
    with parts.open(workspace) as ctx:
        assert queries.pending_count(ctx) == 0


def test_the_registration_of_somebody_erased_while_it_waited_is_posted_as_a_refusal(
    parts: Parts, poster: Poster, workspace: str, campaign: str, clock: FixedClock, pg_url: str
) -> None:
    known = make_contact(parts, workspace, external_id="ann")
    event = join_event(parts, workspace, campaign, "ann")
    with psycopg.connect(libpq_url(pg_url)) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (campaign,))
        assert isinstance(poster.submit(event), Received)
    with parts.open(workspace) as ctx:
        people.erase(ctx, known)
    with pytest.raises(PayloadMismatch):
        poster.submit(dataclasses.replace(event, person={"identities": [["external_id", "bob"]]}))
    sweep(parts, workspace)
    assert pending(parts, workspace) == []
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT count(*) FROM participants")) == 0
    assert all(report.clean for report in verify_all(parts, workspace))


def test_an_event_that_is_no_json_harms_nobody_else(
    parts: Parts, poster: Poster, workspace: str, campaign: str
) -> None:
    people_ = ("ann", "a lone surrogate \ud800", "bob", "cid")
    futures = poster.enqueue([join_event(parts, workspace, campaign, who) for who in people_])
    with pytest.raises(TypeError):
        futures[1].result(10)
    assert all(isinstance(futures[i].result(10), Posted) for i in (0, 2, 3))


def test_a_broken_connection_is_mended_without_a_second_entry(
    parts: Parts, workspace: str, campaign: str, owner_url: str
) -> None:
    parts.ledger.submit(join_event(parts, workspace, campaign, "ann"))
    with psycopg.connect(owner_url.replace("growth_owner", "growth_app"), autocommit=True) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'growth-engine poster' AND pid <> pg_backend_pid()"
        )
    assert isinstance(parts.ledger.submit(join_event(parts, workspace, campaign, "bob")), Posted)
    assert entries(parts, workspace) == 2


def test_an_unreachable_database_promises_nothing(parts: Parts, workspace: str, campaign: str) -> None:
    lost = Poster(
        "postgresql://nobody@127.0.0.1:1/none",
        clock=parts.clock,
        ids=parts.ids,
        rules=Rules(parts.ids),
        mirrored=lambda *_: None,
        ring=lambda *_: None,
    )
    with pytest.raises(Unavailable):
        lost.submit(join_event(parts, workspace, campaign, "ann"))
    lost.close()
    with pytest.raises(Unavailable):
        lost.submit(join_event(parts, workspace, campaign, "ann"))


def test_closing_posts_what_waits(parts: Parts, poster: Poster, workspace: str, campaign: str) -> None:
    futures = poster.enqueue([join_event(parts, workspace, campaign, f"p{i}") for i in range(1200)])
    closer = threading.Thread(target=poster.close)
    closer.start()
    assert all(isinstance(future.result(60), Posted) for future in futures)
    closer.join()


_OTHER_PROCESS = """
import sys
from growth_engine.app import build_parts
from growth_engine.settings import Settings
from tests.factories.campaigns import join_event
url, valkey, workspace, campaign, name = sys.argv[1:]
settings = Settings(database_url=url, ledger_redis_url=valkey, queue_redis_url=valkey, secret_key="s" * 32)
parts = build_parts(settings)
events = [join_event(parts, workspace, campaign, f"p{i}") for i in range(300)]
futures = [future for start in range(0, 300, 20) for future in parts.ledger.enqueue(events[start:start + 20])]
print(sum(future.result(60).accepted for future in futures))
parts.close()
"""


def test_processes_that_meet_in_one_book_keep_it_whole(parts: Parts, workspace: str, campaign: str) -> None:
    """Both register the same 300 people: each is enrolled once, the sequence has no gap."""
    arguments = [parts.settings.database_url, parts.settings.ledger_redis_url, workspace, campaign]
    command = [sys.executable, "-c", _OTHER_PROCESS, *arguments]
    running = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    accepted = [int(process.communicate(timeout=120)[0]) for process in running]
    assert sum(accepted) == 300
    assert entries(parts, workspace) == 600
    assert all(report.clean for report in verify_all(parts, workspace))


def test_two_campaigns_that_meet_the_same_new_people_make_each_person_once(
    parts: Parts, workspace: str
) -> None:
    """Two posters in two books of one workspace: identities collide, and both go on."""
    campaigns = [make_campaign(parts, workspace), make_campaign(parts, workspace)]
    posters: list[Poster] = [parts.ledger, _twin(parts)]
    work: list[Callable[[], Any]] = [
        lambda poster=poster, campaign=campaign, i=i: poster.submit(
            join_event(parts, workspace, campaign, f"p{i}")
        )
        for i in range(60)
        for poster, campaign in zip(posters, campaigns, strict=True)
    ]
    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(lambda one: one(), work))
    posters[1].close()
    assert all(isinstance(receipt, Posted) and receipt.accepted for receipt in receipts)
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT count(*) FROM contacts")) == 60
    assert all(report.clean for report in verify_all(parts, workspace))


def _twin(parts: Parts) -> Poster:
    return Poster(
        parts.settings.database_url,
        clock=parts.clock,
        ids=parts.ids,
        rules=Rules(parts.ids),
        mirrored=parts.ledger._teller._mirrored,
        ring=parts.bell.ring,
    )


def test_the_books_refuse_edits(parts: Parts, workspace: str, campaign: str, owner_url: str) -> None:
    parts.ledger.submit(join_event(parts, workspace, campaign, "ann"))
    for statement in ("UPDATE entries SET accepted = false", "DELETE FROM entries", "DELETE FROM events"):
        for url in (parts.settings.database_url, owner_url):
            with psycopg.connect(url) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement)


def test_verify_names_a_forged_entry(parts: Parts, workspace: str, campaign: str, owner_url: str) -> None:
    for who in ("ann", "bob", "cid"):
        parts.ledger.submit(join_event(parts, workspace, campaign, who))
    with psycopg.connect(owner_url) as forger:
        forger.execute("ALTER TABLE entries DISABLE TRIGGER added_never_edited")
        forger.execute("UPDATE entries SET accepted = false WHERE book_id = %s AND seq = 2", (campaign,))
        forger.execute("ALTER TABLE entries ENABLE TRIGGER added_never_edited")
    [report] = verify_all(parts, workspace)
    assert [(fault.check, fault.detail) for fault in report.faults] == [
        ("chain", "entry 2 does not match its hash")
    ]
