"""What each proof of the books is about, and what a person does when it fails; message ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from growth_engine.kit.i18n import N_


class Words(NamedTuple):
    title: str
    remedy: str


_RESTORE = N_(
    "Something other than this program has written to the database. Stop payouts, keep a copy of the database"
    " as evidence, and restore the last backup that verifies."
)
_REBUILD = N_(
    "The journal is not affected, only what pages read. Run growth-engine ledger rebuild for this book."
)
_CORRECT = N_(
    "Stop payouts and compare the rows named with the journal. If the journal is right, correct the rows from"
    " it; if a rule posted wrongly, post a correction. Never edit the journal."
)

WORDS: Mapping[str, Words] = {
    "book": Words(N_("The book exists"), N_("Publish the campaign again, or check the id.")),
    "sequence": Words(N_("Entries are numbered without a gap"), _RESTORE),
    "chain": Words(N_("The hash chain is intact"), _RESTORE),
    "ops": Words(
        N_("Every entry can be applied"),
        N_("A rule has posted something impossible. Pause the campaign and report the entry named."),
    ),
    "head": Words(N_("The book's head is its last entry"), _RESTORE),
    "heads": Words(N_("The journal agrees with the heads exported every day"), _RESTORE),
    "journal": Words(N_("Every entry has exactly the legs it says"), _RESTORE),
    "balanced": Words(N_("All accounts of a book together stand at zero"), _RESTORE),
    "balanced_entries": Words(N_("The legs of every entry sum to zero"), _RESTORE),
    "accounts": Words(N_("Every account stands at the sum of its legs"), _CORRECT),
    "covered": Words(N_("Nothing on hold or reserved is below zero"), _CORRECT),
    "border": Words(N_("What campaigns sent to the wallet has arrived there"), _CORRECT),
    "commissions": Words(N_("Every commission is posted at what it is worth"), _CORRECT),
    "pending": Words(N_("What a promoter has on hold is the sum of their commissions"), _CORRECT),
    "orders": Words(N_("Every order agrees with its payments, refunds and fee"), _CORRECT),
    "promoters": Words(N_("Promoters' totals agree with their orders and commissions"), _CORRECT),
    "debts": Words(N_("Nobody owes more than was taken back from them"), _CORRECT),
    "paid": Words(N_("No more was paid out than was ever earned"), _CORRECT),
    "matured": Words(N_("The wallet holds what commissions have matured"), _CORRECT),
    "payouts": Words(N_("Every payout is reserved once and ends once"), _CORRECT),
    "reserved": Words(N_("What a person has reserved is the sum of their payouts on the way"), _CORRECT),
    "cleared": Words(N_("What was paid out and withheld is the sum of the paid payouts"), _CORRECT),
    "tables": Words(N_("The tables say what the journal says"), _CORRECT),
    "counts": Words(N_("Valid invites are counted right"), _CORRECT),
    "live_code": Words(
        N_("Live codes lead people somewhere"),
        N_("Open the live code named: upload fresh codes, or add a group."),
    ),
    "parked": Words(
        N_("Everything accepted has been posted"),
        N_("See growth-engine jobs stuck. Mend what the error names, then growth-engine jobs retry."),
    ),
    "mirror": Words(N_("What pages read is what the journal says"), _REBUILD),
}
"""By name of the check."""


TOPIC = "ledger."
"""What the topics of these alerts begin with; the name of the check follows."""


def words_of(topic: str) -> Words | None:
    """Words for an alert of a proof; None for an alert of something else."""
    return WORDS.get(topic.removeprefix(TOPIC)) if topic.startswith(TOPIC) else None
