"""The auditor: predicts every answer, keeps its own books, and holds tables and mirror to them.

It knows the facts it sent and the answers it got, nothing else; only which random ids the commissions of an
order were given it reads, as the console would.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from growth_engine.ledger.contract import Connected, Event, Posted
from growth_engine.ledger.digest import Digest, Money, digest_rows
from growth_engine.ledger.verify import scope
from tests.engine.money.arithmetic import Share, by_rate
from tests.engine.money.straight_line import Engine, Made, World

_TABLES = """
SELECT json_build_object(
  'accounts', (SELECT json_agg(json_build_array(book_id, account, owner, currency, balance))
    FROM accounts WHERE workspace_id = %(ws)s AND balance <> 0),
  'heads', (SELECT json_agg(json_build_array(id, last_seq, encode(head, 'hex')))
    FROM books WHERE workspace_id = %(ws)s AND last_seq > 0),
  'orders', (SELECT json_agg(json_build_array(id, buyer, promoter, contact_id, total, paid, refunded, state,
      fee, rule_version))
    FROM orders WHERE campaign_id = %(campaign)s),
  'shares', (SELECT json_agg(json_build_array(id, order_id, level, member, contact_id, target, pending,
      matured, state))
    FROM commissions WHERE campaign_id = %(campaign)s),
  'sellers', (SELECT json_agg(json_build_array(number, state, tier, spent, orders, sales, earned, usage))
    FROM promoters WHERE campaign_id = %(campaign)s),
  'bound', (SELECT json_agg(json_build_array(buyer, promoter))
    FROM bindings WHERE campaign_id = %(campaign)s),
  'taken', (SELECT json_agg(json_build_array(p.sku, s.taken)) FROM products p
    JOIN stock s ON s.campaign_id = p.campaign_id AND s.item = 'product:' || p.id
    WHERE p.campaign_id = %(campaign)s AND s.taken <> 0),
  'payouts', (SELECT json_agg(json_build_array(id, contact_id, amount, tax, fee, state))
    FROM payouts WHERE workspace_id = %(ws)s))
"""

_BLANK = ["none", "", 0, 0, 0, 0, {}]


class Auditor:
    """Its own books of one workspace with one campaign."""

    def __init__(self, engine: Engine, conn: Connected) -> None:
        self.engine = engine
        self.world: World = engine.world
        self.conn = conn
        self.clawed: set[str] = set()
        """Contacts something was taken back from after it had matured, or who were merged with one."""

    # -- answers --------------------------------------------------------------------------------------

    def hear(self, event: Event, answer: Posted, at: datetime) -> None:
        """Decide the same Event; the answer must be the same, word by word."""
        engine, book = self.engine, event.book_id
        written = engine.post(book, event.kind, event.facts, at, self._made(event, answer))
        seq, accepted, said = engine.last
        assert (answer.seq, answer.accepted) == (seq, accepted), (event, answer, said)
        told = [reason.as_json() for reason in answer.reasons]
        assert told == said, (event, told, said)
        assert accepted or said, "every refusal has a reason"
        for leg in engine.last_wallet_legs:
            if (
                leg[0] == "available"
                and leg[2] < 0
                and event.kind in ("refund", "commission", "wallet_merge")
            ):
                self.clawed.add(leg[1])
        if event.kind == "wallet_merge" and accepted:
            self.clawed.add(answer.result["contact_id"])
        assert written

    def _made(self, event: Event, answer: Posted) -> Made:
        result = answer.result
        token = answer.answer.get("invite_token", "")
        if event.kind == "join" and result.get("enrolled") and not token:
            token = self._one("SELECT invite_token FROM participants WHERE id = %s", result["participant_id"])
        commissions: dict[int, str] = {}
        if event.kind == "order" and "order_id" in result:
            asked = "SELECT json_object_agg(level, id) FROM commissions WHERE order_id = %s"
            commissions = {
                int(level): id_ for level, id_ in (self._one(asked, result["order_id"]) or {}).items()
            }
        return Made(
            answer.event_id, event.source, result.get("participant_id", ""), result.get("contact_id", ""),
            token, result.get("order_id", ""), result.get("payout_id", ""), commissions,
        )  # fmt: skip

    def _one(self, query: str, *names: Any) -> Any:
        with self.conn.transaction():
            scope(self.conn, self.world.workspace)
            found = self.conn.execute(query.encode(), names).fetchone()
        assert found is not None
        return found[0]

    # -- tables ---------------------------------------------------------------------------------------

    def check_tables(self) -> None:
        with self.conn.transaction():
            scope(self.conn, self.world.workspace)
            names = {"ws": self.world.workspace, "campaign": self.world.campaign}
            row = self.conn.execute(_TABLES.encode(), names).fetchone()
        assert row is not None
        found = {name: {tuple(one[:-1]): one[-1] for one in rows or ()} for name, rows in row[0].items()}
        e = self.engine
        assert found["accounts"] == {name: amount for name, amount in e.accounts.items() if amount}
        assert found["heads"] == {(book, seq): hash_.hex() for book, (seq, hash_) in e.heads.items()}
        assert found["orders"] == {
            (
                one["id"], one["buyer"], one["promoter"], one["contact"], one["total"], one["paid"],
                one["refunded"], one["state"], one["fee"],
            ): one["version"]
            for one in e.orders.values()
        }  # fmt: skip
        assert found["shares"] == {
            (
                one["id"], one["order"], one["level"], one["member"], one["contact"], one["target"],
                one["pending"], one["matured"],
            ): one["state"]
            for one in e.shares.values()
        }  # fmt: skip
        sellers = {number: _seller(one) for number, one in e.sellers.items()}
        rows = {number: [*more, usage] for (number, *more), usage in found["sellers"].items()}
        assert {n: one for n, one in rows.items() if one != _BLANK} == {
            n: one for n, one in sellers.items() if one != _BLANK
        }
        assert found["bound"] == {(buyer,): one["promoter"] for buyer, one in e.bound.items()}
        assert found["taken"] == {(sku,): taken for sku, taken in e.taken.items() if taken}
        assert found["payouts"] == {
            (one["id"], one["owner"], one["amount"], one["tax"], one["fee"]): one["state"]
            for one in e.payouts.values()
        }

    # -- mirror ---------------------------------------------------------------------------------------

    def digest(self, book: str) -> Digest:
        """What the mirror must hold of a book."""
        e = self.engine
        seq = e.heads.get(book, (0, b""))[0]
        balances = {name[1:]: amount for name, amount in e.accounts.items() if name[0] == book}
        if book == self.world.wallet:
            return digest_rows([], seq, {}, [], Money(balances))
        earned: dict[int, int] = {}
        for share in e.shares.values():
            earned[share["member"]] = earned.get(share["member"], 0) + share["target"]
        cohorts: dict[str, list[int]] = {}
        for member in e.members.values():
            cohort = cohorts.setdefault(member["cohort"], [0, 0])
            cohort[0] += 1
            cohort[1] += member["score"]
        days = [(day, members, invites) for day, (members, invites) in sorted(cohorts.items())]
        return digest_rows(self._rows(), seq, e.funnel, days, Money(balances, earned, self._branch()))

    def _rows(self) -> list[tuple[int, int, int, int, bool, bool, int]]:
        members = self.engine.members
        level1, level2 = dict.fromkeys(members, 0), dict.fromkeys(members, 0)
        for member in members.values():
            parent = member["inviter"]
            if parent and member["state"] != "left":
                level1[parent] += 1
                if above := members[parent]["inviter"]:
                    level2[above] += 1
        return [
            (
                number, member["inviter"], level1[number], level2[number], member["state"] != "left",
                member["state"] == "blocked", member["score"],
            )
            for number, member in members.items()
        ]  # fmt: skip

    def _branch(self) -> dict[int, int]:
        members, branch = self.engine.members, dict[int, int]()
        for order in self.engine.orders.values():
            number = order["buyer"]
            for _ in range(2):
                number = members[number]["inviter"]
                if number:
                    net = max(0, order["paid"] - order["refunded"])
                    branch[number] = branch.get(number, 0) + net
                else:
                    break
        return branch

    # -- what must hold, whatever happened --------------------------------------------------------------

    def check_invariants(self) -> None:
        e = self.engine
        sums: dict[tuple[str, str], int] = {}
        totals: dict[str, int] = {}
        for (book, account, owner, currency), amount in e.accounts.items():
            sums[book, currency] = sums.get((book, currency), 0) + amount
            totals[account] = totals.get(account, 0) + amount
            assert amount >= 0 or account not in ("pending", "reserved"), (account, owner, amount)
            assert amount >= 0 or account != "available" or owner in self.clawed, (owner, amount)
        assert not any(sums.values())
        assert totals.get("wallet", 0) + totals.get("campaign", 0) == 0
        paid = totals.get("clearing", 0) + totals.get("tax", 0) + totals.get("payout_fee", 0)
        assert paid <= self._ever_earned(), "nobody was paid more than was ever earned"
        self._check_shares()

    def _ever_earned(self) -> int:
        return sum(share["ever"] for share in self.engine.shares.values())

    def _check_shares(self) -> None:
        """Every commission is worth what its order's money says, and was posted as that."""
        e = self.engine
        for share in e.shares.values():
            ref = share["id"]
            assert (
                share["target"] == share["pending"] + share["matured"] == -e.by_ref.get(("expense", ref), 0)
            )
            assert share["pending"] == e.by_ref.get(("pending", ref), 0)
            arrived = e.by_ref.get(("available", ref), 0) + e.by_ref.get(("absorbed", ref), 0)
            assert share["matured"] == arrived
            order, kept = e.orders[share["order"]], share["kept"]
            if not isinstance(kept, Share):
                continue
            worth = by_rate(kept, order["lines"], max(0, order["paid"] - order["refunded"]))
            wanted = worth if kept.ceiling is None else min(worth, kept.ceiling)
            assert share["target"] == (0 if share["state"] == "void" else wanted), share


def _seller(one: Mapping[str, Any]) -> list[Any]:
    return [one["state"], one["tier"], one["spent"], one["orders"], one["sales"], one["earned"], one["usage"]]
