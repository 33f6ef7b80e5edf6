"""What the platforms told us: everything that came, what became of it, and trying it again."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.channels.protocol import documents
from growth_engine.channels.protocol.documents import Unreadable
from growth_engine.connections import queries as connections
from growth_engine.connections import rules
from growth_engine.inbox import queries, service
from growth_engine.inbox.models import InboxMessage
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_, translate
from growth_engine.kit.pages import page_of
from growth_engine.web.marketer import message_words
from growth_engine.web.navigation import NavItem

bp = Blueprint("inbox", __name__, url_prefix="/console/inbox")

NAV = NavItem("inbox.listing", N_("Inbox"), "mail", 72, roles=("marketer",))

STATES: Mapping[str, str] = {
    "received": N_("Waiting"),
    "done": N_("Done"),
    "unknown": N_("Not understood"),
    "failed": N_("Failed"),
    "refused": N_("Refused"),
}
KINDS: Mapping[str, str] = {
    "text": N_("Text message"),
    "message": N_("Picture, voice or other message"),
    "follow": N_("New follower"),
    "scan": N_("Follower scanned a code"),
    "unfollow": N_("Unfollowed"),
    "menu_click": N_("Menu tapped"),
    "menu_view": N_("Menu opened a page"),
    "template_result": N_("Result of a template message"),
    "subscription_answered": N_("Answered a subscription request"),
    "subscription_changed": N_("Changed a subscription"),
    "subscription_sent": N_("Result of a subscription message"),
    "contact_added": N_("Contact added"),
    "contact_half_added": N_("Contact added one-sidedly"),
    "contact_edited": N_("Contact edited"),
    "contact_deleted": N_("Employee removed a contact"),
    "contact_left": N_("Customer removed an employee"),
    "contact_transfer_failed": N_("Transfer of a contact failed"),
    "group_created": N_("Group created"),
    "group_updated": N_("Group changed"),
    "group_dismissed": N_("Group dismissed"),
    "tag_changed": N_("Tag changed"),
    "acquisition": N_("Acquisition link"),
    "payment": N_("Payment"),
    "refund": N_("Refund"),
    "transfer": N_("Transfer to a person"),
    "unknown": N_("Something new"),
    "unreadable": N_("Unreadable content"),
    "": N_("Refused callback"),
}
#: Longer content is cut on the page; the command line shows all of it.
_SHOWN = 20_000


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    state, account_id = request.args.get("state", ""), request.args.get("account", "")
    with web.ctx() as ctx:
        accounts = {one.id: one for one in connections.accounts(ctx)}
        found = queries.page(
            ctx,
            state=state if state in STATES else "",
            account_id=account_id if account_id in accounts else "",
            after=str(ask.after[0]) if ask.after else "",
            limit=ask.limit,
        )
        trouble = queries.trouble(ctx)
    return render_template(
        "marketer/inbox.html",
        page=page_of(found, ask.limit, lambda one: (one.id,)),
        accounts=accounts,
        account_names={one.id: one.name for one in accounts.values()},
        trouble=trouble,
        kinds=KINDS,
        reason_in=queries.reason_in,
        states=STATES,
        state=state if state in STATES else "",
        account=account_id if account_id in accounts else "",
        filtered=bool(state or account_id or ask.after),
    )


@bp.get("/<message_id>")
@web.require_staff("marketer")
def show(message_id: str) -> str:
    with web.ctx() as ctx:
        message = queries.message(ctx, message_id)
        account = connections.account_if_known(ctx, message.account_id)
    return render_template(
        "marketer/inbox_message.html",
        message=message,
        account=account,
        providers=rules.PROVIDERS,
        kinds=KINDS,
        reason_in=queries.reason_in,
        content=_readable(message),
        request_kept=orjson.dumps(message.request, option=orjson.OPT_INDENT_2).decode(),
        can_replay=bool(message.content) or (message.state == "refused" and bool(message.raw)),
    )


@bp.post("/<message_id>/replay")
@web.require_staff("marketer")
def replay(message_id: str) -> Response:
    try:
        with web.ctx() as ctx:
            service.replay(ctx, message_id)
    except Conflict as error:
        flash(translate(error.message, error.params), "danger")
        return redirect(url_for("inbox.show", message_id=message_id))
    flash(_("It is tried again now."), "success")
    return redirect(url_for("inbox.listing"))


@bp.post("/replay")
@web.require_staff("marketer")
def replay_failed() -> Response:
    with web.ctx() as ctx:
        count = service.retry_failed(ctx)
    flash(message_words.tried_again(count), "success")
    return redirect(url_for("inbox.listing"))


def _readable(message: InboxMessage) -> str:
    """The document with one field a line; what cannot be read, as it came."""
    if not message.content:
        return message.raw.decode("utf-8", "replace")[:_SHOWN]
    try:
        fields, _form = documents.read(message.content)
    except Unreadable:
        return message.content.decode("utf-8", "replace")[:_SHOWN]
    return orjson.dumps(dict(fields.values), option=orjson.OPT_INDENT_2).decode()[:_SHOWN]
