"""Every invariant of the money notices what it is there for, and says which rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from growth_engine.app import build_parts
from growth_engine.context import SYSTEM, Parts
from growth_engine.kit.clock import FixedClock
from growth_engine.ledger import queries
from growth_engine.ledger.invariants import INVARIANTS, SHOWN, faults_of
from growth_engine.ledger.remedies import WORDS
from growth_engine.ledger.service import verify_all
from growth_engine.payouts import sending
from growth_engine.payouts import service as payouts
from growth_engine.payouts.rules import Policy
from growth_engine.people import merging
from growth_engine.settings import Settings
from tests.conftest import SECRET, START
from tests.factories.selling import PRICE, Shop
from tests.factories.workspaces import make_workspace


@dataclass
class World:
    parts: Parts
    shop: Shop
    payouts: dict[str, str]
    """By what became of them."""

    @property
    def names(self) -> dict[str, Any]:
        """For the statements below."""
        return {
            "campaign": self.shop.campaign_id,
            "wallet": self.shop.wallet,
            "workspace": self.shop.workspace_id,
            "bob": self.shop.contacts["bob"],
            **{f"payout_{state}": payout for state, payout in self.payouts.items()},
        }


def withdraw(shop: Shop, who: str, amount: int) -> str:
    """Ask for money and have it approved."""
    contact = shop.contacts[who]
    outcome = payouts.request(
        shop.parts, shop.workspace_id, contact, amount=amount, currency="CNY", source="test",
        key=shop.parts.ids.new("key"),
    )  # fmt: skip
    assert outcome.payout_id, outcome.reasons
    return outcome.payout_id


def lived_in(parts: Parts, workspace: str) -> World:
    """A shop in which everything that moves money has happened."""
    shop = Shop(parts, workspace, {"levels": 2})
    for who, inviter in (("ann", None), ("bob", "ann"), ("cid", "bob"), ("dan", "cid"), ("eve", "dan")):
        shop.join(who, inviter)
    with parts.open(workspace) as ctx:
        payouts.set_policy(
            ctx,
            Policy(minimum=100, daily_count=None, daily_amount=None, approve_above=10**9, tax_bp=2000,
                   fee_fixed=10, fee_bp=0, second_above=None),
        )  # fmt: skip
    first, second = shop.buy("cid", 2), shop.buy("dan", 3)
    shop.refund(first, PRICE)
    shop.mature_all()
    done = {"paid": withdraw(shop, "bob", 900), "void": withdraw(shop, "bob", 200)}
    sending.send_due(parts, workspace)
    sending.send_due(parts, workspace)
    assert sending.finish(parts, workspace, done["paid"], paid=True, detail="")
    assert sending.finish(parts, workspace, done["void"], paid=False, detail="no such account")
    done["waiting"] = withdraw(shop, "cid", 1500)
    shop.refund(first, PRICE)  # what bob earned is gone already: a debt
    shop.refund(second, 100)
    payouts.write_off(
        parts, workspace, shop.contacts["bob"], amount=5, currency="CNY", note="x", by=SYSTEM, key="w"
    )
    shop.buy("eve")
    return World(parts, shop, done)


@pytest.fixture(scope="module")
def world(pg_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = Settings(
        database_url=pg_url,
        ledger_redis_url=valkey_url,
        queue_redis_url=valkey_url,
        secret_key=SECRET,
        data_dir=tmp_path_factory.mktemp("invariants"),
    )
    parts = build_parts(settings, clock=FixedClock(START))
    try:
        yield lived_in(parts, make_workspace(parts))
    finally:
        parts.close()


@pytest.fixture
def owner(owner_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody with all rights and bad intentions; what they do is taken back afterwards."""
    with psycopg.connect(owner_url) as connection:
        for journal in ("entries", "legs", "refunds"):
            connection.execute(f"ALTER TABLE {journal} DISABLE TRIGGER USER")
        yield connection
        connection.rollback()


def broken(owner: psycopg.Connection[Any], world: World, *, cheap: bool = False) -> dict[str, str]:
    """What the invariants of both books say: detail by check."""
    found: dict[str, str] = {}
    for book in (world.shop.campaign_id, world.shop.wallet):
        for fault in faults_of(owner, world.shop.workspace_id, book, cheap=cheap):
            found.setdefault(fault.check, fault.detail)
    return found


def test_a_shop_in_which_everything_happened_is_whole(world: World, owner: psycopg.Connection[Any]) -> None:
    assert broken(owner, world) == broken(owner, world, cheap=True) == {}
    reports = verify_all(world.parts, world.shop.workspace_id)
    assert [report.faults for report in reports] == [[], []]
    assert world.shop.available("bob") < 0, "a world without debts tests less"
    with world.parts.open(world.shop.workspace_id) as ctx:
        used = {line.account for line in queries.trial_balance(ctx)}
    assert used >= {"expense", "pending", "wallet", "campaign", "available", "reserved", "clearing", "tax",
                    "payout_fee", "written_off"}  # fmt: skip


#: (check that must notice, what somebody does, words its detail must have)
TAMPERING: list[tuple[str, str, str]] = [
    ("head", "UPDATE books SET last_seq = last_seq + 1 WHERE id = %(campaign)s", "the head is entry"),
    ("head", "UPDATE books SET head = decode(repeat('00', 32), 'hex') WHERE id = %(wallet)s", "another hash"),
    ("sequence", "DELETE FROM entries WHERE book_id = %(campaign)s AND seq IN (3, 4)", "entries 3 to 4"),
    ("balanced", "UPDATE accounts SET balance = balance + 1, credited = credited + 1"
     " WHERE book_id = %(campaign)s AND account = 'platform'", "stand at 1 CNY"),
    ("balanced_entries", "UPDATE legs SET amount = amount + 1 WHERE book_id = %(wallet)s AND seq = 1"
     " AND line = 1", "entry 1 leaves 1 CNY"),
    ("accounts", "UPDATE accounts SET balance = balance + 1, credited = credited + 1"
     " WHERE book_id = %(wallet)s AND account = 'available' AND owner = %(bob)s", "available of"),
    ("accounts", "DELETE FROM accounts WHERE book_id = %(wallet)s AND account = 'tax'", "tax of"),
    ("accounts", "UPDATE accounts SET credited = credited + 1, debited = debited + 1"
     " WHERE book_id = %(campaign)s AND account = 'expense'", "expense of"),
    ("journal", "UPDATE legs SET owner = '99' WHERE book_id = %(campaign)s AND account = 'pending'", "'99'"),
    ("journal", "UPDATE entries SET body = jsonb_set(body, '{legs,0,2}', '777')"
     " WHERE book_id = %(wallet)s AND seq = 2", "777"),
    ("journal", "DELETE FROM legs WHERE book_id = %(wallet)s AND seq = 2", "leg 1 of entry 2 is"),
    ("covered", "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_covered;"
     "UPDATE accounts SET balance = -1, debited = credited + 1"
     " WHERE book_id = %(wallet)s AND account = 'reserved'", "reserved of"),
    ("border", "UPDATE accounts SET balance = balance + 1, credited = credited + 1"
     " WHERE book_id = %(wallet)s AND account = 'campaign'", "to the wallet, which received"),
    ("commissions", "UPDATE commissions SET target = target + 1, matured = matured + 1"
     " WHERE campaign_id = %(campaign)s AND level = 1 AND member = 3", "commission"),
    ("commissions", "UPDATE legs SET ref = 'com_other' WHERE book_id = %(campaign)s"
     " AND account = 'expense'", "com_other"),
    ("commissions", "DELETE FROM commissions WHERE campaign_id = %(campaign)s AND level = 2", "target 0"),
    ("pending", "UPDATE commissions SET target = target - 1, pending = pending - 1"
     " WHERE campaign_id = %(campaign)s AND pending > 0", "on hold"),
    ("orders", "UPDATE orders SET paid = paid - 1 WHERE campaign_id = %(campaign)s", "payments say"),
    ("orders", "DELETE FROM refunds WHERE order_id IN"
     " (SELECT id FROM orders WHERE campaign_id = %(campaign)s)", "refunds 0"),
    ("orders", "UPDATE orders SET fee = fee + 1 WHERE campaign_id = %(campaign)s", "legs"),
    ("promoters", "UPDATE promoters SET earned = earned + 1 WHERE campaign_id = %(campaign)s"
     " AND number = 2", "participant 2: earned is off by 1"),
    ("promoters", "UPDATE promoters SET sales = sales - 1 WHERE campaign_id = %(campaign)s"
     " AND number = 2", "sales by -1"),
    ("debts", "UPDATE accounts SET balance = balance - 100000, debited = debited + 100000"
     " WHERE book_id = %(wallet)s AND account = 'available' AND owner = %(bob)s", "owes"),
    ("paid", "UPDATE accounts SET balance = balance + 1000000, credited = credited + 1000000"
     " WHERE book_id = %(wallet)s AND account = 'clearing'", "is reserved or paid"),
    ("matured", "UPDATE legs SET amount = amount + 1 WHERE book_id = %(wallet)s AND account = 'available'"
     " AND ref LIKE 'com%%'", "has matured"),
    ("matured", "DELETE FROM commissions WHERE workspace_id = %(workspace)s", "has matured 0"),
    ("payouts", "UPDATE payouts SET state = 'failed' WHERE id = %(payout_paid)s", "is failed"),
    ("payouts", "UPDATE payouts SET state = 'paid' WHERE id = %(payout_void)s", "is paid"),
    ("payouts", "UPDATE payouts SET amount = amount + 1, net = net + 1 WHERE id = %(payout_waiting)s",
     "still"),
    ("payouts", "INSERT INTO legs SELECT book_id, 10000, line, workspace_id, account, owner, currency,"
     " amount, ref FROM legs WHERE ref = %(payout_waiting)s", "reserved 2 time(s)"),
    ("payouts", "DELETE FROM payouts WHERE id = %(payout_waiting)s", "unknown to us"),
    ("reserved", "UPDATE payouts SET state = 'cancelled' WHERE id = %(payout_waiting)s", "reserved"),
    ("cleared", "UPDATE payouts SET tax = tax + 1, net = net - 1 WHERE id = %(payout_paid)s",
     "tax stands at"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "deed", "words"), TAMPERING, ids=lambda value: str(value)[:60])
def test_tampering_is_noticed_and_named(
    world: World, owner: psycopg.Connection[Any], check: str, deed: str, words: str
) -> None:
    for statement in deed.split(";"):
        owner.execute(statement.encode(), world.names)
    found = broken(owner, world)
    assert words in found[check]
    cheap = {one.name for one in INVARIANTS if one.cheap}
    assert set(broken(owner, world, cheap=True)) == set(found) & cheap


def test_every_invariant_is_tampered_with_here_and_has_words() -> None:
    assert {check for check, _, _ in TAMPERING} == {one.name for one in INVARIANTS}
    assert {one.name for one in INVARIANTS} <= set(WORDS)


def test_a_fault_names_ten_rows_and_counts_the_others(world: World, owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "INSERT INTO orders (id, workspace_id, campaign_id, contact_id, buyer, currency, total, paid, state,"
        " rule_version, seq, source, placed_at)"
        " SELECT 'ord_' || n, %(workspace)s, %(campaign)s, 'con', 1, 'CNY', 5, 5, 'paid', 1, 1, '', now()"
        " FROM generate_series(1, 25) AS n",
        world.names,
    )
    detail = broken(owner, world)["orders"]
    assert detail.count("order ord_") == SHOWN
    assert detail.endswith("; and 15 more")


def test_a_merged_debt_is_a_debt_of_whoever_is_left(parts: Parts, workspace: str) -> None:
    world = lived_in(parts, workspace)
    shop = world.shop
    shop.parts.clock.advance(timedelta(days=1))  # type: ignore[attr-defined]
    with parts.open(workspace) as ctx:
        merging.merge(ctx, shop.contacts["ann"], shop.contacts["bob"])
    payouts.merge_wallets(parts, workspace, shop.contacts["bob"])
    with parts.open(workspace) as ctx:
        owners = ctx.session.execute(
            text("SELECT count(*) FROM legs WHERE book_id = :book AND owner = :ann"),
            {"book": shop.wallet, "ann": shop.contacts["ann"]},
        ).scalar_one()
    assert owners
    assert [report.faults for report in verify_all(parts, workspace)] == [[], []]
