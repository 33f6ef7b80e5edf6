"""What people who come through a channel are told, in the campaign's language and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from growth_engine.connections import queries as connections
from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_, in_locale, translate
from growth_engine.ledger.contract import Reason
from growth_engine.plays import queries
from growth_engine.plays.content import fill
from growth_engine.plays.messages import message_text
from growth_engine.plays.models import Campaign
from growth_engine.plays.registry import play
from growth_engine.plays.selling import sells
from growth_engine.plays.words import reason_text
from growth_engine.settings import Settings

WELCOME = N_("You are taking part in “%(title)s”.")
POSTER_FOLLOWS = N_("Your own poster follows. Every friend who scans it counts for you.")
SELLER_POSTER_FOLLOWS = N_("Your own poster follows. Whoever orders after scanning it brings you commission.")
SHOP = N_("Have a look and order: %(url)s")
#: A message from the person opens 48 hours in which they may be written to (sheet §2.6); a follow, a minute.
ASK_AGAIN = N_(
    "Write “poster” to get it again. For two days after you write, you hear at once when a friend comes."
)
PAGE = N_("Your page: %(url)s")
RENEWED = N_("Here is your new poster for “%(title)s”: the code on the former one ends soon.")
NO_POSTER = N_("Your poster cannot be sent here at the moment. You find it on your page: %(url)s")

#: Reasons as they are said to the person themselves; other reasons are said as everywhere.
_SAID: Final[Mapping[str, str]] = {
    "already_joined": N_("You are taking part already; your first registration stands."),
    "came_back": N_("Welcome back!"),
    "self_invite": N_("This is your own poster: send it to friends, it cannot count for yourself."),
    "loop": N_("You brought this friend yourself, so it cannot count the other way round."),
    "not_new": N_("We have met before, so your friend’s invite does not count. You take part all the same."),
    "not_new_here": N_("You were here before, so your friend’s invite does not count. Welcome back!"),
    "already_helped": N_("You have helped a friend in this campaign already."),
    "unknown_invite": N_("This code belongs to another campaign."),
    "inviter_blocked": N_("The friend whose poster this was cannot take part any more."),
    "inviter_left": N_("The friend whose poster this was is not taking part any more."),
    "too_fast": N_("So many came at once that this invite could not be counted."),
    "not_started": N_("“%(title)s” has not started yet. Come back soon!"),
    "ended": N_("“%(title)s” has ended. Thank you for coming!"),
    "paused": N_("“%(title)s” is taking a break. Please come back a little later."),
    "full": N_("All places of “%(title)s” are taken. Thank you for coming!"),
    "blocked": N_("This account cannot take part in “%(title)s”."),
}


def page_url(settings: Settings, campaign_id: str) -> str:
    """A participant's own page."""
    return f"{settings.public_url.rstrip('/')}/c/{campaign_id}/me"


def shop_url(settings: Settings, campaign_id: str) -> str:
    """Where what a campaign sells is ordered."""
    return f"{settings.public_url.rstrip('/')}/c/{campaign_id}/shop"


def words_of(ctx: Ctx, campaign: Campaign) -> Mapping[str, Any]:
    """The campaign's copy as published, filled."""
    version = queries.version(ctx, campaign.id, campaign.rule_version)
    if version is None:
        return {}
    promise = play(campaign.play).promise(version.config)
    return fill(version.content, promise, locale=campaign.locale)


def answer(ctx: Ctx, campaign: Campaign, reasons: Sequence[Reason], *, takes_part: bool, poster: bool) -> str:
    """What somebody who just came is told: welcome or why not, what follows, where their page is."""
    words = words_of(ctx, campaign)
    title = words.get("title") or campaign.title
    with in_locale(campaign.locale):
        lines = [said(one, title) for one in reasons if one.code in _SAID]
        if takes_part and not lines:
            lines = [words.get("thanks") or translate(WELCOME, {"title": title})]
        elif not lines:
            lines = [reason_text(one) for one in reasons]
        selling = sells(play(campaign.play))
        if takes_part and selling and campaign.state == "live":
            lines.append(translate(SHOP, {"url": shop_url(ctx.parts.settings, campaign.id)}))
        if poster:
            lines.append(translate(SELLER_POSTER_FOLLOWS if selling else POSTER_FOLLOWS))
        if takes_part:
            lines.append(translate(PAGE, {"url": page_url(ctx.parts.settings, campaign.id)}))
        if poster and _hears_them(ctx, campaign):
            lines.append(translate(ASK_AGAIN))
    return "\n".join(lines)


def _hears_them(ctx: Ctx, campaign: Campaign) -> bool:
    """Whether what people write in the campaign's channel reaches us: WeCom tells it to employees only."""
    bound = campaign.channel_account_id
    return bool(bound and connections.account(ctx, bound).provider == "wechat_oa")


def said(reason: Reason, title: str) -> str:
    """A reason in the second person."""
    return translate(_SAID[reason.code], {"title": title})


def renewed(ctx: Ctx, campaign: Campaign) -> str:
    title = words_of(ctx, campaign).get("title") or campaign.title
    return translate(RENEWED, {"title": title}, locale=campaign.locale)


def no_poster(ctx: Ctx, campaign: Campaign) -> str:
    return translate(NO_POSTER, {"url": page_url(ctx.parts.settings, campaign.id)}, locale=campaign.locale)


def news(template: str, params: Mapping[str, Any], locale: str) -> str:
    """A message of ``people`` as text."""
    with in_locale(locale):
        return translate(*message_text(template, params))
