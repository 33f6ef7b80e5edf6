"""The wallet: on hold, available, on its way, paid; every movement, and how each amount came about."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for

from growth_engine.commissions import queries as commissions
from growth_engine.payouts import preview as previews
from growth_engine.payouts import queries as payouts
from growth_engine.payouts import rules
from growth_engine.plays import queries
from growth_engine.web.h5 import wallet_view
from growth_engine.web.h5.owners import not_theirs
from growth_engine.web.h5.visit import Answer, campaign_values, visiting

bp = Blueprint("h5_wallet", __name__)

_LARGEST = 2**62
_OPEN = tuple(state for state in rules.STATES if state not in rules.FINAL)


@bp.get("/c/<campaign_id>/wallet")
def page(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        assert visit.contact is not None
        chosen = request.args.get("show", "")
        chosen = chosen if chosen in wallet_view.FILTERS else ""
        view = wallet_view.wallet_view(visit, kinds=wallet_view.FILTERS[chosen], before=_before())
        under_way, _more = payouts.payouts_page(
            visit.ctx, states=_OPEN, contact_ids=visit.family, limit=wallet_view.ON_HOLD
        )
        possible = previews.preview(visit.ctx, visit.contact.id)
    return render_template(
        "h5/wallet.html",
        wallet=view,
        possible=possible,
        chosen=chosen,
        icons=wallet_view.ICONS,
        under_way=under_way,
        said=wallet_view.SAID,
        earlier=_earlier(campaign_id, chosen, view.last),
        **campaign_values(visit.campaign),
    )


@bp.get("/c/<campaign_id>/commissions/<commission_id>")
def commission(campaign_id: str, commission_id: str) -> Answer:
    """Of any campaign of the merchant: the wallet is one."""
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        found = commissions.commission(visit.ctx, commission_id)
        if found.contact_id not in visit.family:
            raise commissions.UnknownCommission
        title = queries.campaign(visit.ctx, found.campaign_id).title
        view = wallet_view.commission_view(visit.ctx, found, title)
        absorbs = found.terms.get("clawback") == "absorb"
    return render_template(
        "h5/commission.html",
        view=view,
        commission=found,
        absorbs=absorbs,
        **campaign_values(visit.campaign),
    )


def _before() -> tuple[int, int] | None:
    """``?before=seq.line`` of the list of movements; anything else starts from the newest."""
    seq, _, line = request.args.get("before", "").partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (seq, line)):
        return None
    return min(int(seq), _LARGEST), min(int(line), 2**30)


def _earlier(campaign_id: str, chosen: str, last: tuple[int, int] | None) -> str:
    if last is None:
        return ""
    before = f"{last[0]}.{last[1]}"
    return url_for(
        "h5_wallet.page", campaign_id=campaign_id, show=chosen or None, before=before, _anchor="movements"
    )
