"""Messages plays send to participants, in plain words (message ids); membership has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from growth_engine.kit.i18n import N_
from growth_engine.membership import texts
from growth_engine.payouts import texts as payouts

MESSAGES: Mapping[str, str] = {
    "friend_came": N_("A friend came through you: %(days)s days for you. %(valid_invites)s count by now."),
    "friend_came_unpaid": N_("A friend came through you. %(valid_invites)s count by now."),
    "tier_reached": N_("%(invites)s friends reached: %(days)s more days for you!"),
    "tier_sold_out": N_("%(invites)s friends reached. Sadly, the extra days of this step were gone already."),
    "task_done": N_("%(invites)s friends reached: you have won “%(label)s”. %(text)s"),
    "task_waiting": N_(
        "%(invites)s friends reached. The reward of this step is gone for the moment: you are on the waiting"
        " list and get it with your next friend as soon as there is more."
    ),
    "task_days_instead": N_(
        "%(invites)s friends reached. The reward of this step was gone, so you get %(days)s days instead."
    ),
    "group_progress": N_("%(valid_invites)s of %(needed)s friends are here; then the group opens for you."),
    "group_open": N_("Your friends are here: the group “%(name)s” is open for you. See your page."),
    "group_open_unnamed": N_("Your friends are here: the group is open for you. See your page."),
    **texts.MESSAGES,
    **payouts.MESSAGES,
}


def message_text(template: str, params: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Message id and parameters of something we told a person."""
    if template == "friend_came" and not params.get("days"):
        template = "friend_came_unpaid"
    if template == "group_open" and not params.get("name"):
        template = "group_open_unnamed"
    return MESSAGES.get(template, template), payouts.written_out(params)
