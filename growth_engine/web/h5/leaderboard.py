"""The leaderboard: the best fifty, names masked, and the visitor's own place."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from flask import Blueprint, render_template, url_for

from growth_engine.kit import web
from growth_engine.ledger.mirror import MemberView, MirrorBroken, MirrorUnavailable
from growth_engine.plays import queries
from growth_engine.web.h5 import names
from growth_engine.web.h5.rules import back_url
from growth_engine.web.h5.visit import Visit, campaign_values, visiting

bp = Blueprint("h5_leaderboard", __name__)
log = structlog.get_logger(__name__)

MOST = 50


@dataclass(frozen=True, slots=True)
class Place:
    """One row: place from 1, valid invites, masked name (empty when unknown), whether it is the visitor."""

    rank: int
    number: int
    name: str
    initial: str
    invites: int
    mine: bool


@bp.get("/c/<campaign_id>/leaderboard")
def page(campaign_id: str) -> str:
    with visiting(campaign_id) as visit:
        campaign = visit.campaign
        me = visit.me.number if visit.me else 0
        try:
            places = _places(visit, me)
            own = web.parts().mirror.member(campaign.book, me) if me else None
        except (MirrorUnavailable, MirrorBroken) as error:
            log.warning("h5.no_leaderboard", campaign=campaign.id, code=error.code)
            places, own = None, None
    return render_template(
        "h5/leaderboard.html",
        places=places,
        own=own if own and not _listed(places, own) else None,
        me_url=url_for("h5_me.page", campaign_id=campaign_id) if me else "",
        back_url=back_url(campaign),
        **campaign_values(campaign),
    )


def _places(visit: Visit, me: int) -> list[Place]:
    board = web.parts().mirror.leaderboard(visit.campaign.book, MOST)
    people = queries.by_numbers(visit.ctx, visit.campaign.id, [number for number, _ in board])
    nicknames = {number: nickname for number, (_, nickname) in people.items()}
    return [
        Place(
            rank=rank,
            number=number,
            name=names.masked(nicknames.get(number, "")),
            initial=names.initial(nicknames.get(number, "")),
            invites=score,
            mine=number == me,
        )
        for rank, (number, score) in enumerate(board, 1)
    ]


def _listed(places: list[Place] | None, own: MemberView) -> bool:
    return any(place.number == own.number for place in places or ())
