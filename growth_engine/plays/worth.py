"""What a pinned share of an order is worth, in whole minor units, and how that came about; pure.

The paid amount is split over the order's lines, each line is worth the floor of its part at its rate, and
a limit pinned with the first payment holds for good. So a share follows from its terms and the order's net
alone: in whatever order payments and refunds come, the same net is worth the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from growth_engine.kit.i18n import N_, format_amount, format_number, translate
from growth_engine.plays.selling import Because

Terms = Mapping[str, Any]
"""``lines`` (each ``amount``, ``full`` …), ``caps``, and once paid ``allowed`` and ``peak``; plain JSON."""

#: Basis points in one; ``full`` of a line is counted in this part of a minor unit.
WHOLE: Final = 10_000


def split(net: int, weights: Sequence[int]) -> list[int]:
    """``net`` in parts proportional to ``weights``, whole numbers that sum to it exactly.

    Webster's rounding. Largest remainders would do as well, but for one thing: with three lines or more a
    line's part may shrink while the whole grows (the Alabama paradox), and a refund would then raise
    somebody's commission.
    """
    total = sum(weights)
    if len(weights) == 1 or net == total:  # nearly every order there is
        return [net] if len(weights) == 1 else list(weights)
    parts = [(2 * net * weight + total) // (2 * total) for weight in weights]
    places = range(len(weights))
    while (missing := net - sum(parts)) > 0:
        parts[max(places, key=lambda at: (Fraction(weights[at], 2 * parts[at] + 1), -at))] += 1
    for _ in range(-missing):
        held = [at for at in places if parts[at]]
        parts[min(held, key=lambda at: (Fraction(weights[at], 2 * parts[at] - 1), -at))] -= 1
    return parts


def of_line(line: Mapping[str, Any], part: int) -> int:
    """What a line is worth of which ``part`` was paid and kept."""
    return int(line["full"] * part // (line["amount"] * WHOLE))


def uncapped(terms: Terms, net: int) -> int:
    """What the rates alone give."""
    lines = terms["lines"]
    parts = split(net, [line["amount"] for line in lines])
    return sum(of_line(line, part) for line, part in zip(lines, parts, strict=True))


def worth(terms: Terms, net: int) -> int:
    """What a share is worth while ``net`` of its order was paid and kept."""
    return within(terms, uncapped(terms, net))


def within(terms: Terms, by_rate: int) -> int:
    """What a pinned limit leaves of what the rates give."""
    allowed = terms.get("allowed")
    return by_rate if allowed is None else min(by_rate, int(allowed))


def limited(terms: Terms, net: int, used: Mapping[str, int], period: str) -> Terms:
    """The terms with the limit that a payment pins (``allowed``); the same terms if there is none to pin.

    ``used`` is what the promoter earned by period, this share included, and ``period`` the one the limit is
    about. Only money that exceeds everything paid before (``peak``) asks for room: a refund never moves a
    limit, else the order in which refunds come would matter.
    """
    caps = terms.get("caps")
    peak = terms.get("peak", 0)
    if not caps or net <= peak:
        return terms
    allowed: int | None = caps.get("order")
    if (most := caps.get("promoter")) is not None:
        before = worth(terms, peak) if peak else 0
        room = before + max(0, most - used.get(period, 0))
        allowed = room if allowed is None else min(allowed, room)
    return {**terms, "allowed": allowed, "peak": net}


# -- in words ------------------------------------------------------------------------------------------

_RATE_FROM: Mapping[str, str] = {
    "product_tier": N_("set for this product and group"),
    "product": N_("set for this product"),
    "tier": N_("set for this group"),
    "base": N_("the campaign's rate"),
}


def explain(terms: Terms, net: int) -> list[Because]:
    """Every step from what was paid to what the share is worth; the last has ``amount``."""
    lines = terms["lines"]
    total = sum(line["amount"] for line in lines)
    steps = [
        Because(
            N_("%(net)s of the order's %(total)s was paid and kept."), amounts={"net": net, "total": total}
        )
    ]
    for line, part in zip(lines, split(net, [line["amount"] for line in lines]), strict=True):
        steps += _line(line, part)
    by_rate = uncapped(terms, net)
    if len(lines) > 1:
        steps.append(Because(N_("Together: %(amount)s."), amounts={"amount": by_rate}))
    steps += _caps(terms, by_rate)
    amount = worth(terms, net)
    steps.append(
        Because(
            N_("Commission of level %(level)s: %(amount)s."), {"level": terms["level"]}, {"amount": amount}
        )
    )
    return steps


def _line(line: Mapping[str, Any], part: int) -> list[Because]:
    params: dict[str, Any] = {
        "sku": line["sku"],
        "quantity": line["quantity"],
        "from": _RATE_FROM[line["from"]],
    }
    amounts = {"part": part, "whole": line["amount"], "amount": of_line(line, part)}
    if line["unit"] == "bp":
        message = N_("%(sku)s × %(quantity)s: %(part)s at %(rate)s%% (%(from)s), rounded down: %(amount)s.")
        params["rate"] = percent(line["value"])
    else:
        message = N_(
            "%(sku)s × %(quantity)s: %(each)s a piece (%(from)s), %(part)s of %(whole)s kept: %(amount)s."
        )
        amounts["each"] = line["value"]
    steps = [Because(message, params, amounts)]
    if line.get("clipped"):
        steps.append(
            Because(
                N_("%(sku)s: all levels together cannot earn more than was paid, so the rate was cut."),
                {"sku": line["sku"]},
            )
        )
    return steps


def _caps(terms: Terms, by_rate: int) -> list[Because]:
    allowed = terms.get("allowed")
    if allowed is None or by_rate <= allowed:
        return []
    if allowed == terms["caps"].get("order"):
        return [
            Because(
                N_("An order pays one person %(allowed)s at most."),
                amounts={"allowed": allowed},
            )
        ]
    message = {
        "day": N_("Limit of %(limit)s a day: %(allowed)s was left when the order was paid."),
        "month": N_("Limit of %(limit)s a month: %(allowed)s was left when the order was paid."),
        "all": N_("Limit of %(limit)s in the campaign: %(allowed)s was left when the order was paid."),
    }[terms["caps"]["period"]]
    return [Because(message, amounts={"limit": terms["caps"]["promoter"], "allowed": allowed})]


def in_words(step: Because, currency: str, *, locale: str | None = None) -> str:
    """A step in ``locale`` (default: the one spoken now)."""
    params = dict(step.params)
    if "from" in params:
        params["from"] = translate(params["from"], locale=locale)
    for name, amount in step.amounts.items():
        params[name] = format_amount(amount, currency, locale=locale)
    if isinstance(params.get("quantity"), int):
        params["quantity"] = format_number(params["quantity"], locale=locale)
    return translate(step.message, params, locale=locale)


def percent(basis_points: int) -> str:
    """2000 -> ``20``, 1250 -> ``12.5``: exact, without the sign."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)
