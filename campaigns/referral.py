"""Refer a friend (老带新): a friend registers, both sides get membership days; tiers reward more invites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate, validates_schema

from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.plays import inviting, ladder
from growth_engine.plays.contract import (
    Decision,
    Effect,
    Given,
    GrantDays,
    HelpCounted,
    HelpRestored,
    Joined,
    Page,
    PlayEvent,
    SendMessage,
    SharedConfig,
    State,
    Viewer,
    option,
)

slug = "referral"
title = N_("Refer a friend")
summary = N_("A friend registers through a participant's poster, and both get membership days.")

_MOST_DAYS = 3650


class Tier(ladder.Rung):
    """One rung of the ladder: at ``invites`` valid invites the inviter gets ``days`` more."""

    days = fields.Integer(
        required=True,
        validate=validate.Range(min=1, max=_MOST_DAYS),
        metadata=option(N_("Extra days"), section="reward"),
    )

    class Meta:
        fields = ("invites", "days", "stock", "label")


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
        validate=validate.Length(max=ladder.MOST_RUNGS),
        metadata=option(
            N_("Reward ladder"), N_("Extra days at certain numbers of invites."), section="reward"
        ),
    )

    @validates_schema
    def _tiers_climb(self, data: Mapping[str, Any], **_: Any) -> None:
        ladder.check_climb(data.get("tiers", ()))


def scope(event: PlayEvent, config: Mapping[str, Any]) -> str:
    del config
    return inviting.scope(event)


def stock(config: Mapping[str, Any]) -> Mapping[str, int]:
    return ladder.stock(config["tiers"])


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
    effects.append(inviting.friend_came(event, days))
    state, climbed = _climb(event.inviter, event.valid_invites, state, config)
    return Decision(state, [*effects, *climbed], reasons)


def _days(side: str, about: int, member: int, days: int) -> list[Effect]:
    """Once per person the days are about: whoever the invite moves to later, it is paid once."""
    return [GrantDays(f"{side}:{about}", member, days, side)] if days else []


def _climb(
    inviter: int, valid_invites: int, state: State, config: Mapping[str, Any]
) -> tuple[State, list[Effect]]:
    def prize(tier: ladder.Tier) -> ladder.Prize:
        key = f"tier:{tier['invites']}:{inviter}"
        params = {"invites": tier["invites"], "days": tier["days"], "label": tier["label"]}
        won: list[Effect] = [
            GrantDays(key, inviter, tier["days"], "tier"),
            SendMessage(f"{key}:won", inviter, "tier_reached", params),
        ]
        return ladder.Prize(won, [SendMessage(f"{key}:sold_out", inviter, "tier_sold_out", params)])

    return ladder.climb(inviting.scope_of(inviter), valid_invites, state, config["tiers"], prize)


def page(state: State, config: Mapping[str, Any], viewer: Viewer) -> Page:
    return ladder.page(state, config["tiers"], viewer)


def promise(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "inviter_days": config["inviter_days"],
        "friend_days": config["friend_days"],
        "inviter_cap": config["inviter_cap"],
        "tiers": [{name: tier[name] for name in ("invites", "days", "label")} for tier in config["tiers"]],
    }
