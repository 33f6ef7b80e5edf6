"""How pages about money say things: people's data half hidden, entries of the wallet book in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext as _

from growth_engine.kit.i18n import N_, format_amount, translate
from growth_engine.ledger.contract import Reason
from growth_engine.ledger.models import JournalEntry, LegRow
from growth_engine.ledger.money import AVAILABLE, RESERVED
from growth_engine.payouts import reasons as wallets
from growth_engine.payouts.queue_queries import Owner
from growth_engine.payouts.texts import written_out
from growth_engine.plays import reasons as plays

#: Kinds of Entries of the wallet book, as filters name them.
WALLET_KINDS: Mapping[str, str] = {
    "payout_reserve": N_("Withdrawals asked for"),
    "payout_confirm": N_("Withdrawals paid"),
    "payout_void": N_("Withdrawals given back"),
    "mature": N_("Commission coming in"),
    "refund": N_("Commission taken back"),
    "commission": N_("Commissions changed by hand"),
    "write_off": N_("Debts let go"),
    "wallet_merge": N_("Wallets of one person put together"),
}


def masked(text: object) -> str:
    """Enough to recognise, too little to use: ``62******34``, ``林**``; what is masked already stays."""
    plain = str(text or "")
    if "*" in plain or not plain:
        return plain
    if len(plain) <= 4:
        return plain[0] + "*" * max(len(plain) - 1, 2)
    kept = 2 if len(plain) < 12 else 3
    return plain[:kept] + "*" * min(len(plain) - 2 * kept, 8) + plain[-kept:]


def owner_name(owner: Owner | None) -> str:
    return owner.name if owner and owner.name else str(_("Without a name"))


#: What happened, in one line.
_TOLD: Mapping[str, str] = {
    "payout_reserve": N_("%(who)s asked for %(amount)s"),
    "payout_confirm": N_("A withdrawal of %(amount)s by %(who)s was paid"),
    "payout_void": N_("%(amount)s went back into the wallet of %(who)s"),
    "mature": N_("Commission of %(amount)s became payable to %(who)s"),
    "refund": N_("A refund took %(amount)s of commission back from %(who)s"),
    "commission": N_("Commission of %(who)s was changed by hand: %(amount)s"),
    "write_off": N_("A debt of %(amount)s was let go for %(who)s"),
    "wallet_merge": N_("The wallet of a second contact went over to %(who)s"),
}
_REFUSED: Mapping[str, str] = {
    "payout_reserve": N_("%(who)s wanted to withdraw"),
    "payout_confirm": N_("A withdrawal of %(who)s was said to be paid"),
    "payout_void": N_("A withdrawal of %(who)s was to be given back"),
    "write_off": N_("A debt of %(who)s was to be let go"),
    "wallet_merge": N_("Two wallets were to be put together"),
}


def wallet_sentence(entry: JournalEntry, legs: Iterable[LegRow], owners: Mapping[str, Owner]) -> str:
    """What happened in the wallet book, in one line."""
    moved = [leg for leg in legs if leg.account in (AVAILABLE, RESERVED)]
    words = (_TOLD if entry.accepted else _REFUSED).get(entry.kind, entry.kind)
    return translate(words, {"who": _who(entry, moved, owners), "amount": _amount(entry, moved)})


def _who(entry: JournalEntry, moved: list[LegRow], owners: Mapping[str, Owner]) -> str:
    named = [str(entry.body.get("result", {}).get("contact_id", ""))] + [leg.owner for leg in moved]
    ids = list(dict.fromkeys(one for one in named if one))
    if not ids:
        return str(_("Somebody"))
    first = owner_name(owners.get(ids[0]))
    if len(ids) == 1 or entry.kind == "wallet_merge":
        return first
    return str(_("%(who)s and %(num)s more", who=first, num=len(ids) - 1))


def _amount(entry: JournalEntry, moved: list[LegRow]) -> str:
    if not moved:
        return ""
    if entry.kind == "payout_confirm":
        amount = -sum(leg.amount for leg in moved)
    else:
        amount = sum(leg.amount for leg in moved if leg.account == AVAILABLE)
        amount = amount if entry.kind == "commission" else abs(amount)
    return format_amount(amount, moved[0].currency)


def wallet_reasons(reasons: Iterable[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Message id and parameters of reasons in the wallet book; an unknown code shows itself."""
    found = []
    for one in reasons:
        reason = Reason.from_json(one)
        words = wallets.REASONS.get(reason.code) or plays.REASONS.get(reason.code, reason.code)
        found.append((words, written_out(reason.params)))
    return found
