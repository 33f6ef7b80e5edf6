"""Somebody came through a channel: whose invite it was, taking part, the welcome and the poster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from growth_engine.context import Ctx
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.people import queries as contacts
from growth_engine.people import service as people
from growth_engine.plays import participation, queries
from growth_engine.plays.models import Campaign, Participant
from growth_engine.plays.participation import JoinAsk, JoinOutcome
from growth_engine.reach import deliveries, followers, parting, rules, texts
from growth_engine.reach.came import Came
from growth_engine.reach.deliveries import To
from growth_engine.reach.models import Follower

#: Somebody who follows again is back where they left together with the account: not where they had left
#: before by their own wish. Two clocks, ours and the platform's, may differ by so much.
CLOCKS_APART = timedelta(minutes=5)
_OPEN = ("live", "scheduled", "paused")


class StillDeciding(GrowthError):
    """The books could not decide in time: the message stays and is tried again, with the same answer."""

    code = "still_deciding"
    message = N_("The registration is stored and waits for its decision.")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of it. ``text``: what the person is told, empty when there is nothing to say."""

    contact_id: str
    text: str = ""
    campaign: Campaign | None = None
    participant_id: str = ""
    late: bool = False
    """They had left again by the time we heard of it."""
    first: bool = False
    """Never heard of before: nothing can be waiting for them."""


def arrive(ctx: Ctx, came: Came) -> Arrival:
    """Let somebody take part where their scene says, once however often it is told. Nothing is sent yet.

    Raises StillDeciding.
    """
    known = followers.hold(ctx, came.account_id, came.person)
    ties = rules.tied(known.ties if known else {}, came.tie, came.at, holds=True)
    late = not rules.holds(ties)
    back = _left_with(ctx, known) if known else []
    campaign_id, token = _where_to(ctx, came, known, back)
    if campaign_id is None:
        arrival = Arrival(_meet(ctx, came, known), late=late)
    else:
        arrival = _join(ctx, came, campaign_id, token, late=late)
    arrival = replace(arrival, first=known is None)
    for other in back:
        if other != campaign_id:
            _submit(ctx, came, other, "", f"{came.key}:{other}")
    unasked = known is None or (known.profile_at is None and known.profile_next_at is None)
    ask = unasked and not came.asked and not late
    followers.keep(ctx, came.account_id, came.person, ties, arrival.contact_id, ask=ask)
    if late:
        # They left before we heard that they came (events overtake each other): both happened.
        parting.leave(ctx, came.account_id, arrival.contact_id, key=f"{came.key}:late", source=came.provider)
    return arrival


def _left_with(ctx: Ctx, known: Follower) -> list[str]:
    """The campaigns somebody left by leaving the account: coming back to it is coming back to them."""
    if known.here or known.contact_id is None:
        return []
    left = max(datetime.fromtimestamp(int(said[0]), UTC) for said in known.ties.values())
    family = contacts.contact_family(ctx, known.contact_id)
    return [
        one.campaign_id
        for one in queries.participations(ctx, family)
        if one.state == "left" and one.left_at is not None and one.left_at >= left - CLOCKS_APART
    ]


def _where_to(ctx: Ctx, came: Came, known: Follower | None, back: Sequence[str]) -> tuple[str | None, str]:
    """(campaign, token): whose invite it is; without one where they were before, or, for newcomers, the
    channel's own campaign."""
    if came.scene and came.scene.isprintable():  # what others put into their codes may be anything
        inviter = queries.participant_by_token(ctx, came.scene)
        if inviter is not None:
            return inviter.campaign_id, came.scene
    if back:
        return back[0], ""
    newcomer = known is None or known.contact_id is None or (came.tie == rules.FOLLOWS and not known.here)
    if newcomer and not came.listed:
        return queries.default_campaign(ctx, came.account_id), ""
    return None, ""


def _meet(ctx: Ctx, came: Came, known: Follower | None) -> str:
    """Nothing to take part in: we have met them all the same, so that nobody can bring them as new later."""
    if known is not None and known.contact_id is not None and not came.unionid:
        return known.contact_id
    pairs = [(one.kind, one.value) for one in came.identities]
    return people.create_or_update(ctx, pairs, source=came.provider, proven=True).contact_id


def _join(ctx: Ctx, came: Came, campaign_id: str, token: str, *, late: bool) -> Arrival:
    outcome = _submit(ctx, came, campaign_id, token, came.key)
    campaign = queries.campaign(ctx, campaign_id)
    if outcome.participant is None:
        contact_id = _meet(ctx, came, None)
        text = "" if late else texts.answer(ctx, campaign, outcome.reasons, takes_part=False, poster=False)
        return Arrival(contact_id, text, campaign, late=late)
    contact_id = str(outcome.participant["contact_id"])
    poster = shows_poster(campaign, outcome)
    text = "" if late else texts.answer(ctx, campaign, _told(outcome), takes_part=True, poster=poster)
    participant_id = str(outcome.participant["id"]) if poster else ""
    return Arrival(contact_id, text, campaign, participant_id, late)


def _submit(ctx: Ctx, came: Came, campaign_id: str, token: str, key: str) -> JoinOutcome:
    ask = JoinAsk(identities=came.identities, invite_token=token or None)
    outcome = participation.join(ctx.parts, ctx.workspace_id, campaign_id, ask, source=came.provider, key=key)
    if outcome.pending:
        raise StillDeciding
    ctx.ring("reach.pick")  # whoever brought them is told
    return outcome


def _told(outcome: JoinOutcome) -> list[Reason]:
    """Of a registration's reasons those that concern the person who came."""
    told = [one for one in outcome.reasons if one.code not in ("inviter_cap", "sold_out")]
    # Whatever else is wrong with the invite says it better than that they take part already.
    return [one for one in told if one.code != "already_joined"] or told


def shows_poster(campaign: Campaign, outcome: JoinOutcome) -> bool:
    """Whether somebody gets a poster to bring friends with."""
    assert outcome.participant is not None
    return (
        outcome.participant["state"] == "active"
        and campaign.state in _OPEN
        and campaign.poster_template_id is not None
    )


def send_poster(ctx: Ctx, came: Came, arrival: Arrival) -> None:
    """Into the chat, as soon as it is drawn."""
    if arrival.participant_id and not arrival.late:
        assert arrival.campaign is not None
        to = To(came.account_id, came.person, arrival.contact_id, came.at)
        key, campaign_id = f"poster:{came.key}", arrival.campaign.id
        deliveries.add_poster(ctx, to, key, campaign_id, arrival.participant_id, first=arrival.first)


def latest_open(ctx: Ctx, contact_id: str) -> Participant | None:
    """Where somebody takes part now and gets a poster for; the campaign joined last."""
    for mine in queries.participations(ctx, contacts.contact_family(ctx, contact_id)):
        campaign = queries.campaign(ctx, mine.campaign_id)
        if mine.state == "active" and campaign.state in _OPEN and campaign.poster_template_id is not None:
            return mine
    return None
