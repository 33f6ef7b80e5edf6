"""What a refund will take back from whom, said before it is done; nothing is posted."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from growth_engine.commissions import queries as commissions
from growth_engine.commissions.models import Commission
from growth_engine.context import Ctx
from growth_engine.orders import queries as orders
from growth_engine.orders.models import Order
from growth_engine.plays import queries, selling_stock
from growth_engine.plays.contract import Given
from growth_engine.plays.registry import play
from growth_engine.plays.selling import OrderMoved, Seller, SetCommission, Share


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What one beneficiary loses; minor units."""

    commission: Commission
    before: int
    after: int
    from_hold: int
    from_wallet: int
    debt: int
    """Part of ``from_wallet`` that is not there any more: carried as a debt or borne by the merchant."""
    policy: str
    """carry or absorb."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A refund of ``amount`` as it would be decided now; minor units."""

    order: Order
    amount: int
    too_large: bool
    """More than is left of the order: it would be refused."""
    net_before: int
    net_after: int
    fee_back: int
    """The platform's fee that is no longer owed."""
    restockable: int
    """Pieces that may go back into limited stock, because nothing is left paid; 0 for none."""
    taken: Sequence[TakenBack]


def preview(ctx: Ctx, order_id: str, amount: int) -> Preview:
    """Raises ``UnknownOrder``."""
    order = orders.order(ctx, order_id)
    before = max(0, order.paid - order.refunded)
    after = max(0, order.paid - order.refunded - amount)
    shares = [one for one in commissions.of_order(ctx, order_id) if one.state != "void"]
    targets = _targets(ctx, order, shares, after)
    available = commissions.available(ctx, [one.contact_id for one in shares], order.currency)
    return Preview(
        order=order,
        amount=amount,
        too_large=order.refunded + amount > order.total,
        net_before=before,
        net_after=after,
        fee_back=order.fee - after * order.fee_bp // 10_000,
        restockable=_restockable(ctx, order) if after == 0 else 0,
        taken=[_taken(one, targets[one.level], available.get(one.contact_id, 0)) for one in shares],
    )


def _restockable(ctx: Ctx, order: Order) -> int:
    if not order.paid or order.restocked:
        return 0
    limited = selling_stock.stock_of_products(ctx, order.campaign_id)
    lines = orders.lines(ctx, [order.id]).get(order.id, ())
    return sum(line.quantity for line in lines if line.product_id in limited)


def _targets(ctx: Ctx, order: Order, shares: Sequence[Commission], net: int) -> Mapping[int, int]:
    """What every level would be worth, by the play's own decision."""
    campaign = queries.campaign(ctx, order.campaign_id)
    moved = OrderMoved(
        order_id=order.id,
        net=net,
        shares=[Share(one.level, one.member, one.terms) for one in shares],
        sellers={one.member: Seller(one.member, qualified=True) for one in shares},
        periods=["all", f"{ctx.now():%Y-%m}", f"{ctx.now():%Y-%m-%d}"],
    )
    rules = play(campaign.play)
    config = rules.Config().load(campaign.config)
    decision = rules.decide(moved, {}, config, Given(ctx.now(), random.Random(0)))  # noqa: S311 - unused
    return {one.level: one.target for one in decision.effects if isinstance(one, SetCommission)}


def _taken(commission: Commission, target: int, available: int) -> TakenBack:
    back = max(0, commission.target - target)
    held = min(back, commission.pending)
    wallet = back - held
    return TakenBack(
        commission=commission,
        before=commission.target,
        after=commission.target - back,
        from_hold=held,
        from_wallet=wallet,
        debt=wallet - max(0, min(wallet, available)),
        policy=commission.terms.get("clawback", "carry"),
    )
