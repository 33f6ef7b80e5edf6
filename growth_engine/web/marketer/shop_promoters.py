"""Who sells in a campaign: by earnings, sales or application; approved, grouped and blocked, many at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from growth_engine.commissions import queries, service
from growth_engine.commissions.models import Promoter
from growth_engine.context import Actor, Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid
from growth_engine.kit.i18n import N_, translate
from growth_engine.kit.pages import Page, write_cursor
from growth_engine.ledger.contract import Reason
from growth_engine.plays import ordering
from growth_engine.plays import queries as campaigns
from growth_engine.web.form_problems import problem_of
from growth_engine.web.marketer import campaign_frame
from growth_engine.web.marketer.campaign_frame import Frame, Person

bp = Blueprint("shop_promoters", __name__, url_prefix="/console/campaigns")

STATES: Mapping[str, str] = {
    "applied": N_("Applied"),
    "approved": N_("Approved"),
    "rejected": N_("Rejected"),
    "blocked": N_("Blocked"),
    "none": N_("By the rules"),
}
ORDERS: Mapping[str, str] = {
    "earned": N_("Most earned first"),
    "sales": N_("Most sold first"),
    "applied": N_("Oldest application first"),
}
MOST_AT_ONCE = 100
_FOUND = 50
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody on the list; ``promoter`` is ``None`` for who neither sold nor bought anything yet."""

    number: int
    person: Person | None
    promoter: Promoter | None


@bp.get("/<campaign_id>/promoters")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    state, tier = request.args.get("state", ""), request.args.get("tier", "")
    search = request.args.get("q", "").strip()[:100]
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        counts = queries.promoter_counts(ctx, campaign_id)
        order = _order()
        if search:
            page = Page(_found(ctx, campaign_id, search))
        else:
            page = _page(ctx, campaign_id, state if state in STATES else "", tier, order)
    return render_template(
        "marketer/shop_promoters.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_promoters.listing",
        page=page,
        counts=counts,
        states=STATES,
        state=state if state in STATES else "",
        tier=tier,
        tiers=tiers_of(frame),
        order=order,
        orders=ORDERS,
        search=search,
        key=web.parts().ids.new("key"),
        filtered=bool(state or tier or search or request.args.get("cursor")),
    )


@bp.post("/<campaign_id>/promoters/decide")
@web.require_staff("marketer")
def decide(campaign_id: str) -> Response:
    """Decide about everybody chosen; each decision is an Entry of its own."""
    action, note = web.form_text("action"), web.form_text("note")[:500] or None
    tier = request.form.get("tier", "") if action == "tier" else None
    back = web.safe_next(request.form.get("next"), url_for("shop_promoters.listing", campaign_id=campaign_id))
    try:
        with web.ctx() as ctx:
            campaign_frame.shop(ctx, campaign_id)
            ordering.check_tier(ctx, campaign_id, tier)
            people = campaign_frame.people_by_number(ctx, campaign_id, _chosen())
            actor = ctx.actor
        done, refused = _decide(campaign_id, people, action, tier, note, actor)
    except (Invalid, Conflict) as error:
        flash(problem_of(error), "danger")
        return redirect(back)
    if done:
        words = {
            "approve": ngettext("%(num)s promoter is approved.", "%(num)s promoters are approved.", done),
            "reject": ngettext(
                "%(num)s application is turned down.", "%(num)s applications are turned down.", done
            ),
            "tier": ngettext(
                "%(num)s promoter is in the group.", "%(num)s promoters are in the group.", done
            ),
            "block": ngettext("%(num)s promoter is blocked.", "%(num)s promoters are blocked.", done),
            "unblock": ngettext("%(num)s promoter may go on.", "%(num)s promoters may go on.", done),
        }
        flash(words[action], "success")
    for sentence in refused:
        flash(sentence, "warning")
    return redirect(back)


def tiers_of(frame: Frame) -> Mapping[str, str]:
    """The groups of promoters by name, as people call them."""
    return {one["name"]: one["label"] or one["name"] for one in frame.config.get("promoter_tiers", ())}


# -- the list ----------------------------------------------------------------------------------------


def _order() -> str:
    """What was asked for; applications otherwise come oldest first."""
    asked = request.args.get("order", "")
    if asked in ORDERS:
        return asked
    return "applied" if request.args.get("state") == "applied" else "earned"


def _page(ctx: Ctx, campaign_id: str, state: str, tier: str, order: str) -> Page[Row]:
    ask = web.page_ask(50)
    offset = ask.after[0] if ask.after and isinstance(ask.after[0], int) else 0
    offset = max(0, min(offset, 1_000_000))
    found = queries.promoters_page(
        ctx,
        campaign_id,
        states=(state,) if state else (),
        tier=tier or None,
        order=order,
        offset=offset,
        limit=ask.limit + 1,
    )
    shown = found[: ask.limit]
    following = write_cursor((offset + ask.limit,)) if len(found) > ask.limit else None
    people = campaign_frame.people_by_number(ctx, campaign_id, [one.number for one in shown])
    return Page([Row(one.number, people.get(one.number), one) for one in shown], following)


def _found(ctx: Ctx, campaign_id: str, search: str) -> list[Row]:
    """Participants by name or number, promoters or not: whoever is found can be approved."""
    numbers = [one.number for one in campaigns.find_participants(ctx, campaign_id, search, _FOUND)]
    if search.isdecimal() and len(search) < 10 and int(search) not in numbers:
        numbers.insert(0, int(search))
    people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
    promoters = queries.promoters_by_number(ctx, campaign_id, numbers)
    return [Row(one, people[one], promoters.get(one)) for one in numbers if one in people]


# -- deciding ----------------------------------------------------------------------------------------


def _chosen() -> Sequence[int]:
    sent = dict.fromkeys(request.form.getlist("numbers"))
    numbers = [int(one) for one in sent if one.isascii() and one.isdecimal() and len(one) < 10]
    if not 1 <= len(numbers) <= MOST_AT_ONCE:
        raise Invalid(fields={"numbers": [N_("Choose 1 to 100 people.")]})
    return numbers


def _decide(
    campaign_id: str,
    people: Mapping[int, Person],
    action: str,
    tier: str | None,
    note: str | None,
    actor: Actor,
) -> tuple[int, list[str]]:
    """How many decisions stand, and why the others do not."""
    done = 0
    refused: list[str] = []
    for number, person in sorted(people.items()):
        posted = service.decide_promoter(
            web.parts(),
            web.check_place().id,
            campaign_id,
            person.contact_id,
            action,
            actor,
            tier=tier,
            note=note,
            key=_key(action, number, tier, note),
        )
        if posted.accepted:
            done += 1
        else:
            who = person.name or _("No. %(number)s", number=number)
            refused.append(f"{who}: {_words(posted.reasons)}")
    return done, refused


def _words(reasons: Sequence[Reason]) -> str:
    found = campaign_frame.said([one.as_json() for one in reasons])
    return " ".join(translate(message, params) for message, params in found)


def _key(action: str, *parts: Any) -> str | None:
    """The page's own number and what was decided: the same form sent twice is one decision."""
    sent = web.form_text("key")
    if not _KEY.fullmatch(sent):
        return None
    content = "\n".join([action, *map(str, parts)]).encode()
    return f"{sent}:{hashlib.sha256(content).hexdigest()[:32]}"
