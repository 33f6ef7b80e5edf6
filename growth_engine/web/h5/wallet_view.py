"""A wallet as its owner reads it: balances, movements in words, how a commission came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from growth_engine.commissions import queries as commissions
from growth_engine.commissions.models import Commission
from growth_engine.context import Ctx
from growth_engine.kit.i18n import N_
from growth_engine.ledger.contract import Reason
from growth_engine.ledger.models import JournalEntry, LegRow
from growth_engine.ledger.money import EXPENSE, PENDING
from growth_engine.payouts import statement
from growth_engine.payouts.statement import Balance, Line
from growth_engine.plays import shares
from growth_engine.plays.words import reason_text
from growth_engine.web.h5 import promote_view
from growth_engine.web.h5.promote_view import Sale
from growth_engine.web.h5.visit import Visit

#: What of the movements is shown, by what one asks for.
FILTERS: Mapping[str, Sequence[str]] = {
    "": (),
    "earned": statement.EARNINGS,
    "out": statement.WITHDRAWALS,
}
LINES = 20
ON_HOLD = 5
#: Icon of a movement by its kind; anything else is money in or out.
ICONS: Mapping[str, str] = {
    "mature": "coin",
    "refund": "arrow-back-up",
    "absorbed": "heart",
    "commission": "hand-stop",
    "payout_reserve": "send",
    "payout_confirm": "circle-check",
    "payout_withheld": "circle-check",
    "rejected": "repeat",
    "cancelled": "repeat",
    "failed": "repeat",
    "write_off": "heart",
}


#: How a withdrawal stands: (icon, in a word, in a sentence); message ids.
SAID: Mapping[str, tuple[str, str, str]] = {
    "requested": ("clock", N_("Being looked at"), N_("Somebody at the merchant's looks at it first.")),
    "approved": ("clock", N_("Approved"), N_("It is sent in a moment.")),
    "sending": ("send", N_("Being sent"), N_("It is being handed over for payment.")),
    "unknown": (
        "help",
        N_("Being checked"),
        N_("We are asking whether it has arrived. Your money is set aside and cannot get lost."),
    ),
    "waiting": ("send", N_("On its way"), N_("It has been handed over for payment; that can take a little.")),
    "paid": ("circle-check", N_("Paid"), N_("The money has been paid to you.")),
    "failed": ("circle-x", N_("Did not work"), N_("The money is back in your wallet. Please try again.")),
    "rejected": ("hand-stop", N_("Not approved"), N_("The money is back in your wallet.")),
    "cancelled": ("arrow-back-up", N_("Cancelled"), N_("You took it back; the money is in your wallet.")),
}


@dataclass(frozen=True, slots=True)
class WalletView:
    """Amounts in minor units of their currencies."""

    balances: Sequence[Balance]
    """At least one: of the campaign's currency, which stands first."""
    on_hold: Sequence[Sale]
    """The next commissions of this campaign that become available."""
    lines: Sequence[Line]
    last: tuple[int, int] | None
    """To go on before, when there are more lines."""


def wallet_view(visit: Visit, *, kinds: Sequence[str], before: tuple[int, int] | None) -> WalletView:
    assert visit.contact is not None
    contact_id, currency = visit.contact.id, str(visit.campaign.config["currency"])
    lines, last = statement.lines(visit.ctx, contact_id, before=before, limit=LINES, kinds=kinds)
    balances = {currency: Balance(currency)} | {
        one.currency: one for one in statement.wallet(visit.ctx, contact_id)
    }
    on_hold = promote_view.sales(visit, states=("pending", "held"), limit=ON_HOLD)[0] if visit.me else []
    return WalletView(list(balances.values()), on_hold, lines, last)


@dataclass(frozen=True, slots=True)
class Moved:
    """Something that happened to a commission, as its owner reads it."""

    at: datetime
    icon: str
    title: str
    """Message id."""
    amount: int
    """What it changed, minor units; of a commission that became available: how much."""
    neutral: bool
    """The amount only changed places."""
    why: Sequence[str]
    """Translated."""


@dataclass(frozen=True, slots=True)
class CommissionView:
    sale: Sale
    campaign: str
    """Title of its campaign."""
    steps: Sequence[str]
    moved: Sequence[Moved]


_TITLES: Mapping[str, tuple[str, str]] = {
    "payment": ("credit-card", N_("The order was paid")),
    "refund": ("arrow-back-up", N_("Money went back to the buyer")),
    "mature": ("wallet", N_("Time on hold is over: moved to the wallet")),
    "commission": ("hand-stop", N_("Changed by the merchant")),
}


def commission_view(ctx: Ctx, commission: Commission, campaign: str) -> CommissionView:
    """How a commission's amount came about, and what happened to it since."""
    found = commissions.movements(ctx, commission.id)
    return CommissionView(
        sale=promote_view.named(ctx, commission.campaign_id, [commission])[0],
        campaign=campaign,
        steps=shares.because(ctx, commission),
        moved=[
            _moved(entry, legs, commission)
            for entry, legs in found
            if entry.book_id == commission.campaign_id
        ],
    )


def _moved(entry: JournalEntry, legs: Sequence[LegRow], commission: Commission) -> Moved:
    """An Entry of the campaign's book: the wallet's half of it says the same again."""
    icon, title = _TITLES.get(entry.kind, ("point", N_("Movement")))
    cost = -sum(leg.amount for leg in legs if leg.account == EXPENSE)
    shifted = -sum(leg.amount for leg in legs if leg.account == PENDING)
    return Moved(entry.at, icon, title, cost or shifted, not cost, _why(entry, commission))


#: What reasons say that the line says itself.
_SAID = frozenset({"earned", "matured", "taken_back"})


def _why(entry: JournalEntry, commission: Commission) -> list[str]:
    """Reasons of an Entry that are about this commission, in words."""
    said = []
    for raw in entry.body.get("reasons", ()):
        reason = Reason.from_json(raw)
        about = reason.params.get("level", commission.level), reason.params.get("member", commission.member)
        if about == (commission.level, commission.member) and reason.code not in _SAID:
            said.append(reason_text(reason))
    return said
