"""One campaign at a glance: what must be done before publishing, how it does, and its switches."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from marshmallow import Schema
from PIL import Image
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, GrowthError
from growth_engine.kit.i18n import N_, current_locale, translate
from growth_engine.ledger import queries as ledger
from growth_engine.plays import queries, service
from growth_engine.plays.compliance import Finding
from growth_engine.plays.content import ContentSchema, in_words
from growth_engine.plays.models import Campaign
from growth_engine.plays.registry import play
from growth_engine.posters.qr import modules
from growth_engine.web.marketer import campaign_frame, shop_figures
from growth_engine.web.marketer.campaign_frame import Figures, Frame

bp = Blueprint("campaign", __name__, url_prefix="/console/campaigns")

LEADERS = 10
LATEST = 8
_QR_MODULE = 14
_QR_BORDER = 4


@bp.get("/<campaign_id>")
@web.require_staff("marketer")
def overview(campaign_id: str) -> str:
    return _page(campaign_id)


@bp.post("/<campaign_id>/publish")
@web.require_staff("marketer")
def publish(campaign_id: str) -> AnyResponse:
    try:
        with web.ctx() as ctx:
            accepted = request.form.get("accept") == "1"
            done = service.publish(ctx, campaign_id, accept_warnings=accepted)
    except service.NotPublishable as error:
        flash(translate(error.message, error.params), "danger")
        return make_response(_page(campaign_id), 422)
    except Conflict as error:
        return _refused(campaign_id, error)
    if done.rule_version == 1:
        flash(_("It is published. Share the link or the QR code below."), "success")
    else:
        flash(_("Version %(number)s is published.", number=done.rule_version), "success")
    return redirect(url_for("campaign.overview", campaign_id=campaign_id))


_MOVES = {"pause": service.pause, "resume": service.resume, "end": service.end}


@bp.post("/<campaign_id>/<any(pause, resume, end):action>")
@web.require_staff("marketer")
def move(campaign_id: str, action: str) -> AnyResponse:
    try:
        with web.ctx() as ctx:
            _MOVES[action](ctx, campaign_id)
    except Conflict as error:
        return _refused(campaign_id, error)
    notes = {
        "pause": _("The campaign is paused. Visitors are told so, and nothing counts."),
        "resume": _("The campaign goes on."),
        "end": _("The campaign has ended. Rewards already earned stay."),
    }
    flash(notes[action], "success")
    return redirect(url_for("campaign.overview", campaign_id=campaign_id))


@bp.post("/<campaign_id>/discard")
@web.require_staff("marketer")
def discard(campaign_id: str) -> AnyResponse:
    try:
        with web.ctx() as ctx:
            service.discard(ctx, campaign_id)
    except Conflict as error:
        return _refused(campaign_id, error)
    flash(_("The draft is deleted."), "success")
    return redirect(url_for("campaigns.listing"))


@bp.get("/<campaign_id>/qr.png")
@web.require_staff("marketer")
def qr(campaign_id: str) -> Response:
    """The code of the public link, large enough to print."""
    with web.ctx() as ctx:
        link = campaign_frame.frame(ctx, campaign_id).link
    if not link:
        raise queries.UnknownCampaign
    code = modules(link, "M")
    side = (code.width + 2 * _QR_BORDER) * _QR_MODULE
    picture = Image.new("1", (side, side), 1)
    scaled = code.resize((code.width * _QR_MODULE, code.width * _QR_MODULE), Image.Resampling.NEAREST)
    border = _QR_BORDER * _QR_MODULE
    picture.paste(0, (border, border), scaled)
    packed = io.BytesIO()
    picture.save(packed, "PNG")
    response = Response(packed.getvalue(), mimetype="image/png")
    response.headers["Cache-Control"] = "private, max-age=300"
    if request.args.get("download"):
        response.headers["Content-Disposition"] = f'attachment; filename="{campaign_id}.png"'
    return response


def _refused(campaign_id: str, error: GrowthError) -> AnyResponse:
    flash(translate(error.message, error.params), "danger")
    return redirect(url_for("campaign.overview", campaign_id=campaign_id))


# -- the page ----------------------------------------------------------------------------------------


def _page(campaign_id: str) -> str:
    with web.ctx() as ctx:
        shown = campaign_frame.frame(ctx, campaign_id)
        live = campaign_frame.live(ctx, campaign_id, leaders=LEADERS) if shown.published else None
        entries = ledger.entries_page(ctx, campaign_id, limit=LATEST) if shown.published else ()
        numbers = {number for number, _score in live.leaders} if live else set()
        numbers |= campaign_frame.numbers_in(entries)
        people = campaign_frame.people_by_number(ctx, campaign_id, numbers)
        members = campaign_frame.views(ctx, campaign_id, [one for one, _s in live.leaders]) if live else {}
        sells = shown.sells and shown.published is not None
        sales = shop_figures.sales(ctx, campaign_id, shown.currency) if sells else None
        campaign = shown.campaign
        waiting = shown.published is None or shown.changed
        findings = findings_of(ctx, campaign) if waiting and campaign.state != "ended" else None
    promise = play(campaign.play).promise(campaign.config)
    return render_template(
        "marketer/campaign.html",
        frame=shown,
        campaign=campaign,
        tab="campaign.overview",
        findings=findings,
        live=live,
        mirror_away=shown.published is not None and live is None,
        funnel=funnel_chart(live, _steps(shown, selling=sales is not None)) if live else None,
        growth=growth_chart(live) if live else None,
        entries=entries,
        people=people,
        members=members,
        sales=sales,
        commission_states=shop_figures.STATES,
        said=campaign_frame.said,
        promise=promise,
        promised=in_words(promise, locale=current_locale()),
    )


def findings_of(ctx: Ctx, campaign: Campaign) -> list[dict[str, Any]]:
    """The compliance findings, each with the name of its field and where in the editor it stands."""
    return [_finding(campaign, one) for one in service.findings(ctx, campaign)]


def _finding(campaign: Campaign, finding: Finding) -> dict[str, Any]:
    schema: Schema = ContentSchema()
    prefix, name = "copy-", finding.field
    if finding.field.startswith("config."):
        schema, prefix = play(campaign.play).Config(), "rules-"
        name = finding.field.removeprefix("config.")
    label = schema.fields[name].metadata.get("label", name) if name in schema.fields else N_("Ends at")
    anchor = f"f-{prefix}{name}" if name in schema.fields else f"f-{name}"
    address = url_for("campaign_editor.edit", campaign_id=campaign.id) + f"#{anchor}"
    if finding.field == "products":
        label, address = N_("Products"), url_for("shop_products.listing", campaign_id=campaign.id)
    return {
        "severity": finding.severity,
        "text": translate(finding.message_id, finding.params),
        "excerpt": finding.excerpt,
        "where": translate(label),
        "address": address,
    }


# -- charts ------------------------------------------------------------------------------------------

_STEPS: Sequence[tuple[str, str]] = (
    ("visit", N_("Visited")),
    ("joined", N_("Registered")),
    ("helped", N_("Came through a friend")),
    ("inviters", N_("Brought a friend")),
)


def _steps(shown: Frame, *, selling: bool) -> Sequence[tuple[str, str]]:
    """What the campaign counts, in order. In a channel people take part without visiting any page."""
    steps = _STEPS[1:] if shown.channel else _STEPS
    return (*steps, *shop_figures.STEPS) if selling else steps


def funnel_chart(live: Figures, of: Sequence[tuple[str, str]] = _STEPS) -> dict[str, Any]:
    """ECharts options: how many visited, registered, came through an invite that counts, and invited; then
    whatever the campaign counts besides (orders)."""
    steps = [(_(label), max(0, live.funnel.get(step, 0))) for step, label in of]
    return {
        "grid": {"left": 8, "right": 48, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "item"},
        "xAxis": {"type": "value", "show": False},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": [label for label, _count in steps],
            "axisTick": {"show": False},
            "axisLine": {"show": False},
        },
        "series": [
            {
                "type": "bar",
                "data": [count for _label, count in steps],
                "barWidth": "58%",
                "showBackground": True,
                "backgroundStyle": {"color": "#f3f4fa", "borderRadius": 6},
                "itemStyle": {"borderRadius": 6},
                "label": {"show": True, "position": "right"},
            }
        ],
    }


def growth_chart(live: Figures) -> Mapping[str, Any] | None:
    """ECharts options: by day of joining, how many registered and how many friends they brought."""
    if not live.cohorts:
        return None
    return {
        "grid": {"left": 8, "right": 16, "top": 40, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "legend": {"type": "scroll", "top": 0, "left": 0, "right": 0},
        "xAxis": {"type": "category", "data": [day for day, _members, _invites in live.cohorts]},
        "yAxis": {"type": "value", "minInterval": 1},
        "series": [
            {
                "type": "bar",
                "name": _("Registered that day"),
                "data": [members for _day, members, _invites in live.cohorts],
                "itemStyle": {"borderRadius": [4, 4, 0, 0]},
                "barMaxWidth": 36,
            },
            {
                "type": "line",
                "name": _("Friends they have brought"),
                "data": [invites for _day, _members, invites in live.cohorts],
                "smooth": True,
            },
        ],
    }
