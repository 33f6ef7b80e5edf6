"""The registration is safe but not decided yet: a page that looks again by itself."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from growth_engine.web.h5 import joining, limits
from growth_engine.web.h5.visit import campaign_values, visiting

bp = Blueprint("h5_waiting", __name__)

REFRESH_SECONDS = 3


@bp.get("/c/<campaign_id>/wait")
def page(campaign_id: str) -> str | Response | tuple[str, int]:
    """Ask the books again: the Event has its name, so asking twice registers nobody twice."""
    with visiting(campaign_id) as visit:
        campaign, family = visit.campaign, visit.family
    draft = joining.kept(campaign_id)
    if draft is None:
        return redirect(url_for("h5_landing.public", campaign_id=campaign_id), 303)
    limits.require_room("write")
    answer = joining.finish(campaign, draft, family)
    here = url_for("h5_waiting.page", campaign_id=campaign_id)
    if isinstance(answer, Response) and answer.location == here:
        html = render_template(
            "h5/waiting.html",
            seconds=REFRESH_SECONDS,
            ordered=bool(draft.basket),
            **campaign_values(campaign),
        )
        return Response(html, mimetype="text/html", headers={"Refresh": str(REFRESH_SECONDS)})
    return answer
