"""Honest pages for everything that is in the way: not started, paused, ended, full, blocked, erased, left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import render_template, url_for

from growth_engine.kit.i18n import N_
from growth_engine.web.h5.landing_view import Clock, clock_to
from growth_engine.web.h5.visit import Shown, Visit, campaign_values, share_values


@dataclass(frozen=True, slots=True)
class Notice:
    """Title and text are message ids; ``status`` answers an attempt to write, looking is always 200."""

    icon: str
    title: str
    text: str
    status: int = 409
    quiet: bool = True
    selling: str = ""
    """The text instead, where something is sold."""


NOTICES: Mapping[str, Notice] = {
    "not_started": Notice(
        "hourglass",
        N_("It has not started yet"),
        N_("Come back when it begins. Nothing is lost: your invite link keeps working."),
        quiet=False,
    ),
    "paused": Notice(
        "player-pause",
        N_("A short break"),
        N_("The organiser has paused this campaign. What you have earned stays yours."),
    ),
    "ended": Notice(
        "flag",
        N_("This campaign has ended"),
        N_("Thank you for being here. What was earned before the end stays, and days given keep running."),
        selling=N_("Thank you for being here. Orders stand, and what was earned can be withdrawn as before."),
    ),
    "full": Notice(
        "users-group",
        N_("All places are taken"),
        N_("So many people joined that no place is left. Those who take part go on as before."),
    ),
    "blocked": Notice(
        "hand-stop",
        N_("This account cannot take part"),
        N_("It broke the rules of the campaign. If you think this is a mistake, write to the organiser."),
        status=403,
    ),
    "erased": Notice(
        "shield-check",
        N_("Your data has been erased"),
        N_("As you wished, your name and number are gone from here. If you like, you can register afresh."),
        status=410,
    ),
    "identity_conflict": Notice(
        "user-x",
        N_("We could not tell who you are"),
        N_("These details belong to different people. Use the phone number you registered with."),
    ),
    "no_code": Notice(
        "device-mobile",
        N_("This number is registered already"),
        N_("To keep it safe, your page opens only on the phone and in the browser you registered with."),
    ),
    "code_needed": Notice(
        "shield-lock",
        N_("Registration needs a code by text message"),
        N_(
            "Text messages cannot be sent at the moment, so nobody can be registered. Please try again later."
        ),
        status=503,
    ),
    "refused": Notice(
        "alert-circle",
        N_("You could not be registered"),
        N_("Please try again in a moment."),
    ),
}


def closed(visit: Visit) -> str:
    """Why nobody can register in this campaign now."""
    campaign = visit.campaign
    assert campaign.closed is not None
    clock = clock_to(campaign.starts_at, visit.ctx.now())
    return shown(campaign, campaign.closed.code, taking_part=visit.me is not None, clock=clock)


def shown(campaign: Shown, code: str, *, taking_part: bool = False, clock: Clock | None = None) -> str:
    """The page of one notice."""
    notice = NOTICES.get(code, NOTICES["refused"])
    return render_template(
        "h5/notice.html",
        notice=notice,
        code=code,
        clock=clock if code == "not_started" else None,
        moments=_moments(campaign, code),
        contact=campaign.copy.get("contact", ""),
        taking_part=taking_part,
        **share_values(campaign, url_for("h5_landing.public", campaign_id=campaign.id)),
        **campaign_values(campaign),
    )


def answer(campaign: Shown, code: str, **more: Any) -> tuple[str, int]:
    """The same page as the answer to a write that was refused."""
    return shown(campaign, code, **more), NOTICES.get(code, NOTICES["refused"]).status


def _moments(campaign: Shown, code: str) -> list[tuple[str, datetime]]:
    """Dates worth telling: (message id, moment)."""
    found = []
    if code == "not_started" and campaign.starts_at:
        found.append((N_("Starts"), campaign.starts_at))
    if code in ("not_started", "paused") and campaign.ends_at:
        found.append((N_("Ends"), campaign.ends_at))
    ended_at = campaign.ended_at or campaign.ends_at
    if code == "ended" and ended_at:
        found.append((N_("Ended on"), ended_at))
    return found
