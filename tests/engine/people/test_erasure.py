"""Export hands out everything; erasure leaves no trace of who it was, and no way to start afresh."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import text

from growth_engine.context import Ctx, Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.membership import jobs
from growth_engine.membership import queries as membership
from growth_engine.people import queries, service
from growth_engine.people.rules import Identity
from tests.factories.people import campaign_of, make_contact, make_grants, make_participant, make_plan

#: What people buy, earn and withdraw; tests/engine/payouts/test_people.py is about these.
MONEY = (
    "orders", "order_lines", "payments", "refunds", "bindings", "commissions", "promoters", "payouts",
    "accounts", "legs", "pay_attempts", "refund_requests", "pay_transfers",
)  # fmt: skip
PHONE, NAME, OPENID, DEVICE = "+8613800138000", "王小明的昵称", "oSecretOpenId", "device-hash-of-person"


def person(parts: Parts, workspace: str, clock: FixedClock) -> str:
    """Somebody with traces in every table this can be written to from here; two contacts merged into one."""
    contact = make_contact(parts, workspace, NAME, phone=PHONE)
    clock.advance(timedelta(seconds=1))
    other = make_contact(parts, workspace, NAME + "2", openid=OPENID)
    plan = make_plan(parts, workspace)
    with parts.open(workspace) as ctx:
        make_participant(ctx, contact, number=1, device=DEVICE)
        participant = make_participant(ctx, other, number=2, device=DEVICE)
        make_grants(ctx, plan, [contact, other])
        service.record_consent(ctx, contact, purpose="poster", wording_version="1", source="h5")
        service.block(ctx, contact, f"looks like {NAME}")
        _journal(ctx, contact, participant)
    jobs.drain(parts, workspace)
    with parts.open(workspace) as ctx:
        assert service.merge(ctx, contact, other) == contact
        make_grants(ctx, plan, [contact])
        ctx.session.execute(
            text("UPDATE contacts SET avatar_key = :key"), {"key": parts.storage.put(b"me", "image/png")}
        )
    return contact


def _journal(ctx: Ctx, contact: str, participant: str) -> None:
    at = {"w": ctx.workspace_id, "now": ctx.now(), "book": campaign_of(ctx.workspace_id)}
    pending = {"kind": "join", "book": at["book"], "facts": {},
               "person": {"identities": [["phone", PHONE]], "nickname": NAME}}  # fmt: skip
    for event_id, facts in (("ev1" + contact, {"contact_id": contact}), ("ev2" + contact, {})):
        ctx.session.execute(
            text(
                "INSERT INTO events (id, workspace_id, book_id, source, key, kind, facts, payload_hash,"
                "  occurred_at, accepted_at)"
                " VALUES (:id, :w, :book, 'h5', :id, 'join', CAST(:facts AS jsonb), 'x', :now, :now)"
            ),
            at | {"id": event_id, "facts": orjson.dumps(facts).decode()},
        )
    ctx.session.execute(
        text(
            "INSERT INTO entries (book_id, seq, workspace_id, event_id, kind, accepted, member, other,"
            "  rule_version, at, body, hash)"
            " VALUES (:book, 1, :w, :event, 'join', true, 1, 2, 1, :now,"
            '  \'{"reasons": [{"code": "not_new"}]}\', \'x\')'
        ),
        at | {"event": "ev1" + contact},
    )
    ctx.session.execute(
        text(
            "INSERT INTO pending_events (event_id, workspace_id, book_id, payload, next_at)"
            " VALUES (:event, :w, :book, CAST(:payload AS jsonb), :now)"
        ),
        at | {"event": "ev2" + contact, "payload": orjson.dumps(pending).decode()},
    )
    ctx.session.execute(
        text(
            "INSERT INTO idempotency_keys (workspace_id, scope, key, payload_hash, status, body, created_at)"
            " VALUES (:w, 's', 'k', 'x', 201, CAST(:body AS jsonb), :now)"
        ),
        at | {"body": orjson.dumps({"id": participant, "nickname": NAME}).decode()},
    )


def personal_places(ctx: Ctx, needles: list[str]) -> list[tuple[str, str]]:
    """(table, column) of every text or JSON column in which one of the strings occurs."""
    columns = ctx.session.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name <> 'alembic_version'"
            " AND (data_type IN ('text', 'jsonb', 'json', 'character varying', 'bytea', 'ARRAY'))"
        )
    ).all()
    assert len(columns) > 80
    found = []
    for table, column in columns:
        hit = ctx.session.scalar(
            text(
                f"SELECT EXISTS (SELECT FROM {table} t, unnest(CAST(:needles AS text[])) n"
                f' WHERE position(n IN t."{column}"::text) > 0)'
            ),
            {"needles": needles},
        )
        if hit:
            found.append((table, column))
    return sorted(found)


def test_export_holds_everything_that_is_known(parts: Parts, workspace: str, clock: FixedClock) -> None:
    contact = person(parts, workspace, clock)
    stranger = make_contact(parts, workspace, "Somebody else", external_id="stranger")
    with parts.open(workspace) as ctx:
        held = service.export(ctx, contact)
    orjson.dumps(held)
    counts = {name: len(rows) for name, rows in held.items() if isinstance(rows, list)}
    assert counts == {
        "contacts": 2,
        "contact_identities": 2,
        "consents": 1,
        "participants": 2,
        "invite_edges": 0,
        "entries": 2,
        "pending_events": 1,
        "grants": 3,
        "membership_moves": 2,
        "memberships": 2,
        "messages": 2,
        "posters": 0,
        "inbox_messages": 0,
        "followers": 0,
        "deliveries": 0,
        **dict.fromkeys(MONEY, 0),
    }
    assert held["entries"][0]["body"]["reasons"][0]["code"] == "not_new"
    assert held["entries"][0]["facts"] == {"contact_id": contact}
    assert held["entries"][1]["facts"] is None
    as_text = orjson.dumps(held).decode()
    assert all(one in as_text for one in (PHONE, NAME, OPENID, DEVICE))
    assert stranger not in as_text
    assert workspace not in as_text


def test_erasure_leaves_no_personal_string_in_any_table(
    parts: Parts, workspace: str, clock: FixedClock, run_jobs: Callable[..., int]
) -> None:
    contact = person(parts, workspace, clock)
    needles = [PHONE, NAME, OPENID, DEVICE, PHONE[3:]]
    with parts.open(workspace) as ctx:
        before = personal_places(ctx, needles)
        assert {table for table, _ in before} >= {
            "contacts", "contact_identities", "participants", "pending_events", "idempotency_keys",
        }  # fmt: skip
        key = queries.contact(ctx, contact).avatar_key
        service.erase(ctx, contact)
        service.erase(ctx, contact)
    with parts.open(workspace) as ctx:
        assert personal_places(ctx, needles) == []
        assert parts.storage.exists(key)
    run_jobs(workspace, "outbox.drain")
    assert not parts.storage.exists(key)


def test_the_books_keep_amounts_and_lose_the_name(parts: Parts, workspace: str, clock: FixedClock) -> None:
    contact = person(parts, workspace, clock)
    with parts.open(workspace) as ctx:
        service.erase(ctx, contact)
    with parts.open(workspace) as ctx:
        family = queries.contact_family(ctx, contact)
        (moves,) = membership.moves_of(ctx, family).values()
        assert sum(move.days for move in moves) == 60
        states = [grant.state for grant in membership.grants_of(ctx, family)]
        assert sorted(states) == ["granted", "granted", "reversed"]
        assert ctx.session.scalar(text("SELECT count(*) FROM entries")) == 1
        assert ctx.session.scalar(text("SELECT count(*) FROM consents")) == 1
        waiting = ctx.session.execute(text("SELECT payload, parked_at, error FROM pending_events")).one()
        assert "person" not in waiting[0]
        assert waiting[1] is None
        answer = ctx.session.execute(text("SELECT status, body FROM idempotency_keys")).one()
        assert answer[0] == 410
        assert answer[1]["code"] == "erased"
        erased = ctx.session.execute(
            text("SELECT payload->>'contact_id' FROM outbox WHERE name = 'ContactErased'")
        )
        assert {row[0] for row in erased} == set(family)
    assert jobs.drain(parts, workspace) == 0


def test_an_erased_person_is_nobody_and_comes_back_as_somebody_new_whom_we_knew(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    contact = make_contact(parts, workspace, NAME, phone=PHONE)
    with parts.open(workspace) as ctx:
        assert queries.erased_before(ctx, [Identity("phone", PHONE)]) == {}
        service.erase(ctx, contact)
        for ref in (contact, PHONE, f"phone:{PHONE}"):
            with pytest.raises(queries.UnknownContact):
                queries.resolve(ctx, ref)
        with pytest.raises(queries.UnknownContact):
            service.export(ctx, contact)
        assert queries.contacts_page(ctx)[0] == []
        again = service.create_or_update(ctx, {"phone": PHONE})
        assert again.created
        assert again.contact_id != contact
        assert queries.contact(ctx, again.contact_id).blocked_at is None
        known = queries.erased_before(ctx, [Identity("phone", PHONE), Identity("phone", "+8613900139000")])
        assert known == {Identity("phone", PHONE): False}


def test_erasure_does_not_lift_a_block(ctx: Ctx) -> None:
    contact = service.create_or_update(ctx, {"phone": PHONE}).contact_id
    service.block(ctx, contact, "farm")
    service.erase(ctx, contact)
    again = service.create_or_update(ctx, {"phone": PHONE}).contact_id
    assert queries.contact(ctx, again).blocked_reason == "Blocked before erasure"
    service.unblock(ctx, again)
    service.erase(ctx, again)
    assert queries.erased_before(ctx, [Identity("phone", PHONE)]) == {Identity("phone", PHONE): True}


def test_a_grant_that_comes_after_erasure_is_cancelled(parts: Parts, workspace: str) -> None:
    plan, contact = make_plan(parts, workspace), make_contact(parts, workspace)
    with parts.open(workspace) as ctx:
        service.erase(ctx, contact)
        make_grants(ctx, plan, [contact])
    assert jobs.drain(parts, workspace) == 1
    with parts.open(workspace) as ctx:
        (grant,) = membership.grants_of(ctx, [contact])
        assert grant.state == "reversed"
        assert membership.moves_of(ctx, [contact]) == {}
