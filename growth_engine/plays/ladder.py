"""The reward ladder of plays that have one: rungs at numbers of valid invites, each with its stock; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from growth_engine.kit.i18n import N_
from growth_engine.plays.contract import Effect, Page, Remember, ReserveStock, State, Step, Viewer, option

MOST_RUNGS = 10

Tier = Mapping[str, Any]
"""A rung as configured: ``invites``, ``days``, ``stock`` (``None``: no limit), ``label`` …"""


class Rung(Schema):
    """What every rung has; a play adds what is won on it."""

    invites = fields.Integer(
        required=True,
        validate=validate.Range(min=1, max=100_000),
        metadata=option(N_("Valid invites"), section="reward"),
    )
    stock = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=10_000_000),
        metadata=option(N_("How many there are"), N_("Empty for no limit."), section="reward"),
    )
    label = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata=option(N_("Name of the reward"), section="reward"),
    )


@dataclass(frozen=True, slots=True)
class Prize:
    """What happens on a rung: while there is stock, and when none is left."""

    won: Sequence[Effect]
    gone: Sequence[Effect]


def check_climb(tiers: Sequence[Tier]) -> None:
    """Raises ValidationError unless every rung is higher than the one before."""
    steps = [tier["invites"] for tier in tiers if "invites" in tier]
    if steps != sorted(set(steps)):
        raise ValidationError([N_("Each step needs more invites than the one before.")], "tiers")


def item(tier: Tier) -> str:
    """The name a rung's stock is kept under."""
    return f"tier:{tier['invites']}"


def stock(tiers: Sequence[Tier]) -> Mapping[str, int]:
    return {item(tier): tier["stock"] for tier in tiers if tier["stock"] is not None}


def climb(
    scope: str,
    valid_invites: int,
    state: State,
    tiers: Sequence[Tier],
    prize: Callable[[Tier], Prize],
) -> tuple[State, list[Effect]]:
    """Every rung reached and not decided before: take it from stock, or do what happens without.

    ``scope`` is where the state is kept: ``tiers`` are the rungs decided, ``missed`` those of them whose
    stock was empty. Both are numbers of invites.
    """
    decided = set(state.get("tiers", ()))
    effects: list[Effect] = []
    for tier in tiers:
        at = tier["invites"]
        if at in decided or valid_invites < at:
            continue
        decided.add(at)
        of = prize(tier)
        if tier["stock"] is None:
            effects += of.won
        else:
            missed = Remember(f"{item(tier)}:{scope}:missed", scope, "missed", at)
            effects.append(ReserveStock(f"{item(tier)}:{scope}", item(tier), of.won, [*of.gone, missed]))
    return {**state, "tiers": sorted(decided)}, effects


def waiting(state: State) -> set[int]:
    """Rungs reached whose reward was gone and has not been given since."""
    return set(state.get("missed", ())) - set(state.get("served", ()))


def serve(
    scope: str,
    valid_invites: int,
    state: State,
    tiers: Sequence[Tier],
    prize: Callable[[Tier], Prize],
) -> list[Effect]:
    """Give those who wait their reward when there is stock again; who was told to wait is not told twice."""
    effects: list[Effect] = []
    for tier in tiers:
        at = tier["invites"]
        if at in waiting(state) and valid_invites >= at:
            served = Remember(f"{item(tier)}:{scope}:served", scope, "served", at)
            won = [*prize(tier).won, served]
            if tier["stock"] is None:
                effects += won
            else:
                effects.append(ReserveStock(f"{item(tier)}:{scope}:again", item(tier), won, []))
    return effects


def page(state: State, tiers: Sequence[Tier], viewer: Viewer, *, waits: bool = False) -> Page:
    """The ladder as one participant sees it; ``waits``: there is a waiting list for what was gone."""
    decided, missed = set(state.get("tiers", ())), waiting(state)
    steps = []
    for tier in tiers:
        at = tier["invites"]
        reached = at in decided and at not in missed
        steps.append(
            Step(
                at,
                tier["days"],
                tier["label"],
                reached,
                sold_out=at in missed or (not reached and item(tier) in viewer.sold_out),
                left=viewer.left.get(item(tier)),
                waiting=waits and at in missed,
            )
        )
    ahead = [step.invites - viewer.valid_invites for step in steps if not (step.reached or step.sold_out)]
    return Page(steps, max(1, min(ahead)) if ahead else None)
