"""Two who are one: nothing is lost, nothing counts twice, whoever merges whom and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.people import queries, service
from growth_engine.people.traces import TRACES
from tests.engine.people.test_contacts import at_once
from tests.factories.people import make_contact, make_grants, make_participant, make_plan


def rows(ctx: Ctx, sql: str, **params: Any) -> list[Any]:
    return [tuple(row) for row in ctx.session.execute(text(sql), params)]


def merging(parts: Parts, workspace: str, kept: str, merged: str) -> Callable[[], str]:
    def call() -> str:
        with parts.open(workspace) as ctx:
            return service.merge(ctx, kept, merged)

    return call


def test_what_was_known_of_the_one_completes_the_other(ctx: Ctx, clock: FixedClock) -> None:
    first_seen = clock.now()
    old = service.create_or_update(ctx, {"external_id": "u1"}, tags=["a"]).contact_id
    service.record_consent(ctx, old, purpose="poster", wording_version="1", source="h5")
    clock.advance(timedelta(days=1))
    new = service.create_or_update(ctx, {"openid": "o1"}, nickname="Ann", locale="en", tags=["b"]).contact_id
    assert service.merge(ctx, new, old) == new
    kept = queries.contact(ctx, old)
    assert (kept.id, kept.nickname, kept.tags, kept.first_seen_at) == (new, "Ann", ["a", "b"], first_seen)
    assert queries.contact_family(ctx, old) == [new, old]
    assert queries.resolve(ctx, "u1") == queries.resolve(ctx, "o1") == new
    assert queries.has_consented(ctx, new, "poster")
    assert [one.id for one in queries.contacts_page(ctx)[0]] == [new]
    assert rows(ctx, "SELECT payload->>'kept_id', payload->>'merged_id' FROM outbox") == [(new, old)]


def test_merging_again_or_the_other_way_round_changes_nothing(ctx: Ctx) -> None:
    a = service.create_or_update(ctx, {"external_id": "a"}).contact_id
    b = service.create_or_update(ctx, {"external_id": "b"}).contact_id
    assert service.merge(ctx, a, a) == a
    assert service.merge(ctx, a, b) == service.merge(ctx, a, b) == service.merge(ctx, b, a) == a
    assert len(rows(ctx, "SELECT id FROM outbox")) == 1


def test_chains_stay_flat(ctx: Ctx) -> None:
    a, b, c = (service.create_or_update(ctx, {"external_id": one}).contact_id for one in "abc")
    service.merge(ctx, b, c)
    service.merge(ctx, a, b)
    assert rows(ctx, "SELECT DISTINCT merged_into FROM contacts WHERE merged_into IS NOT NULL") == [(a,)]
    assert queries.contact_family(ctx, c) == [a, *sorted([b, c])]


def test_a_block_carries_over_and_is_told(ctx: Ctx) -> None:
    a = service.create_or_update(ctx, {"external_id": "a"}).contact_id
    b = service.create_or_update(ctx, {"external_id": "b"}).contact_id
    service.block(ctx, b, "spam")
    service.merge(ctx, a, b)
    assert queries.contact(ctx, a).blocked_reason == "spam"
    told = rows(ctx, "SELECT payload->>'contact_id' FROM outbox WHERE name = 'ContactBlocked'")
    assert sorted(told) == sorted([(b,), (a,)])


def test_participations_grants_and_messages_move_unless_the_kept_takes_part_already(
    parts: Parts, workspace: str
) -> None:
    plan = make_plan(parts, workspace)
    kept, merged = make_contact(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        make_participant(ctx, kept, number=1, campaign_id=workspace + "both")
        second = make_participant(ctx, merged, number=2, campaign_id=workspace + "both")
        alone = make_participant(ctx, merged, number=1, campaign_id=workspace + "one")
        make_grants(ctx, plan, [merged])
        service.merge(ctx, kept, merged)
    with parts.open(workspace) as ctx:
        owners = dict(rows(ctx, "SELECT id, contact_id FROM participants"))
        assert owners[alone] == kept
        assert owners[second] == merged
        assert rows(ctx, "SELECT contact_id FROM grants") == [(kept,)]


def test_opposite_merges_at_once_keep_one_and_make_no_circle(parts: Parts, workspace: str) -> None:
    for _ in range(10):
        a, b = make_contact(parts, workspace), make_contact(parts, workspace)
        kept = at_once(
            merging(parts, workspace, a, b), merging(parts, workspace, b, a), merging(parts, workspace, a, b)
        )
        assert len(set(kept)) == 1
        assert kept[0] in (a, b)
    with parts.open(workspace) as ctx:
        assert rows(ctx, "SELECT count(*) FROM outbox WHERE name = 'ContactsMerged'") == [(10,)]


def test_a_ring_of_merges_at_once_ends_in_one_person(parts: Parts, workspace: str) -> None:
    people = [make_contact(parts, workspace) for _ in range(6)]
    kept = at_once(*(merging(parts, workspace, one, people[(n + 1) % 6]) for n, one in enumerate(people)))
    assert all(isinstance(one, str) for one in kept), kept
    with parts.open(workspace) as ctx:
        (root,) = {queries.resolve(ctx, one) for one in people}
        assert sorted(queries.contact_family(ctx, root)) == sorted(people)
        assert rows(ctx, "SELECT count(*) FROM outbox WHERE name = 'ContactsMerged'") == [(5,)]


def test_erased_people_are_not_merged(ctx: Ctx) -> None:
    a = service.create_or_update(ctx, {"external_id": "a"}).contact_id
    b = service.create_or_update(ctx, {"external_id": "b"}).contact_id
    service.erase(ctx, b)
    for pair in ((a, b), (b, a)):
        with pytest.raises(queries.UnknownContact):
            service.merge(ctx, *pair)


def test_every_table_that_names_a_contact_is_known(ctx: Ctx) -> None:
    """A new table with contacts in it must say what merging, export and erasure do with it."""
    named = rows(
        ctx,
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND (column_name LIKE '%contact\\_id' OR column_name = 'merged_into')",
    )
    assert {name for (name,) in named} <= {trace.table for trace in TRACES}
