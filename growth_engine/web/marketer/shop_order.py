"""One order: what was bought, paid and given back, who earns from it, and what the books say about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from babel.numbers import get_currency_precision
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.commissions import queries as commissions
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.orders import giving_back, providers, queries, rules, service
from growth_engine.orders.models import Order
from growth_engine.plays import refunding
from growth_engine.web import form_money
from growth_engine.web.form_problems import problem_of
from growth_engine.web.marketer import campaign_frame

bp = Blueprint("shop_order", __name__, url_prefix="/console/campaigns")

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
#: What a provider said to a refund that is not back yet.
_ANSWERS: Mapping[str, str] = {
    "waiting": N_("The provider has the refund and will tell us when it is done."),
    "unknown": N_(
        "The provider did not answer. Ask again: the number stays the same, so it cannot pay twice."
    ),
    "failed": N_("The provider refused the refund: %(why)s"),
}


@bp.get("/<campaign_id>/orders/<order_id>")
@web.require_staff("marketer")
def show(campaign_id: str, order_id: str) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        order = _order(ctx, campaign_id, order_id)
        shares = commissions.of_order(ctx, order_id)
        entries = commissions.entries_of_order(ctx, order, shares)
        numbers = campaign_frame.numbers_in(entries) | {one.member for one in shares}
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers | {order.buyer, order.promoter})
        values = {
            "lines": queries.lines(ctx, [order_id]).get(order_id, ()),
            "payments": queries.payments(ctx, order_id),
            "refunds": queries.refunds(ctx, order_id),
        }
    return render_template(
        "marketer/shop_order.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_orders.listing",
        order=order,
        shares=shares,
        entries=entries,
        people=people,
        said=campaign_frame.said,
        providers=_titles(),
        due=_typed(order.total - order.paid, order),
        refundable=_typed(_refundable(order), order),
        payment_key=web.parts().ids.new("pay"),
        **values,
    )


@bp.post("/<campaign_id>/orders/<order_id>/pay")
@web.require_staff("marketer")
def pay(campaign_id: str, order_id: str) -> Response:
    """The merchant has the money; the reference they typed names the payment, else one made for the page."""
    with web.ctx() as ctx:
        order = _order(ctx, campaign_id, order_id)
    amount = _read(order)
    if amount is None:
        return _back(order, _no_amount(order))
    external_id = web.form_text("external_id") or _key("pay")

    def take() -> service.Outcome:
        return service.take_payment(
            web.parts(),
            web.check_place().id,
            order_id,
            provider=giving_back.BY_HAND,
            external_id=external_id,
            amount=amount,
            currency=order.currency,
        )

    told = _("%(amount)s are marked as paid.", amount=format_amount(amount, order.currency))
    return _done(order, take, told, by_hand=bool(web.form_text("external_id")))


@bp.post("/<campaign_id>/orders/<order_id>/cancel")
@web.require_staff("marketer")
def cancel(campaign_id: str, order_id: str) -> Response:
    with web.ctx() as ctx:
        order = _order(ctx, campaign_id, order_id)
    told = _("The order is cancelled; what it had reserved is free again.")
    key = _key("key")
    return _done(order, lambda: service.cancel(web.parts(), web.check_place().id, order_id, key=key), told)


# -- refunds -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A refund as it is previewed: the amount in minor units, or what is wrong with what was typed."""

    typed: str
    reason: str
    amount: int | None
    problem: str = ""


@bp.get("/<campaign_id>/orders/<order_id>/refund")
@web.require_staff("marketer")
def preview(campaign_id: str, order_id: str) -> str:
    """What a refund would take back from whom: a piece for htmx, a page of its own otherwise."""
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        order = _order(ctx, campaign_id, order_id)
        asked = _asked(order)
        found = refunding.preview(ctx, order_id, asked.amount) if asked.amount else None
        numbers = {one.commission.member for one in found.taken} if found else set()
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
        provider = giving_back.provider_of(ctx, order_id)
    key = request.args.get("key", "")
    return render_template(
        "marketer/_shop_refund.html" if web.is_htmx() else "marketer/shop_refund.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_orders.listing",
        order=order,
        asked=asked,
        found=found,
        people=people,
        provider=provider,
        seen=giving_back.seen(order),
        refund_key=key if _KEY.fullmatch(key) else web.parts().ids.new("rfd"),
    )


@bp.post("/<campaign_id>/orders/<order_id>/refund")
@web.require_staff("marketer")
def refund(campaign_id: str, order_id: str) -> Response:
    """Give money back as previewed."""
    with web.ctx() as ctx:
        order = _order(ctx, campaign_id, order_id)
    amount = _read(order)
    if amount is None:
        return _back(order, _no_amount(order))
    key, reason = _key("rfd"), web.form_text("reason")[:200]
    again = url_for(
        "shop_order.preview",
        campaign_id=campaign_id,
        order_id=order_id,
        amount=_typed(amount, order),
        reason=reason,
        key=key,
    )
    try:
        found = giving_back.give_back(
            web.parts(),
            web.check_place().id,
            order_id,
            refund_id=key,
            amount=amount,
            reason=reason,
            restock=web.form_text("restock") == "yes",
            as_seen=web.form_text("seen"),
        )
    except giving_back.OrderChanged as error:
        flash(translate(error.message), "warning")
        return redirect(again)
    except (Invalid, Conflict) as error:
        return _back(order, problem_of(error))
    if isinstance(found, service.Outcome):
        told = _("%(amount)s are refunded.", amount=format_amount(amount, order.currency))
        return _decided(order, found, told)
    told = translate(_ANSWERS[found.state], {"why": found.detail or "–"})
    flash(told, "info" if found.state == "waiting" else "danger")
    return redirect(again if found.state == "unknown" else _address(order))


def _asked(order: Order) -> Asked:
    typed = request.args.get("amount", "").strip()[:40]
    reason = request.args.get("reason", "").strip()[:200]
    amount = _minor(typed, order)
    if amount is None:
        return Asked(typed, reason, None, _no_amount(order))
    if amount > order.total - order.refunded:
        left = format_amount(order.total - order.refunded, order.currency)
        return Asked(typed, reason, None, _("At most %(left)s of this order can still go back.", left=left))
    return Asked(typed, reason, amount)


def _refundable(order: Order) -> int:
    return max(0, order.paid - order.refunded)


# -- amounts, answers --------------------------------------------------------------------------------


def _order(ctx: Ctx, campaign_id: str, order_id: str) -> Order:
    order = queries.order(ctx, order_id)
    if order.campaign_id != campaign_id:
        raise queries.UnknownOrder
    return order


def _typed(minor: int, order: Order) -> str:
    return form_money.written(minor, get_currency_precision(order.currency))


def _minor(typed: str, order: Order) -> int | None:
    """A positive amount as people write it, in minor units."""
    found = form_money.read(typed, get_currency_precision(order.currency))
    return found if isinstance(found, int) and 0 < found <= rules.MOST_AMOUNT else None


def _read(order: Order) -> int | None:
    return _minor(web.form_text("amount"), order)


def _no_amount(order: Order) -> str:
    return translate(N_("Give an amount above zero in %(currency)s."), {"currency": order.currency})


def _key(prefix: str) -> str:
    """The number a page gave its form: the form sent twice names the same payment or refund."""
    sent = web.form_text("key")
    return sent if _KEY.fullmatch(sent) else web.parts().ids.new(prefix)


def _done(order: Order, act: Callable[[], service.Outcome], told: str, *, by_hand: bool = False) -> Response:
    try:
        outcome = act()
    except (Invalid, Conflict) as error:
        return _back(order, problem_of(error))
    return _decided(order, outcome, told, by_hand=by_hand)


def _decided(order: Order, outcome: service.Outcome, told: str, *, by_hand: bool = False) -> Response:
    """``by_hand``: what is done was named by a person, who may have named something else so before."""
    words = _words(outcome)
    if not outcome.accepted:
        return _back(order, words)
    if outcome.duplicate and by_hand:  # the reference of an earlier payment: this one is not counted
        flash(_("This form was sent before. Here is what became of it."), "info")
    else:
        flash(told, "success")
    return redirect(_address(order))


def _words(outcome: service.Outcome) -> str:
    found = campaign_frame.said([one.as_json() for one in outcome.reasons])
    return " ".join(translate(message, params) for message, params in found)


def _back(order: Order, problem: str) -> Response:
    flash(problem, "danger")
    return redirect(_address(order))


def _address(order: Order) -> str:
    return url_for("shop_order.show", campaign_id=order.campaign_id, order_id=order.id)


def _titles() -> Mapping[str, str]:
    return {name: providers.provider(name).title for name in providers.providers}
