"""Withdrawing: how much, to whom, what is withheld; the same form twice is one withdrawal. And the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel.numbers import get_currency_precision
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from growth_engine.context import Actor
from growth_engine.kit import web
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.ledger.contract import PayloadMismatch
from growth_engine.paying.rules import FAILURES
from growth_engine.paying.rules import PROVIDER as WECHAT_PAY
from growth_engine.payouts import identity, queries, service
from growth_engine.payouts.preview import Preview, preview
from growth_engine.payouts.reasons import reason_text
from growth_engine.web import form_money, forms
from growth_engine.web.h5 import limits, wallet_view, wechat_pay
from growth_engine.web.h5.buying import SOURCE
from growth_engine.web.h5.owners import not_theirs
from growth_engine.web.h5.register import nonce_sent
from growth_engine.web.h5.visit import Answer, Visit, campaign_values, visiting

bp = Blueprint("h5_withdraw", __name__)

PER_PAGE = 20


@bp.get("/c/<campaign_id>/wallet/withdraw")
def form(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        return _form(visit, {"amount": request.args.get("amount", "")[:20]}, {})


@bp.get("/c/<campaign_id>/wallet/withdraw/split")
def split(campaign_id: str) -> Answer:
    """For htmx: what would become of the amount that was typed."""
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        return render_template(
            "h5/_split.html",
            split=_asked_about(visit, request.args.get("amount", "")),
            refusal_text=reason_text,
        )


@bp.post("/c/<campaign_id>/wallet/withdraw")
def submit(campaign_id: str) -> Answer:
    limits.require_room("write")
    nonce = nonce_sent()
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        assert visit.contact is not None
        currency = queries.place(visit.ctx)[1]
        fields = identity.registry[queries.policy(visit.ctx).identity_check].form().fields
        told = {name: web.form_text(name)[:200] for name in fields}
        amount = form_money.read(web.form_text("amount")[:20], get_currency_precision(currency))
        if not isinstance(amount, int) or amount < 1:
            return _form(visit, told, {"amount": [_no_amount(currency)]}), 422
        ask = _Ask(visit.campaign.workspace_id, visit.contact.id, min(amount, service.MOST), currency, told)
    return _request(campaign_id, ask, nonce)


@dataclass(frozen=True, slots=True)
class _Ask:
    """A withdrawal as filled in; ``amount`` in minor units."""

    workspace_id: str
    contact_id: str
    amount: int
    currency: str
    told: Mapping[str, str]


def _request(campaign_id: str, ask: _Ask, nonce: str) -> Answer:
    try:
        outcome = service.request(
            web.parts(),
            ask.workspace_id,
            ask.contact_id,
            amount=ask.amount,
            currency=ask.currency,
            told=ask.told,
            source=SOURCE,
            key=f"withdraw:{ask.contact_id}:{nonce}",
        )
    except PayloadMismatch:  # back to a form that was sent, and changed: one form is one withdrawal
        flash(_("This form was sent before. Here is what became of it."), "info")
        return _to_list(campaign_id)
    except Invalid as error:
        return _again(campaign_id, ask.told, error.extra.get("errors", {}))
    if outcome.pending:
        flash(_("We have your wish. It is decided in a moment."), "info")
    elif not outcome.accepted:
        problems = {"amount": [reason_text(reason) for reason in outcome.reasons]}
        return _again(campaign_id, ask.told, problems, status=409)
    elif not outcome.duplicate:
        said = format_amount(ask.amount, ask.currency)
        flash(_("Your withdrawal of %(amount)s is noted.", amount=said), "success")
    return _to_list(campaign_id)


@bp.get("/c/<campaign_id>/wallet/withdrawals")
def listing(campaign_id: str) -> Answer:
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        found, last = queries.payouts_page(
            visit.ctx, contact_ids=visit.family, before=request.args.get("before", ""), limit=PER_PAGE
        )
        confirm = wechat_pay.confirmations(visit.ctx, found)
    return render_template(
        "h5/withdrawals.html",
        payouts=found,
        said=wallet_view.SAID,
        failures=FAILURES,
        confirm=confirm,
        earlier=url_for("h5_withdraw.listing", campaign_id=campaign_id, before=last) if last else "",
        nonce=web.parts().ids.token(24),
        **campaign_values(visit.campaign),
    )


@bp.post("/c/<campaign_id>/wallet/withdrawals/<payout_id>/cancel")
def cancel(campaign_id: str, payout_id: str) -> Answer:
    limits.require_room("write")
    nonce = nonce_sent()
    with visiting(campaign_id) as visit:
        if (elsewhere := not_theirs(visit)) is not None:
            return elsewhere
        assert visit.contact is not None
        workspace_id, actor = visit.campaign.workspace_id, Actor("contact", visit.contact.id)
    outcome = service.cancel(web.parts(), workspace_id, payout_id, by=actor, key=nonce)
    if outcome.accepted and not outcome.pending:
        flash(_("Your withdrawal is cancelled; the money is back in your wallet."), "info")
    for reason in outcome.reasons:
        flash(reason_text(reason), "warning")
    return _to_list(campaign_id)


def _no_amount(currency: str) -> str:
    places = get_currency_precision(currency)
    if not places:
        return translate(N_("Write a whole number above zero."))
    return translate(N_("Write a number above zero with at most %(places)s decimals."), {"places": places})


def _asked_about(visit: Visit, text: str) -> Preview:
    """What the rules say about what was typed; about the most possible while it is no amount."""
    assert visit.contact is not None
    places = get_currency_precision(queries.place(visit.ctx)[1])
    read = form_money.read(text[:20], places)
    amount = read if isinstance(read, int) and 0 < read <= service.MOST else None
    return preview(visit.ctx, visit.contact.id, amount)


def _again(
    campaign_id: str, told: Mapping[str, Any], problems: Mapping[str, Any], *, status: int = 422
) -> tuple[str, int]:
    """The form as it was filled in, under a new mark: the old one stands for what was refused."""
    inner = problems.get("recipient")
    known = {**problems, **(inner if isinstance(inner, Mapping) else {})}
    with visiting(campaign_id) as visit:
        return _form(visit, told, known), status


def _form(visit: Visit, told: Mapping[str, Any], problems: Mapping[str, Any]) -> str:
    assert visit.contact is not None
    typed = web.form_text("amount")[:20] or str(told.get("amount", ""))
    shown = _asked_about(visit, typed)
    check = identity.registry[shown.policy.identity_check]
    fields = forms.form_fields(check.form(), told, problems)
    in_wechat = shown.policy.provider == WECHAT_PAY
    return render_template(
        "h5/withdraw.html",
        split=shown,
        refusal_text=reason_text,
        typed=typed,
        all=form_money.written(shown.most, get_currency_precision(shown.currency)),
        amount_problems=problems.get("amount", ()),
        # Into one's WeChat balance goes what is paid through WeChat Pay: no account is asked for.
        fields=[one for one in fields if one.required or not in_wechat],
        in_wechat=in_wechat,
        check=check,
        nonce=web.parts().ids.token(24),
        **campaign_values(visit.campaign),
    )


def _to_list(campaign_id: str) -> Response:
    return redirect(url_for("h5_withdraw.listing", campaign_id=campaign_id), 303)
