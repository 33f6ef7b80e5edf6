"""The arithmetic of the distribution play once more, written from its description and not from its code.

A share of an order is worth, for each line, the floor of what was paid and kept of the line at the line's
rate. What was paid and kept of the order is spread over its lines by Webster's method (the line whose part
is furthest below its due gets the next unit; of equals the earlier one). All levels together never get
more of a line than it costs. A limit is pinned by the payment that first reaches a new height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Config = Mapping[str, Any]
Said = tuple[str, dict[str, Any]]
"""Reason code and parameters."""


@dataclass
class Party:
    """Somebody who may earn from an order."""

    member: int
    qualified: bool
    why: str
    tier: str
    used: Mapping[str, int]


@dataclass
class Line:
    sku: str
    quantity: int
    amount: int


@dataclass
class Share:
    """What the arithmetic remembers of one level of one order."""

    level: int
    member: int
    ceilings: list[int] = field(default_factory=list)
    """By line: what it is worth when wholly paid, in ten-thousandths of a minor unit."""
    order_cap: int | None = None
    promoter_cap: int | None = None
    cap_period: str = "all"
    ceiling: int | None = None
    """The limit pinned so far."""
    height: int = 0
    """The most that was ever paid and kept."""


def spread(net: int, weights: Sequence[int]) -> list[int]:
    """Webster's method, unit by unit from just below everybody's exact part."""
    whole = sum(weights)
    parts = [max(0, net * weight // whole - len(weights)) for weight in weights]
    for _ in range(net - sum(parts)):
        best = 0
        for at in range(1, len(weights)):
            # w/(2p+1) > best's, without fractions
            if weights[at] * (2 * parts[best] + 1) > weights[best] * (2 * parts[at] + 1):
                best = at
        parts[best] += 1
    return parts


def pin(
    config: Config, lines: Sequence[Line], buyer: Party, promoter: Party | None, upline: Party | None
) -> tuple[list[Share], list[Said]]:
    """Who has a share in an order, and what there is to say about those who have none."""
    own = bool(config["self_rebate"]) and buyer.qualified
    first, second = (buyer, promoter) if own else (promoter, upline)
    shares: list[Share] = []
    said: list[Said] = []
    given = [0 for _ in lines]
    for level, party in ((1, first), (2, second)):
        if party is None or level > config["levels"]:
            continue
        about = {"level": level, "member": party.member}
        if party.member == buyer.member and not (own and level == 1):
            said.append(("self_purchase", about))
        elif not party.qualified:
            said.append((party.why, about))
        else:
            ceilings = [
                min(_full(config, line, party.tier, level), line.amount * 10_000 - gone)
                for line, gone in zip(lines, given, strict=True)
            ]
            if sum(ceilings) == 0:
                said.append(("rate_zero", about))
                continue
            given = [gone + one for gone, one in zip(given, ceilings, strict=True)]
            caps = (config["order_cap"], config["promoter_cap"], config["cap_period"])
            shares.append(Share(level, party.member, ceilings, *caps))
    if promoter is None and not shares:
        said.insert(0, ("no_promoter", {}))
    return shares, said


def _full(config: Config, line: Line, tier: str, level: int) -> int:
    unit, value = config[f"level{level}_unit"], config[f"level{level}_value"]
    exactness = 0
    for one in config["overrides"]:
        fits = one["level"] == level and one["sku"] in ("", line.sku) and one["tier"] in ("", tier)
        exact = 2 * bool(one["sku"]) + bool(one["tier"])
        if fits and exact > exactness:
            unit, value, exactness = one["unit"], one["value"], exact
    return int(line.amount * value if unit == "bp" else line.quantity * value * 10_000)


def by_rate(share: Share, lines: Sequence[Line], net: int) -> int:
    """What the rates alone give."""
    parts = spread(net, [line.amount for line in lines])
    return sum(
        ceiling * part // (line.amount * 10_000)
        for ceiling, part, line in zip(share.ceilings, parts, lines, strict=True)
    )


def worth(share: Share, lines: Sequence[Line], net: int, used: Mapping[str, int]) -> tuple[int, list[Said]]:
    """What a share is worth now; pins its limit when this much was never paid before.

    ``used``: what the member earned in ``all``, and in the ``month`` and the ``day`` the order counts for.
    """
    free = by_rate(share, lines, net)
    limited = share.order_cap is not None or share.promoter_cap is not None
    risen = limited and net > share.height
    if risen:
        held = min(by_rate(share, lines, share.height), _or_more(share.ceiling)) if share.height else 0
        limit = _or_more(share.order_cap)
        if share.promoter_cap is not None:
            limit = min(limit, held + max(0, share.promoter_cap - used[share.cap_period]))
        share.ceiling, share.height = limit, net
    target = min(free, _or_more(share.ceiling))
    if risen and target < free:
        return target, [
            (
                "commission_cap",
                {"level": share.level, "member": share.member, "amount": target, "due": free},
            )
        ]
    return target, []


def _or_more(limit: int | None) -> int:
    return 10**18 if limit is None else limit
