"""Paying and being paid on phone pages: which way, WeChat's sheet or a code to scan, and how it went."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from flask import Blueprint
from PIL import Image

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Unavailable
from growth_engine.kit.i18n import translate
from growth_engine.orders import providers
from growth_engine.orders import queries as orders
from growth_engine.orders.models import Order
from growth_engine.orders.providers import Checkout, Payer
from growth_engine.paying import attempts
from growth_engine.paying import queries as paying
from growth_engine.paying import rules as wechat_pay
from growth_engine.paying.queries import Confirmation
from growth_engine.payouts import queries as payouts
from growth_engine.payouts.models import Payout
from growth_engine.posters import qr
from growth_engine.web.h5 import limits, wechat_visitor
from growth_engine.web.h5.order_view import fingerprint
from growth_engine.web.h5.owners import check_shop
from growth_engine.web.h5.visit import Visit, visiting

bp = Blueprint("h5_wechat_pay", __name__)

#: Who takes the buyers' money where WeChat Pay is not connected.
BY_HAND: Final = "manual"
#: Around a code four light modules are asked for (ISO/IEC 18004 §5.3.8).
_QUIET, _PIXELS = 4, 6


def way_to_pay(ctx: Ctx, order: Order) -> str:
    """Name of the provider an order is paid through."""
    ready = order.currency == wechat_pay.CURRENCY and paying.ready(ctx)
    return wechat_pay.PROVIDER if ready else BY_HAND


def payer_of(visit: Visit) -> Payer:
    """Whoever looks at the page pays: by openid inside WeChat, where the merchant's number belongs to the
    account that named them; anybody else is shown a code."""
    assert visit.contact is not None
    here = wechat_visitor.here()
    known = wechat_visitor.proven(here.workspace_id, here.account_id) if here else None
    if here is None or known is None or not paying.ready(visit.ctx):
        return Payer(visit.contact.id)
    same = paying.merchant(visit.ctx).app_id == here.app_id
    return Payer(visit.contact.id, known.openid if same else None)


def checkout(workspace_id: str, order: Order, payer: Payer, way: str) -> Checkout:
    """How to pay; asked with no transaction open, for a provider may ask somebody else.

    What stands in the way is said where the button would be: the order itself can be shown all the same.
    """
    try:
        return providers.provider(way).checkout(web.parts(), workspace_id, order, payer)
    except (Conflict, Unavailable) as error:
        return Checkout(way, "instructions", message=translate(error.message, error.params))


def confirmations(ctx: Ctx, shown: Sequence[Payout]) -> Mapping[str, Confirmation]:
    """By withdrawal, what its owner has to confirm in WeChat for the money to come."""
    waiting = [one.id for one in shown if one.provider == wechat_pay.PROVIDER and one.state == "waiting"]
    found = ((payout_id, paying.confirmation(ctx, payout_id)) for payout_id in waiting)
    return {payout_id: one for payout_id, one in found if one is not None}


@bp.app_template_global("code_picture")
@lru_cache(maxsize=256)
def code_picture(content: str) -> str:
    """A QR code as the address of a picture: it is for this page only."""
    dark = qr.modules(content, "M")
    side = dark.width + 2 * _QUIET
    code = Image.new("1", (side, side), 1)
    code.paste(0, (_QUIET, _QUIET), dark)
    packed = io.BytesIO()
    code.resize((side * _PIXELS, side * _PIXELS), Image.Resampling.NEAREST).save(packed, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()


@bp.app_template_global("inside_wechat")
def inside_wechat() -> bool:
    """Whether the page can speak to WeChat."""
    return wechat_visitor.here() is not None


# -- how it went -------------------------------------------------------------------------------------


@bp.post("/c/<campaign_id>/orders/<order_id>/ask")
def ask_order(campaign_id: str, order_id: str) -> dict[str, str]:
    """What a page says about its own success is a hint: WeChat Pay is asked how the order stands."""
    limits.require_room("write")
    with visiting(campaign_id) as visit:
        check_shop(visit)
        _own(visit, order_id)
        workspace_id = visit.campaign.workspace_id
        live = [one for one in paying.attempts_of(visit.ctx, order_id) if one.state in ("open", "told")]
    for attempt in live:
        if attempt.state == "told":
            attempts.post(web.parts(), workspace_id, attempt.number)
        else:
            attempts.look(web.parts(), workspace_id, attempt)
    with visiting(campaign_id) as visit:
        return {"seen": fingerprint(_own(visit, order_id), visit.ctx.now())}


@bp.post("/c/<campaign_id>/wallet/withdrawals/<payout_id>/ask")
def ask_withdrawal(campaign_id: str, payout_id: str) -> dict[str, str]:
    """Whether a withdrawal has moved on; WeChat Pay tells us by itself, and is asked by the workers."""
    limits.require_room("write")
    with visiting(campaign_id) as visit:
        check_shop(visit)
        found = payouts.payout(visit.ctx, payout_id)
        if found.contact_id not in visit.family:
            raise payouts.UnknownPayout
        visit.ctx.ring("paying.transfers")
        return {"seen": found.state}


def _own(visit: Visit, order_id: str) -> Order:
    """The visitor's own order; anybody else's does not exist for them."""
    order = orders.order(visit.ctx, order_id)
    if order.campaign_id != visit.campaign.id or order.contact_id not in visit.family:
        raise orders.UnknownOrder
    return order
