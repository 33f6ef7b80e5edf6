"""Who may look at what where something is sold: buyers at their orders, earners at their wallet."""

from __future__ import annotations

from flask import redirect, url_for
from werkzeug.wrappers import Response

from growth_engine.plays.ordering import NothingSold
from growth_engine.web.h5 import notice
from growth_engine.web.h5.visit import Visit, invite_token


def check_shop(visit: Visit) -> str:
    """The invite somebody came by, empty without one; raises ``NothingSold`` and ``UnknownInvite``."""
    if not visit.campaign.sells:
        raise NothingSold
    return invite_token(visit.campaign)


def is_blocked(visit: Visit) -> bool:
    """Whether the visitor may not do anything here."""
    by_hand = visit.contact is not None and visit.contact.blocked_at is not None
    return by_hand or (visit.me is not None and visit.me.state == "blocked")


def not_theirs(visit: Visit) -> Response | tuple[str, int] | None:
    """Why nothing of anybody's can be shown to whoever looks: prove the number first.

    Those who are blocked still see what is theirs. Raises ``NothingSold``.
    """
    check_shop(visit)
    if visit.erased:
        return notice.answer(visit.campaign, "erased")
    if visit.contact is None:
        return redirect(url_for("h5_enter.form", campaign_id=visit.campaign.id), 303)
    return None
