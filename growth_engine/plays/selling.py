"""What a play that sells deals with besides: orders, shares of them, commission, and the rules of a shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from marshmallow import fields, validate

from growth_engine.kit.i18n import N_
from growth_engine.plays.contract import Effect, Play, PlayEvent, SharedConfig, option


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
class Because:
    """One step of how an amount came about: a message id, numbers and names in it, amounts in it."""

    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    amounts: Mapping[str, int] = field(default_factory=dict)
    """Further params, in minor units of the share's currency."""


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
    unpaid_orders = fields.Integer(
        load_default=5,
        validate=validate.Range(min=0, max=1000),
        metadata=option(
            N_("Unpaid orders of one buyer at a time"),
            N_("Unpaid orders keep goods from others. It counts where stock is limited; 0 for no limit."),
            section="selling",
        ),
    )
    unpaid_pieces = fields.Integer(
        load_default=100,
        validate=validate.Range(min=0, max=1_000_000),
        metadata=option(
            N_("Unpaid pieces of one buyer at a time"),
            N_("In all their unpaid orders together. It counts where stock is limited; 0 for no limit."),
            section="selling",
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


class SellingPlay(Play, Protocol):
    """What a play that sells says besides."""

    def explain(self, terms: Mapping[str, Any], net: int) -> Sequence[Because]:
        """Why a share with these (pinned) terms is worth what it is while ``net`` was paid and kept; the
        last step has the amount."""
        ...


def sells(play: Play) -> bool:
    """Whether a play deals with orders; its ``Config`` says so by being a ``SellingConfig``."""
    return issubclass(play.Config, SellingConfig)
