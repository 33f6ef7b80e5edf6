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


def has_live_code(play: Play) -> bool:
    """Whether participants of a play are led through a live code (``live_codes``), once ``Page.opens``; its
    module says so with ``live_code = True``."""
    return getattr(play, "live_code", False) is True


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
