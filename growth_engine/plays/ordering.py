"""Somebody buys: they take part from then on, and the order goes into the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from growth_engine.context import Ctx, Parts
from growth_engine.kit.errors import Conflict, Invalid, Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.ledger import naming
from growth_engine.ledger.contract import Event, PayloadMismatch, Posted, Reason, Receipt
from growth_engine.orders import queries as orders
from growth_engine.orders import rules
from growth_engine.orders.models import Order
from growth_engine.people import queries as people
from growth_engine.plays import participation, queries
from growth_engine.plays.participation import JoinAsk
from growth_engine.plays.registry import play
from growth_engine.plays.selling import sells


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of an order; ``amount`` replaces quantity × price (a discount of the merchant's own shop)."""

    sku: str
    quantity: int
    amount: int | None = None
    """Minor units, for the whole line."""


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of the wish to buy."""

    accepted: bool
    reasons: Sequence[Reason]
    order_id: str | None
    participant: Mapping[str, Any] | None
    """As ``participation.participant_record``; ``None`` when they are unknown or were not let in."""
    duplicate: bool = False


class NothingSold(Conflict):
    code = "nothing_sold"
    message = N_("This campaign does not sell anything.")


class CannotOrder(Conflict):
    """The order was refused; ``extra["decision"]`` holds the reasons."""

    code = "cannot_order"
    message = N_("This cannot be ordered right now.")


class OrderRecorded(PayloadMismatch):
    """The shop's id names another order; ``extra["recorded"]`` says which."""

    code = "already_recorded"
    status = 409
    message = N_("Order “%(external_id)s” is placed already, for something or somebody else. Use another id.")

    def __init__(self, order: Order) -> None:
        names = ("campaign_id", "external_id", "contact_id", "total", "currency")
        recorded = {"order_id": order.id, **{name: getattr(order, name) for name in names}}
        super().__init__(params={"external_id": order.external_id}, extra={"recorded": recorded})


def place_order(
    parts: Parts,
    workspace_id: str,
    campaign_id: str,
    ask: JoinAsk,
    lines: Sequence[Wanted],
    *,
    currency: str,
    source: str,
    key: str,
    external_id: str | None = None,
    minutes: int | None = None,
) -> OrderOutcome:
    """Order for the person of ``ask``, through the invite link it carries if any.

    (source, key) names the request: the same again gives the same answer. With an ``external_id`` it is
    this id that names the order, whoever sends it; while no order of this name was placed, each request is
    decided anew. ``minutes``: time to pay, instead of the campaign's. Raises ``Invalid``, ``NothingSold``,
    ``UnknownCampaign``, ``PayloadMismatch`` (``OrderRecorded`` for an ``external_id``) and ``Unavailable``
    (then send the same again).
    """
    _check(lines, external_id)
    if external_id:
        source, key = "order", f"shop:{external_id}"
    with parts.open(workspace_id) as ctx:
        if not sells(play(queries.campaign(ctx, campaign_id).play)):
            raise NothingSold
        if external_id and (before := _placed_before(ctx, campaign_id, external_id, ask, currency, lines)):
            return before
        participant = _known(ctx, campaign_id, ask)
    reasons: Sequence[Reason] = ()
    if participant is None:
        # Under a name of its own where the order may be told again: joining twice is joining once.
        own = f"buyer:{parts.ids.new('req')}" if external_id else f"{key}:buyer"
        joined = participation.join(parts, workspace_id, campaign_id, ask, source=source, key=own)
        if joined.pending:
            raise Unavailable(N_("The books are busy. Please send the same request again."))
        participant, reasons = joined.participant, joined.reasons
    if participant is None:
        return OrderOutcome(False, reasons, None, None)
    facts: dict[str, Any] = {
        "contact_id": participant["contact_id"],
        "currency": currency,
        "lines": [_line(line) for line in lines],
    }
    more = {"invite_token": ask.invite_token, "external_id": external_id, "minutes": minutes}
    facts |= {name: value for name, value in more.items() if value}
    event = Event(workspace_id, campaign_id, "order", source, key, parts.clock.now(), facts)
    receipt = _submit(parts, event, named=bool(external_id))
    if not isinstance(receipt, Posted):
        raise Unavailable(N_("The books are busy. Please send the same request again."))
    order_id = receipt.result.get("order_id")
    return OrderOutcome(receipt.accepted, receipt.reasons, order_id, participant, receipt.duplicate)


def _submit(parts: Parts, event: Event, *, named: bool) -> Receipt:
    if not named:
        receipt: Receipt = parts.ledger.submit(event)
        return receipt
    try:
        return naming.submit(parts, event, anew=True)
    except naming.AlreadyRecorded:
        with parts.open(event.workspace_id) as ctx:
            order = orders.by_external_id(ctx, event.facts["external_id"])
        assert order is not None, "an accepted order is a row"
        raise OrderRecorded(order) from None


def selling_config(ctx: Ctx, campaign_id: str) -> Mapping[str, Any]:
    """The rules of a campaign that sells: those in force, or the draft's. Raises ``NothingSold``."""
    campaign = queries.campaign(ctx, campaign_id)
    rules_of = play(campaign.play)
    if not sells(rules_of):
        raise NothingSold
    version = queries.version(ctx, campaign_id, campaign.rule_version)
    config: Mapping[str, Any] = rules_of.Config().load(version.config if version else campaign.config)
    return config


def check_tier(ctx: Ctx, campaign_id: str, tier: str | None) -> None:
    """Raises ``Invalid`` for a group of promoters the campaign does not have; empty means none."""
    groups = selling_config(ctx, campaign_id).get("promoter_tiers", ())
    if tier and tier not in [one["name"] for one in groups]:
        raise Invalid(fields={"tier": [N_("There is no such group.")]})


def _known(ctx: Ctx, campaign_id: str, ask: JoinAsk) -> Mapping[str, Any] | None:
    """The buyer's participation, if they take part already and nothing about them has to be said anew."""
    owners = set(people.owners(ctx, ask.identities).values())
    if ask.contact_id:
        owners.add(people.contact(ctx, ask.contact_id).id)
    if len(owners) != 1:
        return None  # nobody yet, or identities that belong to different people: joining sorts it out
    found = queries.participation(ctx, campaign_id, people.contact_family(ctx, owners.pop()))
    if found is None or found.state == "left":
        return None
    return participation.participant_record(ctx, found.id)


def _placed_before(
    ctx: Ctx, campaign_id: str, external_id: str, ask: JoinAsk, currency: str, lines: Sequence[Wanted]
) -> OrderOutcome | None:
    """The order of this name, whoever its buyer is by now (people are merged). Raises ``OrderRecorded``
    when it was for something or somebody else."""
    order = orders.by_external_id(ctx, external_id)
    if order is None:
        return None
    placed = [(one.sku, one.quantity, one.amount) for one in orders.lines(ctx, [order.id])[order.id]]
    asked = [
        (line.sku, line.quantity, amount if line.amount is None else line.amount)
        for line, (_, _, amount) in zip(lines, placed, strict=False)
    ]
    if (order.campaign_id, order.currency, placed) != (campaign_id, currency, asked) or len(lines) != len(
        placed
    ):
        raise OrderRecorded(order)
    if not _is_buyer(ctx, order.contact_id, ask):
        raise OrderRecorded(order)
    buyer = queries.by_numbers(ctx, campaign_id, [order.buyer])[order.buyer][0]
    record = participation.participant_record(ctx, buyer.id)
    return OrderOutcome(True, (), order.id, record, duplicate=True)


def _is_buyer(ctx: Ctx, contact_id: str, ask: JoinAsk) -> bool:
    """Whether ``ask`` names the contact an order was placed for; of the erased nobody can tell any more."""
    try:
        kept = people.contact(ctx, contact_id).id
    except people.UnknownContact:
        return True
    named = set(people.owners(ctx, ask.identities).values())
    return kept in named or (ask.contact_id is not None and kept == people.contact(ctx, ask.contact_id).id)


def _check(lines: Sequence[Wanted], external_id: str | None) -> None:
    if not 1 <= len(lines) <= rules.MOST_LINES:
        raise Invalid(fields={"lines": [N_("Order 1 to 50 different things.")]})
    errors: dict[int, dict[str, list[str]]] = {}
    for row, line in enumerate(lines):
        if not 1 <= line.quantity <= rules.MOST_QUANTITY:
            errors[row] = {"quantity": [N_("Order 1 to 9999 of it.")]}
        elif line.amount is not None and not 0 < line.amount <= rules.MOST_AMOUNT:
            errors[row] = {"amount": [N_("Give an amount above zero, in minor units.")]}
    if errors:
        raise Invalid(fields={"lines": errors})
    if external_id is not None:
        rules.check_external_id(external_id)


def _line(line: Wanted) -> dict[str, Any]:
    told: dict[str, Any] = {"sku": line.sku, "quantity": line.quantity}
    return told if line.amount is None else {**told, "amount": line.amount}
