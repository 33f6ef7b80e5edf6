"""Days by hand, pauses, taking back, notices, and what a merge does to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid
from growth_engine.membership import jobs, queries, service
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from tests.factories.people import make_contact, make_grants, make_plan

Run = Callable[..., int]
DAY = timedelta(days=1)


def standing(parts: Parts, workspace: str, contact_id: str) -> tuple[str, int]:
    with parts.open(workspace) as ctx:
        (found,) = queries.standing_of(ctx, contact_id)
        return found["state"], found["days_left"]


def cached(parts: Parts, workspace: str, contact_id: str) -> tuple[str, date | None]:
    with parts.open(workspace) as ctx:
        row = ctx.session.execute(
            text("SELECT state, ends_on FROM memberships WHERE contact_id = :id"), {"id": contact_id}
        ).one()
        return row[0], row[1]


def test_the_default_plan_is_made_once(parts: Parts, workspace: str) -> None:
    assert make_plan(parts, workspace) == make_plan(parts, workspace)
    with parts.open(workspace) as ctx:
        assert [plan.slug for plan in queries.plans(ctx)] == ["default"]


def test_plans_are_checked(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        service.create_plan(ctx, slug="gold", name=" Gold\u202e ")
        assert queries.plan_by_slug(ctx, "gold").name == "Gold"  # type: ignore[union-attr]
        with pytest.raises(service.PlanExists):
            service.create_plan(ctx, slug="gold", name="Gold")
        with pytest.raises(Invalid) as caught:
            service.create_plan(ctx, slug="No!", name="\u200b", notice_days=99)
        assert sorted(caught.value.extra["errors"]) == ["name", "notice_days", "slug"]


def test_days_given_by_hand_count_and_the_same_key_counts_once(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        first = service.grant(ctx, contact, plan, 10, reason="sorry\nfor the wait", key="ticket-7")
        assert service.grant(ctx, contact, plan, 10, reason="again", key="ticket-7") == first
        with pytest.raises(Invalid):
            service.grant(ctx, contact, plan, 0, reason="")
    assert standing(parts, workspace, contact) == ("active", 10)
    with parts.open(workspace) as ctx:
        (move,) = queries.history_of(ctx, contact)
        assert (move["reason"], move["actor"], move["grant_id"]) == (
            "sorry for the wait",
            "system:system",
            first,
        )
        assert [m.template for m in people.messages_of(ctx, contact)] == ["days_granted"]


def test_a_pause_holds_the_coming_days_until_it_is_over(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.grant(ctx, contact, plan, 10, reason="")
        assert service.pause(ctx, contact, plan, reason="holiday").state == "paused"
        assert service.pause(ctx, contact, plan).days_left == 9
    assert cached(parts, workspace, contact) == ("paused", None)
    clock.advance(20 * DAY)
    assert standing(parts, workspace, contact) == ("paused", 9)
    with parts.open(workspace) as ctx:
        assert service.resume(ctx, contact, plan).days_left == 9
        service.resume(ctx, contact, plan)
        assert [move["kind"] for move in queries.history_of(ctx, contact)] == ["resume", "pause", "grant"]
    assert cached(parts, workspace, contact) == ("active", date(2026, 6, 29))


def test_days_that_arrive_during_a_pause_say_so(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.grant(ctx, contact, plan, 10, reason="")
        service.pause(ctx, contact, plan)
        make_grants(ctx, plan, [contact])
    jobs.drain(parts, workspace)
    with parts.open(workspace) as ctx:
        assert "days_waiting" in [message.template for message in people.messages_of(ctx, contact)]


def test_without_coming_days_there_is_nothing_to_pause(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        with pytest.raises(service.NotRunning):
            service.pause(ctx, contact, plan)
        service.grant(ctx, contact, plan, 1, reason="")
        with pytest.raises(service.NotRunning):
            service.pause(ctx, contact, plan)


def test_taking_a_grant_back_leaves_used_days_and_works_once(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        (grant_id,) = make_grants(ctx, plan, [contact])
    jobs.drain(parts, workspace)
    clock.advance(9 * DAY)
    with parts.open(workspace) as ctx:
        assert service.reverse_grant(ctx, grant_id, reason="void") == 20
        with pytest.raises(service.AlreadyReversed):
            service.reverse_grant(ctx, grant_id, reason="void")
    assert standing(parts, workspace, contact) == ("active", 1)
    assert cached(parts, workspace, contact) == ("active", date(2026, 6, 10))
    clock.advance(DAY)
    assert standing(parts, workspace, contact) == ("ended", 0)
    with parts.open(workspace) as ctx:
        (grant,) = queries.grants_of(ctx, [contact])
        assert grant.state == "reversed"
        (found,) = queries.standing_of(ctx, contact)
        assert [(g["used"], g["left"], g["taken_back"]) for g in found["grants"]] == [(10, 0, 20)]


def test_a_grant_by_hand_can_be_taken_back_too(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        grant_id = service.grant(ctx, contact, plan, 5, reason="")
        assert service.reverse_grant(ctx, grant_id, reason="mistake") == 4
        with pytest.raises(service.AlreadyReversed):
            service.reverse_grant(ctx, grant_id, reason="mistake")


def test_a_grant_taken_back_before_delivery_is_never_delivered(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        (grant_id,) = make_grants(ctx, plan, [contact])
        assert service.reverse_grant(ctx, grant_id, reason="void") == 0
    assert jobs.drain(parts, workspace) == 0
    with parts.open(workspace) as ctx:
        assert queries.standing_of(ctx, contact) == []


# -- notices -----------------------------------------------------------------------------------------


def news(parts: Parts, workspace: str, name: str) -> list[dict[str, str]]:
    with parts.open(workspace) as ctx:
        rows = ctx.session.execute(
            text("SELECT payload FROM outbox WHERE name = :name ORDER BY id"), {"name": name}
        )
        return [row[0] for row in rows]


def test_people_are_told_once_that_their_membership_ends_and_again_after_it_moved(
    parts: Parts, workspace: str, clock: FixedClock, run_jobs: Run
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.grant(ctx, contact, plan, 10, reason="")  # ends on 10 June
    assert run_jobs(workspace, "membership.notice") == 0
    clock.advance(6 * DAY)
    assert run_jobs(workspace, "membership.notice") == 1
    assert run_jobs(workspace, "membership.notice") == 0
    with parts.open(workspace) as ctx:
        message = people.messages_of(ctx, contact)[0]
        assert (message.template, message.params["ends_on"]) == ("membership_ending", "2026-06-10")
        service.grant(ctx, contact, plan, 5, reason="")
    clock.advance(5 * DAY)
    assert run_jobs(workspace, "membership.notice") == 1
    ends = [one["ends_on"] for one in news(parts, workspace, "MembershipEnding")]
    assert ends == ["2026-06-10", "2026-06-15"]
    clock.advance(10 * DAY)
    assert cached(parts, workspace, contact)[0] == "active"
    assert run_jobs(workspace, "membership.notice") == 1
    assert cached(parts, workspace, contact) == ("ended", date(2026, 6, 15))
    assert len(news(parts, workspace, "MembershipEnding")) == 2


def test_a_stale_standing_is_folded_anew_before_anybody_is_told(
    parts: Parts, workspace: str, run_jobs: Run
) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.grant(ctx, contact, plan, 30, reason="")
        ctx.session.execute(text("UPDATE memberships SET ends_on = '2026-06-02'"))
    run_jobs(workspace, "membership.notice")
    assert cached(parts, workspace, contact) == ("active", date(2026, 6, 30))
    assert news(parts, workspace, "MembershipEnding") == []


# -- merging -----------------------------------------------------------------------------------------


def test_the_days_of_two_people_who_are_one_stand_in_one_line(
    parts: Parts, workspace: str, clock: FixedClock, run_jobs: Run
) -> None:
    plan = make_plan(parts, workspace)
    kept, merged = make_contact(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        make_grants(ctx, plan, [kept, merged])
    jobs.drain(parts, workspace)
    clock.advance(10 * DAY)
    with parts.open(workspace) as ctx:
        people_service.merge(ctx, kept, merged)
    run_jobs(workspace, "outbox.drain")
    assert standing(parts, workspace, kept) == standing(parts, workspace, merged) == ("active", 50)
    assert cached(parts, workspace, kept) == ("active", date(2026, 7, 30))
    with parts.open(workspace) as ctx:
        assert ctx.session.scalar(text("SELECT count(*) FROM memberships")) == 1
        assert {grant.contact_id for grant in queries.grants_of(ctx, [kept, merged])} == {kept}
        assert {m.contact_id for m in queries.moves_of(ctx, [kept, merged])[plan]} == {kept, merged}


def test_the_pause_of_one_does_not_shut_out_who_was_a_member_as_the_other(
    parts: Parts, workspace: str, clock: FixedClock, run_jobs: Run
) -> None:
    plan = make_plan(parts, workspace)
    kept, merged = make_contact(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.grant(ctx, kept, plan, 30, reason="")
        service.grant(ctx, merged, plan, 30, reason="")
        service.pause(ctx, merged, plan)
    clock.advance(5 * DAY)
    with parts.open(workspace) as ctx:
        people_service.merge(ctx, kept, merged)
    run_jobs(workspace, "outbox.drain")
    assert standing(parts, workspace, kept)[0] == "active"
    assert cached(parts, workspace, kept)[0] == "active"


def test_a_grant_delivered_while_its_person_was_merged_is_found_by_the_notice_job(
    parts: Parts, workspace: str, run_jobs: Run
) -> None:
    plan = make_plan(parts, workspace)
    kept, merged = make_contact(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.grant(ctx, merged, plan, 30, reason="")
        people_service.merge(ctx, kept, merged)
    run_jobs(workspace, "membership.notice")
    assert cached(parts, workspace, kept) == ("active", date(2026, 6, 30))
