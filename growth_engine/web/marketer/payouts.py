"""The queue of withdrawals: by state with sums, decided many at once, listed to be paid by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.context import Actor, Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict
from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.kit.pages import Page, page_of
from growth_engine.ledger import queries as ledger
from growth_engine.payouts import providers, queries, queue_queries, rules, service, sheets
from growth_engine.payouts.models import Payout
from growth_engine.payouts.queries import Tally, Verdict
from growth_engine.payouts.queue_queries import Owner, Risk
from growth_engine.payouts.reasons import reason_text
from growth_engine.web.marketer import money_words
from growth_engine.web.navigation import NavItem

bp = Blueprint("payout_queue", __name__, url_prefix="/console/payouts")

NAV = NavItem(
    "payout_queue.listing",
    N_("Withdrawals"),
    "wallet",
    40,
    roles=("marketer",),
    blueprints=("payout", "payout_results", "payout_policy"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """A tab of the queue."""

    label: str
    states: Sequence[str]
    oldest_first: bool = True


GROUPS: Mapping[str, Group] = {
    "requested": Group(N_("To decide"), ("requested",)),
    "approved": Group(N_("Approved"), ("approved",)),
    "under_way": Group(N_("On the way"), ("sending", "waiting")),
    "unknown": Group(N_("No answer"), ("unknown",)),
    "paid": Group(N_("Paid"), ("paid",), oldest_first=False),
    "returned": Group(N_("Given back"), ("failed", "rejected", "cancelled"), oldest_first=False),
}
MOST_AT_ONCE = 100
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, slots=True)
class Row:
    """A withdrawal as the queue shows it."""

    payout: Payout
    owner: Owner | None
    verdicts: Sequence[Verdict]
    risk: Risk | None
    """``None`` once it is over: there is nothing left to weigh."""

    @property
    def approved_by(self) -> Sequence[Verdict]:
        return [one for one in self.verdicts if one.verdict == "approve"]

    def said_by(self, staff_id: str) -> bool:
        """Whether this person has had their word already."""
        return any(one.staff_id == staff_id for one in self.verdicts)


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    ask = web.page_ask(50)
    tab = request.args.get("tab", "")
    tab = tab if tab in GROUPS else "requested"
    group = GROUPS[tab]
    with web.ctx() as ctx:
        found = queue_queries.queue_page(
            ctx,
            states=group.states,
            after=str(ask.after[0]) if ask.after else "",
            limit=ask.limit + 1,
            oldest_first=group.oldest_first,
        )
        page = page_of(found, ask.limit, lambda one: (one.id,))
        rows = rows_of(ctx, page.items)
        tallies = queries.tallies(ctx)
        alerts = ledger.open_alerts(ctx)
    return render_template(
        "marketer/payouts.html",
        alerts=alerts,
        tab=tab,
        groups=GROUPS,
        totals=_totals(tallies),
        waiting=sum(one.count for one in tallies if one.state == "waiting"),
        page=Page(rows, page.next_cursor),
        key=web.parts().ids.new("key"),
        me=web.check_staff(),
        mask=money_words.masked,
        states=rules.STATES,
        by_hand=by_hand(),
    )


def rows_of(ctx: Ctx, payouts: Sequence[Payout]) -> list[Row]:
    ids = [one.id for one in payouts]
    owners = queue_queries.owners(ctx, [one.contact_id for one in payouts])
    verdicts = queries.verdicts_of(ctx, ids)
    risks = queue_queries.risks(ctx, [one.id for one in payouts if one.state not in rules.FINAL])
    return [
        Row(one, owners.get(one.contact_id), verdicts.get(one.id, ()), risks.get(one.id)) for one in payouts
    ]


@dataclass(frozen=True, slots=True)
class Total:
    count: int
    sums: Sequence[str]
    """One for each currency, as people read them."""


def _totals(tallies: Sequence[Tally]) -> Mapping[str, Total]:
    """By tab."""
    found = {}
    for name, group in GROUPS.items():
        mine = [one for one in tallies if one.state in group.states]
        amounts: dict[str, int] = {}
        for one in mine:
            amounts[one.currency] = amounts.get(one.currency, 0) + one.amount
        sums = [format_amount(amount, currency) for currency, amount in sorted(amounts.items())]
        found[name] = Total(sum(one.count for one in mine), sums)
    return found


def by_hand() -> list[str]:
    """Names of the providers people bring the results of."""
    return [name for name, one in providers.registry.items() if one.by_hand]


# -- deciding ----------------------------------------------------------------------------------------


@bp.post("/decide")
@web.require_staff("admin")
def decide() -> AnyResponse:
    """Say yes or no to everything chosen; each one's answer stands by itself."""
    ids = sorted(set(request.form.getlist("ids")))[:MOST_AT_ONCE]
    action, note = web.form_text("action"), web.form_text("note")
    back = web.safe_next(request.form.get("next"), url_for("payout_queue.listing"))
    if not ids:
        flash(_("Choose at least one withdrawal."), "warning")
    elif action == "approve":
        _approve(ids, note)
    elif action == "reject" and not service.clean_note(note):
        flash(_("Say why, in a few words. The person is told that it was not approved."), "danger")
    elif action == "reject":
        _reject(ids, note)
    return redirect(back)


def _approve(ids: Sequence[str], note: str) -> None:
    sent = waiting = 0
    left: list[str] = []
    with web.ctx() as ctx:
        for one in ids:  # in the order of their ids, so that two people at once cannot lock each other out
            try:
                if service.approve(ctx, one, note):
                    waiting += 1
                else:
                    sent += 1
            except (Conflict, queries.UnknownPayout) as error:
                left.append(translate(error.message, error.params))
    if sent:
        words = ngettext(
            "%(num)s withdrawal is approved and being sent.",
            "%(num)s withdrawals are approved and being sent.",
            sent,
        )
        flash(words, "success")
    if waiting:
        words = ngettext(
            "Your yes is noted; %(num)s withdrawal needs a second person.",
            "Your yes is noted; %(num)s withdrawals need a second person.",
            waiting,
        )
        flash(words, "info")
    _tell_left(left)


def _reject(ids: Sequence[str], note: str) -> None:
    with web.ctx() as ctx:
        actor = ctx.actor
    key = web.form_text("key")
    key = key if _KEY.fullmatch(key) else web.parts().ids.new("key")
    done = later = 0
    left: list[str] = []
    for one in ids:
        try:
            outcome = _rejected(one, actor, note, key)
        except (Conflict, queries.UnknownPayout) as error:
            left.append(translate(error.message, error.params))
            continue
        later += outcome.pending
        done += outcome.accepted and not outcome.pending
        left += [reason_text(reason) for reason in outcome.reasons if not outcome.accepted]
    if done:
        words = ngettext(
            "%(num)s withdrawal is rejected; the money is back in the wallet.",
            "%(num)s withdrawals are rejected; the money is back in the wallets.",
            done,
        )
        flash(words, "success")
    if later:
        flash(_("The books are busy: your answer is stored and takes effect within seconds."), "info")
    _tell_left(left)


def _rejected(payout_id: str, actor: Actor, note: str, key: str) -> service.Outcome:
    return service.reject(
        web.parts(), web.check_place().id, payout_id, by=actor, note=note, key=f"{key}:{payout_id}"
    )


def _tell_left(left: Sequence[str]) -> None:
    """What was left alone, each reason once."""
    for words in dict.fromkeys(left):
        count = left.count(words)
        flash(words if count == 1 else f"{words} ({count}×)", "warning")


# -- paying by hand ----------------------------------------------------------------------------------


@bp.get("/pay-list.csv")
@web.require_staff("admin")
def export() -> Response:
    """Approved withdrawals that wait to be paid by hand; names and accounts are in it."""
    wanted = request.args.get("provider", "")
    provider = wanted if wanted in by_hand() else "manual"
    with web.ctx() as ctx:
        written = sheets.export(ctx, ("waiting",), provider)
    response = Response(written, mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="withdrawals.csv"'
    return response
