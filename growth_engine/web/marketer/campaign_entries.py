"""The journal of a campaign in plain words: what was counted, what was refused, and why."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, render_template, request

from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import page_of
from growth_engine.ledger import queries as ledger
from growth_engine.web.marketer import campaign_frame

bp = Blueprint("campaign_entries", __name__, url_prefix="/console/campaigns")

KINDS: Mapping[str, str] = {
    "join": N_("Registrations"),
    "leave": N_("Leaving"),
    "block": N_("Blocking"),
    "unblock": N_("Unblocking"),
    "known": N_("People recognised"),
    "mark": N_("Visits"),
}
SELLING: Mapping[str, str] = {
    "order": N_("Orders"),
    "payment": N_("Payments"),
    "refund": N_("Refunds"),
    "cancel": N_("Cancellations"),
    "mature": N_("Commission becoming payable"),
    "commission": N_("Commissions changed by hand"),
    "promoter": N_("Promoters"),
}
ANSWERS: Mapping[str, str] = {"": N_("All"), "yes": N_("Accepted"), "no": N_("Refused")}


@bp.get("/<campaign_id>/entries")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    ask = web.page_ask(50)
    answer = request.args.get("answer", "")
    kind = request.args.get("kind", "")
    number = request.args.get("member", "")
    member = int(number) if number.isdecimal() and len(number) < 10 else None
    with web.ctx() as ctx:
        frame = campaign_frame.frame(ctx, campaign_id)
        kinds = {**KINDS, **SELLING} if frame.sells else KINDS
        before = ask.after[0] if ask.after else None
        found = ledger.entries_page(
            ctx,
            campaign_id,
            before=before if isinstance(before, int) else None,
            limit=ask.limit + 1,
            accepted={"yes": True, "no": False}.get(answer),
            kinds=[kind] if kind in kinds else [one for one in kinds if one != "mark"],
            member=member,
        )
        page = page_of(found, ask.limit, lambda one: (one.seq,))
        numbers = campaign_frame.numbers_in(page.items)
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers | ({member} if member else set()))
    return render_template(
        "marketer/campaign_entries.html",
        frame=frame,
        campaign=frame.campaign,
        tab="campaign_entries.listing",
        page=page,
        people=people,
        said=campaign_frame.said,
        answer=answer if answer in ANSWERS else "",
        answers=ANSWERS,
        kind=kind if kind in kinds else "",
        kinds=kinds,
        member=member,
        filtered=bool(answer or kind or member or ask.after),
    )
