"""A second engine for money, written from the description: one Event at a time, plain dicts, no batches.

It shares no code with ``plays.posting``, ``payouts`` or ``ledger``: its own binding, commissions, refunds,
maturity, withdrawals, JSON and hash chain. It takes Events as stored (id, kind, facts, when they were posted)
and what surrounds them (``World``), and gives Entries with the bytes that are hashed.

Ids and invite tokens are random, so no second engine can compute them: those a decision makes (participant,
contact, order, payout, and the commissions of an order) are handed in, read from the journal's results and
from the rows (``Made``). Everything else it must find itself; what a share is worth it asks ``rule``, either
the play (the merchant's own rule) or ``arithmetic``, which is a third opinion about that as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from tests.engine.money.arithmetic import Line, Party, Said, Share

Facts = Mapping[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """What surrounds the books and is no Event: rules, goods, the clock's zone."""

    workspace: str
    campaign: str
    wallet: str
    zone: str
    configs: dict[int, Mapping[str, Any]]
    version: int = 1
    fee_bp: int = 0
    goods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By sku: name, price, on_sale, stock (``None``: without limit)."""
    policy: dict[str, Any] = field(default_factory=dict)
    """Of withdrawals, with the names of ``payouts.rules.Policy``."""

    @property
    def config(self) -> Mapping[str, Any]:
        return self.configs[self.version]


@dataclass(frozen=True)
class Made:
    """Ids a decision made, and the Event's own."""

    event: str
    source: str = "shop"
    participant: str = ""
    contact: str = ""
    token: str = ""
    order: str = ""
    payout: str = ""
    commissions: Mapping[int, str] = field(default_factory=dict)
    """Of a new order, by level."""


class Rule(Protocol):
    """The merchant's rule: who has a share, and what it is worth."""

    def pin(
        self,
        config: Facts,
        order: str,
        lines: list[Line],
        buyer: Party,
        promoter: Party | None,
        upline: Party | None,
    ) -> tuple[list[tuple[int, int, Any]], list[Said]]:
        """(level, member, whatever the rule wants to keep of it) for each share."""
        ...

    def worth(
        self, config: Facts, order: dict[str, Any], net: int, used: Mapping[int, Mapping[str, int]]
    ) -> tuple[list[int], list[Said]]:
        """Of every share that is not void, in order of levels; ``used`` is by member."""
        ...


class Draft:
    """An Entry being written."""

    def __init__(self, version: int) -> None:
        self.accepted = True
        self.version = version
        self.member: int | None = None
        self.other: int | None = None
        self.said: list[dict[str, Any]] = []
        self.ops: list[list[Any]] = []
        self.result: dict[str, Any] = {}
        self.legs: list[list[Any]] = []
        self.wallet_legs: list[list[Any]] = []
        self.currency = ""

    def say(self, code: str, **params: Any) -> None:
        self.said.append({"code": code, **({"params": params} if params else {})})

    def refuse(self, code: str, **params: Any) -> None:
        self.accepted = False
        self.say(code, **params)


def canonical(entry: Mapping[str, Any]) -> bytes:
    """The bytes of an Entry that are hashed: JSON, keys sorted, no spaces, UTF-8."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Engine:
    """The whole state of a workspace with one campaign, in dicts."""

    def __init__(self, world: World, rule: Rule) -> None:
        self.world = world
        self.rule = rule
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.accounts: dict[tuple[str, str, str, str], int] = {}
        self.members: dict[int, dict[str, Any]] = {}
        self.by_token: dict[str, int] = {}
        self.edges: dict[int, dict[int, str]] = {}
        self.bound: dict[int, dict[str, Any]] = {}
        self.sellers: dict[int, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.shares: dict[str, dict[str, Any]] = {}
        self.taken: dict[str, int] = {}
        self.payouts: dict[str, dict[str, Any]] = {}
        self.merged: dict[str, str] = {}
        self.blocked: set[str] = set()
        """Contacts blocked as people."""
        self.funnel: dict[str, int] = {}
        self.last: tuple[int, bool, list[dict[str, Any]]] = (0, False, [])
        """Sequence number, whether accepted, and reasons of the last decision."""
        self.last_wallet_legs: list[list[Any]] = []
        self.by_ref: dict[tuple[str, str], int] = {}
        """Sum of the legs by account and what they are about."""

    # -- an Event becomes Entries ---------------------------------------------------------------------

    def post(
        self, book: str, kind: str, facts: Facts, at: datetime, made: Made
    ) -> list[tuple[str, int, bytes, bytes]]:
        """(book, sequence number, canonical bytes, hash) of every Entry the Event makes."""
        from tests.engine.money.straight_orders import KINDS
        from tests.engine.money.straight_wallet import KINDS as WALLET

        in_wallet = book == self.world.wallet
        draft = Draft(self.world.policy["version"] if in_wallet else self.world.version)
        (WALLET if in_wallet else KINDS)[kind](self, facts, at, made, draft)
        body = self._body(draft, made)
        for op in draft.ops:
            if op[0] == "f":
                self.funnel[op[1]] = self.funnel.get(op[1], 0) + op[2]
        if draft.legs:
            body |= {"currency": draft.currency, "legs": draft.legs}
        written = [self._write(book, kind, at, made, draft, body)]
        self.last = (written[0][1], draft.accepted, draft.said)
        self.last_wallet_legs = draft.wallet_legs or (draft.legs if in_wallet else [])
        self._move(book, draft.currency, draft.legs)
        if draft.wallet_legs:
            side = Draft(draft.version)
            side.said = draft.said
            body = self._body(side, made) | {"currency": draft.currency, "legs": draft.wallet_legs}
            written.append(self._write(self.world.wallet, kind, at, made, side, body))
            self._move(self.world.wallet, draft.currency, draft.wallet_legs)
        return written

    @staticmethod
    def _body(draft: Draft, made: Made) -> dict[str, Any]:
        told = {"reasons": draft.said, "ops": draft.ops, "result": draft.result}
        return {"source": made.source} | {name: value for name, value in told.items() if value}

    def _write(
        self, book: str, kind: str, at: datetime, made: Made, draft: Draft, body: Mapping[str, Any]
    ) -> tuple[str, int, bytes, bytes]:
        seq, before = self.heads.get(book, (0, bytes(32)))
        text = canonical(
            {
                "book": book,
                "seq": seq + 1,
                "event": made.event,
                "kind": kind,
                "accepted": draft.accepted,
                "member": draft.member,
                "other": draft.other,
                "rule_version": draft.version,
                "at": (at - EPOCH) // timedelta(microseconds=1),
                "body": body,
            }
        )
        hash_ = hashlib.sha256(before + text).digest()
        self.heads[book] = (seq + 1, hash_)
        return book, seq + 1, text, hash_

    def _move(self, book: str, currency: str, legs: list[list[Any]]) -> None:
        for account, owner, amount, ref in legs:
            name = (book, account, owner, currency)
            self.accounts[name] = self.accounts.get(name, 0) + amount
            self.by_ref[account, ref] = self.by_ref.get((account, ref), 0) + amount

    def balance(self, account: str, owner: str, currency: str = "CNY", book: str | None = None) -> int:
        """Of the wallet book, unless another is named."""
        return self.accounts.get((book or self.world.wallet, account, owner, currency), 0)

    # -- people ---------------------------------------------------------------------------------------

    def today(self, at: datetime) -> str:
        return at.astimezone(ZoneInfo(self.world.zone)).date().isoformat()

    def periods(self, at: datetime) -> list[str]:
        day = self.today(at)
        return ["all", day[:7], day]

    def member_of(self, contact: str) -> int | None:
        """The participation of a contact, or else of whom they were merged into."""
        for one in (contact, self.merged.get(contact)):
            found = [number for number, member in self.members.items() if member["contact"] == one]
            if found:
                return found[0]
        return None

    def seller(self, number: int) -> dict[str, Any]:
        blank = {"state": "none", "tier": "", "spent": 0, "orders": 0, "sales": 0, "earned": 0}
        return self.sellers.setdefault(number, {**blank, "usage": {}, "note": ""})

    def party(self, number: int) -> Party:
        """A participant as somebody who may earn."""
        member, row = self.members[number], self.sellers.get(number, {})
        standing = row.get("state", "none")
        if member["state"] == "blocked" or standing == "blocked":
            why = "promoter_blocked"
        else:
            why = "promoter_left" if member["state"] == "left" else "not_a_promoter"
        config, spent = self.world.config, row.get("spent", 0)
        open_to_them = {
            "everyone": True,
            "approved": False,
            "buyers": spent > 0,
            "spenders": spent >= config["spend_threshold"] > 0,
        }[config["who_promotes"]]
        may = standing == "approved" or (standing not in ("rejected", "blocked") and open_to_them)
        qualified = may and member["state"] == "active"
        return Party(number, qualified, why, row.get("tier", ""), dict(row.get("usage", {})))

    def merge(self, kept: str, merged: str) -> None:
        """Two contacts are one person from now on (no Event: people are not in the books)."""
        self.merged = {one: kept if into == merged else into for one, into in self.merged.items()}
        self.merged[merged] = kept
        second = self.member_of_exactly(kept) is not None
        for member in self.members.values():
            if member["contact"] == merged and not second:
                member["contact"] = kept
        for row in (*self.orders.values(), *self.shares.values()):
            if row["contact"] == merged:
                row["contact"] = kept
        if {kept, merged} & self.blocked:
            self.blocked.add(kept)

    def member_of_exactly(self, contact: str) -> int | None:
        return next((n for n, member in self.members.items() if member["contact"] == contact), None)

    # -- whom a buyer belongs to ----------------------------------------------------------------------

    def touch(
        self, buyer: int, token: str | None, at: datetime, draft: Draft, *, ordering: bool = False
    ) -> int:
        """Follow a link, if there is one; the promoter the buyer belongs to now, or 0."""
        config, policy = self.world.config, self.world.config["binding"]
        link = self.by_token.get(token or "", 0)
        above = link
        while above and (above := self.members[above]["inviter"]):
            if above == buyer:
                link = above = 0
                if ordering:
                    draft.say("loop")
        if link == buyer or (link and not self.party(link).qualified):
            link = 0
        inviter = self.members[buyer]["inviter"]
        if policy == "registration":
            return int(inviter)
        known = self.bound.get(buyer)
        if known is None and inviter and self.party(inviter).qualified:
            known = self._binding(config, inviter, self.members[buyer]["joined_at"])
        if known is None:
            if link:
                self.bound[buyer] = self._binding(config, link, at)
            return link
        if policy == "permanent":
            self.bound[buyer] = known
            return int(known["promoter"])
        gone = known["valid"] is not None and at >= known["valid"]
        if not link and gone:
            draft.say("binding_expired", until=known["valid"].isoformat())
            return 0
        safe = known["protected"] is None or at < known["protected"]
        if link and (gone or policy == "last_touch" or (link != known["promoter"] and not safe)):
            known = self._binding(config, link, at)
        elif link and link != known["promoter"]:
            until = known["protected"].isoformat() if known["protected"] else ""
            draft.say("binding_protected", until=until)
        self.bound[buyer] = known
        return int(known["promoter"])

    @staticmethod
    def _binding(config: Facts, promoter: int, at: datetime) -> dict[str, Any]:
        if config["binding"] == "permanent":
            return {"promoter": promoter, "at": at, "protected": None, "valid": None}
        return {
            "promoter": promoter,
            "at": at,
            "protected": at + timedelta(days=config["protection_days"]),
            "valid": at + timedelta(days=config["validity_days"]),
        }


class OwnArithmetic:
    """The rule as ``arithmetic`` has it."""

    def pin(
        self,
        config: Facts,
        order: str,
        lines: list[Line],
        buyer: Party,
        promoter: Party | None,
        upline: Party | None,
    ) -> tuple[list[tuple[int, int, Any]], list[Said]]:
        from tests.engine.money.arithmetic import pin

        del order
        shares, said = pin(config, lines, buyer, promoter, upline)
        return [(one.level, one.member, one) for one in shares], said

    def worth(
        self, config: Facts, order: dict[str, Any], net: int, used: Mapping[int, Mapping[str, int]]
    ) -> tuple[list[int], list[Said]]:
        from tests.engine.money.arithmetic import worth

        targets, said = [], []
        for share in order["live"]:
            kept: Share = share["kept"]
            mine = used[kept.member]
            counted = zip(("all", "month", "day"), order["periods"], strict=True)
            target, more = worth(
                kept, order["lines"], net, {name: mine.get(period, 0) for name, period in counted}
            )
            targets.append(target)
            said += [(code, {**params, "currency": config["currency"]}) for code, params in more]
        return targets, said


class ThePlay:
    """The rule as the play itself has it: the merchant's own words."""

    def __init__(self, decide: Any) -> None:
        self.decide = decide

    def pin(
        self,
        config: Facts,
        order: str,
        lines: list[Line],
        buyer: Party,
        promoter: Party | None,
        upline: Party | None,
    ) -> tuple[list[tuple[int, int, Any]], list[Said]]:
        from growth_engine.plays.selling import OrderLine, OrderPlaced, Seller

        def seller(one: Party | None) -> Any:
            return one and Seller(one.member, one.qualified, one.why, one.tier, one.used)

        told = [OrderLine(n, one.sku, one.quantity, one.amount) for n, one in enumerate(lines, 1)]
        event = OrderPlaced(order, seller(buyer), told, seller(promoter), seller(upline))
        decided = self.decide(event, {}, config, None)
        said = [(reason.code, dict(reason.params)) for reason in decided.reasons]
        return [(one.level, one.member, one.terms) for one in decided.effects], said

    def worth(
        self, config: Facts, order: dict[str, Any], net: int, used: Mapping[int, Mapping[str, int]]
    ) -> tuple[list[int], list[Said]]:
        from growth_engine.plays.selling import OrderMoved, Seller
        from growth_engine.plays.selling import Share as Pinned

        shares = [Pinned(one["level"], one["member"], one["kept"]) for one in order["live"]]
        sellers = {number: Seller(number, qualified=True, used=one) for number, one in used.items()}
        event = OrderMoved(order["id"], net, shares, sellers, order["periods"])
        decided = self.decide(event, {}, config, None)
        for share, effect in zip(order["live"], decided.effects, strict=True):
            share["kept"] = effect.terms
        said = [(reason.code, dict(reason.params)) for reason in decided.reasons]
        return [effect.target for effect in decided.effects], said
