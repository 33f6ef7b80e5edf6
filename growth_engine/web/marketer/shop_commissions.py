"""The commissions of a campaign by state; held, released, paid out early or voided, many at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response

from growth_engine.commissions import queries, service
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.pages import page_of
from growth_engine.orders import queries as orders
from growth_engine.web.form_problems import problem_of
from growth_engine.web.marketer import campaign_frame
from growth_engine.web.marketer.shop_figures import STATES

bp = Blueprint("shop_commissions", __name__, url_prefix="/console/campaigns")

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


@bp.get("/<campaign_id>/commissions")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    ask = web.page_ask(50)
    state = request.args.get("state", "")
    number = request.args.get("member", "")
    member = int(number) if number.isdecimal() and len(number) < 10 else None
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        found = queries.commissions_page(
            ctx,
            campaign_id=campaign_id,
            member=member,
            states=(state,) if state in STATES else (),
            before=str(ask.after[0]) if ask.after else None,
            limit=ask.limit + 1,
        )
        page = page_of(found, ask.limit, lambda one: (one.id,))
        numbers = {one.member for one in page.items} | ({member} if member else set())
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
        bought = orders.orders_named(ctx, {one.order_id for one in page.items})
        totals = queries.totals(ctx, campaign_id)
    return render_template(
        "marketer/shop_commissions.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_commissions.listing",
        page=page,
        people=people,
        orders=bought,
        totals=totals,
        states=STATES,
        state=state if state in STATES else "",
        member=member,
        key=web.parts().ids.new("key"),
        filtered=bool(state or member or ask.after),
    )


@bp.post("/<campaign_id>/commissions/act")
@web.require_staff("marketer")
def act(campaign_id: str) -> Response:
    """Do one thing to the commissions chosen; the reason is told to whoever earns them."""
    with web.ctx() as ctx:
        campaign_frame.shop(ctx, campaign_id)
        actor = ctx.actor
    ids = list(dict.fromkeys(request.form.getlist("ids")))
    action, reason = web.form_text("action"), web.form_text("reason")
    back = web.safe_next(
        request.form.get("next"), url_for("shop_commissions.listing", campaign_id=campaign_id)
    )
    key = _key(action, reason, ids)
    try:
        outcome = service.act(
            web.parts(), web.check_place().id, campaign_id, ids, action, reason, actor, key=key
        )
    except (Invalid, Conflict) as error:
        flash(problem_of(error), "danger")
        return redirect(back)
    _tell(action, len(outcome.done), len(ids) - len(outcome.done))
    return redirect(back)


def _tell(action: str, done: int, left: int) -> None:
    if done:
        told = {
            "hold": ngettext("%(num)s commission is held.", "%(num)s commissions are held.", done),
            "release": ngettext("%(num)s commission is released.", "%(num)s commissions are released.", done),
            "mature": ngettext(
                "%(num)s commission went over to the wallet.",
                "%(num)s commissions went over to the wallets.",
                done,
            ),
            "void": ngettext("%(num)s commission is void.", "%(num)s commissions are void.", done),
        }
        flash(told[action], "success")
    if left:
        words = ngettext(
            "%(num)s was left alone, because this does not fit its state.",
            "%(num)s were left alone, because this does not fit their state.",
            left,
        )
        flash(words, "warning")


def _key(action: str, reason: str, ids: Sequence[str]) -> str | None:
    """The page's own number and what was asked: the same form sent twice is one wish."""
    sent = web.form_text("key")
    if not _KEY.fullmatch(sent):
        return None
    content = "\n".join([action, reason, *ids]).encode()
    return f"{sent}:{hashlib.sha256(content).hexdigest()[:32]}"
