"""Distribution (分销裂变): promoters share a product, and whoever brought a buyer earns commission."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.plays import inviting, worth
from growth_engine.plays.contract import (
    Decision,
    Effect,
    Given,
    HelpCounted,
    Page,
    PlayEvent,
    State,
    Viewer,
    option,
)
from growth_engine.plays.selling import (
    Because,
    OrderLine,
    OrderMoved,
    OrderPlaced,
    PinShare,
    Seller,
    SellingConfig,
    SetCommission,
)

slug = "distribution"
title = N_("Distribution")
summary = N_("Participants recommend what you sell, and a paid order earns them commission.")

_MOST = 100_000_000
_LEVELS = (1, 2)
_UNITS = ("bp", "fixed")
_TOO_MANY_LEVELS = N_(
    "Commission over more than two levels is pyramid selling, which the law forbids. Choose 1 or 2."
)
_HUNDREDTHS = N_("In hundredths: 2000 is 20 percent, or 20.00 for each piece.")


def _level(**more: Any) -> fields.Integer:
    one_of = validate.OneOf(_LEVELS, labels=[N_("One"), N_("Two")], error=_TOO_MANY_LEVELS)
    return fields.Integer(validate=one_of, **more)


def _unit(label: str, **more: Any) -> fields.String:
    units = validate.OneOf(_UNITS, labels=[N_("Share of what is paid"), N_("Amount for each piece")])
    return fields.String(
        load_default="bp", validate=units, metadata=option(label, section="commission"), **more
    )


def _rate(label: str, **more: Any) -> fields.Integer:
    meta = option(label, _HUNDREDTHS, section="commission", hundredths=True)
    return fields.Integer(validate=validate.Range(min=0, max=_MOST), metadata=meta, **more)


class Tier(Schema):
    """A group of promoters with rates of their own."""

    name = fields.String(
        required=True,
        validate=validate.Regexp(r"[a-z0-9][a-z0-9_-]{0,19}\Z", error=N_("Use a short name of a-z, 0-9.")),
        metadata=option(N_("Short name"), section="commission"),
    )
    label = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata=option(N_("Name people read"), section="commission"),
    )


class Override(Schema):
    """Another rate for a product, for a group of promoters, or for both at once; 0 is a rate like any."""

    sku = fields.String(
        load_default="",
        validate=validate.Length(max=64),
        metadata=option(N_("Product (SKU)"), N_("Empty: every product."), section="commission"),
    )
    tier = fields.String(
        load_default="",
        validate=validate.Length(max=20),
        metadata=option(N_("Group"), N_("Empty: every promoter."), section="commission"),
    )
    level = _level(load_default=1, metadata=option(N_("Level"), section="commission"))
    unit = _unit(N_("Counted as"))
    value = _rate(N_("Rate"), required=True)

    @validates_schema
    def _at_most_all(self, data: Mapping[str, Any], *, partial: object = None, **_: Any) -> None:
        if partial:
            return
        _check_rate(data["unit"], data["value"], "value")
        if not data["sku"] and not data["tier"]:
            raise ValidationError([N_("Name a product, a group or both.")], "sku")


class Config(SellingConfig):
    levels = _level(
        load_default=1,
        metadata=option(
            N_("Levels"),
            N_("Two: whoever brought the promoter earns as well. More is against the law."),
            section="commission",
        ),
    )
    level1_unit = _unit(N_("Level 1 is"))
    level1_value = _rate(N_("Rate of level 1"), load_default=1000)
    level2_unit = _unit(N_("Level 2 is"))
    level2_value = _rate(N_("Rate of level 2"), load_default=0)
    promoter_tiers = fields.List(
        fields.Nested(Tier),
        load_default=list,
        validate=validate.Length(max=20),
        metadata=option(N_("Groups of promoters"), section="commission"),
    )
    overrides = fields.List(
        fields.Nested(Override),
        load_default=list,
        validate=validate.Length(max=100),
        metadata=option(
            N_("Other rates"),
            N_("The most exact one holds: product and group, then product, then group."),
            section="commission",
        ),
    )
    self_rebate = fields.Boolean(
        load_default=False,
        metadata=option(
            N_("Own purchases earn commission"),
            N_("A buyer who may promote earns level 1 on what they buy."),
            section="commission",
        ),
    )
    order_cap = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=_MOST),
        metadata=option(
            N_("Most commission of one person per order"),
            N_("Empty for no limit."),
            section="commission",
            money=True,
        ),
    )
    promoter_cap = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=_MOST),
        metadata=option(
            N_("Most commission of one person in the period below"),
            N_("Empty for no limit."),
            section="commission",
            money=True,
        ),
    )
    cap_period = fields.String(
        load_default="month",
        validate=validate.OneOf(
            ["day", "month", "all"], labels=[N_("A day"), N_("A month"), N_("The whole campaign")]
        ),
        metadata=option(N_("Period of this limit"), section="commission"),
    )

    @validates_schema
    def _rates_fit(self, data: Mapping[str, Any], *, partial: object = None, **_: Any) -> None:
        if partial:
            return  # only some fields are looked at: what they mean together comes with the rest
        for level in _LEVELS:
            rate = f"level{level}_value"
            _check_rate(data[f"level{level}_unit"], data[rate], rate)
        names = [tier["name"] for tier in data["promoter_tiers"]]
        if len(names) != len(set(names)):
            raise ValidationError([N_("Two groups have the same name.")], "promoter_tiers")
        seen: set[tuple[str, str, int]] = set()
        for row, one in enumerate(data["overrides"]):
            place = (one["sku"], one["tier"], one["level"])
            if one["tier"] and one["tier"] not in names:
                raise ValidationError({row: {"tier": [N_("There is no such group.")]}}, "overrides")
            if place in seen:
                raise ValidationError({row: {"sku": [N_("This rate is set twice.")]}}, "overrides")
            seen.add(place)


def _check_rate(unit: str, value: int, field: str) -> None:
    if unit == "bp" and value > worth.WHOLE:
        raise ValidationError([N_("A share cannot be more than 100 percent.")], field)


# -- deciding ------------------------------------------------------------------------------------------


def scope(event: PlayEvent, config: Mapping[str, Any]) -> str:
    del config
    match event:
        case OrderPlaced() | OrderMoved():
            return f"order:{event.order_id}"
    return inviting.scope(event)


def stock(config: Mapping[str, Any]) -> Mapping[str, int]:
    """Products have their stock themselves; the rules limit nothing."""
    del config
    return {}


def decide(event: PlayEvent, state: State, config: Mapping[str, Any], given: Given) -> Decision:
    """Without a memory of its own: what a share is worth follows from its pinned terms alone."""
    del given
    match event:
        case OrderPlaced():
            return _placed(event, state, config)
        case OrderMoved():
            return _moved(event, state, config)
        case HelpCounted():
            return Decision(state, [inviting.friend_came(event)])
    return Decision(state)  # who merely takes part earns nothing: heads are not paid for


def _placed(event: OrderPlaced, state: State, config: Mapping[str, Any]) -> Decision:
    effects: list[Effect] = []
    reasons: list[Reason] = []
    spoken_for = [0] * len(event.lines)
    for level, seller, own in _chain(event, config):
        if reason := _refusal(event, level, seller, own):
            reasons.append(reason)
            continue
        lines = [
            _line(config, line, level, seller.tier, taken)
            for line, taken in zip(event.lines, spoken_for, strict=True)
        ]
        if not any(line["full"] for line in lines):
            reasons.append(Reason("rate_zero", {"level": level, "member": seller.member}))
            continue
        spoken_for = [taken + line["full"] for taken, line in zip(spoken_for, lines, strict=True)]
        terms = _terms(config, level, seller, own, lines)
        effects.append(PinShare(f"share:{event.order_id}:{level}", level, seller.member, terms))
    if event.promoter is None and not effects:
        reasons.insert(0, Reason("no_promoter"))
    return Decision(state, effects, reasons)


def _chain(event: OrderPlaced, config: Mapping[str, Any]) -> Iterator[tuple[int, Seller, bool]]:
    """(level, who would earn it, whether by buying themselves)."""
    own = config["self_rebate"] and event.buyer.qualified
    chain = [event.buyer, event.promoter] if own else [event.promoter, event.upline]
    for level, seller in zip(range(1, config["levels"] + 1), chain, strict=False):
        if seller is not None:
            yield level, seller, own and level == 1


def _refusal(event: OrderPlaced, level: int, seller: Seller, own: bool) -> Reason | None:
    """Why this level earns nothing, if so. A buyer may also be somebody's upline: that is no way round."""
    about = {"level": level, "member": seller.member}
    if seller.member == event.buyer.member and not own:
        return Reason("self_purchase", about)
    return None if seller.qualified else Reason(seller.why, about)


def _terms(
    config: Mapping[str, Any], level: int, seller: Seller, own: bool, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Everything the share's worth will ever follow from (``plays.worth``)."""
    terms: dict[str, Any] = {
        "play": slug,
        "level": level,
        "tier": seller.tier,
        "hold_days": config["hold_days"],
        "lines": list(lines),
    }
    caps: dict[str, Any] = {}
    if config["order_cap"] is not None:
        caps["order"] = config["order_cap"]
    if config["promoter_cap"] is not None:
        caps |= {"promoter": config["promoter_cap"], "period": config["cap_period"]}
    return terms | ({"caps": caps} if caps else {}) | ({"own": True} if own else {})


def _line(
    config: Mapping[str, Any], line: OrderLine, level: int, tier: str, spoken_for: int
) -> dict[str, Any]:
    """A line with its rate; ``full`` is what it is worth when wholly paid, in 1/10000 of a minor unit.

    ``spoken_for`` is what the level before has of it: together they never get more than the line costs.
    """
    unit, value, why = _rate_of(config, line.sku, tier, level)
    full = line.amount * value if unit == "bp" else line.quantity * value * worth.WHOLE
    left = line.amount * worth.WHOLE - spoken_for
    pinned = {
        "line": line.line,
        "sku": line.sku,
        "quantity": line.quantity,
        "amount": line.amount,
        "unit": unit,
        "value": value,
        "from": why,
        "full": min(full, left),
    }
    return pinned | ({"clipped": True} if full > left else {})


def _rate_of(config: Mapping[str, Any], sku: str, tier: str, level: int) -> tuple[str, int, str]:
    """(unit, value, where it is set): the most exact rate, also when it is 0."""
    set_for = {(one["sku"], one["tier"]): one for one in config["overrides"] if one["level"] == level}
    for key, why in (((sku, tier), "product_tier"), ((sku, ""), "product"), (("", tier), "tier")):
        if (why == "product" or tier) and (found := set_for.get(key)) is not None:
            return found["unit"], found["value"], why
    return config[f"level{level}_unit"], config[f"level{level}_value"], "base"


def _moved(event: OrderMoved, state: State, config: Mapping[str, Any]) -> Decision:
    effects: list[Effect] = []
    reasons: list[Reason] = []
    for share in event.shares:
        caps = share.terms.get("caps", {})
        used = event.sellers[share.member].used
        terms = worth.limited(share.terms, event.net, used, _period(event, caps.get("period", "all")))
        by_rate = worth.uncapped(terms, event.net)
        target = worth.within(terms, by_rate)
        if target < by_rate and terms is not share.terms:
            about = {"level": share.level, "member": share.member, "currency": config["currency"]}
            reasons.append(Reason("commission_cap", {**about, "amount": target, "due": by_rate}))
        effects.append(SetCommission(f"worth:{event.order_id}:{share.level}", share.level, target, terms))
    return Decision(state, effects, reasons)


def _period(event: OrderMoved, wanted: str) -> str:
    """The order's key of ``Seller.used`` for a day, a month or all."""
    length = {"all": 3, "month": 7, "day": 10}[wanted]
    return next(period for period in event.periods if len(period) == length)


def explain(terms: Mapping[str, Any], net: int) -> Sequence[Because]:
    return worth.explain(terms, net)


# -- shown ---------------------------------------------------------------------------------------------


def page(state: State, config: Mapping[str, Any], viewer: Viewer) -> Page:
    """No ladder: a promoter's page shows their commissions."""
    del state, config, viewer
    return Page()


def promise(config: Mapping[str, Any]) -> Mapping[str, Any]:
    currency = config["currency"]
    promised: dict[str, Any] = {}
    for level in _LEVELS:
        unit, value = config[f"level{level}_unit"], config[f"level{level}_value"]
        given = level <= config["levels"] and value > 0
        rate = {"unit": unit, "value": value, "currency": currency}
        promised[f"level{level}"] = rate if given else None
        promised[f"level{level}_rate"] = {**rate, "short": True} if given else None
    for cap in ("order_cap", "promoter_cap"):
        promised[cap] = {"amount": config[cap], "currency": currency} if config[cap] is not None else None
    bound = config["binding"] in ("first_touch", "last_touch")
    return {
        **promised,
        "hold_days": config["hold_days"],
        "protection_days": config["protection_days"] if config["binding"] == "first_touch" else None,
        "validity_days": config["validity_days"] if bound else None,
    }
