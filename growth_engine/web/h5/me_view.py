"""What a participant's own page shows, gathered in one transaction as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import structlog
from flask import url_for

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.i18n import N_, translate
from growth_engine.ledger import queries as books
from growth_engine.ledger.mirror import MemberView, MirrorBroken, MirrorUnavailable
from growth_engine.live_codes import queries as live_codes
from growth_engine.membership import queries as membership
from growth_engine.payouts.statement import Balance
from growth_engine.people import queries as people
from growth_engine.plays import invites, queries
from growth_engine.plays.contract import Joined, Page, has_live_code
from growth_engine.plays.messages import message_text
from growth_engine.plays.models import InviteEdge, Participant
from growth_engine.plays.reasons import REASONS
from growth_engine.posters import queries as posters
from growth_engine.posters.models import Poster
from growth_engine.web.h5 import history, names, promote_view
from growth_engine.web.h5.promote_view import Promoting, Sale
from growth_engine.web.h5.visit import Shown, Visit, viewer

log = structlog.get_logger(__name__)

FRIENDS = 20
ENTRIES = 20
MESSAGES = 5
SALES = 5
_KINDS = ("join", "leave", "block", "unblock")

SIDES: Mapping[str, str] = {
    "inviter": N_("For a friend you brought"),
    "friend": N_("For coming through a friend"),
    "tier": N_("From the reward ladder"),
    "welcome": N_("A welcome gift"),
    "by_hand": N_("Given by the team"),
}
#: What an invite edge that does not count says; refused ones carry their own reason.
_EDGE_WORDS: Mapping[str, str] = {
    "left": N_("Left, so the invite no longer counts."),
    "moved": N_("Counts for another friend now."),
    "void": N_("Blocked, so the invite does not count."),
}


@dataclass(frozen=True, slots=True)
class Days:
    """Membership days of the campaign's plan."""

    plan: str
    left: int
    coming: int
    """Promised, on their way."""
    state: str
    ends_on: date | None
    gifts: Sequence[tuple[str, int, date]]
    """(message id of what for, days, given on), newest first."""
    matter: bool = True
    """False in a campaign that promises no days, for whoever has none."""


@dataclass(frozen=True, slots=True)
class PosterView:
    """``state``: none, queued, rendering, ready or failed; ``url`` of the picture when ready."""

    state: str
    url: str = ""

    @property
    def busy(self) -> bool:
        return self.state in ("queued", "rendering")


@dataclass(frozen=True, slots=True)
class Friend:
    """Somebody who came through the participant."""

    number: int
    name: str
    initial: str
    at: datetime
    counts: bool
    why: str
    """Message id of why not; empty when it counts."""


@dataclass(frozen=True, slots=True)
class Told:
    at: datetime
    text: str
    """Translated."""


@dataclass(frozen=True, slots=True)
class SellingPart:
    """What recommending came to; whoever may not recommend has no poster and no link to show."""

    standing: Promoting
    balance: Balance
    sales: Sequence[Sale]
    """The newest shares of orders."""


@dataclass(frozen=True, slots=True)
class MeView:
    """Everything ``h5/me.html`` reads besides the campaign."""

    nickname: str
    initial: str
    state: str
    invite_url: str
    days: Days
    poster: PosterView
    invites: int
    rank: int | None
    team: int | None
    """Friends and friends of friends; ``None`` when it cannot be told now."""
    ladder: Page
    friends: Sequence[Friend]
    more_friends: int | None
    """Number to go on before, when there are more."""
    history: Sequence[history.Line]
    told: Sequence[Told]
    selling: SellingPart | None
    """Where something is sold, instead of membership days."""
    live_code: str | None
    """Address of the campaign's live code; empty: not open yet; ``None``: there is none."""


def me_view(visit: Visit, *, friends_before: int | None = None) -> MeView:
    """The page of the participant who visits; there must be one."""
    ctx, campaign, me, contact = visit.ctx, visit.campaign, visit.me, visit.contact
    assert me is not None
    assert contact is not None
    standing = _mirrored(campaign, me.number)
    edges = queries.latest_edges_of_inviter(
        ctx, campaign.id, me.number, before=friends_before, limit=FRIENDS + 1
    )
    entries = books.entries_page(ctx, campaign.id, member=me.number, kinds=_KINDS, limit=ENTRIES)
    numbers = {edge.invitee_number for edge in edges} | history.others(entries)
    known = {
        number: nickname for number, (_, nickname) in queries.by_numbers(ctx, campaign.id, numbers).items()
    }
    valid = standing.score if standing else me.valid_invites
    ladder = ladder_of(ctx, campaign, me, valid)
    return MeView(
        nickname=contact.nickname,
        initial=names.initial(contact.nickname),
        state=me.state,
        invite_url=invites.invite_url(web.parts().settings, me.invite_token),
        days=_days_here(ctx, contact.id, campaign),
        poster=poster_view(campaign, posters.poster_of(ctx, me.id)),
        invites=valid,
        rank=standing.rank if standing else None,
        team=standing.level1 + standing.level2 if standing else None,
        ladder=ladder,
        friends=[_friend(edge, known) for edge in edges[:FRIENDS]],
        more_friends=edges[FRIENDS - 1].invitee_number if len(edges) > FRIENDS else None,
        history=history.lines(entries, me.number, {n: _named(known, n) for n in numbers}),
        told=_told(ctx, contact.id),
        selling=_selling(visit) if campaign.sells else None,
        live_code=_live_code(ctx, campaign, ladder),
    )


def _live_code(ctx: Ctx, campaign: Shown, ladder: Page) -> str | None:
    if not has_live_code(campaign.play):
        return None
    found = live_codes.of_campaign(ctx, campaign.id)
    if found is None:
        return None
    return url_for("h5_live_code.page", token=found.token) if ladder.opens else ""


def _selling(visit: Visit) -> SellingPart:
    sales, _ = promote_view.sales(visit, limit=SALES)
    return SellingPart(promote_view.promoting(visit), promote_view.balance(visit), sales)


def poster_view(campaign: Shown, poster: Poster | None) -> PosterView:
    if poster is None:
        return PosterView("none" if campaign.has_poster else "off")
    if poster.state != "ready" or not poster.content_key:
        return PosterView(poster.state)
    name = poster.content_key.rpartition("/")[2].removesuffix(".jpg")
    return PosterView("ready", url_for("h5_pictures.poster", campaign_id=campaign.id, name=name))


def _mirrored(campaign: Shown, number: int) -> MemberView | None:
    """Score, rank and team from the live ledger; without it the page shows what SQL knows."""
    try:
        found: MemberView | None = web.parts().mirror.member(campaign.book, number)
    except (MirrorUnavailable, MirrorBroken) as error:
        log.warning("h5.no_member", campaign=campaign.id, code=error.code)
        return None
    return found


def _days_here(ctx: Ctx, contact_id: str, campaign: Shown) -> Days:
    days = _days(ctx, contact_id, campaign.plan_id)
    promised = any(value for name, value in campaign.promise.items() if name.endswith("_days"))
    on_ladder = any(tier["days"] for tier in campaign.promise.get("tiers", ()))
    return replace(days, matter=bool(promised or on_ladder or days.left or days.coming or days.gifts))


def _days(ctx: Ctx, contact_id: str, plan_id: str | None) -> Days:
    for one in membership.standing_of(ctx, contact_id):
        if one["plan"]["id"] == plan_id:
            gifts = [
                (SIDES.get(gift["side"], SIDES["by_hand"]), gift["days"], gift["granted_on"])
                for gift in reversed(one["grants"])
            ]
            return Days(
                one["plan"]["name"], one["days_left"], one["days_coming"], one["state"], one["ends_on"], gifts
            )
    return Days("", 0, 0, "none", None, ())


def ladder_of(ctx: Ctx, campaign: Shown, me: Participant, valid: int) -> Page:
    """What the play shows to this participant: steps, and whether its live code opens."""
    scope = campaign.play.scope(Joined(me.number), campaign.config)
    state = queries.play_state(ctx, campaign.id, scope)
    return campaign.play.page(state, campaign.config, viewer(ctx, campaign.id, me.number, valid))


def _friend(edge: InviteEdge, known: Mapping[int, str]) -> Friend:
    counts = edge.state == "valid"
    return Friend(
        number=edge.invitee_number,
        name=_named(known, edge.invitee_number),
        initial=names.initial(known.get(edge.invitee_number, "")),
        at=edge.at,
        counts=counts,
        why="" if counts else _EDGE_WORDS.get(edge.state) or REASONS.get(edge.reason, ""),
    )


def _named(known: Mapping[int, str], number: int) -> str:
    """A masked name; erased people have none left."""
    return names.masked(known.get(number, "")) or translate(N_("No. %(number)s"), {"number": number})


def _told(ctx: Ctx, contact_id: str) -> list[Told]:
    found = []
    for message in people.messages_of(ctx, contact_id, limit=MESSAGES):
        text, params = message_text(message.template, message.params)
        found.append(Told(message.created_at, translate(text, params)))
    return found
