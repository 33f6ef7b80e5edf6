"""Decisions about orders: placed, paid, refunded, cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from growth_engine.ledger.contract import Reason
from growth_engine.ledger.money import FEE, PLATFORM, Leg
from growth_engine.plays import rules
from growth_engine.plays.posting.case import Case
from growth_engine.plays.posting.facts import Member
from growth_engine.plays.posting.selling import promoters, shares
from growth_engine.plays.posting.selling.facts import Commission, Line, Order, Product, Transfer
from growth_engine.plays.selling import OrderLine, OrderMoved, OrderPlaced, PinShare, Share

#: Basis points in one.
_WHOLE = 10_000


class Ordering:
    """Decides about orders; ``fees`` is the platform's rate by the merchant's tier, in basis points."""

    def __init__(self, new_id: Callable[[str], str], fees: Mapping[str, int]) -> None:
        self._new_id = new_id
        self._fees = fees

    def place(self, case: Case) -> None:
        """Somebody orders: stock is reserved, and who earns what from it is pinned."""
        member = case.participant()
        if member is None:
            return
        case.about(member)
        products, refusal = _wanted(case)
        refusal = _admission(case, member) or refusal or _hoards(case, member, products)
        refusal = refusal or _reserve(case, products)
        if refusal:
            case.refuse(refusal)
            return
        order = self._order(case, member, products)
        promoter = promoters.touch(case, member)
        if promoter:
            order.promoter = promoter.number
            # There is a row from now on for whoever money may come to.
            case.facts.sales.promoter(order.campaign_id, promoter.number, promoter.contact_id)
        case.draft.other = order.promoter or None
        case.draft.result |= {"order_id": order.id, "total": order.total}
        case.op("f", "ordered", 1)
        self._pin(case, order, member, promoter)

    def _order(self, case: Case, member: Member, products: list[tuple[Product, Mapping[str, Any]]]) -> Order:
        lines = [
            Line(n, product.id, product.sku, product.name, asked["quantity"], _amount(product, asked))
            for n, (product, asked) in enumerate(products, 1)
        ]
        minutes = case.event.facts.get("minutes") or case.campaign.config["order_minutes"]
        order = Order(
            id=self._new_id("ord"),
            campaign_id=case.campaign.id,
            contact_id=member.contact_id,
            buyer=member.number,
            promoter=0,
            currency=case.campaign.config["currency"],
            total=sum(line.amount for line in lines),
            paid=0,
            refunded=0,
            state="placed",
            fee_bp=self._fees.get(case.campaign.merchant_tier, 0),
            fee=0,
            rule_version=case.campaign.version,
            placed_at=case.now,
            expires_at=case.now + timedelta(minutes=minutes),
            paid_at=None,
            closed_at=None,
            seq=case.seq,
            source=case.event.source,
            external_id=case.event.facts.get("external_id"),
            lines=lines,
            is_new=True,
        )
        case.facts.sales.orders[order.id] = order
        case.facts.sales.count_unpaid(order, 1)
        return order

    def _pin(self, case: Case, order: Order, member: Member, promoter: Member | None) -> None:
        upline = case.facts.members.get((case.campaign.id, promoter.inviter_number)) if promoter else None
        placed = OrderPlaced(
            order_id=order.id,
            buyer=promoters.as_seller(case, member),
            lines=[OrderLine(one.line, one.sku, one.quantity, one.amount) for one in order.lines],
            promoter=promoters.as_seller(case, promoter) if promoter else None,
            upline=promoters.as_seller(case, upline) if upline else None,
        )
        config = case.campaign.config
        for effect in case.ask(placed):
            if not isinstance(effect, PinShare):
                case.do(effect)
                continue
            earner = case.member(effect.member)
            case.facts.sales.promoter(order.campaign_id, earner.number, earner.contact_id)
            case.facts.sales.add_commission(
                Commission(
                    id=self._new_id("com"),
                    campaign_id=case.campaign.id,
                    order_id=order.id,
                    level=effect.level,
                    member=effect.member,
                    contact_id=earner.contact_id,
                    currency=order.currency,
                    rule_version=case.campaign.version,
                    terms={
                        **effect.terms,
                        "hold_days": config["hold_days"],
                        "clawback": config["clawback"],
                    },
                    target=0,
                    pending=0,
                    matured=0,
                    state="waiting",
                    reason="",
                    hold_until=None,
                    seq=case.seq,
                    is_new=True,
                )
            )


def pay(case: Case) -> None:
    """Money came for an order: also for one that was cancelled, because the money is there."""
    order = _order(case)
    if order is None:
        return
    amount = case.event.facts["amount"]
    refusal = _wrong_currency(case, order)
    if refusal is None and order.paid + amount > order.total:
        refusal = Reason("overpaid", {"due": order.total - order.paid, "currency": order.currency})
    if refusal:
        case.refuse(refusal)
        return
    if order.unpaid:
        case.facts.sales.count_unpaid(order, -1)
    if order.state == "cancelled" or order.restocked:
        _revive(case, order)
    _transfer(case, order, "payment")
    before, first = order.net, order.paid == 0
    order.paid += amount
    if first:
        case.op("f", "paid", 1)
    _revalue(case, order, before)


def refund(case: Case) -> None:
    """Money went back: before its payment was seen it nets to zero, later shares are taken back."""
    order = _order(case)
    if order is None:
        return
    amount = case.event.facts["amount"]
    refusal = _wrong_currency(case, order)
    if refusal is None and order.refunded + amount > order.total:
        refusal = Reason(
            "refund_too_large", {"left": order.total - order.refunded, "currency": order.currency}
        )
    if refusal:
        case.refuse(refusal)
        return
    _transfer(case, order, "refund")
    before = order.net
    if order.refunded == 0:
        case.op("f", "refunded", 1)
    order.refunded += amount
    _revalue(case, order, before)
    if case.event.facts.get("restock"):
        _restock(case, order)


def cancel(case: Case) -> None:
    """An unpaid order is given up; its stock is free again."""
    order = _order(case)
    if order is None:
        return
    if order.state != "placed" or order.paid:
        case.refuse(Reason("order_cancelled" if order.state == "cancelled" else "order_paid"))
        return
    case.facts.sales.count_unpaid(order, -1)
    order.state, order.closed_at, order.changed = "cancelled", case.now, True
    for line in order.lines:
        case.take(line.product_id, -line.quantity)
    case.draft.reasons.append(Reason(case.event.facts.get("reason", "cancelled")))


# -- what an order is worth ------------------------------------------------------------------------------


def _revalue(case: Case, order: Order, before: int) -> None:
    """Ask the play what every share is worth now, and move what differs."""
    order.changed = True
    net = order.net
    _close(case, order, net)
    delta = net - before
    _count(case, order, delta, before)
    if delta:
        case.op("v", order.buyer, delta)
    _move_fee(case, order, net)
    pinned = case.facts.sales.by_order.get(order.id, [])
    live = [c for c in pinned if c.state != "void"]
    counted = shares.counted_in(case, pinned)
    moved = OrderMoved(
        order_id=order.id,
        net=net,
        shares=[Share(c.level, c.member, c.terms) for c in live],
        sellers={c.member: promoters.as_earner(case, c.member) for c in live},
        periods=counted,
    )
    shares.settle(case, {c.level: c for c in live}, case.ask(moved), counted)


def _close(case: Case, order: Order, net: int) -> None:
    if order.paid >= order.total and order.paid_at is None:
        order.paid_at = case.now
    if order.paid and net == 0:
        order.state, order.closed_at = "refunded", case.now
    elif order.paid >= order.total:
        order.state, order.closed_at = "paid", None
    elif order.state == "refunded":  # all that had come went back, now some more has come
        order.state, order.closed_at = "placed", None


def _count(case: Case, order: Order, delta: int, before: int) -> None:
    """What the buyer spent and the promoter sold."""
    sales = case.facts.sales
    if delta:
        sales.promoter(order.campaign_id, order.buyer, order.contact_id).spent += delta
    if order.promoter:
        row = sales.promoter(order.campaign_id, order.promoter, "")  # there since the order was placed
        row.sales += delta
        row.orders += (order.net > 0) - (before > 0)


def _move_fee(case: Case, order: Order, net: int) -> None:
    """The platform's fee, floor of the cumulative amount like every rate."""
    due = net * order.fee_bp // _WHOLE
    delta, order.fee = due - order.fee, due
    if delta:
        case.legs(order.currency, Leg(FEE, "", -delta, order.id), Leg(PLATFORM, "", delta, order.id))


def _transfer(case: Case, order: Order, kind: str) -> None:
    told = case.event.facts
    case.facts.sales.transfers.append(
        Transfer(
            kind,
            order.id,
            told["provider"],
            told["external_id"],
            told["amount"],
            told.get("reason", ""),
            case.seq,
        )
    )


# -- what may be ordered ---------------------------------------------------------------------------------


def _wanted(case: Case) -> tuple[list[tuple[Product, Mapping[str, Any]]], Reason | None]:
    found: list[tuple[Product, Mapping[str, Any]]] = []
    for asked in case.event.facts["lines"]:
        product = case.facts.sales.products.get((case.campaign.id, asked["sku"]))
        if product is None:
            return found, Reason("unknown_product", {"sku": asked["sku"]})
        if not product.on_sale:
            return found, Reason("hidden_product", {"name": product.name})
        found.append((product, asked))
    return found, None


def _admission(case: Case, member: Member) -> Reason | None:
    contact = case.facts.contacts.get(member.contact_id)
    if member.state == "blocked" or (contact and contact.blocked):
        return Reason("blocked")
    currency = case.event.facts["currency"]
    if currency != case.campaign.config["currency"]:
        return Reason("currency_mismatch", {"given": currency, "wanted": case.campaign.config["currency"]})
    return rules.closed(case.campaign, case.now)


def _hoards(case: Case, member: Member, products: list[tuple[Product, Mapping[str, Any]]]) -> Reason | None:
    """Why this buyer has to pay first: what is ordered and not paid keeps limited stock from others."""
    if all(case.left(product.id) is None for product, _ in products):
        return None
    config, mine = case.campaign.config, case.facts.sales.unpaid.get((case.campaign.id, member.number))
    orders, pieces = (mine.orders, mine.pieces) if mine else (0, 0)
    if config["unpaid_orders"] and orders >= config["unpaid_orders"]:
        return Reason("too_many_unpaid", {"most": config["unpaid_orders"]})
    pieces += sum(asked["quantity"] for _, asked in products)
    if config["unpaid_pieces"] and pieces > config["unpaid_pieces"]:
        return Reason("too_many_reserved", {"most": config["unpaid_pieces"]})
    return None


def _reserve(case: Case, products: list[tuple[Product, Mapping[str, Any]]]) -> Reason | None:
    """Take everything from stock, or nothing."""
    wanted: dict[str, int] = {}
    for product, asked in products:
        wanted[product.id] = wanted.get(product.id, 0) + asked["quantity"]
        left = case.left(product.id)
        if left is not None and left < wanted[product.id]:
            return Reason("out_of_stock", {"name": product.name, "left": left})
    for product_id, quantity in wanted.items():
        case.take(product_id, quantity)
    return None


def _revive(case: Case, order: Order) -> None:
    """An order whose goods were free is paid: it is on again, short of stock only if others took the rest."""
    wanted: dict[str, int] = {}
    for line in order.lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    order.state, order.closed_at, order.restocked = "placed", None, False
    for product_id, quantity in wanted.items():
        left = case.left(product_id)
        if left is not None and left < quantity:
            case.draft.reasons.append(Reason("sold_out_paid"))
            quantity = left
        if quantity:
            case.take(product_id, quantity)


def _restock(case: Case, order: Order) -> None:
    """The merchant has the goods back: they can be sold again, once, when nothing is left paid."""
    if order.restocked or order.state == "cancelled":
        return
    if order.paid == 0 or order.net:
        case.draft.reasons.append(Reason("not_restocked"))
        return
    order.restocked = True
    for line in order.lines:
        case.take(line.product_id, -line.quantity)
    case.draft.reasons.append(Reason("restocked", {"pieces": order.pieces}))


def _amount(product: Product, asked: Mapping[str, Any]) -> int:
    """The merchant's own shop may have its own price (a discount); otherwise the product's."""
    given = asked.get("amount")
    return given if given is not None else product.price * int(asked["quantity"])


def _order(case: Case) -> Order | None:
    """The order the Event names, if it is one of this campaign."""
    order = case.facts.sales.orders.get(case.event.facts["order_id"])
    if order is None or order.campaign_id != case.campaign.id:
        case.refuse(Reason("order_unknown"))
        return None
    case.draft.rule_version = order.rule_version
    case.draft.member, case.draft.other = order.buyer, order.promoter or None
    case.draft.result = {"order_id": order.id}
    return order


def _wrong_currency(case: Case, order: Order) -> Reason | None:
    given = case.event.facts["currency"]
    if given == order.currency:
        return None
    return Reason("currency_mismatch", {"given": given, "wanted": order.currency})
