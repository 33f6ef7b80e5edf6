"""The results of withdrawals paid by hand: a file is looked through line by line before anything is done."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid, Unavailable
from growth_engine.payouts import queue_queries, rules, sheets
from growth_engine.web.form_problems import problem_of

bp = Blueprint("payout_results", __name__, url_prefix="/console/payouts/results")

#: Lines of a file shown before it is taken over; all of them are checked.
SHOWN = 500


@bp.get("")
@web.require_staff("admin")
def form() -> str:
    return render_template("marketer/payout_results.html", plan=None, trouble="", states=rules.STATES)


@bp.post("")
@web.require_staff("admin")
def look() -> Response | str:
    """Say of every line what it would do; nothing is done yet."""
    file = request.files.get("file")
    raw = file.read(sheets.MOST_BYTES + 1) if file else b""
    if not raw:
        return _again(_("Choose the list with the results filled in."))
    try:
        with web.ctx() as ctx:
            return _plan(ctx, raw)
    except Invalid as error:
        return _again(problem_of(error))


def _plan(ctx: Ctx, raw: bytes) -> str:
    plan = sheets.plan(ctx, raw)
    payouts = [one.payout for one in plan.lines if one.payout]
    amounts: dict[str, int] = {}
    for one in plan.todo:
        if one.paid and one.payout:
            amounts[one.payout.currency] = amounts.get(one.payout.currency, 0) + one.payout.net
    return render_template(
        "marketer/payout_results.html",
        plan=plan,
        lines=sorted(plan.lines, key=lambda one: (not one.problems, one.line))[:SHOWN],
        paid=sum(one.paid for one in plan.todo),
        amounts=amounts,
        content=sheets.results_only(plan),
        owners=queue_queries.owners(ctx, [one.contact_id for one in payouts]),
        trouble="",
        states=rules.STATES,
    )


@bp.post("/take")
@web.require_staff("admin")
def take() -> Response:
    """Do what was shown. Money may have moved since: then a line is refused, and so is the file."""
    content = request.form.get("content", "").encode()
    try:
        with web.ctx() as ctx:
            actor = ctx.actor
        done = sheets.take_results(web.parts(), web.check_place().id, content, by=actor)
    except (Invalid, Unavailable) as error:
        flash(problem_of(error), "danger")
        return redirect(url_for("payout_results.form"))
    if done.paid:
        flash(ngettext("%(num)s withdrawal is paid.", "%(num)s withdrawals are paid.", done.paid), "success")
    if done.failed:
        words = ngettext(
            "%(num)s withdrawal has failed; the money is back in the wallet.",
            "%(num)s withdrawals have failed; the money is back in the wallets.",
            done.failed,
        )
        flash(words, "info")
    if done.contested:
        words = ngettext(
            "%(num)s ended otherwise meanwhile and was left alone.",
            "%(num)s ended otherwise meanwhile and were left alone.",
            len(done.contested),
        )
        flash(words, "warning")
    if not (done.paid or done.failed or done.contested):
        flash(_("Everything in this file was known already."), "info")
    return redirect(url_for("payout_queue.listing", tab="paid" if done.paid else None))


def _again(problem: str) -> Response:
    page = render_template("marketer/payout_results.html", plan=None, trouble=problem, states=rules.STATES)
    return make_response(page, 422)
