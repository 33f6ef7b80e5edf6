"""The order sheet: how many of what, the total, and who orders; sent twice it is one order."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, render_template, request, url_for

from growth_engine.channels.storage import content_type_of
from growth_engine.kit import web
from growth_engine.kit.errors import NotFound
from growth_engine.ledger import queries as books
from growth_engine.orders import queries as orders
from growth_engine.plays import queries
from growth_engine.web.h5 import joining, limits, notice, register, shop_view
from growth_engine.web.h5.joining import Draft
from growth_engine.web.h5.owners import check_shop, is_blocked
from growth_engine.web.h5.shop_view import Sheet
from growth_engine.web.h5.visit import Answer, Visit, campaign_values, share_values, visiting

bp = Blueprint("h5_shop", __name__)

_YEAR = 31_536_000


@bp.get("/c/<campaign_id>/shop")
def page(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        token = check_shop(visit)
        if (wall := _in_the_way(visit)) is not None:
            return wall
        return _page(visit, token, shop_view.sheet(visit, request.args, sent=False), {})


@bp.post("/c/<campaign_id>/shop")
def order(campaign_id: str) -> Answer:
    limits.require_room("write")
    nonce = register.nonce_sent()
    with visiting(campaign_id) as visit:
        campaign, family = visit.campaign, visit.family
        token = check_shop(visit)
        if is_blocked(visit):
            return notice.answer(campaign, "blocked")
        sheet = shop_view.sheet(visit, request.form, sent=True)
        asks = _asks(visit)
        typed, errors = register.read_person(asks)
        draft = _draft(visit, {**typed, "nonce": nonce}, token, sheet) if not errors else None
        if draft is None or (sheet.wrong and not _sent_before(visit, draft)):
            return _page(visit, token, sheet, errors), 422
        if draft.buyer:
            free = True
        else:
            free = joining.begin(visit, draft)
            if campaign.closed and not free:
                return notice.answer(campaign, campaign.closed.code)
    if not free:
        return joining.ask_for_code(campaign, draft, known=not campaign.config.get("phone_code"))
    return joining.finish(campaign, draft, family)


@bp.get("/c/<campaign_id>/products/<product_id>/<string(length=16):version>")
def picture(campaign_id: str, product_id: str, version: str) -> Response:
    """A product's picture; its address changes with it."""
    parts = web.parts()
    workspace_id = queries.workspace_of_campaign(parts.db, campaign_id)
    if workspace_id is None:
        raise orders.UnknownProduct
    with parts.open(workspace_id) as ctx:
        product = orders.product(ctx, product_id)
        key = product.picture_key
    if key is None or product.campaign_id != campaign_id or not _name(key).startswith(version):
        raise NotFound
    response = Response(parts.storage.get(key), mimetype=content_type_of(key))
    response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    response.set_etag(_name(key))
    response.make_conditional(request)
    return response


def _name(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


def _in_the_way(visit: Visit) -> Answer | None:
    """Why nothing can be ordered now; a campaign that is full still sells to those who are in."""
    if is_blocked(visit):
        return notice.answer(visit.campaign, "blocked")
    closed = visit.campaign.closed
    inside = visit.me is not None and visit.me.state == "active"
    if closed is None or (closed.code == "full" and inside):
        return None
    return notice.closed(visit)


def _asks(visit: Visit) -> str:
    """What must be asked about the buyer: everything, name and consent, their consent only, or nothing."""
    if visit.contact is None:
        return "name" if register.recognised(visit.campaign) else "all"
    return "nothing" if visit.me is not None and visit.me.state == "active" else "consent"


def _draft(visit: Visit, typed: dict[str, str], token: str, sheet: Sheet) -> Draft:
    filled = {"phone": "", "nickname": "", **typed}
    draft = joining.draft_of(visit.campaign, filled, token)
    if visit.contact is None:
        return replace(draft, basket=sheet.basket)
    consent = draft.consent if _asks(visit) == "consent" else ""
    return replace(draft, basket=sheet.basket, buyer=visit.contact.id, consent=consent)


def _sent_before(visit: Visit, draft: Draft) -> bool:
    """Whether this very form was sent before: it may have taken the last piece itself."""
    return bool(books.event_is_known(visit.ctx, joining.SOURCE, draft.order_key()))


def _page(visit: Visit, token: str, sheet: Sheet, errors: dict[str, str]) -> str:
    campaign = visit.campaign
    back = (
        url_for("h5_landing.invite", token=token)
        if token
        else url_for("h5_landing.public", campaign_id=campaign.id)
    )
    return render_template(
        "h5/shop.html",
        sheet=sheet,
        asks=_asks(visit),
        nickname=visit.contact.nickname if visit.contact else "",
        typed=register.typed(),
        errors=errors,
        action=url_for("h5_shop.order", campaign_id=campaign.id, i=token or None),
        rules_url=url_for("h5_rules.page", campaign_id=campaign.id, i=token or None),
        me_url=url_for("h5_me.page", campaign_id=campaign.id) if visit.me else "",
        back_url=back,
        nonce=web.parts().ids.token(24),
        wording=joining.wording(campaign),
        copy=campaign.copy,
        minutes=campaign.config["order_minutes"],
        **share_values(campaign, back),
        **campaign_values(campaign),
    )
