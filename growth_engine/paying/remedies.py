"""What each alert about WeChat Pay is about, and what a person does about it; message ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth_engine.kit.i18n import N_
from growth_engine.ledger.remedies import Words
from growth_engine.paying import attempts, bills, calls, interpreters, refunding, transfers

_GIVE_BACK: Final = N_(
    "Look at the order and at the merchant platform. Give back there what is too much: the order and what it"
    " earned stay."
)
_COMPARE: Final = N_(
    "Compare the order's page with the merchant platform, and put right there what is wrong."
)

WORDS: Final[Mapping[str, Words]] = {
    calls.ACCOUNT: Words(
        N_("WeChat Pay refuses our requests"),
        N_("Open Channels → the account → Try the credentials, and mend what it says: key, serial, address."),
    ),
    calls.FUNDS: Words(
        N_("The merchant account is out of money"),
        N_("Top it up on the merchant platform. What waits goes out by itself."),
    ),
    calls.OTHER_MERCHANT: Words(
        N_("The merchant number was changed while money is under way"),
        N_(
            "Enter the former number again until that has arrived, and connect the other merchant as an"
            " account of its own."
        ),
    ),
    attempts.DISPUTED: Words(N_("A payment is not the one we asked for"), _GIVE_BACK),
    attempts.SURPLUS: Words(N_("A payment came that the order does not need"), _GIVE_BACK),
    attempts.SOLD_OUT: Words(
        N_("Something was paid that is sold out"),
        N_("Add stock and deliver it, or refund the order on its page."),
    ),
    interpreters.STRANGE: Words(
        N_("WeChat Pay told us of business we do not know"),
        N_("Look for its number on the merchant platform: who made it there, and for whom?"),
    ),
    refunding.ABNORMAL: Words(
        N_("A refund cannot reach the buyer"),
        N_("Choose another account for it on the merchant platform. We keep asking how it stands."),
    ),
    refunding.DISPUTED: Words(N_("A refund is not the one we asked for"), _COMPARE),
    refunding.SURPLUS: Words(N_("More went back to a buyer than the order had"), _COMPARE),
    transfers.DISPUTED: Words(
        N_("A withdrawal ended otherwise than we know"),
        N_(
            "Look for its number on the merchant platform. While it has no answer here, bring its result"
            " under Withdrawals → Bring results. If the person has the money and the wallet too, agree with"
            " the person."
        ),
    ),
    bills.FINDINGS: Words(
        N_("WeChat Pay's bill and the books differ"),
        N_("Take each number named to the merchant platform. When it is put right, compare the day again."),
    ),
    bills.MISSING: Words(
        N_("WeChat Pay's bill does not come"),
        N_("Try the account's credentials under Channels. The bill is asked for again by itself."),
    ),
}
"""By topic."""
