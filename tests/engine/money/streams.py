"""Random Events of a shop, the journal they make, and the second engine that follows it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson
from psycopg import Connection

from campaigns import distribution
from growth_engine.context import Parts
from growth_engine.ledger.contract import Event
from growth_engine.ledger.journal import Entry
from growth_engine.ledger.verify import scope
from tests.engine.money.straight_line import Engine, Made, OwnArithmetic, ThePlay, World
from tests.factories.campaigns import join_event
from tests.factories.selling import PRICE, Shop

#: What is sold: price, stock.
GOODS = {"book": (PRICE, None), "pen": (333, None), "map": (1, 40), "rare": (9_999, 5)}
#: Kinds of Events, by how often they come.
MIX = {
    "join": 8, "leave": 1, "block": 1, "unblock": 1, "order": 14, "payment": 16, "refund": 12, "cancel": 2,
    "mature": 4, "commission": 5, "promoter": 4, "payout_reserve": 5, "payout_confirm": 3, "payout_void": 3,
    "write_off": 2,
}  # fmt: skip
POLICY = {
    "version": 0, "minimum": 100, "daily_amount": None, "daily_count": 3, "approve_above": 0, "tax_bp": 0,
    "fee_bp": 0, "fee_fixed": 0,
}  # fmt: skip


def random_config(pick: random.Random) -> dict[str, Any]:
    """Rules of a campaign, every switch thrown now and then."""
    caps = pick.random() < 0.4
    return {
        "levels": pick.choice([1, 2, 2]),
        "level1_unit": pick.choice(["bp", "bp", "fixed"]),
        "level1_value": pick.choice([0, 100, 2000, 3333, 9000]),
        "level2_value": pick.choice([0, 500, 777]),
        "promoter_tiers": [{"name": "gold", "label": ""}],
        "overrides": pick.sample(
            [
                {"sku": "pen", "tier": "", "level": 1, "unit": "bp", "value": 0},
                {"sku": "", "tier": "gold", "level": 1, "unit": "bp", "value": 3000},
                {"sku": "map", "tier": "gold", "level": 2, "unit": "fixed", "value": 7},
            ],
            pick.randrange(4),
        ),
        "self_rebate": pick.random() < 0.3,
        "order_cap": pick.choice([None, 1500]) if caps else None,
        "promoter_cap": pick.choice([None, 900, 5000]) if caps else None,
        "cap_period": pick.choice(["day", "month", "all"]),
        "who_promotes": pick.choice(["everyone", "everyone", "approved", "buyers", "spenders"]),
        "spend_threshold": pick.choice([0, 500]),
        "binding": pick.choice(["first_touch", "permanent", "last_touch", "registration"]),
        "protection_days": pick.choice([0, 3]),
        "validity_days": pick.choice([1, 10]),
        "hold_days": pick.choice([0, 2, 7]),
        "clawback": pick.choice(["carry", "absorb"]),
    }


def open_shop(parts: Parts, workspace_id: str, pick: random.Random) -> Shop:
    """A campaign with random rules that sells ``GOODS``, one of them hidden."""
    shop = Shop(parts, workspace_id, random_config(pick))
    for sku, (price, stock) in GOODS.items():
        if sku != "book":
            shop.offer(sku, price, stock)
    shop.offer("old", 50, state="hidden")
    return shop


@dataclass(frozen=True)
class Row:
    """One Entry as it stands in the database, with the Event it came from."""

    entry: Entry
    hash: bytes
    source: str
    facts: Mapping[str, Any]


_JOURNAL = """
SELECT n.book_id, n.seq, n.event_id, n.kind, n.accepted, n.member, n.other, n.rule_version, n.at, n.body,
       n.hash, e.source, e.facts
FROM entries n JOIN events e ON e.id = n.event_id
WHERE n.book_id = %s AND n.seq > %s ORDER BY n.seq
"""


class Follower:
    """Feeds the second engine what the journal of a workspace holds, and compares byte by byte."""

    def __init__(
        self, shop: Shop, conn: Connection[Any], *, own: bool, fee_bp: int = 100, sent: bool = False
    ) -> None:
        """``sent``: every payout is handed to its provider as soon as it was asked for."""
        self.sent = sent
        self.shop = shop
        self.conn = conn
        config = shop.rows("SELECT config FROM campaign_versions WHERE campaign_id = :campaign")[0][0]
        loaded = distribution.Config().load(config)
        goods = {
            sku: {"name": name, "price": price, "on_sale": state == "on_sale", "stock": stock}
            for sku, name, price, state, stock in shop.rows(
                "SELECT sku, name, price, p.state, s.total FROM products p"
                " LEFT JOIN stock s ON s.item = 'product:' || p.id WHERE p.campaign_id = :campaign"
            )
        }
        self.world = World(
            shop.workspace_id, shop.campaign_id, shop.wallet, "Asia/Shanghai", {1: loaded}, 1, fee_bp, goods,
            dict(POLICY),
        )  # fmt: skip
        self.engine = Engine(self.world, OwnArithmetic() if own else ThePlay(distribution.decide))
        self.seen = 0
        """Entries compared so far."""

    def follow(self) -> None:
        """Compare everything posted since the last time."""
        with self.conn.transaction():
            scope(self.conn, self.shop.workspace_id)
            campaign = self._rows(self.shop.campaign_id)
            wallet = self._rows(self.shop.wallet)
            mine = {row.entry.event_id for row in campaign}
            # A campaign's Event with a side in the wallet is where the two books meet; all else commutes.
            sides = {row.entry.event_id: row for row in wallet if row.entry.event_id in mine}
            for row in wallet:
                while campaign and row.entry.event_id in sides:
                    first = campaign.pop(0)
                    self._compare(first, sides.get(first.entry.event_id))
                    if first.entry.event_id == row.entry.event_id:
                        break
                if row.entry.event_id not in sides:
                    self._compare(row, None)
            for row in campaign:
                self._compare(row, None)

    def _rows(self, book: str) -> list[Row]:
        seen = self.engine.heads.get(book, (0, b""))[0]
        rows = self.conn.execute(_JOURNAL, (book, seen)).fetchall()
        return [Row(Entry(*row[:10]), bytes(row[10]), row[11], row[12]) for row in rows]

    def _compare(self, row: Row, side: Row | None) -> None:
        entry = row.entry
        written = self.engine.post(entry.book_id, entry.kind, row.facts, entry.at, self._made(row))
        stored = [
            (one.entry.book_id, one.entry.seq, one.entry.canonical(), one.hash) for one in (row, side) if one
        ]
        for ours, theirs in zip(written, stored, strict=False):
            assert ours[2] == theirs[2], (
                f"\nsecond engine {ours[2].decode()}\njournal       {theirs[2].decode()}"
            )
        assert written == stored
        self.seen += len(written)
        for payout in self.engine.payouts.values() if self.sent else ():
            payout["state"] = "sending" if payout["state"] == "requested" else payout["state"]

    def _made(self, row: Row) -> Made:
        result = row.entry.body.get("result", {})
        made = {"event": row.entry.event_id, "source": row.source, "contact": result.get("contact_id", "")}
        made |= {"participant": result.get("participant_id", ""), "payout": result.get("payout_id", "")}
        if result.get("enrolled"):
            found = self.conn.execute(
                "SELECT invite_token FROM participants WHERE id = %s", (result["participant_id"],)
            ).fetchone()
            assert found is not None
            made["token"] = found[0]
        commissions: dict[int, str] = {}
        if row.entry.kind == "order" and "order_id" in result:
            found_shares = self.conn.execute(
                "SELECT level, id FROM commissions WHERE order_id = %s", (result["order_id"],)
            )
            commissions = dict(found_shares.fetchall())
        return Made(**made, order=result.get("order_id", ""), commissions=commissions)


class Stream:
    """Makes random Events out of what is known so far."""

    def __init__(self, shop: Shop, follower: Follower, pick: random.Random) -> None:
        self.shop = shop
        self.engine = follower.engine
        self.pick = pick
        self.sent: list[Event] = []
        self._people = 0
        self._makers: Mapping[str, Callable[[], Event | None]] = {
            "join": self.join,
            "order": self.order,
            "payment": self.payment,
            "refund": self.refund,
            "cancel": self.cancel,
            "mature": self.mature,
            "commission": self.commission,
            "promoter": self.promoter,
            "payout_reserve": self.reserve,
            "payout_confirm": self.confirm,
            "payout_void": self.void,
            "write_off": self.write_off,
        }

    def next(self, mix: Mapping[str, int] = MIX) -> Event:
        """One more Event; a registration while nothing else can be."""
        for _ in range(4):
            kind = self.pick.choices(list(mix), list(mix.values()))[0]
            event = self._makers.get(kind, lambda kind=kind: self.standing(kind))()
            if event is not None:
                self.sent.append(event)
                return event
        self.sent.append(self.join())
        return self.sent[-1]

    def again(self) -> Event | None:
        """An Event sent before."""
        return self.pick.choice(self.sent) if self.sent else None

    # -- helpers ---------------------------------------------------------------------------------------

    def _contact(self) -> str | None:
        contacts = sorted({member["contact"] for member in self.engine.members.values()})
        return self.pick.choice(contacts) if contacts else None

    def _token(self) -> str | None:
        return self.pick.choice([None, None, *sorted(self.engine.by_token), "nobody"])

    def _amount(self, whole: int) -> int:
        return self.pick.choice([whole, whole, max(1, whole // 2), max(1, whole // 3), 1, whole + 1]) or 1

    def wallet_event(self, kind: str, facts: Mapping[str, Any]) -> Event:
        now, key = self.shop.parts.clock.now(), self.shop.parts.ids.new("key")
        return Event(self.shop.workspace_id, self.shop.wallet, kind, "payouts", key, now, facts)

    # -- Events ----------------------------------------------------------------------------------------

    def join(self) -> Event:
        known = self._people and self.pick.random() < (0.2 if self._people < 12 else 0.8)
        who = f"p{self.pick.randrange(self._people) if known else self._people}"
        self._people += not known
        shop = self.shop
        tokens = list(self.engine.by_token)
        token = self.pick.choice(tokens) if tokens and self.pick.random() < 0.8 else self._token()
        return join_event(shop.parts, shop.workspace_id, shop.campaign_id, who, token)

    def standing(self, kind: str) -> Event | None:
        contact = self._contact()
        return contact and self.shop.event(kind, {"contact_id": contact})  # type: ignore[return-value]

    def order(self) -> Event | None:
        contact = self._contact()
        if contact is None:
            return None
        lines: list[dict[str, Any]] = []
        for _ in range(self.pick.choice([1, 1, 2, 3])):
            sku = self.pick.choices([*GOODS, "old", "none"], [9, 9, 9, 5, 1, 1])[0]
            line: dict[str, Any] = {"sku": sku, "quantity": self.pick.choice([1, 1, 2, 5])}
            if self.pick.random() < 0.2:
                line["amount"] = self.pick.choice([1, 7, 1_000])
            lines.append(line)
        currency = "USD" if self.pick.random() < 0.02 else "CNY"
        facts: dict[str, Any] = {"contact_id": contact, "currency": currency, "lines": lines}
        if token := self._token():
            facts["invite_token"] = token
        return self.shop.event("order", facts)

    def _money(self, kind: str, whole: Callable[[dict[str, Any]], int]) -> Event | None:
        if not self.engine.orders:
            return None
        recent = [self.engine.orders[one] for one in list(self.engine.orders)[-12:]]
        fitting = [
            one
            for one in recent
            if (one["paid"] < one["total"] if kind == "payment" else one["paid"] > one["refunded"])
        ]
        order = self.pick.choice(fitting if fitting and self.pick.random() < 0.8 else recent)
        facts = {"currency": "USD"} if self.pick.random() < 0.02 else {}
        name = "ord_unknown" if self.pick.random() < 0.01 else order["id"]
        return self.shop._money(kind, name, self._amount(whole(order)), None, facts)

    def payment(self) -> Event | None:
        return self._money("payment", lambda order: order["total"] - order["paid"])

    def refund(self) -> Event | None:
        event = self._money("refund", lambda order: order["total"] - order["refunded"])
        if event is not None and self.pick.random() < 0.4:
            event = replace(event, facts={**event.facts, "restock": True})
        return event

    def cancel(self) -> Event | None:
        if not self.engine.orders:
            return None
        named = self.pick.choice(list(self.engine.orders)[-12:])
        return self.shop.event(
            "cancel", {"order_id": named, "reason": self.pick.choice(["cancelled", "expired_unpaid"])}
        )

    def mature(self) -> Event:
        ahead = self.pick.choice([timedelta(), timedelta(), timedelta(days=2), timedelta(days=30)])
        cutoff = (self.shop.parts.clock.now() + ahead).isoformat()
        return self.shop.event("mature", {"cutoff": cutoff, "limit": self.pick.choice([1, 2, 3, 500])})

    def commission(self) -> Event | None:
        ids = list(self.engine.shares)[-20:]
        if not ids:
            return None
        chosen = self.pick.sample(ids, min(len(ids), self.pick.choice([1, 2, 5])))
        # Those in between two states are where things go wrong.
        torn = [one for one, share in self.engine.shares.items() if share["matured"] and share["target"]]
        chosen += self.pick.sample(torn, min(len(torn), self.pick.randrange(3)))
        action = self.pick.choice(["void", "hold", "hold", "release", "release", "mature"])
        return self.shop.event(
            "commission", {"ids": chosen, "action": action, "reason": "test", "by": "stf_1"}
        )

    def promoter(self) -> Event | None:
        contact = self._contact()
        if contact is None:
            return None
        action = self.pick.choice(
            ["apply", "approve", "approve", "reject", "tier", "block", "unblock", "unblock"]
        )
        facts: dict[str, Any] = {"contact_id": contact, "action": action, "by": "stf_1"}
        if action in ("tier", "approve"):
            facts["tier"] = self.pick.choice(["gold", ""])
        return self.shop.event("promoter", facts)

    def _owner(self, below: bool = False) -> tuple[str, int] | None:
        found = [
            (name[2], amount)
            for name, amount in sorted(self.engine.accounts.items())
            if name[1] == "available" and (amount < 0 if below else amount > 0)
        ]
        return self.pick.choice(found) if found else None

    def reserve(self) -> Event | None:
        owner = self._owner()
        if owner is None:
            return None
        facts = {"contact_id": owner[0], "amount": self._amount(owner[1]), "currency": "CNY"}
        return self.wallet_event("payout_reserve", facts)

    def _payout(self) -> str | None:
        return self.pick.choice(list(self.engine.payouts)[-8:]) if self.engine.payouts else None

    def confirm(self) -> Event | None:
        payout = self._payout()
        return payout and self.wallet_event("payout_confirm", {"payout_id": payout, "ref": "r"})  # type: ignore[return-value]

    def void(self) -> Event | None:
        payout = self._payout()
        if payout is None:
            return None
        state = self.pick.choice(["cancelled", "rejected", "failed"])
        return self.wallet_event(
            "payout_void", {"payout_id": payout, "state": state, "by": "stf_1", "note": "no"}
        )

    def write_off(self) -> Event | None:
        owner = self._owner(below=True)
        if owner is None:
            return None
        facts = {
            "contact_id": owner[0],
            "amount": self._amount(-owner[1]),
            "currency": "CNY",
            "by": "stf_1",
            "note": "x",
        }
        return self.wallet_event("write_off", facts)


def send_payouts(shop: Shop, engine: Engine, pick: random.Random) -> None:
    """Approve and hand over some payouts, as people and the sending job do beside the books."""
    for payout in engine.payouts.values():
        if payout["state"] in ("requested", "approved") and pick.random() < 0.5:
            payout["state"] = "sending"
            set_payout_state(shop, payout["id"], "sending")


def set_payout_state(shop: Shop, payout_id: str, state: str) -> None:
    from sqlalchemy import text

    with shop.parts.open(shop.workspace_id) as ctx:
        ctx.session.execute(
            text("UPDATE payouts SET state = :state WHERE id = :id"), {"id": payout_id, "state": state}
        )


def publish(shop: Shop, engine: Engine, config: Mapping[str, Any]) -> None:
    """New rules from now on."""
    from sqlalchemy import text

    loaded = distribution.Config().load({**config, "currency": "CNY"})
    engine.world.version += 1
    engine.world.configs[engine.world.version] = loaded
    with shop.parts.open(shop.workspace_id) as ctx:
        names = {
            "id": shop.campaign_id,
            "version": engine.world.version,
            "config": orjson.dumps(loaded).decode(),
        }
        ctx.session.execute(
            text(
                "INSERT INTO campaign_versions (campaign_id, version, workspace_id, config, content,"
                " created_by, created_at)"
                " SELECT id, :version, workspace_id, CAST(:config AS jsonb), content, 'test', now()"
                " FROM campaigns WHERE id = :id"
            ),
            names,
        )
        ctx.session.execute(
            text(
                "UPDATE campaigns SET rule_version = :version, config = CAST(:config AS jsonb) WHERE id = :id"
            ),
            names,
        )
