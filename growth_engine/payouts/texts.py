"""What people are told about their withdrawals: codes of messages and their words (message ids)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from growth_engine.kit.i18n import N_, format_amount

TO_CONFIRM: Final = "payout_to_confirm"
PAID: Final = "payout_paid"
FAILED: Final = "payout_failed"
REJECTED: Final = "payout_rejected"

#: Parameters: ``amount`` (minor units) and ``currency``.
MESSAGES: Final[Mapping[str, str]] = {
    TO_CONFIRM: N_(
        "Your withdrawal of %(amount)s waits for you: confirm it within 24 hours on “My withdrawals”,"
        " in WeChat. Otherwise the money comes back to your wallet."
    ),
    PAID: N_("Your withdrawal has arrived: %(amount)s."),
    FAILED: N_("Your withdrawal of %(amount)s could not be paid. The money is back in your wallet."),
    REJECTED: N_("Your withdrawal of %(amount)s was not approved. The money is back in your wallet."),
}


def written_out(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters of a message with amounts as people read them, in the language spoken now."""
    currency = params.get("currency")
    if not isinstance(currency, str):
        return params
    return {
        name: format_amount(value, currency) if name in AMOUNTS and isinstance(value, int) else value
        for name, value in params.items()
    }


AMOUNTS: Final = frozenset({"amount", "available", "debt", "fee", "left", "limit", "minimum", "net", "tax"})
"""Parameters that are minor units of the parameter ``currency``."""
