"""The second fence: whatever a query forgets, the database shows and changes rows of one workspace only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from growth_engine.access import service as access
from growth_engine.context import Parts
from growth_engine.inbox.payloads import GroupChanged
from growth_engine.ledger import alerts, heads
from growth_engine.live_codes import service as live_codes
from growth_engine.paying import bills
from growth_engine.paying.models import PayAttempt, PayTransfer, RefundRequest
from growth_engine.payouts import service as payouts
from growth_engine.payouts.rules import Policy
from growth_engine.people import service as people
from growth_engine.plays import invites
from growth_engine.plays import queries as plays
from growth_engine.reach import deliveries, groups
from tests.factories.callbacks import Caller, connect_oa, connect_pay
from tests.factories.live_codes import make_live_code
from tests.factories.selling import PRICE, Shop
from tests.factories.staff import make_staff
from tests.factories.workspaces import make_workspace

APP_ROLE = "growth_app"
#: Tables that belong to no workspace.
HOUSE = {"alembic_version"}
JOURNALS = {
    "events", "entries", "campaign_versions", "membership_moves", "consents", "legs", "book_heads",
    "order_lines", "payments", "refunds", "wallet_policies", "payout_approvals",
}  # fmt: skip
#: Tables with a number PostgreSQL gives.
NUMBERED = {"membership_moves", "orders"}
FENCE = "({column} = ( SELECT current_setting('ge.workspace_id'::text, true) AS current_setting))"


@pytest.fixture(scope="module")
def owner(owner_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The database as the owner of the tables sees it: no fence."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def tables(owner: psycopg.Connection[Any]) -> dict[str, str]:
    """Every table there is, found in the catalogue, with the column that names its workspace."""
    rows = owner.execute(
        "SELECT c.relname, (SELECT array_agg(attname::text) FROM pg_attribute a"
        "  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"
        " FROM pg_class c"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'm', 'v')"
    )
    found = {name: "workspace_id" if "workspace_id" in columns else "" for name, columns in rows}
    found["workspaces"] = "id"
    return {name: column for name, column in sorted(found.items()) if name not in HOUSE}


# -- what the catalogue says -------------------------------------------------------------------------


def test_every_table_names_its_workspace_and_lets_in_that_one_alone(
    owner: psycopg.Connection[Any], tables: dict[str, str]
) -> None:
    assert [name for name, column in tables.items() if not column] == []
    secured = owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity"
    )
    assert sorted(name for (name,) in secured) == list(tables)
    policies = owner.execute(
        "SELECT tablename, cmd, permissive, roles::text[], qual, with_check"
        " FROM pg_policies WHERE schemaname = 'public'"
    ).fetchall()
    assert sorted(row[0] for row in policies) == list(tables), (
        "one policy each: two permissive ones are an or"
    )
    for name, command, permissive, roles, shows, takes in policies:
        fence = FENCE.format(column=tables[name])
        assert (command, permissive, roles) == ("ALL", "PERMISSIVE", [APP_ROLE]), name
        assert (shows, takes) == (fence, fence), name


def test_the_application_owns_nothing_and_bypasses_nothing(owner: psycopg.Connection[Any]) -> None:
    powers = owner.execute(
        "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication,"
        " (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) FROM pg_roles r WHERE rolname = %s",
        [APP_ROLE],
    ).fetchone()
    assert powers == (False, False, False, False, False, 0)
    owned = owner.execute(
        "SELECT classid::regclass::text, objid FROM pg_shdepend"
        " WHERE refobjid = %s::regrole AND deptype = 'o' AND dbid IN (0, (SELECT oid FROM pg_database"
        "  WHERE datname = current_database()))",
        [APP_ROLE],
    )
    assert owned.fetchall() == []
    may = owner.execute(
        "SELECT has_schema_privilege(%(r)s, 'public', 'CREATE'),"
        " has_database_privilege(%(r)s, current_database(), 'CREATE')",
        {"r": APP_ROLE},
    )
    assert may.fetchone() == (False, False)


def test_rows_of_journals_can_be_added_and_read_only(
    owner: psycopg.Connection[Any], tables: dict[str, str]
) -> None:
    for name in tables:
        rights = {
            right
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
            if owner.execute("SELECT has_table_privilege(%s, %s, %s)", [APP_ROLE, name, right]).fetchone()
            == (True,)
        }
        added = {"SELECT", "INSERT"}
        assert rights == (added if name in JOURNALS else added | {"UPDATE", "DELETE"}), name
    columns = owner.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relname = ANY(%s)"
        " AND has_any_column_privilege(%s, c.oid, 'UPDATE')",
        [list(JOURNALS), APP_ROLE],
    )
    assert columns.fetchall() == []


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET workspace_id = ''", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
@pytest.mark.parametrize("journal", sorted(JOURNALS))
def test_even_the_owner_does_not_edit_a_journal(
    owner: psycopg.Connection[Any], journal: str, statement: str
) -> None:
    command = sql.SQL(statement).format(sql.Identifier(journal))  # type: ignore[arg-type]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="added, never edited"):
        owner.execute(command)


def test_functions_that_look_past_the_fence_are_few_and_closed(owner: psycopg.Connection[Any]) -> None:
    found = owner.execute(
        "SELECT proname, proconfig,"
        " proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0)"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY proname"
    ).fetchall()
    assert [name for name, _, _ in found] == [
        "ge_campaign",
        "ge_channel_account",
        "ge_due_work",
        "ge_invite",
        "ge_live_code",
        "ge_order",
        "ge_staff_by_email",
        "ge_token",
        "ge_workspace_by_slug",
        "ge_workspaces",
    ]
    for name, settings, open_to_all in found:
        assert settings == ["search_path=pg_catalog, public"], name
        assert not open_to_all, f"{name} may be called by everybody"


# -- what that comes to ------------------------------------------------------------------------------


@pytest.fixture
def lively(parts: Parts, client: FlaskClient, workspace: str, run_jobs: Callable[..., int]) -> str:
    """A workspace in which everything has happened: no table is without a row of it."""
    make_staff(parts, workspace)
    token = access.create_token(parts, workspace, ["*"], "tests")
    headers = {"Authorization": f"Bearer {token}"}

    def post(path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Any:
        more = {"Idempotency-Key": key} if key else {}
        answer = client.post(f"/api/v1{path}", json=body or {}, headers={**headers, **more})
        assert answer.status_code < 300, answer.text
        return answer.json

    campaign = post("/campaigns", {"template": "saas-membership"})["id"]
    post(f"/campaigns/{campaign}/publish", {"accept_warnings": True})
    joins = f"/campaigns/{campaign}/participants"
    ann = post(joins, {"contact": {"external_id": "ann", "nickname": "Ann"}, "consent": True}, key="ann")
    post(joins, {"contact": {"external_id": "bob"}, "consent": True, "invite_token": ann["invite_token"]})
    post(f"/participants/{ann['id']}/poster")
    post("/contacts/external_id:bob/block")
    with parts.open(workspace) as ctx:
        people.erase(ctx, people.create_or_update(ctx, {"external_id": "gone"}).contact_id)
    _sell(parts, workspace)
    account = connect_oa(parts, workspace)
    Caller(client, "wechat_oa", account).say(Event="subscribe")
    _reach(parts, workspace, account, ann["id"])
    with parts.open(workspace) as ctx:
        live_codes.show(ctx, make_live_code(parts, workspace, {}).id, "somebody")
    run_jobs(workspace, "grants.drain", "outbox.drain")
    with parts.open(workspace) as ctx:  # as if the server had died before posting
        ctx.session.execute(
            text(
                "INSERT INTO pending_events (event_id, workspace_id, book_id, payload, next_at)"
                " SELECT id, workspace_id, book_id, '{}', accepted_at FROM events LIMIT 1"
            )
        )
    return workspace


def _reach(parts: Parts, workspace: str, account: str, participant: str) -> None:
    """A campaign on a channel: a code asked for, something on its way, a group that changed."""
    with parts.open(workspace) as ctx:
        me = plays.participant(ctx, participant)
        campaign = plays.campaign(ctx, me.campaign_id)
        campaign.channel_account_id = account
        invites.ask_for_code(ctx, campaign, me)
        to = deliveries.To(account, "oNobody", me.contact_id, ctx.now())
        deliveries.add(ctx, to, "text", "test", {"text": "only a test"})
        changed = GroupChanged("wrOne", "add_member", "3", "", 1, (), "", "1")
        groups.changed(ctx, account, changed, dismissed=False)


def _sell(parts: Parts, workspace: str) -> None:
    """A shop in full swing: sold, refunded, earned, withdrawn, proved, alarmed."""
    shop = Shop(parts, workspace)
    shop.join("ann")
    shop.join("ben", "ann")
    order = shop.buy("ben", 2, through="ann")
    assert shop.refund(order, PRICE).accepted
    shop.promote("apply", "ben")
    shop.mature_all()
    with parts.open(workspace) as ctx:
        payouts.set_policy(ctx, Policy())
    asked = payouts.request(
        parts, workspace, shop.contacts["ann"], amount=500, currency="CNY", source="test", key="1"
    )
    with parts.open(workspace) as ctx:
        payouts.approve(ctx, str(asked.payout_id))
        alerts.raise_alert(ctx, "test", "nothing", "only a test")
    heads.export(parts, workspace)
    _pay(parts, workspace, order, str(asked.payout_id))


def _pay(parts: Parts, workspace: str, order: str, payout: str) -> None:
    """The same through WeChat Pay, which is not asked here."""
    base = {"workspace_id": workspace, "account_id": connect_pay(parts, workspace), "amount": 500}
    money = {
        **base,
        "order_id": order,
        "number": f"{order[4:]}-1",
        "currency": "CNY",
        "error": "",
        "tries": 0,
    }
    sent = {"mch_id": "1", "app_id": "wx", "openid": "o", "notify_url": ""}
    with parts.open(workspace) as ctx:
        now = ctx.now()
        ctx.session.add_all(
            [
                PayAttempt(
                    **money, **sent, turn=1, kind="jsapi", description="Book", state="open", token="wx1",
                    transaction_id="", made_at=now, asked_at=now,
                ),
                RefundRequest(
                    **money, id="rfd_test", total=500, reason="", state="asked", refund_id="",
                    requested_by="test", requested_at=now,
                ),
                PayTransfer(
                    **base, **sent, payout_id=payout, number=payout[4:], scene="1005", reports={}, remark="",
                    state="SENDING", bill_no="", package="", fail_reason="", error="", sent_at=now,
                ),
            ]
        )  # fmt: skip
        bills.again(ctx, base["account_id"], now.date() - timedelta(days=2))


def rows(owner: psycopg.Connection[Any], tables: dict[str, str], workspace: str) -> dict[str, int]:
    """How many rows of a workspace every table has, as the owner counts them."""
    found = {}
    for name, column in tables.items():
        count = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(
            sql.Identifier(name), sql.Identifier(column)
        )
        found[name] = int(owner.execute(count, [workspace]).fetchone()[0])  # type: ignore[index]
    return found


def test_nothing_of_a_workspace_is_seen_or_changed_from_another_one(
    parts: Parts, owner: psycopg.Connection[Any], tables: dict[str, str], lively: str
) -> None:
    before = rows(owner, tables, lively)
    assert [name for name, count in before.items() if not count] == [], "the scenario left a table untried"
    stranger = make_workspace(parts)
    for other in (stranger, None, "", "%", "wsp_' OR true --"):
        with parts.db.transaction(other) as session:
            for name, column in tables.items():
                own = 1 if name == "workspaces" and other == stranger else 0
                assert session.scalar(text(f"SELECT count(*) FROM {name}")) == own, name
                if name in JOURNALS:
                    continue
                names = {"workspace": lively}
                for change in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"):
                    done = session.execute(text(f"{change} WHERE {column} = :workspace"), names)
                    assert done.rowcount == 0, change  # type: ignore[attr-defined]
    assert rows(owner, tables, lively) == before


def test_no_row_can_be_moved_or_planted_into_another_workspace(
    parts: Parts, tables: dict[str, str], lively: str
) -> None:
    other = make_workspace(parts)
    for name, column in tables.items():
        move = f"UPDATE {name} SET {column} = :other"
        overriding = "OVERRIDING SYSTEM VALUE" if name in NUMBERED else ""
        plant = (
            f"INSERT INTO {name} {overriding}"
            f" SELECT (jsonb_populate_record(r, jsonb_build_object('{column}', CAST(:other AS text)))).*"
            f" FROM {name} r"
        )
        for statement in ([] if name in JOURNALS else [move]) + [plant]:
            with (
                pytest.raises(ProgrammingError, match="violates row-level security policy"),
                parts.db.transaction(lively) as session,
            ):
                session.execute(text(statement), {"other": other})


def test_a_connection_given_back_forgets_whose_it_was(parts: Parts, lively: str) -> None:
    for _ in range(40):  # more often than the pool has connections
        with parts.db.transaction(lively) as session:
            assert session.scalar(text("SELECT count(*) FROM campaigns")) == 2
        with parts.db.transaction(None) as session:
            assert session.scalar(text("SELECT count(*) FROM campaigns")) == 0
