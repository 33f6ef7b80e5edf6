"""What a play is: pure functions over events, state and config; and the closed set of effects."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from marshmallow import EXCLUDE, Schema, fields, validate

from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason

State = Mapping[str, Any]
"""A play's own memory of one scope (an inviter, a team, a ticket): plain JSON."""


# -- what happens ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayEvent:
    """Something the shared rules let through; the play decides what it is worth."""


@dataclass(frozen=True, slots=True)
class Joined(PlayEvent):
    """A participant enrolled without a counting invite."""

    member: int


@dataclass(frozen=True, slots=True)
class HelpCounted(PlayEvent):
    """``helper`` came through ``inviter`` and counts. ``valid_invites`` includes this one."""

    inviter: int
    helper: int
    valid_invites: int


@dataclass(frozen=True, slots=True)
class HelpRestored(PlayEvent):
    """A help that had stopped counting counts again (came back, unblocked, or moved to ``inviter``)."""

    inviter: int
    helper: int
    valid_invites: int


@dataclass(frozen=True, slots=True)
class HelpWithdrawn(PlayEvent):
    """A help stopped counting (left or blocked). Rewards already earned stay."""

    inviter: int
    helper: int
    valid_invites: int


# -- what happens where something is sold ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderLine:
    """What was ordered of one product; ``amount`` in minor units for the whole line."""

    line: int
    sku: str
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True)
class Seller:
    """A participant as somebody who may earn commission."""

    member: int
    qualified: bool
    """Whether the campaign lets this participant promote (``who_promotes``), and they are here."""
    why: str = "not_a_promoter"
    """Reason code, should they not be qualified."""
    tier: str = ""
    used: Mapping[str, int] = field(default_factory=dict)
    """Commission earned so far by period, minor units: ``all``, ``2026-11`` and ``2026-11-22`` as far as
    anything was earned in them (the workspace's zone)."""


@dataclass(frozen=True, slots=True)
class Share:
    """A level's part of an order, pinned when the order was first seen."""

    level: int
    member: int
    terms: Mapping[str, Any]
    """What the play pinned (plain JSON): its rates, limits and lines."""


@dataclass(frozen=True, slots=True)
class OrderPlaced(PlayEvent):
    """An order was seen for the first time: the play pins who earns what from it (``PinShare``)."""

    order_id: str
    buyer: Seller
    lines: Sequence[OrderLine]
    promoter: Seller | None
    """The participant the buyer is bound to."""
    upline: Seller | None
    """Who brought the promoter."""


@dataclass(frozen=True, slots=True)
class OrderMoved(PlayEvent):
    """Money of an order came or went: the play says what each share is worth now (``SetCommission``)."""

    order_id: str
    net: int
    """Paid less refunded, minor units, never below zero."""
    shares: Sequence[Share]
    sellers: Mapping[int, Seller]
    """The shares' members, by number."""
    periods: Sequence[str]
    """The periods the order counts for in ``Seller.used``: all, its month, its day."""


# -- what a decision asks for ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """Asked for by a decision, done in the same transaction; ``key`` makes it happen once a campaign."""

    key: str


@dataclass(frozen=True, slots=True)
class GrantDays(Effect):
    """Membership days for one participant."""

    member: int
    days: int
    side: str
    """Why, for people: inviter, friend, tier or welcome."""


@dataclass(frozen=True, slots=True)
class SendMessage(Effect):
    """A message to one participant; ``template`` is a message id with %(name)s parameters."""

    member: int
    template: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReserveStock(Effect):
    """Take one of ``item`` and do ``won``; when none is left do ``sold_out``."""

    item: str
    won: Sequence[Effect]
    sold_out: Sequence[Effect]


@dataclass(frozen=True, slots=True)
class TagContact(Effect):
    """Put a tag on the participant's contact."""

    member: int
    tag: str


@dataclass(frozen=True, slots=True)
class Remember(Effect):
    """Add ``value`` to the list ``name`` of the play's state in ``scope``.

    For what only shows while effects are done: whether stock was left.
    """

    scope: str
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class PinShare(Effect):
    """From the first sight of an order on, ``member`` has this level's share under these terms."""

    level: int
    member: int
    terms: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetCommission(Effect):
    """A share is worth ``target`` now; the books post the difference to what was posted."""

    level: int
    target: int
    """Minor units, never negative."""
    terms: Mapping[str, Any]
    """The pinned terms, with what this decision adds to them (a limit that was hit)."""


@dataclass(frozen=True, slots=True)
class Given:
    """The only outside things a decision may see: the time, and randomness with a seed that is stored."""

    now: datetime
    random: random.Random


@dataclass(frozen=True, slots=True)
class Decision:
    state: State
    effects: Sequence[Effect] = ()
    reasons: Sequence[Reason] = ()


# -- what a participant sees -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Viewer:
    """The participant who looks at their own page."""

    member: int
    valid_invites: int
    sold_out: frozenset[str] = frozenset()
    """Limited items of which none is left."""
    left: Mapping[str, int] = field(default_factory=dict)
    """How many are left of each limited item."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the reward ladder as one participant sees it."""

    invites: int
    days: int
    label: str
    reached: bool
    sold_out: bool = False
    left: int | None = None
    """How many are left; ``None``: no limit."""
    waiting: bool = False
    """Reached when none was left, and on the waiting list for it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a play adds to a participant's page: ladder and remaining invites to the next rung."""

    steps: Sequence[Step] = ()
    to_next: int | None = None
    opens: bool = False
    """Whether the participant may go through a campaign's live code: into the group, to a member of staff."""


# -- a play ------------------------------------------------------------------------------------------


def option(label: str, help_: str = "", *, section: str = "rules", **more: Any) -> dict[str, Any]:
    """Field metadata the console form is drawn from: ``label`` and ``help`` are message ids."""
    return {"label": label, "help": help_, "section": section, **more}


class SharedConfig(Schema):
    """The rules all plays share (``shared/plays.md``); every play's ``Config`` extends this."""

    class Meta:
        unknown = EXCLUDE

    new_only = fields.String(
        load_default="workspace",
        validate=validate.OneOf(
            ["workspace", "campaign", "everyone"],
            labels=[N_("Never seen by us before"), N_("New to this campaign"), N_("Everyone")],
        ),
        metadata=option(N_("Who counts as a valid invite"), N_("Decided from your own records.")),
    )
    helps = fields.String(
        load_default="once_per_campaign",
        validate=validate.OneOf(
            ["once_per_campaign", "once_per_inviter"],
            labels=[N_("Once in the campaign"), N_("Once for each inviter")],
        ),
        metadata=option(N_("How often one person may help")),
    )
    refollow = fields.String(
        load_default="first_inviter",
        validate=validate.OneOf(
            ["first_inviter", "last_scanner"], labels=[N_("The first inviter"), N_("The latest inviter")]
        ),
        metadata=option(N_("Someone who left and comes back counts for")),
    )
    leaving = fields.String(
        load_default="stops_counting",
        validate=validate.OneOf(
            ["stops_counting", "count_regardless"],
            labels=[N_("The invite stops counting"), N_("It counts all the same")],
        ),
        metadata=option(N_("When an invited person leaves"), N_("Rewards already earned stay.")),
    )
    max_participants = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=100_000_000),
        metadata=option(N_("Most participants"), N_("Empty for no limit.")),
    )
    phone_code = fields.Boolean(
        load_default=False,
        metadata=option(
            N_("Ask everybody for a code by text message when they register"),
            N_("A number we know already is always asked for one."),
            section="protection",
        ),
    )
    velocity_limit = fields.Integer(
        load_default=300,
        validate=validate.Range(min=1, max=1_000_000),
        metadata=option(
            N_("Most invites of one person within the time below"),
            N_("More than that looks like a machine."),
            section="protection",
        ),
    )  # fmt: skip
    velocity_seconds = fields.Integer(
        load_default=60,
        validate=validate.Range(min=1, max=86_400),
        metadata=option(N_("… within this many seconds"), section="protection"),
    )
    velocity_action = fields.String(
        load_default="refuse",
        validate=validate.OneOf(
            ["refuse", "block"], labels=[N_("Do not count the surplus"), N_("Block the inviter")]
        ),
        metadata=option(N_("What happens then"), section="protection"),
    )
    address_limit = fields.Integer(
        load_default=60,
        validate=validate.Range(min=1, max=1_000_000),
        metadata=option(
            N_("Most counting registrations from one network address within ten minutes"),
            section="protection",
        ),
    )
    same_device = fields.Boolean(
        load_default=True,
        metadata=option(N_("Refuse a second account on the same phone"), section="protection"),
    )
    refuse_virtual_numbers = fields.Boolean(
        load_default=False,
        metadata=option(N_("Refuse invites by virtual phone numbers"), section="protection"),
    )


class SellingConfig(SharedConfig):
    """The rules of every play that sells something; the engine itself follows them."""

    currency = fields.String(
        load_default="CNY",
        validate=validate.OneOf(["CNY", "HKD", "USD", "EUR", "SGD", "JPY"]),
        metadata=option(N_("Currency"), N_("Fixed once the campaign is published."), section="selling"),
    )
    who_promotes = fields.String(
        load_default="everyone",
        validate=validate.OneOf(
            ["everyone", "approved", "buyers", "spenders"],
            labels=[
                N_("Everyone who takes part"),
                N_("Applicants you approve"),
                N_("Buyers only"),
                N_("Whoever has spent enough"),
            ],
        ),
        metadata=option(N_("Who may promote"), section="selling"),
    )
    spend_threshold = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=100_000_000),
        metadata=option(
            N_("Spent at least"), N_("For “whoever has spent enough”."), section="selling", money=True
        ),
    )
    binding = fields.String(
        load_default="first_touch",
        validate=validate.OneOf(
            ["first_touch", "permanent", "last_touch", "registration"],
            labels=[
                N_("First touch, protected for some days"),
                N_("First touch, for ever"),
                N_("The latest link opened"),
                N_("Fixed at registration"),
            ],
        ),
        metadata=option(N_("A buyer belongs to"), section="selling"),
    )
    protection_days = fields.Integer(
        load_default=15,
        validate=validate.Range(min=0, max=3650),
        metadata=option(
            N_("Protected for days"),
            N_("Within these days no other promoter can take the buyer over."),
            section="selling",
        ),
    )
    validity_days = fields.Integer(
        load_default=365,
        validate=validate.Range(min=1, max=3650),
        metadata=option(
            N_("Valid for days"),
            N_("After these days the buyer belongs to nobody until another link is opened."),
            section="selling",
        ),
    )
    order_minutes = fields.Integer(
        load_default=60,
        validate=validate.Range(min=5, max=43_200),
        metadata=option(
            N_("Minutes to pay"), N_("An order not paid by then is cancelled."), section="selling"
        ),
    )
    hold_days = fields.Integer(
        load_default=7,
        validate=validate.Range(min=0, max=365),
        metadata=option(
            N_("Commission is on hold for days"),
            N_("Long enough that most refunds come before it is paid out."),
            section="selling",
        ),
    )
    clawback = fields.String(
        load_default="carry",
        validate=validate.OneOf(
            ["carry", "absorb"],
            labels=[N_("Later commission makes up for it"), N_("You bear the loss")],
        ),
        metadata=option(N_("A refund after the commission was withdrawn"), section="selling"),
    )


def sells(play: Play) -> bool:
    """Whether a play deals with orders; its ``Config`` says so by being a ``SellingConfig``."""
    return issubclass(play.Config, SellingConfig)


def has_live_code(play: Play) -> bool:
    """Whether participants of a play are led through a live code (``live_codes``), once ``Page.opens``; its
    module says so with ``live_code = True``."""
    return getattr(play, "live_code", False) is True


@dataclass(frozen=True, slots=True)
class Because:
    """One step of how an amount came about: a message id, numbers and names in it, amounts in it."""

    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    amounts: Mapping[str, int] = field(default_factory=dict)
    """Further params, in minor units of the share's currency."""


class Play(Protocol):
    """One file in ``campaigns/``; the module itself is the play."""

    slug: str
    title: str
    summary: str
    Config: type[SharedConfig]

    def scope(self, event: PlayEvent, config: Mapping[str, Any]) -> str:
        """Which piece of state the event touches."""
        ...

    def stock(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        """Limited items of a config and how many there are of each."""
        ...

    def decide(self, event: PlayEvent, state: State, config: Mapping[str, Any], given: Given) -> Decision: ...

    def page(self, state: State, config: Mapping[str, Any], viewer: Viewer) -> Page: ...

    def promise(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """The reward in numbers, for copy, posters and previews: ``inviter_days``, ``friend_days``…

        Rates and amounts are mappings that ``content.fill`` puts into words: ``{unit, value, currency}``
        (``unit``: bp or fixed; ``short``: without what it is taken of) and ``{amount, currency}``.
        """
        ...


class SellingPlay(Play, Protocol):
    """What a play that sells says besides."""

    def explain(self, terms: Mapping[str, Any], net: int) -> Sequence[Because]:
        """Why a share with these (pinned) terms is worth what it is while ``net`` was paid and kept; the
        last step has the amount."""
        ...
