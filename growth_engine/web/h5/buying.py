"""Handing an order in for somebody who takes part: what they are shown of the books' answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, flash, make_response, redirect, url_for
from flask_babel import gettext as _

from growth_engine.kit import web
from growth_engine.plays import ordering
from growth_engine.plays.ordering import OrderOutcome, Wanted
from growth_engine.plays.participation import JoinAsk
from growth_engine.plays.words import reason_text
from growth_engine.web.h5 import notice
from growth_engine.web.h5.visit import Shown

#: Whose Events these are: whatever somebody does on their phone.
SOURCE = "h5"

Basket = Sequence[tuple[str, int]]
"""(sku, quantity) of each product."""


def place(campaign: Shown, ask: JoinAsk, basket: Basket, *, key: str) -> Response:
    """Order, and lead on to the order's page, or back with the reason why not; ``key`` names the wish.

    Raises ``Unavailable`` when the books are busy: the same again is the same order.
    """
    outcome = ordering.place_order(
        web.parts(),
        campaign.workspace_id,
        campaign.id,
        ask,
        [Wanted(sku, quantity) for sku, quantity in basket],
        currency=str(campaign.config["currency"]),
        source=SOURCE,
        key=key,
    )
    if outcome.accepted and outcome.order_id:
        page = url_for("h5_order.page", campaign_id=campaign.id, order_id=outcome.order_id)
        return make_response(redirect(page, 303))
    return _refused(campaign, outcome, basket, ask.invite_token)


def _refused(campaign: Shown, outcome: OrderOutcome, basket: Basket, token: str | None) -> Response:
    """A page of its own for what is in the way as such; otherwise back to the sheet as it was filled in."""
    code = next((reason.code for reason in outcome.reasons if reason.code in notice.NOTICES), None)
    if code:
        return make_response(notice.answer(campaign, code))
    for reason in outcome.reasons:
        flash(reason_text(reason), "warning")
    if not outcome.reasons:
        flash(_("This cannot be ordered right now. Please try again in a moment."), "warning")
    return make_response(redirect(sheet_url(campaign.id, token or "", basket), 303))


def sheet_url(campaign_id: str, token: str, basket: Basket) -> str:
    """The order sheet, filled in with this."""
    wanted: dict[str, Any] = {quantity_field(sku): quantity for sku, quantity in basket}
    return url_for("h5_shop.page", campaign_id=campaign_id, i=token or None, **wanted)


def quantity_field(sku: str) -> str:
    """Name of the field that says how many of a product are wanted."""
    return f"q-{sku}"
