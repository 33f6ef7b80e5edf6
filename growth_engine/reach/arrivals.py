"""Somebody came through a channel: whose invite it was, taking part, the welcome and the poster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from growth_engine.context import Ctx
from growth_engine.inbox.interpreting import ByThemselves
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.people import queries as contacts
from growth_engine.people import service as people
from growth_engine.plays import participation, queries
from growth_engine.plays.models import Campaign, Participant
from growth_engine.plays.participation import JoinAsk, JoinOutcome, Registration
from growth_engine.reach import deliveries, followers, parting, rules, texts
from growth_engine.reach.came import Came
from growth_engine.reach.deliveries import Draft, To
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


class HeldElsewhere(ByThemselves):
    """Somebody of a batch is being dealt with at this moment: they go by themselves, and wait for that."""

    code = "held_elsewhere"


@dataclass(slots=True)
class _Case:
    """One arrival on its way: what is known, what follows, what came of it."""

    came: Came
    known: Follower | None
    ties: dict[str, list[Any]]
    back: list[str] = field(default_factory=list)
    campaign_id: str | None = None
    token: str = ""
    outcome: JoinOutcome | None = None
    """Of the registration where the scene or the past led; none was asked for: None."""
    contact_id: str = ""
    met: bool = False
    """Nobody knew them before this transaction."""

    @property
    def late(self) -> bool:
        return not rules.holds(self.ties)


def arrive(ctx: Ctx, came: Came) -> Arrival:
    """Let somebody take part where their scene says, once however often it is told. Nothing is sent yet.

    Raises StillDeciding.
    """
    (arrival,) = _arrived(ctx, [(came, followers.hold(ctx, came.account_id, came.person))])
    if isinstance(arrival, GrowthError):
        raise arrival
    return arrival


def arrive_many(ctx: Ctx, several: Sequence[Came]) -> list[Arrival | GrowthError]:
    """The same for different people at once: a handful of statements instead of a handful for each.

    In the place of whoever could not arrive stands why: StillDeciding or HeldElsewhere; nothing was written
    of them, and the others arrived.
    """
    keys = [(one.account_id, one.person) for one in several]
    held = followers.hold_many(ctx, keys)
    free = [(one, held[key]) for one, key in zip(several, keys, strict=True) if key in held]
    arrivals = iter(_arrived(ctx, free))
    return [next(arrivals) if key in held else HeldElsewhere() for key in keys]


def _arrived(ctx: Ctx, people_: Sequence[tuple[Came, Follower | None]]) -> list[Arrival | GrowthError]:
    """Registrations come first, all together: they are decided elsewhere, and nothing must be written yet
    that such a decision could wait for."""
    cases = [_case(ctx, came, known) for came, known in people_]
    _lead(ctx, cases)
    _register(ctx, cases)
    decided = [one for one in cases if one.outcome is None or not one.outcome.pending]
    for one in decided:
        _meet(ctx, one)
    followers.keep_many(ctx, [_standing(one) for one in decided])
    for one in decided:
        if one.late:
            _leave_again(ctx, one)
    read: dict[str, Campaign] = {}
    return [
        StillDeciding() if one.outcome and one.outcome.pending else _arrival(ctx, read, one) for one in cases
    ]


def _case(ctx: Ctx, came: Came, known: Follower | None) -> _Case:
    ties = rules.tied(known.ties if known else {}, came.tie, came.at, holds=True)
    return _Case(came, known, ties, _left_with(ctx, known) if known else [])


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


def _lead(ctx: Ctx, cases: Sequence[_Case]) -> None:
    """Where each goes: whose invite it was; without one where they were before, or, for newcomers, the
    channel's own campaign."""
    # What others put into their codes may be anything.
    scenes = {one.came.scene for one in cases if one.came.scene and one.came.scene.isprintable()}
    invites = queries.campaigns_of_tokens(ctx, sorted(scenes))
    own: dict[str, str | None] = {}
    for one in cases:
        account_id = one.came.account_id
        if one.came.scene in invites:
            one.campaign_id, one.token = invites[one.came.scene], one.came.scene
        elif one.back:
            one.campaign_id = one.back[0]
        elif _is_newcomer(one):
            if account_id not in own:
                own[account_id] = queries.default_campaign(ctx, account_id)
            one.campaign_id = own[account_id]


def _is_newcomer(case: _Case) -> bool:
    known, came = case.known, case.came
    if came.listed:
        return False
    return known is None or known.contact_id is None or (came.tie == rules.FOLLOWS and not known.here)


def _register(ctx: Ctx, cases: Sequence[_Case]) -> None:
    """Everybody where they were led to, and whoever is back wherever else they had left."""
    asked: list[tuple[_Case, Registration]] = []
    for one in cases:
        if one.campaign_id is not None:
            asked.append((one, _registration(one.came, one.campaign_id, one.token, one.came.key)))
        asked += [
            (one, _registration(one.came, other, "", f"{one.came.key}:{other}"))
            for other in one.back
            if other != one.campaign_id
        ]
    if not asked:
        return
    outcomes = participation.join_many(ctx.parts, ctx.workspace_id, [each for _, each in asked])
    for (one, each), outcome in zip(asked, outcomes, strict=True):
        if each.key == one.came.key or outcome.pending:
            one.outcome = outcome
    ctx.ring("reach.pick")  # whoever brought them is told


def _registration(came: Came, campaign_id: str, token: str, key: str) -> Registration:
    ask = JoinAsk(identities=came.identities, invite_token=token or None)
    return Registration(campaign_id, ask, came.provider, key)


def _meet(ctx: Ctx, case: _Case) -> None:
    """Who they are. Those who take part nowhere we have met all the same, so that nobody can bring them as
    new later."""
    came, known, outcome = case.came, case.known, case.outcome
    if outcome is not None and outcome.participant is not None:
        case.contact_id = str(outcome.participant["contact_id"])
    elif outcome is None and known is not None and known.contact_id is not None and not came.unionid:
        case.contact_id = known.contact_id
    else:
        pairs = [(one.kind, one.value) for one in came.identities]
        met = people.create_or_update(ctx, pairs, source=came.provider, proven=True)
        case.contact_id, case.met = met.contact_id, met.created


def _standing(case: _Case) -> followers.Standing:
    came, known = case.came, case.known
    unasked = known is None or (known.profile_at is None and known.profile_next_at is None)
    ask = unasked and not came.asked and not case.late
    return followers.Standing(came.account_id, came.person, case.ties, case.contact_id, ask)


def _leave_again(ctx: Ctx, case: _Case) -> None:
    """They left before we heard that they came (events overtake each other): both happened."""
    came = case.came
    if case.met:  # nobody else can know of them before this transaction ends
        people.mark_left(ctx, case.contact_id)
    else:
        parting.leave(ctx, came.account_id, case.contact_id, key=f"{came.key}:late", source=came.provider)


def _arrival(ctx: Ctx, campaigns: dict[str, Campaign], case: _Case) -> Arrival:
    """``campaigns``: those read already."""
    outcome, first, id_ = case.outcome, case.known is None, case.campaign_id
    if outcome is None or id_ is None:
        return Arrival(case.contact_id, late=case.late, first=first)
    if id_ not in campaigns:
        campaigns[id_] = queries.campaign(ctx, id_)
    campaign, mine = campaigns[id_], outcome.participant
    poster = mine is not None and shows_poster(campaign, outcome)
    text = ""
    if not case.late:
        reasons = outcome.reasons if mine is None else _told(outcome)
        text = _answer(ctx, campaign, reasons, takes_part=mine is not None, poster=poster)
    participant_id = str(mine["id"]) if mine is not None and poster else ""
    return Arrival(case.contact_id, text, campaign, participant_id, case.late, first)


#: In a storm thousands are told the same: what, by everything it is made of. Published words never change.
_ANSWERS: Final[dict[tuple[Any, ...], str]] = {}
_MOST_ANSWERS: Final = 1024


def _answer(
    ctx: Ctx, campaign: Campaign, reasons: Sequence[Reason], *, takes_part: bool, poster: bool
) -> str:
    of = (campaign.id, campaign.rule_version, campaign.title, campaign.locale, campaign.state)
    said = orjson.dumps([one.as_json() for one in reasons])
    name = (*of, campaign.channel_account_id, ctx.parts.settings.public_url, said, takes_part, poster)
    text = _ANSWERS.get(name)
    if text is None:
        if len(_ANSWERS) >= _MOST_ANSWERS:
            _ANSWERS.clear()
        text = texts.answer(ctx, campaign, reasons, takes_part=takes_part, poster=poster)
        _ANSWERS[name] = text
    return text


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
    send_posters(ctx, [(came, arrival)])


def send_posters(ctx: Ctx, several: Sequence[tuple[Came, Arrival]]) -> None:
    """The same for several. Who was never heard of before cannot have one on the way."""
    new = []
    for came, arrival in several:
        if not arrival.participant_id or arrival.late:
            continue
        assert arrival.campaign is not None
        to = To(came.account_id, came.person, arrival.contact_id, came.at)
        key, campaign_id, participant_id = f"poster:{came.key}", arrival.campaign.id, arrival.participant_id
        if arrival.first:
            new.append(Draft(to, "poster", key, campaign_id=campaign_id, participant_id=participant_id))
        else:
            deliveries.add_poster(ctx, to, key, campaign_id, participant_id)
    deliveries.add_many(ctx, new)


def latest_open(ctx: Ctx, contact_id: str) -> Participant | None:
    """Where somebody takes part now and gets a poster for; the campaign joined last."""
    for mine in queries.participations(ctx, contacts.contact_family(ctx, contact_id)):
        campaign = queries.campaign(ctx, mine.campaign_id)
        if mine.state == "active" and campaign.state in _OPEN and campaign.poster_template_id is not None:
            return mine
    return None
