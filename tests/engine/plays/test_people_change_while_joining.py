"""People are merged, erased or blocked at the very moment a registration of theirs is being decided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.ledger.contract import EntryDraft, Event, Posted
from growth_engine.ledger.poster import Poster
from growth_engine.ledger.service import verify_all
from growth_engine.people import service as people
from growth_engine.plays import participation
from growth_engine.plays.posting import CampaignRules
from growth_engine.plays.posting.batch import Rules
from tests.factories.campaigns import join_event, make_campaign
from tests.factories.people import make_contact


class Gate:
    """Where a decision stops until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def poster(parts: Parts, gate: Gate) -> Iterator[Poster]:
    """Another process's poster, which stops before it decides."""

    class Slow(CampaignRules):
        def decide(self, event: Event, seq: int) -> EntryDraft:
            gate.reached.set()
            assert gate.open.wait(20)
            return super().decide(event, seq)

    built = Poster(
        parts.settings.database_url,
        clock=parts.clock,
        ids=parts.ids,
        rules=Rules(parts.ids, Slow),
        mirrored=parts.ledger._teller._mirrored,
        ring=parts.bell.ring,
    )
    yield built
    gate.open.set()
    built.close()


def meanwhile(poster: Poster, gate: Gate, event: Event, change: Callable[[], Any]) -> Posted:
    """Make the change while the Event is being decided."""
    with ThreadPoolExecutor(2) as pool:
        joining: Future[Any] = pool.submit(poster.submit, event)
        assert gate.reached.wait(20)
        changing = pool.submit(change)
        wait([changing], timeout=0.5)
        gate.open.set()
        changing.result(20)
        posted: Posted = joining.result(20)
    return posted


def column(parts: Parts, workspace: str, sql: str) -> list[Any]:
    with parts.open(workspace) as ctx:
        return list(ctx.session.scalars(text(sql)))


def test_a_person_merged_while_joining_takes_part_as_the_one_who_is_kept(
    parts: Parts, workspace: str, poster: Poster, gate: Gate
) -> None:
    campaign = make_campaign(parts, workspace)
    kept = make_contact(parts, workspace, external_id="old")
    merged = make_contact(parts, workspace, external_id="new")

    def merge() -> None:
        with parts.open(workspace) as ctx:
            people.merge(ctx, kept, merged)

    meanwhile(poster, gate, join_event(parts, workspace, campaign, "new"), merge)
    assert column(parts, workspace, "SELECT contact_id FROM participants") == [kept]
    again = parts.ledger.submit(join_event(parts, workspace, campaign, "old"))
    assert [reason.code for reason in again.reasons] == ["already_joined"]


def test_what_a_registration_adds_to_a_person_erased_meanwhile_is_erased_too(
    parts: Parts, workspace: str, poster: Poster, gate: Gate
) -> None:
    campaign = make_campaign(parts, workspace)
    known = make_contact(parts, workspace, external_id="ann")
    event = join_event(parts, workspace, campaign, "ann", device="a phone")
    assert event.person is not None
    event.person["identities"].append(["phone", "+8613800138000"])

    def erase() -> None:
        with parts.open(workspace) as ctx:
            people.erase(ctx, known)

    meanwhile(poster, gate, event, erase)
    assert column(parts, workspace, "SELECT value FROM contact_identities") == []
    assert column(parts, workspace, "SELECT device FROM participants") == [None]


def test_somebody_blocked_while_joining_is_void_there_too(
    parts: Parts, workspace: str, poster: Poster, gate: Gate
) -> None:
    campaign = make_campaign(parts, workspace)
    known = make_contact(parts, workspace, external_id="ann")

    def block() -> None:
        with parts.open(workspace) as ctx:
            people.block(ctx, known, "spam")
        participation.block(parts, workspace, known, key="k")

    meanwhile(poster, gate, join_event(parts, workspace, campaign, "ann"), block)
    assert column(parts, workspace, "SELECT state FROM participants") == ["blocked"]


def test_merging_into_a_blocked_person_voids_what_the_other_did(
    parts: Parts, workspace: str, run_jobs: Callable[..., int]
) -> None:
    campaign = make_campaign(parts, workspace)
    kept = make_contact(parts, workspace, external_id="old")
    merged = make_contact(parts, workspace, external_id="new")
    parts.ledger.submit(join_event(parts, workspace, campaign, "new"))
    with parts.open(workspace) as ctx:
        people.block(ctx, kept, "spam")
    run_jobs(workspace, "outbox.drain")
    with parts.open(workspace) as ctx:
        people.merge(ctx, kept, merged)
    run_jobs(workspace, "outbox.drain")
    assert column(parts, workspace, "SELECT state FROM participants") == ["blocked"]


def test_lifting_a_block_does_not_bring_back_the_second_participation_of_a_merge(
    parts: Parts, workspace: str, run_jobs: Callable[..., int]
) -> None:
    campaign = make_campaign(parts, workspace, {"new_only": "everyone"})
    ann = parts.ledger.submit(join_event(parts, workspace, campaign, "ann"))
    token = ann.answer["invite_token"]
    kept = parts.ledger.submit(join_event(parts, workspace, campaign, "one", token)).answer["contact_id"]
    merged = parts.ledger.submit(join_event(parts, workspace, campaign, "two", token)).answer["contact_id"]
    with parts.open(workspace) as ctx:
        people.merge(ctx, kept, merged)
    run_jobs(workspace, "outbox.drain")
    with parts.open(workspace) as ctx:
        people.block(ctx, kept, "spam")
    run_jobs(workspace, "outbox.drain")
    with parts.open(workspace) as ctx:
        people.unblock(ctx, kept)
    run_jobs(workspace, "outbox.drain")
    states = column(parts, workspace, "SELECT state FROM participants ORDER BY number")
    assert states == ["active", "active", "blocked"]
    assert column(parts, workspace, "SELECT valid_invites FROM participants WHERE number = 1") == [1]
    assert all(report.clean for report in verify_all(parts, workspace))
