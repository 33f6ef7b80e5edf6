"""Group codes (群裂变, 活码): one live code leads into many groups; so many friends may open it first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from growth_engine.kit.i18n import N_
from growth_engine.plays import inviting
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
    Step,
    Viewer,
    option,
)

slug = "group_codes"
title = N_("Group codes")
summary = N_("One live code leads into many groups; bring friends first, or walk straight in.")
live_code = True


class Config(SharedConfig):
    helpers = fields.Integer(
        load_default=1,
        validate=validate.Range(min=0, max=1000),
        metadata=option(
            N_("Friends before the group's code is shown"),
            N_("0: whoever takes part sees it at once. Few is better: WeChat objects to forced sharing."),
            section="reward",
        ),
    )
    group_name = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata=option(N_("Name of the group, for people"), section="reward"),
    )
    friend_days = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=3650),
        metadata=option(N_("Days for the invited friend"), N_("0 for none."), section="reward"),
    )


def scope(event: PlayEvent, config: Mapping[str, Any]) -> str:
    del config
    return inviting.scope(event)


def stock(config: Mapping[str, Any]) -> Mapping[str, int]:
    """Groups fill up by themselves: their places are counted where the live code is (``live_codes``)."""
    del config
    return {}


def decide(event: PlayEvent, state: State, config: Mapping[str, Any], given: Given) -> Decision:
    """State of an inviter: ``open`` once the group's code was shown; it stays so when a friend leaves."""
    del given
    match event:
        case HelpCounted():
            days = config["friend_days"]
            effects: list[Effect] = (
                [GrantDays(f"friend:{event.helper}", event.helper, days, "friend")] if days else []
            )
        case HelpRestored():
            effects = []
        case _:
            return Decision(state)
    needed = config["helpers"]
    if not state.get("open") and event.valid_invites >= needed > 0:
        key = f"open:{event.inviter}"
        effects.append(SendMessage(key, event.inviter, "group_open", {"name": config["group_name"]}))
        return Decision({**state, "open": True}, effects)
    if isinstance(event, HelpCounted):
        came = inviting.friend_came(event)
        if event.valid_invites < needed and not state.get("open"):
            told = {"valid_invites": event.valid_invites, "needed": needed}
            came = SendMessage(came.key, event.inviter, "group_progress", told)
        effects.append(came)
    return Decision(state, effects)


def page(state: State, config: Mapping[str, Any], viewer: Viewer) -> Page:
    needed = config["helpers"]
    opens = bool(state.get("open")) or viewer.valid_invites >= needed
    if not needed:
        return Page(opens=opens)
    step = Step(needed, 0, config["group_name"], opens)
    return Page([step], None if opens else needed - viewer.valid_invites, opens)


def promise(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "inviter_days": 0,
        "friend_days": config["friend_days"],
        "helpers": config["helpers"] or None,
        "group_name": config["group_name"],
        "tiers": [],
    }
