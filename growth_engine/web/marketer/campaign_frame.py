"""What every page about one campaign shows: its head, its tabs, its live figures, and people by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from flask import url_for
from flask_babel import gettext as _

from growth_engine.connections import queries as connections
from growth_engine.connections.models import ChannelAccount
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.ledger.mirror import MemberView, Totals
from growth_engine.ledger.models import JournalEntry
from growth_engine.plays import figures, lifecycle, queries
from growth_engine.plays.models import Campaign, CampaignVersion, Participant
from growth_engine.plays.ordering import NothingSold
from growth_engine.plays.reasons import REASONS
from growth_engine.plays.registry import play
from growth_engine.plays.selling import sells
from growth_engine.plays.words import readable

log = structlog.get_logger(__name__)

TABS: Sequence[tuple[str, str]] = (
    ("campaign.overview", N_("Overview")),
    ("campaign_tree.tree", N_("Invite tree")),
    ("campaign_entries.listing", N_("Entries")),
    ("campaign_rewards.listing", N_("Rewards and posters")),
    ("campaign_versions.listing", N_("Versions")),
)
#: After the overview, where something is sold.
SELLING: Sequence[tuple[str, str]] = (
    ("shop_products.listing", N_("Products")),
    ("shop_orders.listing", N_("Orders")),
    ("shop_commissions.listing", N_("Commissions")),
    ("shop_promoters.listing", N_("Promoters")),
    ("simulator.show", N_("Try other rates")),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The campaign of a page. ``published`` is what people see, ``changed`` that the draft differs."""

    campaign: Campaign
    published: CampaignVersion | None
    changed: bool
    actions: Sequence[str]
    play_title: str
    link: str
    """Public address of the landing page; empty before the first publication."""
    sells: bool = False
    channel: ChannelAccount | None = None
    """The account whose codes its posters carry."""

    @property
    def tabs(self) -> Sequence[tuple[str, str]]:
        if not self.campaign.rule_version:
            return (TABS[0], SELLING[0]) if self.sells else ()  # what is sold comes before publishing
        return (TABS[0], *SELLING, *TABS[1:]) if self.sells else TABS

    @property
    def config(self) -> Mapping[str, Any]:
        """The rules in force, or the draft's before there are any."""
        return self.published.config if self.published else self.campaign.config

    @property
    def currency(self) -> str:
        return str(self.config.get("currency", ""))


def frame(ctx: Ctx, campaign_id: str) -> Frame:
    """Raises UnknownCampaign for another workspace's."""
    campaign = queries.campaign(ctx, campaign_id)
    published = queries.version(ctx, campaign.id, campaign.rule_version) if campaign.rule_version else None
    changed = published is not None and any(
        getattr(published, name) != getattr(campaign, name)
        for name in ("config", "content", "starts_at", "ends_at")
    )
    link = ""
    if published is not None:
        path = url_for("h5_landing.public", campaign_id=campaign.id)
        link = web.parts().settings.public_url.rstrip("/") + path
    return Frame(
        campaign=campaign,
        published=published,
        changed=changed and campaign.state != "ended",
        actions=lifecycle.actions(campaign.state),
        play_title=play(campaign.play).title,
        link=link,
        sells=sells(play(campaign.play)),
        channel=_channel(ctx, campaign),
    )


def _channel(ctx: Ctx, campaign: Campaign) -> ChannelAccount | None:
    bound = campaign.channel_account_id
    return connections.account(ctx, bound) if bound else None


def shop(ctx: Ctx, campaign_id: str) -> Frame:
    """The same of a campaign that sells. Raises NothingSold for any other."""
    found = frame(ctx, campaign_id)
    if not found.sells:
        raise NothingSold
    return found


@dataclass(frozen=True, slots=True)
class Figures:
    """The live figures of one campaign, from the mirror."""

    totals: Totals
    funnel: Mapping[str, int]
    cohorts: Sequence[tuple[str, int, int]]
    leaders: Sequence[tuple[int, int]]

    @property
    def k(self) -> float:
        """Valid invites per participant."""
        return self.totals.score_sum / self.totals.members if self.totals.members else 0.0


def live(ctx: Ctx, campaign_id: str, *, leaders: int) -> Figures | None:
    """``None`` when they cannot be read now; the page says so and shows the rest."""
    try:
        found = figures.of_campaign(ctx, campaign_id)
        places, _seq = figures.leaderboard(ctx, campaign_id, leaders)
    except Unavailable as error:
        log.warning("campaign.figures_away", campaign=campaign_id, code=error.code)
        return None
    return Figures(found.totals, found.funnel, found.cohorts, places)


def views(ctx: Ctx, campaign_id: str, numbers: Iterable[int]) -> Mapping[int, MemberView]:
    """What the mirror knows of some members by number; nothing when it cannot be read now."""
    wanted = sorted(set(numbers) - {0})
    try:
        found, _seq = figures.of_members(ctx, campaign_id, wanted)
    except Unavailable as error:
        log.warning("campaign.figures_away", campaign=campaign_id, code=error.code)
        return {}
    return found


@dataclass(frozen=True, slots=True)
class Person:
    """A participant as pages name them."""

    number: int
    name: str
    """Empty for somebody without a nickname, or erased."""
    contact_id: str
    participant: Participant


def people_by_number(ctx: Ctx, campaign_id: str, numbers: Iterable[int]) -> dict[int, Person]:
    found = queries.by_numbers(ctx, campaign_id, numbers)
    return {
        number: Person(number, nickname, row.contact_id, row) for number, (row, nickname) in found.items()
    }


#: What happened to somebody's money, where pages can name them.
_ABOUT_MONEY: Mapping[str, str] = {
    "earned": N_("%(who)s earns %(amount)s (level %(level)s)."),
    "taken_back": N_("%(who)s loses %(amount)s again (level %(level)s)."),
    "absorbed": N_("%(who)s has withdrawn %(amount)s of it already; you bear that."),
    "commission_cap": N_("%(who)s has reached a limit: %(amount)s instead of %(due)s."),
}


def said(
    reasons: Iterable[Mapping[str, Any]], people: Mapping[int, Person] | None = None
) -> list[tuple[str, Mapping[str, Any]]]:
    """Message id and parameters of reasons as the journal keeps them; an unknown code shows itself."""
    known = [Reason.from_json(one) for one in reasons]
    return [_said(one, people or {}) for one in known]


def _said(reason: Reason, people: Mapping[int, Person]) -> tuple[str, Mapping[str, Any]]:
    params = dict(readable(reason.params))
    number = reason.params.get("member")
    if number is None or reason.code not in _ABOUT_MONEY:
        return REASONS.get(reason.code, reason.code), params
    person = people.get(number)
    params["who"] = person.name if person and person.name else _("No. %(number)s", number=number)
    return _ABOUT_MONEY[reason.code], params


def numbers_in(entries: Iterable[JournalEntry]) -> set[int]:
    """Everybody some Entries are about."""
    found: set[int] = set()
    for one in entries:
        found |= {number for number in (one.member, one.other) if number}
        found |= {
            reason["params"]["member"]
            for reason in one.body.get("reasons", ())
            if "member" in reason.get("params", {})
        }
    return found
