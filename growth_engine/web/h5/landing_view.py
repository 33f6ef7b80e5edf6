"""What the landing page shows, as plain values made by a pure function, so that a draft can be previewed.

A preview: ``view = landing_view(draft, play.promise(draft.config), now=…, brand=workspace.name)``, then
``render_template("h5/landing.html", **visit.landing_values(view))``. Without ``addresses`` no link leads
anywhere; ``visitor=Visitor(invited=True, inviter="…")`` shows it as an invited friend sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from growth_engine.plays.content import fill, rate_in_words
from growth_engine.plays.contract import Step
from growth_engine.web.h5 import names
from growth_engine.web.h5.colours import DEFAULT

#: From so few left on buyers are told how many.
FEW = 10


class CampaignLike(Protocol):
    """A published campaign or a draft: what the page needs of it (``plays.models.Campaign`` fits)."""

    @property
    def title(self) -> str: ...
    @property
    def locale(self) -> str: ...
    @property
    def content(self) -> Mapping[str, Any]: ...
    @property
    def starts_at(self) -> datetime | None: ...
    @property
    def ends_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the page leads and what a shared card shows; empty strings lead nowhere (a preview)."""

    register: str = ""
    rules: str = ""
    leaderboard: str = ""
    me: str = ""
    """The visitor's own page, when they take part already."""
    help: str = ""
    """Where somebody who takes part already helps this inviter as well."""
    link: str = ""
    """This page's own absolute address, for the shared card."""
    image: str = ""
    """Absolute address of the card's picture."""
    shop: str = ""
    """Where something can be ordered, if the campaign sells."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What is left until the end, as the page first shows it."""

    ends_at: datetime
    days: int
    hours: int
    minutes: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as buyers see it; ``price`` in minor units of ``currency``."""

    sku: str
    name: str
    description: str
    price: int
    currency: str
    picture: str
    """Address of its picture, or empty."""
    left: int | None
    """How many can still be had; ``None``: no limit."""

    @property
    def sold_out(self) -> bool:
        return self.left == 0

    @property
    def few(self) -> bool:
        return self.left is not None and 0 < self.left <= FEW


@dataclass(frozen=True, slots=True)
class Selling:
    """What the page of a campaign that sells says instead of membership days."""

    offers: Sequence[Offer]
    rate: str
    """Commission of whoever brought the buyer, bare: ``20%``, ``¥5.00``; empty without one."""
    per_piece: bool
    hold_days: int

    @property
    def sold_out(self) -> bool:
        return bool(self.offers) and all(one.sold_out for one in self.offers)


@dataclass(frozen=True, slots=True)
class LandingView:
    """Everything ``h5/landing.html`` reads. Texts are in the campaign's language, numbers filled in."""

    locale: str
    brand: str
    title: str
    subtitle: str
    body: Sequence[str]
    reward_inviter: str
    reward_friend: str
    inviter_days: int
    friend_days: int
    ladder: Sequence[Step]
    rules: Sequence[str]
    button: str
    colour: str
    share_title: str
    share_text: str
    privacy: str
    invited: bool
    """Whether somebody's invite link was opened."""
    inviter: str
    """The inviter's name; empty when they have not agreed to be named, or nobody invited."""
    initial: str
    clock: Clock | None
    joined: int | None
    """How many take part; ``None`` when it cannot be told now."""
    closed: str
    """Why nobody can register now (a reason code), or empty."""
    starts_at: datetime | None
    own: bool
    """The visitor opened their own invite link."""
    may_help: bool
    """The visitor takes part already and may help this inviter as well."""
    addresses: Addresses
    selling: Selling | None
    """Of a campaign that sells."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Through whose link somebody came, and what they are here already."""

    invited: bool = False
    inviter: str = ""
    own: bool = False
    may_help: bool = False


def landing_view(
    campaign: CampaignLike,
    promise: Mapping[str, Any],
    *,
    now: datetime,
    brand: str,
    steps: Sequence[Step] = (),
    visitor: Visitor = Visitor(),
    joined: int | None = None,
    closed: str = "",
    addresses: Addresses = Addresses(),
    selling: Selling | None = None,
) -> LandingView:
    """The page of a campaign; ``promise`` as ``play.promise(config)`` gives it, ``brand`` where the copy
    names none, ``steps`` of the reward ladder as ``play.page({}, config, Viewer(0, 0))`` has them (without
    them: those of the promise, which have no names). ``selling``: ``selling_view`` of a play that sells."""
    copy = fill(campaign.content, promise, locale=campaign.locale, brand=brand)
    title = copy.get("title") or campaign.title
    return LandingView(
        locale=campaign.locale,
        brand=copy["brand"],
        title=title,
        subtitle=copy.get("subtitle", ""),
        body=copy.get("body", ()),
        reward_inviter=copy.get("reward_inviter", ""),
        reward_friend=copy.get("reward_friend", ""),
        inviter_days=_number(promise, "inviter_days"),
        friend_days=_number(promise, "friend_days"),
        ladder=steps or _ladder(promise),
        rules=copy.get("rules", ()),
        button=copy.get("button", ""),
        colour=copy.get("colour") or DEFAULT,
        share_title=copy.get("share_title") or title,
        share_text=copy.get("share_text") or copy.get("subtitle", ""),
        privacy=copy.get("privacy", ""),
        invited=visitor.invited,
        inviter=visitor.inviter,
        initial=names.initial(visitor.inviter),
        clock=clock_to(campaign.ends_at, now),
        joined=joined,
        closed=closed,
        starts_at=campaign.starts_at,
        own=visitor.own,
        may_help=visitor.may_help,
        addresses=addresses,
        selling=selling,
    )


def selling_view(promise: Mapping[str, Any], locale: str, offers: Sequence[Offer] = ()) -> Selling:
    """What a play that sells promises, in ``locale``, and what it offers."""
    rate = promise.get("level1_rate")
    return Selling(
        offers=offers,
        rate=rate_in_words(rate, locale) if rate else "",
        per_piece=rate is not None and rate["unit"] != "bp",
        hold_days=_number(promise, "hold_days"),
    )


def _ladder(promise: Mapping[str, Any]) -> list[Step]:
    return [
        Step(rung["invites"], rung["days"], rung.get("label", ""), reached=False)
        for rung in promise.get("tiers", ())
    ]


def clock_to(ends_at: datetime | None, now: datetime) -> Clock | None:
    """What a countdown says at ``now``; none without an end or behind it."""
    if ends_at is None or ends_at <= now:
        return None
    left = int((ends_at - now).total_seconds())
    return Clock(ends_at, left // 86400, left % 86400 // 3600, left % 3600 // 60, left % 60)


def _number(promise: Mapping[str, Any], name: str) -> int:
    value = promise.get(name)
    return value if isinstance(value, int) else 0
