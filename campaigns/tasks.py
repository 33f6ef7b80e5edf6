"""Task treasure (任务宝): bring so many valid helpers, get the reward of that step, while stock lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

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
    Page,
    PlayEvent,
    SendMessage,
    SharedConfig,
    State,
    TagContact,
    Viewer,
    option,
)

slug = "tasks"
title = N_("Task treasure")
summary = N_("Bring so many friends and get the reward of that step: days, a code, or a thing by post.")

_MOST_DAYS = 3650


class Tier(ladder.Rung):
    """One step: what is won at ``invites`` valid helpers."""

    kind = fields.String(
        load_default="days",
        validate=validate.OneOf(
            ["days", "text", "parcel"],
            labels=[N_("Membership days"), N_("A code or link, sent as a message"), N_("A thing by post")],
        ),
        metadata=option(N_("What is won"), section="reward"),
    )
    days = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=_MOST_DAYS),
        metadata=option(N_("Days"), N_("For membership days."), section="reward"),
    )
    text = fields.String(
        load_default="",
        validate=validate.Length(max=300),
        metadata=option(
            N_("Text for the winner"),
            N_("The code or link, or what to do to get the parcel. Only winners see it."),
            section="reward",
        ),
    )

    class Meta:
        fields = ("invites", "kind", "label", "days", "text", "stock")

    @validates_schema
    def _is_whole(self, data: Mapping[str, Any], **_: Any) -> None:
        is_days = data.get("kind", "days") == "days"
        if is_days and not data.get("days"):
            raise ValidationError([N_("Say how many days.")], "days")
        if not is_days and data.get("days"):
            raise ValidationError([N_("Days belong to a step that is worth days; put 0 here.")], "days")
        if not is_days and not data.get("label"):
            raise ValidationError([N_("Say what the reward is called.")], "label")
        if not is_days and not data.get("text"):
            raise ValidationError([N_("Write what the winner is to read.")], "text")


def _first_tiers() -> list[dict[str, Any]]:
    plain = {"kind": "days", "text": "", "stock": None, "label": ""}
    return [{"invites": 3, "days": 30, **plain}, {"invites": 8, "days": 90, **plain}]


class Config(SharedConfig):
    tiers = fields.List(
        fields.Nested(Tier),
        load_default=_first_tiers,
        validate=validate.Length(min=1, max=ladder.MOST_RUNGS, error=N_("Between 1 and 10 steps, please.")),
        metadata=option(
            N_("Steps"), N_("What is won at certain numbers of valid helpers."), section="reward"
        ),
    )
    friend_days = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=_MOST_DAYS),
        metadata=option(N_("Days for the helper"), N_("0 for none."), section="reward"),
    )
    when_empty = fields.String(
        load_default="waiting_list",
        validate=validate.OneOf(
            ["waiting_list", "days_instead"],
            labels=[N_("Put them on the waiting list"), N_("Give days instead")],
        ),
        metadata=option(
            N_("When somebody reaches a step whose reward is gone"),
            N_(
                "Whoever waits carries the tag “waiting list” and gets the reward with their next helper"
                " once there is stock again."
            ),
            section="reward",
        ),
    )
    instead_days = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=_MOST_DAYS),
        metadata=option(N_("Days instead"), N_("For “give days instead”."), section="reward"),
    )
    rewards_cap = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=ladder.MOST_RUNGS),
        metadata=option(
            N_("Most rewards per person"), N_("Empty: one on each step, no more."), section="reward"
        ),
    )

    @validates_schema
    def _adds_up(self, data: Mapping[str, Any], **_: Any) -> None:
        # A part of the rules is checked, too, before it joins the rest: what is not there is not wrong.
        ladder.check_climb(data.get("tiers", ()))
        if data.get("when_empty") == "days_instead" and not data.get("instead_days", 1):
            raise ValidationError([N_("Say how many days.")], "instead_days")


def scope(event: PlayEvent, config: Mapping[str, Any]) -> str:
    del config
    return inviting.scope(event)


def stock(config: Mapping[str, Any]) -> Mapping[str, int]:
    return ladder.stock(config["tiers"])


def decide(event: PlayEvent, state: State, config: Mapping[str, Any], given: Given) -> Decision:
    """State of an inviter: ``tiers`` decided, ``missed`` for want of stock, ``served`` later; numbers of
    helpers each."""
    del given
    match event:
        case HelpCounted():
            effects = _thanks(event, config)
        case HelpRestored():
            effects = []
        case _:
            return Decision(state)
    effects += _serve(event, state, config)
    new_state, climbed, reasons = _climb(event, state, config)
    return Decision(new_state, [*effects, *climbed], reasons)


def _thanks(event: HelpCounted, config: Mapping[str, Any]) -> list[Effect]:
    """The helper's own days, and word to the inviter."""
    days = config["friend_days"]
    # About the helper alone: whoever they move to later, they are paid once.
    own = [GrantDays(f"friend:{event.helper}", event.helper, days, "friend")] if days else []
    return [*own, inviting.friend_came(event)]


def _climb(
    event: HelpCounted | HelpRestored, state: State, config: Mapping[str, Any]
) -> tuple[State, list[Effect], list[Reason]]:
    """The steps reached now, as far as the cap allows."""
    cap, inviter = config["rewards_cap"], event.inviter
    allowed, over = config["tiers"], []
    if cap is not None:
        decided = set(state.get("tiers", ()))
        open_ = [tier for tier in allowed if tier["invites"] not in decided]
        room = max(0, cap - len(decided))
        allowed, over = open_[:room], open_[room:]
    new_state, effects = ladder.climb(
        inviting.scope_of(inviter),
        event.valid_invites,
        state,
        allowed,
        lambda tier: _prize(tier, inviter, config),
    )
    reached = [tier for tier in over if tier["invites"] == event.valid_invites]
    return new_state, effects, [Reason("rewards_cap", {"cap": cap})] if reached else []


def _serve(event: HelpCounted | HelpRestored, state: State, config: Mapping[str, Any]) -> list[Effect]:
    if config["when_empty"] != "waiting_list":
        return []  # they were given days instead
    return ladder.serve(
        inviting.scope_of(event.inviter),
        event.valid_invites,
        state,
        config["tiers"],
        lambda tier: _prize(tier, event.inviter, config),
    )


def _prize(tier: ladder.Tier, inviter: int, config: Mapping[str, Any]) -> ladder.Prize:
    """What a step brings; without stock the waiting list, or days instead."""
    at, key = tier["invites"], f"tier:{tier['invites']}:{inviter}"
    told = {"invites": at, "days": tier["days"], "label": tier["label"], "text": tier["text"]}
    if tier["kind"] == "days":
        won: list[Effect] = [
            GrantDays(key, inviter, tier["days"], "tier"),
            SendMessage(f"{key}:won", inviter, "tier_reached", told),
        ]
    else:
        won = [SendMessage(f"{key}:won", inviter, "task_done", told)]
    if tier["kind"] == "parcel":
        won.append(TagContact(f"{key}:tag", inviter, f"parcel: {tier['label']}"))
    if config["when_empty"] == "days_instead":
        days = config["instead_days"]
        return ladder.Prize(
            won,
            [
                GrantDays(f"{key}:instead", inviter, days, "tier"),
                SendMessage(f"{key}:instead_told", inviter, "task_days_instead", {**told, "days": days}),
            ],
        )
    waits: list[Effect] = [
        TagContact(f"{key}:waits", inviter, "waiting list"),
        SendMessage(f"{key}:waits_told", inviter, "task_waiting", told),
    ]
    return ladder.Prize(won, waits)


def page(state: State, config: Mapping[str, Any], viewer: Viewer) -> Page:
    """Steps beyond the cap are not shown: nothing is promised that is not given."""
    tiers = config["tiers"]
    if (cap := config["rewards_cap"]) is not None:
        decided = [tier for tier in tiers if tier["invites"] in set(state.get("tiers", ()))]
        room = max(0, cap - len(decided))
        coming = [tier for tier in tiers if tier not in decided][:room]
        tiers = [tier for tier in tiers if tier in decided or tier in coming]
    return ladder.page(state, tiers, viewer, waits=config["when_empty"] == "waiting_list")


def promise(config: Mapping[str, Any]) -> Mapping[str, Any]:
    tiers = [{name: tier[name] for name in ("invites", "days", "label")} for tier in config["tiers"]]
    first = tiers[0]
    return {
        "inviter_days": first["days"],
        "friend_days": config["friend_days"],
        "first_step": first["invites"],
        "last_step": tiers[-1]["invites"],
        "tiers": tiers,
    }
