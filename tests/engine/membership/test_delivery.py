"""Grants are delivered exactly once, whoever delivers and whatever breaks; a bad one harms no other."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.membership import delivery, jobs, journal, queries, service
from growth_engine.people import queries as people
from tests.factories.people import make_contact, make_grants, make_plan
from tests.factories.workspaces import make_workspace


def scalar(parts: Parts, workspace: str, sql: str, **params: Any) -> Any:
    with parts.open(workspace) as ctx:
        return ctx.session.scalar(text(sql), params)


def days_left(parts: Parts, workspace: str, contact_id: str) -> int:
    with parts.open(workspace) as ctx:
        standing = queries.standing_of(ctx, contact_id)
        return int(standing[0]["days_left"]) if standing else 0


def test_a_waiting_grant_becomes_days_a_message_and_news(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        (grant_id,) = make_grants(ctx, plan, [contact])
        assert queries.standing_of(ctx, contact)[0]["days_coming"] == 30
    assert jobs.drain(parts, workspace) == 1
    assert jobs.drain(parts, workspace) == 0
    with parts.open(workspace) as ctx:
        (standing,) = queries.standing_of(ctx, contact)
        assert (standing["state"], standing["days_left"], standing["days_coming"]) == ("active", 30, 0)
        assert standing["starts_on"] == date(2026, 6, 1)
        assert standing["ends_on"] == date(2026, 6, 30)
        assert standing["plan"]["slug"] == "default"
        assert [(g["id"], g["days"], g["used"], g["side"]) for g in standing["grants"]] == [
            (grant_id, 30, 1, "friend")
        ]
        (message,) = people.messages_of(ctx, contact)
        assert message.template == "days_granted"
        assert message.params == {"days": 30, "plan": "Membership", "ends_on": "2026-06-30"}
        outbox = ctx.session.execute(text("SELECT payload FROM outbox WHERE name = 'MembershipGranted'"))
        assert [row[0]["grant_id"] for row in outbox] == [grant_id]


def test_the_day_of_the_grant_is_the_day_in_the_workspaces_zone(parts: Parts, clock: FixedClock) -> None:
    # 1 June 02:00 UTC is still 31 May in Los Angeles.
    west = make_workspace(parts, timezone="America/Los_Angeles")
    plan, contact = make_plan(parts, west), make_contact(parts, west)
    with parts.open(west) as ctx:
        make_grants(ctx, plan, [contact])
    jobs.drain(parts, west)
    with parts.open(west) as ctx:
        assert queries.standing_of(ctx, contact)[0]["starts_on"] == date(2026, 5, 31)
    clock.advance(timedelta(hours=6))
    assert days_left(parts, west, contact) == 29


def test_two_workers_at_once_deliver_every_grant_once(parts: Parts, workspace: str) -> None:
    plan = make_plan(parts, workspace)
    contacts = [make_contact(parts, workspace) for _ in range(40)]
    with parts.open(workspace) as ctx:
        for _ in range(40):
            make_grants(ctx, plan, contacts, days=1)
    start, done, errors = threading.Barrier(4), [], []

    def work() -> None:
        start.wait()
        try:
            while rows := jobs.drain(parts, workspace):
                done.append(rows)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while jobs.drain(parts, workspace):
        pass  # what another worker held locked while this one looked
    assert not errors
    assert {days_left(parts, workspace, contact) for contact in contacts} == {40}
    assert scalar(parts, workspace, "SELECT count(*) FROM membership_moves") == 1600
    assert scalar(parts, workspace, "SELECT count(*) FROM messages") == 1600
    assert scalar(parts, workspace, "SELECT count(*) FROM outbox WHERE name = 'MembershipGranted'") == 1600
    assert scalar(parts, workspace, "SELECT count(*) FROM grants WHERE state <> 'granted'") == 0
    ends = scalar(parts, workspace, "SELECT array_agg(DISTINCT ends_on) FROM memberships")
    assert ends == [date(2026, 6, 1) + timedelta(days=39)]


@pytest.mark.parametrize("step", ["append", "refresh", "tell"])
def test_a_connection_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    parts: Parts, workspace: str, owner_url: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        make_grants(ctx, plan, [contact] * 3)
    whole = getattr(journal, step)

    def die_after(ctx: Any, *args: Any) -> Any:
        whole(ctx, *args)
        pid = ctx.session.scalar(text("SELECT pg_backend_pid()"))
        with parts.open(workspace) as other:
            other.session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        time.sleep(0.05)
        return whole(ctx, *args)

    with monkeypatch.context() as patch:
        patch.setattr(journal, step, die_after)
        with pytest.raises(OperationalError):
            jobs.drain(parts, workspace)
    assert days_left(parts, workspace, contact) == 0
    assert jobs.drain(parts, workspace) == 3
    assert days_left(parts, workspace, contact) == 90
    assert scalar(parts, workspace, "SELECT max(attempts) FROM grants") == 0


def test_a_grant_whose_days_were_written_before_is_only_marked(
    parts: Parts, workspace: str, owner_url: str
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        make_grants(ctx, plan, [contact])
    jobs.drain(parts, workspace)
    with parts.open(workspace) as ctx:
        ctx.session.execute(text("UPDATE grants SET state = 'pending'"))
    assert jobs.drain(parts, workspace) == 1
    assert days_left(parts, workspace, contact) == 30
    assert scalar(parts, workspace, "SELECT count(*) FROM outbox WHERE name = 'MembershipGranted'") == 1


def test_one_bad_grant_stops_no_other_waits_longer_each_time_and_gets_stuck_visibly(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    plan = make_plan(parts, workspace)
    contacts = [make_contact(parts, workspace) for _ in range(9)]
    unlucky = make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        make_grants(ctx, plan, contacts)
        (bad,) = make_grants(ctx, plan, [unlucky], days=2_000_000_000)
    waits = []
    for _ in range(delivery.ATTEMPTS):
        jobs.drain(parts, workspace)
        assert jobs.drain(parts, workspace) == 0
        due = scalar(parts, workspace, "SELECT next_at FROM grants WHERE id = :id", id=bad)
        waits.append((due - clock.now()).total_seconds())
        clock.set(due)
    assert waits == [30, 60, 120, 240, 480, 960]
    clock.advance(timedelta(days=1))
    assert jobs.drain(parts, workspace) == 0
    with parts.open(workspace) as ctx:
        (stuck,) = queries.stuck_grants(ctx)
        assert (stuck.id, stuck.attempts) == (bad, delivery.ATTEMPTS)
        assert stuck.error == "TooManyDays: That would be more days than the calendar has."
        assert all(queries.standing_of(ctx, contact)[0]["days_left"] == 29 for contact in contacts)
        assert queries.standing_of(ctx, unlucky)[0]["state"] == "none"


def test_a_stuck_grant_can_be_tried_again_once_its_cause_is_gone(
    parts: Parts, workspace: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        (grant_id,) = make_grants(ctx, plan, [contact], days=7)
        ctx.session.execute(text("UPDATE grants SET state = 'stuck', attempts = 6, error = 'x'"))
    with parts.open(workspace) as ctx:
        assert service.retry_stuck(ctx, []) == 0
        assert service.retry_stuck(ctx, [grant_id]) == 1
        assert service.retry_stuck(ctx) == 0
    assert jobs.drain(parts, workspace) == 1
    assert days_left(parts, workspace, contact) == 7


def test_grants_to_somebody_merged_meanwhile_reach_the_kept_person(parts: Parts, workspace: str) -> None:
    plan = make_plan(parts, workspace)
    kept, merged = make_contact(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        make_grants(ctx, plan, [merged])
        ctx.session.execute(
            text("UPDATE contacts SET merged_into = :kept WHERE id = :id"), {"kept": kept, "id": merged}
        )
    jobs.drain(parts, workspace)
    assert days_left(parts, workspace, kept) == days_left(parts, workspace, merged) == 30


def test_another_workspace_neither_sees_nor_delivers(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    other = make_workspace(parts)
    with parts.open(workspace) as ctx:
        (grant_id,) = make_grants(ctx, plan, [contact])
    assert jobs.drain(parts, other) == 0
    assert jobs.drain(parts, workspace) == 1
    with parts.open(other) as ctx:
        with pytest.raises(people.UnknownContact):
            queries.standing_of(ctx, contact)
        with pytest.raises(queries.UnknownGrant):
            service.reverse_grant(ctx, grant_id, reason="theirs")
        with pytest.raises(queries.UnknownPlan):
            queries.plan(ctx, plan)
        assert queries.moves_of(ctx, [contact]) == {}


def test_delivering_five_hundred_grants_takes_as_many_statements_as_delivering_one(
    parts: Parts, workspace: str, statements: list[str]
) -> None:
    plan = make_plan(parts, workspace)
    with parts.open(workspace) as ctx:
        contacts = [ctx.new_id("con") for _ in range(501)]
        ctx.session.execute(
            text(
                "INSERT INTO contacts (id, workspace_id, nickname, source, first_seen_at)"
                " SELECT id, :workspace_id, '', 'test', now() FROM unnest(CAST(:ids AS text[])) AS id"
            ),
            {"ids": contacts, "workspace_id": workspace},
        )
    counts = []
    for some in (contacts[:1], contacts[1:]):
        with parts.open(workspace) as ctx:
            make_grants(ctx, plan, some)
        statements.clear()
        assert jobs.drain(parts, workspace) == len(some)
        counts.append(len(statements))
    assert counts[0] == counts[1] < 20
