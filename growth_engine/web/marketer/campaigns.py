"""All campaigns of the workspace: how each is doing, found by name and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.kit.pages import Page, write_cursor
from growth_engine.ledger import queries as ledger
from growth_engine.ledger.mirror import Totals
from growth_engine.plays import figures, queries, service
from growth_engine.plays.models import Campaign
from growth_engine.plays.registry import plays
from growth_engine.web.navigation import NavItem

bp = Blueprint("campaigns", __name__, url_prefix="/console/campaigns")
log = structlog.get_logger(__name__)

NAV = NavItem(
    "campaigns.listing",
    N_("Campaigns"),
    "speakerphone",
    10,
    roles=("marketer",),
    blueprints=(
        "campaign", "campaign_editor", "campaign_entries", "campaign_rewards", "campaign_tree",
        "campaign_versions", "gallery", "shop_commission", "shop_commissions", "shop_order", "shop_orders",
        "shop_products", "shop_promoter", "shop_promoters", "simulator",
    ),
)  # fmt: skip

STATES: Mapping[str, str] = {
    "live": N_("Live"),
    "scheduled": N_("Scheduled"),
    "paused": N_("Paused"),
    "draft": N_("Draft"),
    "ended": N_("Ended"),
}


@dataclass(frozen=True, slots=True)
class Row:
    campaign: Campaign
    totals: Totals | None
    """``None`` when the live figures cannot be read now, or nobody may take part yet."""


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask()
    state = request.args.get("state", "")
    search = request.args.get("q", "").strip()[:100]
    with web.ctx() as ctx:
        after = str(ask.after[0]) if ask.after else ""
        found, following = queries.campaigns_page(
            ctx, states=(state,) if state in STATES else (), search=search, after=after, limit=ask.limit
        )
        rows = [Row(one, _totals(ctx, one)) for one in found]
        alerts = ledger.open_alerts(ctx)
    return render_template(
        "marketer/campaigns.html",
        rows=rows,
        alerts=alerts,
        page=Page(rows, write_cursor((following,)) if following else None),
        state=state,
        search=search,
        states=STATES,
        filtered=bool(state or search or ask.after),
        titles={slug: one.title for slug, one in plays().items()},
    )


@bp.post("/<campaign_id>/duplicate")
@web.require_staff("marketer")
def duplicate(campaign_id: str) -> Response:
    with web.ctx() as ctx:
        copied = service.duplicate(ctx, campaign_id)
    flash(_("This is the copy, a draft without dates."), "success")
    return redirect(url_for("campaign_editor.edit", campaign_id=copied.id))


def _totals(ctx: Ctx, campaign: Campaign) -> Totals | None:
    if not campaign.rule_version:
        return None
    try:
        return figures.totals(ctx, campaign.id)
    except Unavailable as error:
        log.warning("campaigns.no_totals", campaign=campaign.id, code=error.code)
        return None
