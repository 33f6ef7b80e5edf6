"""REST: people take part in a campaign, and what they are in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g

from growth_engine.context import Ctx
from growth_engine.kit import rest, web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import Page
from growth_engine.people import queries as people
from growth_engine.plays import figures, participation, queries
from growth_engine.plays.invites import invite_url
from growth_engine.plays.models import Participant
from growth_engine.plays.participation import CannotJoin, JoinAsk, JoinOutcome
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.schemas import (
    Join,
    JoinedShape,
    LeftShape,
    ParticipantDetail,
    ParticipantRow,
    ReceivedShape,
)
from growth_engine.plays.words import in_words
from growth_engine.settings import Settings

blp = rest.Blueprint("participants", __name__, description="People in campaigns.")

#: Campaigns known to be published; one never becomes a draft again, so nothing here grows old.
_published: set[tuple[str, str]] = set()
_MOST_PUBLISHED = 10_000


class NotPublished(Conflict):
    code = "campaign_not_published"
    message = N_("This campaign is a draft. Publish it first.")


@blp.post("/campaigns/<campaign_id>/participants")
@rest.scope("participants:write")
@rest.takes(Join)
@rest.answers(201, JoinedShape, "Takes part from now on.", as_is=True)
@rest.answers(200, JoinedShape, "Took part already; the same participant, with the reason.")
@rest.answers(202, ReceivedShape)
@rest.refuses(503)
@rest.outside_transaction
def join_campaign(campaign_id: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Let a person take part.

    Joining again is no error. Refused with 409 `cannot_join` and the `decision` when nobody can join now.
    """
    parts = web.parts()
    _require_published(campaign_id)
    ask = _ask(body, parts.settings.phone_region)
    key = rest.event_key(campaign_id)
    outcome = participation.join(parts, g.workspace_id, campaign_id, ask, source="api", key=key)
    return _joined(outcome, parts.settings)


@blp.get("/campaigns/<campaign_id>/participants")
@rest.scope("participants:read")
@rest.asks(rest.PageQuery)
@rest.answers(200, rest.page_of(ParticipantRow))
def list_participants(ctx: Ctx, campaign_id: str, query: Mapping[str, Any]) -> Page[Any]:
    """Everybody in a campaign, in order of joining; who left is among them."""
    queries.campaign(ctx, campaign_id)
    (after,) = rest.after(query["cursor"], int) or (0,)
    rows, last = queries.participants_page(ctx, campaign_id, after=after, limit=query["limit"])
    wanted = [row.number for row in rows] + [row.inviter_number for row in rows]
    dressed = queries.by_numbers(ctx, campaign_id, wanted)
    return rest.page([_row(ctx, row, dressed) for row in rows], last)


@blp.get("/participants/<participant_id>")
@rest.scope("participants:read")
@rest.answers(200, ParticipantDetail)
@rest.refuses(503)
def get_participant(ctx: Ctx, participant_id: str) -> dict[str, Any]:
    """A person in a campaign, with team, score and rank."""
    row = queries.participant(ctx, participant_id)
    dressed = queries.by_numbers(ctx, row.campaign_id, [row.number, row.inviter_number])
    views, seq = figures.of_members(ctx, row.campaign_id, [row.number])
    view = views[row.number]
    return {
        **_row(ctx, row, dressed),
        "team": {"level1": view.level1, "level2": view.level2},
        "score": view.score,
        "rank": view.rank,
        "as_of_seq": seq,
    }


@blp.post("/contacts/<reference:ref>/leave", merge_slashes=False)
@rest.scope("contacts:write")
@rest.answers(200, LeftShape, as_is=True)
@rest.refuses(503)
@rest.outside_transaction
def leave_everything(ref: str) -> dict[str, Any]:
    """The person left (unfollowed, quit): their helps stop counting where the campaign says so."""
    with web.ctx() as ctx:
        contact_id = people.resolve(ctx, ref)
    key = rest.event_key(contact_id)
    posted = participation.leave(web.parts(), g.workspace_id, contact_id, source="api", key=key)
    campaigns = [
        {"campaign_id": one.book_id, "accepted": one.accepted, "reasons": in_words(one.reasons)}
        for one in posted
    ]
    return {"contact_id": contact_id, "campaigns": campaigns}


def _row(ctx: Ctx, row: Participant, dressed: Mapping[int, tuple[Participant, str]]) -> dict[str, Any]:
    inviter = dressed.get(row.inviter_number)
    return {
        **participation.record_of(row, inviter[0] if inviter else None),
        "invite_url": invite_url(ctx.parts.settings, row.invite_token),
        "nickname": dressed[row.number][1],
        "left_at": row.left_at,
    }


def _require_published(campaign_id: str) -> None:
    name = (g.workspace_id, campaign_id)
    if name in _published:
        return
    with web.ctx() as ctx:
        if not queries.campaign(ctx, campaign_id).rule_version:
            raise NotPublished
    if len(_published) >= _MOST_PUBLISHED:
        _published.clear()
    _published.add(name)


def _ask(body: Mapping[str, Any], region: str) -> JoinAsk:
    invite = body.get("invite_token")
    return participation.asked_by(body["contact"], "contact", region, body["consent"], invite)


def _joined(outcome: JoinOutcome, settings: Settings) -> tuple[dict[str, Any], int]:
    if outcome.pending:
        rest.not_final()
        return {"status": "received"}, 202
    decision = {"accepted": outcome.accepted, "reasons": in_words(outcome.reasons)}
    participant = outcome.participant
    if participant is None:
        if any(reason.code == "unknown_contact" for reason in outcome.reasons):
            raise Invalid(fields={"contact.id": [REASONS["unknown_contact"]]})
        raise CannotJoin(extra={"decision": decision})
    url = invite_url(settings, participant["invite_token"])
    return {**participant, "invite_url": url, "decision": decision}, 201 if outcome.created else 200
