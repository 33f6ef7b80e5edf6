"""Messages to people: what was sent to whom by which way, what waits and for what, what was refused."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.connections import queries as connections
from growth_engine.connections import rules
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_, current_locale, translate
from growth_engine.kit.pages import page_of
from growth_engine.people import queries as people
from growth_engine.plays import queries as campaigns
from growth_engine.reach import console_queries, retrying, texts
from growth_engine.reach.models import Delivery
from growth_engine.web.marketer import message_words
from growth_engine.web.navigation import NavItem

bp = Blueprint("deliveries", __name__, url_prefix="/console/messages")

NAV = NavItem("deliveries.listing", N_("Messages"), "send", 71, roles=("marketer",))

GROUPS: Mapping[str, str] = {
    "waiting": N_("Going out"),
    "person": N_("Wait for the person"),
    "staff": N_("Wait for you"),
    "sent": N_("Sent out"),
    "refused": N_("Refused"),
    "unknown": N_("Perhaps sent"),
}
KINDS: Mapping[str, str] = {
    "text": N_("Reply"),
    "message": N_("News"),
    "poster": N_("Poster"),
    "welcome": N_("Welcome message"),
}
#: What a message waits for, in a sentence.
WAITS: Mapping[str, str] = {
    "": N_("It is sent in a moment."),
    "time": N_("It is tried again by itself."),
    "poster": N_("The poster is being drawn."),
    "person": N_("WeChat lets nothing through until the person writes, taps the menu or scans a code."),
    "staff": N_("The account has to be corrected first: see Channels."),
}


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    group = request.args.get("group", "")
    group = group if group in GROUPS else ""
    account, contact_id = request.args.get("account", ""), request.args.get("contact", "")[:64]
    with web.ctx() as ctx:
        accounts = {one.id: one for one in connections.accounts(ctx)}
        account = account if account in accounts else ""
        who = people.contact(ctx, contact_id) if contact_id else None
        found = console_queries.page(
            ctx,
            group=group,
            contact_id=who.id if who else "",
            account_id=account,
            before=str(ask.after[0]) if ask.after else "",
            limit=ask.limit + 1,
        )
        page = page_of(found, ask.limit, lambda one: (one.id,))
        names = console_queries.names(ctx, page.items)
        counts = console_queries.counts(ctx)
        said = {one.id: text_of(one) for one in page.items}
    return render_template(
        "marketer/deliveries.html",
        page=page,
        names=names,
        said=said,
        accounts=accounts,
        account_names={one.id: one.name for one in accounts.values()},
        account=account,
        person=who,
        groups=GROUPS,
        group=group,
        counts={name: count for name, count in counts.items() if name in GROUPS},
        kinds=KINDS,
        waits=WAITS,
        reasons=message_words.REASONS,
        providers=rules.PROVIDERS,
        filtered=bool(group or account or who or ask.after),
    )


def text_of(row: Delivery) -> str:
    """What the person reads, in their own language; empty for a picture, and once it was erased."""
    told = row.payload
    if row.kind == "message" and "template" in told:
        return texts.news(told["template"], told.get("params", {}), told.get("locale", current_locale()))
    return str(told.get("text", ""))


@bp.get("/<delivery_id>")
@web.require_staff("marketer")
def show(delivery_id: str) -> str:
    with web.ctx() as ctx:
        row = console_queries.delivery(ctx, delivery_id)
        account = connections.account_if_known(ctx, row.account_id)
        names = console_queries.names(ctx, [row])
        campaign = campaigns.campaign(ctx, row.campaign_id) if row.campaign_id else None
        said = text_of(row)
    return render_template(
        "marketer/delivery.html",
        row=row,
        said=said,
        account=account,
        name=names.get(row.contact_id or "", ""),
        campaign=campaign,
        kinds=KINDS,
        waits=WAITS,
        reasons=message_words.REASONS,
        providers=rules.PROVIDERS,
        may_retry=retrying.may_retry(row),
    )


@bp.post("/<delivery_id>/again")
@web.require_staff("marketer")
def again(delivery_id: str) -> Response:
    try:
        with web.ctx() as ctx:
            retrying.again(ctx, delivery_id)
    except Conflict as error:
        flash(translate(error.message, error.params), "danger")
    else:
        flash(_("It is tried again now."), "success")
    return redirect(url_for("deliveries.show", delivery_id=delivery_id))


@bp.post("/again")
@web.require_staff("marketer")
def again_for_staff() -> Response:
    with web.ctx() as ctx:
        count = retrying.again_for_staff(ctx)
    flash(message_words.tried_again(count), "success")
    return redirect(url_for("deliveries.listing"))
