"""What other rules would have cost: real orders replayed through two configs side by side; pure.

Only the rules differ. Who bought what when, through whom, what was paid and refunded stay as they were, and
so do people's states and groups, as they are today. Orders from before the period follow the rules they
were placed under, whatever is published now, so they are left out.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from growth_engine.plays import worth
from growth_engine.plays.contract import Given, Play, PlayEvent, State
from growth_engine.plays.promoting import may_promote
from growth_engine.plays.selling import (
    OrderLine,
    OrderMoved,
    OrderPlaced,
    PinShare,
    Seller,
    SetCommission,
    Share,
)

# -- what happened -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transfer:
    """A payment (positive) or a refund (negative), minor units."""

    seq: int
    """Its Entry in the campaign's book: what came first."""
    at: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Sale:
    """An order as it was placed, and the money that moved since."""

    order_id: str
    seq: int
    """The Entry that placed it."""
    at: datetime
    buyer: int
    promoter: int
    """Number of the participant the buyer was bound to then; 0 for nobody."""
    lines: Sequence[OrderLine]
    transfers: Sequence[Transfer] = ()

    @property
    def net(self) -> int:
        """Paid less refunded by the end of the period."""
        return max(0, sum(one.amount for one in self.transfers))


@dataclass(frozen=True, slots=True)
class Person:
    """A participant as somebody who may promote."""

    inviter: int = 0
    """Who brought them; 0 for nobody."""
    here: bool = True
    """Neither left nor blocked."""
    state: str = "none"
    """Of the promoter's row."""
    tier: str = ""
    spent: int = 0
    """On own purchases before the period."""
    used: Mapping[str, int] = field(default_factory=dict)
    """Commission earned before it, by period as in ``Seller.used``."""


@dataclass(frozen=True, slots=True)
class History:
    """Everything about a period; ``people`` by number: buyers, promoters and who brought these."""

    sales: Sequence[Sale]
    people: Mapping[int, Person]
    zone: ZoneInfo
    since: datetime
    until: datetime
    posted: Mapping[int, int] = field(default_factory=dict)
    """What these orders' commissions really stand at, by participant."""
    cut: bool = False
    """There were more orders than are replayed; these are the newest."""


# -- what would have been ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one config makes of a period. Amounts in minor units, as they stand at its end."""

    cost: int
    """Commission of all levels, less what refunds took back."""
    by_level: Mapping[int, int]
    by_member: Mapping[int, int]
    shares: int
    """Pinned: orders count once for each level that earns."""
    capped: int
    """Shares a limit was hit with."""
    withheld: int
    """What these would be worth more without limits."""
    on_hold: int
    """Could not be withdrawn yet."""
    clawed_back: int
    """Taken back after it could be withdrawn."""
    reasons: Mapping[str, int]
    """How often nobody earned, by reason code."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the draft means for one participant."""

    member: int
    before: int
    after: int

    @property
    def by(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """Today's rules and the draft on the same orders."""

    orders: int
    sales: int
    """Their value, paid less refunded."""
    posted: int
    """What was really posted for them; not ``today.cost`` as far as rules or people changed since."""
    today: Outcome
    draft: Outcome
    changes: Sequence[Change]
    """Everybody who earns under either, the greatest change first."""
    cut: bool

    @property
    def winners(self) -> Sequence[Change]:
        return [one for one in self.changes if one.by > 0]

    @property
    def losers(self) -> Sequence[Change]:
        return [one for one in self.changes if one.by < 0]


def compare(play: Play, history: History, today: Mapping[str, Any], draft: Mapping[str, Any]) -> Comparison:
    """Replay a period under both configs (valid by the play's schema). Nothing is posted anywhere."""
    before, after = replay(play, today, history), replay(play, draft, history)
    members = sorted(before.by_member.keys() | after.by_member.keys())
    changes = [Change(one, before.by_member.get(one, 0), after.by_member.get(one, 0)) for one in members]
    return Comparison(
        orders=len(history.sales),
        sales=sum(sale.net for sale in history.sales),
        posted=sum(history.posted.values()),
        today=before,
        draft=after,
        changes=sorted(changes, key=lambda one: (-abs(one.by), one.member)),
        cut=history.cut,
    )


def replay(play: Play, config: Mapping[str, Any], history: History) -> Outcome:
    """What a config makes of a period."""
    run = _Run(play, config, history)
    for sale, transfer in _in_order(history.sales):
        if transfer is None:
            run.place(sale)
        else:
            run.move(sale, transfer)
    return run.outcome()


def _in_order(sales: Sequence[Sale]) -> Iterator[tuple[Sale, Transfer | None]]:
    """Every order placed and every transfer, in the order of the book."""
    happened: list[tuple[int, Sale, Transfer | None]] = []
    for sale in sales:
        happened.append((sale.seq, sale, None))
        happened += [(one.seq, sale, one) for one in sale.transfers]
    for _seq, sale, transfer in sorted(happened, key=itemgetter(0)):
        yield sale, transfer


@dataclass(slots=True)
class _Pinned:
    """A share on its way through the period."""

    level: int
    member: int
    terms: Mapping[str, Any]
    target: int = 0
    periods: Sequence[str] = ()
    """What it counts for since it first earned."""
    hold_until: datetime | None = None
    capped: bool = False


class _Run:
    def __init__(self, play: Play, config: Mapping[str, Any], history: History) -> None:
        self._play = play
        self._config = config
        self._history = history
        self._random = random.Random(0)  # noqa: S311 - must be repeatable
        self._states: dict[str, State] = {}
        self._pinned: dict[str, list[_Pinned]] = {}
        self._flow: dict[str, int] = defaultdict(int)
        self._spent = {number: person.spent for number, person in history.people.items()}
        self._used = {number: Counter(person.used) for number, person in history.people.items()}
        self._days: dict[str, list[str]] = {}
        self._reasons: Counter[str] = Counter()
        self._clawed_back = 0

    def place(self, sale: Sale) -> None:
        people = self._history.people
        promoter = people.get(sale.promoter) if sale.promoter else None
        upline = promoter.inviter if promoter else 0
        placed = OrderPlaced(
            sale.order_id,
            self._seller(sale.buyer),
            sale.lines,
            self._seller(sale.promoter) if promoter else None,
            self._seller(upline) if upline in people else None,
        )
        self._pinned[sale.order_id] = [
            _Pinned(effect.level, effect.member, effect.terms)
            for effect in self._decide(placed, sale.at)
            if isinstance(effect, PinShare)
        ]

    def move(self, sale: Sale, transfer: Transfer) -> None:
        at, before = transfer.at, max(0, self._flow[sale.order_id])
        self._flow[sale.order_id] += transfer.amount
        net = max(0, self._flow[sale.order_id])
        self._spent[sale.buyer] = self._spent.get(sale.buyer, 0) + net - before
        shares = self._pinned[sale.order_id]
        if not shares or net == before:
            return
        periods = self._periods(at)
        moved = OrderMoved(
            sale.order_id,
            net,
            [Share(one.level, one.member, one.terms) for one in shares],
            {one.member: self._earner(one.member) for one in shares},
            periods,
        )
        by_level = {one.level: one for one in shares}
        for effect in self._decide(moved, at):
            if isinstance(effect, SetCommission):
                self._settle(by_level[effect.level], effect, at, periods)

    def _settle(self, share: _Pinned, effect: SetCommission, at: datetime, periods: Sequence[str]) -> None:
        delta = effect.target - share.target
        share.terms, share.target = effect.terms, effect.target
        if delta > 0:
            share.periods = share.periods or periods
            share.hold_until = at + timedelta(days=self._config["hold_days"])
        elif delta < 0 and share.hold_until is not None and share.hold_until <= at:
            self._clawed_back -= delta
        used = self._used.setdefault(share.member, Counter())
        for period in share.periods:
            used[period] += delta

    def _decide(self, event: PlayEvent, at: datetime) -> Sequence[Any]:
        scope = self._play.scope(event, self._config)
        given = Given(at, self._random)
        decision = self._play.decide(event, self._states.get(scope, {}), self._config, given)
        if decision.state:
            self._states[scope] = decision.state
        self._reasons.update(reason.code for reason in decision.reasons)
        if isinstance(event, OrderMoved):
            self._note_caps(event, decision.reasons)
        return decision.effects

    def _note_caps(self, event: OrderMoved, reasons: Sequence[Any]) -> None:
        hit = {reason.params.get("level") for reason in reasons if reason.code == "commission_cap"}
        for share in self._pinned[event.order_id] if hit else ():
            share.capped |= share.level in hit

    def _seller(self, number: int) -> Seller:
        person = self._history.people.get(number, Person(here=False))
        spent = self._spent.get(number, 0)
        qualified = person.here and may_promote(self._config, person.state, spent)
        why = "promoter_blocked" if person.state == "blocked" else "not_a_promoter"
        return Seller(number, qualified, why, person.tier, self._used.get(number, {}))

    def _earner(self, number: int) -> Seller:
        """Whoever was pinned earns, whatever became of them since."""
        return Seller(number, qualified=True, used=self._used.get(number, {}))

    def _periods(self, at: datetime) -> list[str]:
        """The keys of ``Seller.used`` for a moment."""
        day = at.astimezone(self._history.zone).date().isoformat()
        return self._days.setdefault(day, ["all", day[:7], day])

    def outcome(self) -> Outcome:
        by_level: Counter[int] = Counter()
        by_member: Counter[int] = Counter()
        capped = withheld = on_hold = 0
        shares = [(order, one) for order, pinned in self._pinned.items() for one in pinned]
        until = self._history.until.astimezone(UTC)
        for order, one in shares:
            by_level[one.level] += one.target
            by_member[one.member] += one.target
            if one.capped:
                capped += 1
                withheld += max(0, worth.uncapped(one.terms, max(0, self._flow[order])) - one.target)
            if one.hold_until is not None and one.hold_until > until:
                on_hold += one.target
        self._reasons.pop("commission_cap", None)
        return Outcome(
            cost=sum(by_level.values()),
            by_level=dict(sorted(by_level.items())),
            by_member={member: amount for member, amount in sorted(by_member.items()) if amount},
            shares=len(shares),
            capped=capped,
            withheld=withheld,
            on_hold=on_hold,
            clawed_back=self._clawed_back,
            reasons=dict(sorted(self._reasons.items())),
        )
