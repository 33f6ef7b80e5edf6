"""Refer a friend (老带新): a friend registers, both sides get membership days; tiers reward more invites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.plays.contract import (
    Decision,
    Effect,
    Given,
    GrantDays,
    HelpCounted,
    HelpRestored,
    HelpWithdrawn,
    Joined,
    Page,
    PlayEvent,
    ReserveStock,
    SendMessage,
    SharedConfig,
    State,
    Step,
    Viewer,
    option,
)

slug = "referral"
title = N_("Refer a friend")
summary = N_("A friend registers through a participant's poster, and both get membership days.")

_MOST_DAYS = 3650


class Tier(Schema):
    """One rung of the ladder: at ``invites`` valid invites the inviter gets ``days`` more."""

    invites = fields.Integer(
        required=True,
        validate=validate.Range(min=1, max=100_000),
        metadata=option(N_("Valid invites"), section="reward"),
    )
    days = fields.Integer(
        required=True,
        validate=validate.Range(min=1, max=_MOST_DAYS),
        metadata=option(N_("Extra days"), section="reward"),
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


class Config(SharedConfig):
    inviter_days = fields.Integer(
        load_default=30,
        validate=validate.Range(min=0, max=_MOST_DAYS),
        metadata=option(N_("Days for the inviter, per friend"), section="reward"),
    )
    friend_days = fields.Integer(
        load_default=30,
        validate=validate.Range(min=0, max=_MOST_DAYS),
        metadata=option(N_("Days for the invited friend"), section="reward"),
    )
    welcome_days = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=_MOST_DAYS),
        metadata=option(N_("Days for someone who comes without an invite"), section="reward"),
    )
    inviter_cap = fields.Integer(
        load_default=100,
        allow_none=True,
        validate=validate.Range(min=1, max=1_000_000),
        metadata=option(
            N_("Most rewarded invites per person"),
            N_("Later invites still count for the leaderboard and the friend's days. Empty for no limit."),
            section="reward",
        ),
    )
    tiers = fields.List(
        fields.Nested(Tier),
        load_default=list,
        validate=validate.Length(max=10),
        metadata=option(
            N_("Reward ladder"), N_("Extra days at certain numbers of invites."), section="reward"
        ),
    )

    @validates_schema
    def _tiers_climb(self, data: Mapping[str, Any], **_: Any) -> None:
        steps = [tier["invites"] for tier in data.get("tiers", ())]
        if steps != sorted(set(steps)):
            raise ValidationError([N_("Each step needs more invites than the one before.")], "tiers")


def scope(event: PlayEvent, config: Mapping[str, Any]) -> str:
    del config
    match event:
        case HelpCounted() | HelpRestored() | HelpWithdrawn():
            return f"inviter:{event.inviter}"
        case Joined():
            return f"inviter:{event.member}"
    raise TypeError(f"referral knows no {type(event).__name__}")


def stock(config: Mapping[str, Any]) -> Mapping[str, int]:
    return {_item(tier): tier["stock"] for tier in config["tiers"] if tier["stock"] is not None}


def decide(event: PlayEvent, state: State, config: Mapping[str, Any], given: Given) -> Decision:
    """State of an inviter: ``rewarded`` invites so far, ``tiers`` (numbers of invites) already decided."""
    del given
    match event:
        case Joined():
            return Decision(state, _days("welcome", event.member, event.member, config["welcome_days"]))
        case HelpCounted():
            return _counted(event, state, config)
        case HelpRestored():
            new_state, effects = _climb(event.inviter, event.valid_invites, state, config)
            return Decision(new_state, effects)
    return Decision(state)


def _counted(event: HelpCounted, state: State, config: Mapping[str, Any]) -> Decision:
    effects = _days("friend", event.helper, event.helper, config["friend_days"])
    reasons: list[Reason] = []
    rewarded = int(state.get("rewarded", 0))
    cap = config["inviter_cap"]
    if cap is not None and rewarded >= cap:
        reasons.append(Reason("inviter_cap", {"cap": cap}))
        days = 0
    else:
        days = config["inviter_days"]
        effects += _days("inviter", event.helper, event.inviter, days)
        state = {**state, "rewarded": rewarded + 1}
    effects.append(
        SendMessage(
            f"came:{event.helper}:{event.inviter}",
            event.inviter,
            "friend_came",
            {"days": days, "valid_invites": event.valid_invites},
        )
    )
    state, climbed = _climb(event.inviter, event.valid_invites, state, config)
    return Decision(state, [*effects, *climbed], reasons)


def _days(side: str, about: int, member: int, days: int) -> list[Effect]:
    """Once per person the days are about: whoever the invite moves to later, it is paid once."""
    return [GrantDays(f"{side}:{about}", member, days, side)] if days else []


def _climb(
    inviter: int, valid_invites: int, state: State, config: Mapping[str, Any]
) -> tuple[State, list[Effect]]:
    """Every rung reached and not decided before: take it from stock, or say that none is left."""
    decided = set(state.get("tiers", ()))
    effects: list[Effect] = []
    for tier in config["tiers"]:
        at = tier["invites"]
        if at in decided or valid_invites < at:
            continue
        decided.add(at)
        key = f"tier:{at}:{inviter}"
        params = {"invites": at, "days": tier["days"], "label": tier["label"]}
        won: list[Effect] = [
            GrantDays(key, inviter, tier["days"], "tier"),
            SendMessage(f"{key}:won", inviter, "tier_reached", params),
        ]
        sold_out: list[Effect] = [SendMessage(f"{key}:sold_out", inviter, "tier_sold_out", params)]
        effects += won if tier["stock"] is None else [ReserveStock(key, _item(tier), won, sold_out)]
    return {**state, "tiers": sorted(decided)}, effects


def _item(tier: Mapping[str, Any]) -> str:
    return f"tier:{tier['invites']}"


def page(state: State, config: Mapping[str, Any], viewer: Viewer) -> Page:
    decided = set(state.get("tiers", ()))
    steps = []
    for tier in config["tiers"]:
        reached = tier["invites"] in decided
        gone = not reached and _item(tier) in viewer.sold_out
        steps.append(Step(tier["invites"], tier["days"], tier["label"], reached, gone))
    ahead = [step.invites - viewer.valid_invites for step in steps if not (step.reached or step.sold_out)]
    return Page(steps, max(1, min(ahead)) if ahead else None)


def promise(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "inviter_days": config["inviter_days"],
        "friend_days": config["friend_days"],
        "inviter_cap": config["inviter_cap"],
        "tiers": [{name: tier[name] for name in ("invites", "days", "label")} for tier in config["tiers"]],
    }
