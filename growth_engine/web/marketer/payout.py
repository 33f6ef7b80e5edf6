"""One withdrawal: who gets how much and why, what was said about it, what it went through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.kit import web
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.ledger.money import wallet_book
from growth_engine.paying.rules import FAILURES
from growth_engine.payouts import providers, queries, queue_queries, rules, sheets, statement
from growth_engine.payouts.models import Payout, WalletPolicy
from growth_engine.payouts.queries import Verdict
from growth_engine.payouts.rules import Policy
from growth_engine.web.form_problems import problem_of
from growth_engine.web.marketer import money_words
from growth_engine.web.marketer.payouts import rows_of

bp = Blueprint("payout", __name__, url_prefix="/console/payouts")

log = structlog.get_logger(__name__)

LINES = 20
#: What identity checks collect (``payouts.identity_*``), as people call it.
RECIPIENT: Mapping[str, str] = {
    "name": N_("Real name"),
    "account": N_("Account"),
    "id_number": N_("Identity number"),
}


@bp.get("/<payout_id>")
@web.require_staff("marketer")
def show(payout_id: str) -> str:
    who = web.check_staff()
    revealed = request.args.get("reveal") == "1" and who.role == "admin"
    with web.ctx() as ctx:
        payout = queries.payout(ctx, payout_id)
        [row] = rows_of(ctx, [payout])
        policy = queue_queries.policy_version(ctx, payout.policy_version) or Policy()
        entries = statement.lines_of_payouts(ctx, [payout_id])[payout_id]
        before = (entries[0]["seq"], 0) if entries else None
        lines, _more = statement.lines(ctx, payout.contact_id, before=before, limit=LINES)
        values = {
            "balances": statement.wallet(ctx, payout.contact_id),
            "others": [
                one
                for one in queries.payouts_page(ctx, contact_ids=[payout.contact_id], limit=6)[0]
                if one.id != payout_id
            ],
        }
    if revealed:
        log.info("payout.recipient_shown", payout_id=payout_id, staff_id=who.staff_id)
    return render_template(
        "marketer/payout.html",
        row=row,
        payout=payout,
        policy=policy,
        owner_name=money_words.owner_name(row.owner),
        recipient=_recipient(payout, revealed=revealed),
        revealed=revealed,
        history=_history(payout, row.verdicts, entries),
        lines=lines,
        wallet=wallet_book(web.check_place().id),
        provider=_provider(payout.provider),
        can_end=_can_end(payout),
        me=who,
        key=web.parts().ids.new("key"),
        states=rules.STATES,
        tax_rate=_rate(policy, "tax_bp"),
        fee_rate=_rate(policy, "fee_bp"),
        **values,
    )


def _recipient(payout: Payout, *, revealed: bool) -> list[tuple[str, str]]:
    """What was told of the recipient, half hidden unless an administrator asked to see it."""
    told: Mapping[str, Any] = payout.recipient
    return [
        (translate(RECIPIENT.get(name, name)), str(value) if revealed else money_words.masked(value))
        for name, value in told.items()
    ]


def _rate(policy: Policy | WalletPolicy, name: str) -> float:
    return float(getattr(policy, name)) / rules.WHOLE_BP


def _provider(name: str) -> str:
    found = providers.registry.get(name)
    return translate(found.title) if found else name


def _can_end(payout: Payout) -> bool:
    """Whether a person may say how it ended: paid by hand, or its provider does not answer or is gone."""
    found = providers.registry.get(payout.provider)
    return payout.state in rules.IN_FLIGHT and (payout.state == "unknown" or found is None or found.by_hand)


# -- what it went through ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    text: str
    icon: str
    note: str = ""
    seq: int | None = None
    """Of the Entry in the wallet book."""


def _history(payout: Payout, verdicts: Sequence[Verdict], entries: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Oldest first."""
    seqs = {str(one["kind"]): int(one["seq"]) for one in entries}
    asked = _("Asked for %(amount)s; the money is set aside.", amount=_amount(payout.amount, payout))
    steps = [Step(payout.requested_at, asked, "hand-stop", seq=seqs.get("payout_reserve"))]
    if not payout.approvals_needed:
        steps.append(Step(payout.requested_at, _("Approved by the rules; nobody has to look."), "check"))
    steps += [_verdict(one) for one in verdicts]
    if payout.sent_at:
        sent = _("Handed over: %(provider)s", provider=_provider(payout.provider))
        steps.append(Step(payout.sent_at, sent, "send"))
    if payout.finished_at:
        steps.append(_end(payout, seqs))
    return sorted(steps, key=lambda one: one.at)


def _verdict(verdict: Verdict) -> Step:
    who = verdict.name or _("Command line")
    if verdict.verdict == "approve":
        return Step(verdict.at, _("%(who)s said yes.", who=who), "check", verdict.note)
    return Step(verdict.at, _("%(who)s said no.", who=who), "x", verdict.note)


def _end(payout: Payout, seqs: Mapping[str, int]) -> Step:
    assert payout.finished_at is not None
    if payout.state == "paid":
        text = _("Paid: %(amount)s have arrived.", amount=_amount(payout.net, payout))
        note = _("Reference %(ref)s", ref=payout.provider_ref) if payout.provider_ref else ""
        return Step(payout.finished_at, text, "circle-check", note, seqs.get("payout_confirm"))
    words = {
        "failed": _("It could not be paid; the money is back in the wallet."),
        "rejected": _("Not approved; the money is back in the wallet."),
        "cancelled": _("Cancelled by its owner; the money is back in the wallet."),
    }
    text = words.get(payout.state, payout.state)
    why = translate(FAILURES.get(payout.error, payout.error)) if payout.state == "failed" else payout.error
    return Step(payout.finished_at, text, "arrow-back-up", why, seqs.get("payout_void"))


def _amount(minor: int, payout: Payout) -> str:
    return format_amount(minor, payout.currency)


# -- by hand -----------------------------------------------------------------------------------------


@bp.post("/<payout_id>/result")
@web.require_staff("admin")
def result(payout_id: str) -> Response:
    """A person says how it ended, where no provider does."""
    with web.ctx() as ctx:
        queries.payout(ctx, payout_id)
        actor = ctx.actor
    paid, detail = web.form_text("outcome") == "paid", web.form_text("detail")
    back = redirect(url_for("payout.show", payout_id=payout_id))
    if not paid and not detail:
        flash(_("Say why it failed, in a few words."), "danger")
        return back
    try:
        done = sheets.take_result(
            web.parts(), web.check_place().id, payout_id, paid=paid, detail=detail, by=actor
        )
    except GrowthError as error:
        flash(problem_of(error), "danger")
        return back
    if done.contested:
        flash(_("It ended otherwise meanwhile. Nothing was changed."), "warning")
    elif paid:
        flash(_("Marked as paid."), "success")
    else:
        flash(_("Marked as failed; the money is back in the wallet."), "success")
    return back
