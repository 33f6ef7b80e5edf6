"""Accounts and legs: the names of the accounts, the money side of an Entry, balances within one batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from growth_engine.kit.i18n import N_

# -- accounts of a campaign's book ---------------------------------------------------------------------
EXPENSE: Final = "expense"
"""What commissions cost the merchant; no owner."""
PENDING: Final = "pending"
"""Earned and on hold; owned by a promoter (the participant's number)."""
WALLET: Final = "wallet"
"""What has gone over to the workspace's wallet book; no owner."""
FEE: Final = "fee"
"""What the platform's fee costs the merchant; no owner."""
PLATFORM: Final = "platform"
"""Owed to the platform; no owner."""

# -- accounts of the wallet book -------------------------------------------------------------------------
CAMPAIGN: Final = "campaign"
"""What has come from a campaign's book; owned by the campaign. The counterpart of its ``wallet``."""
AVAILABLE: Final = "available"
"""What a contact may withdraw; below zero only after a clawback. Owned by the contact."""
RESERVED: Final = "reserved"
"""On its way out with a payout; owned by the contact."""
CLEARING: Final = "clearing"
"""Paid out; no owner."""
TAX: Final = "tax"
"""Tax withheld from payouts; no owner."""
PAYOUT_FEE: Final = "payout_fee"
"""Fees withheld from payouts; no owner."""
ABSORBED: Final = "absorbed"
"""Clawbacks the merchant bears by policy; owned by the campaign."""
WRITTEN_OFF: Final = "written_off"
"""Debts a person let go; no owner."""

TITLES: Mapping[str, str] = {
    EXPENSE: N_("Commission expense"),
    PENDING: N_("Commissions on hold"),
    WALLET: N_("Moved to wallets"),
    FEE: N_("Platform fee expense"),
    PLATFORM: N_("Owed to the platform"),
    CAMPAIGN: N_("Received from campaigns"),
    AVAILABLE: N_("Available to promoters"),
    RESERVED: N_("Reserved for payouts"),
    CLEARING: N_("Paid out"),
    TAX: N_("Tax withheld"),
    PAYOUT_FEE: N_("Payout fees withheld"),
    ABSORBED: N_("Clawbacks borne by the merchant"),
    WRITTEN_OFF: N_("Debts written off"),
}
"""Names for people; message ids."""


def wallet_book(workspace_id: str) -> str:
    """Id of a workspace's wallet book; one for each workspace, so nobody has to look it up."""
    return f"wal_{workspace_id.removeprefix('wsp_')}"


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a movement; positive amounts are owed to somebody, negative ones cost the merchant."""

    account: str
    owner: str
    amount: int
    """Minor units, never 0."""
    ref: str = ""
    """Commission or payout the leg is about."""

    def as_json(self) -> list[Any]:
        return [self.account, self.owner, self.amount, self.ref]


class Unbalanced(AssertionError):
    """A decision whose legs do not sum to zero: a defect of a rule, stopped before it is written."""


def check_balance(legs: Iterable[Leg]) -> None:
    """Raise ``Unbalanced`` unless the legs sum to zero and none is empty."""
    total = 0
    for leg in legs:
        if leg.amount == 0:
            raise Unbalanced(f"a leg of {leg.account} moves nothing")
        total += leg.amount
    if total:
        raise Unbalanced(f"the legs leave {total}")


AccountKey = tuple[str, str, str, str]
"""(book id, account, owner, currency)."""

_BALANCES = """
SELECT a.book_id, a.account, a.owner, a.currency, a.balance
FROM json_to_recordset(%s::json) AS one (book text, account text, owner text, currency text)
CROSS JOIN LATERAL (
  SELECT * FROM accounts WHERE book_id = one.book AND account = one.account AND owner = one.owner
    AND currency = one.currency OFFSET 0) AS a
"""


class Balances:
    """Balances one batch decides on; every decision sees what the earlier ones moved.

    Shared by all rules of a batch, because a refund in a campaign and a payout in the wallet may touch
    the same account.
    """

    def __init__(self) -> None:
        self._known: dict[AccountKey, int] = {}

    def load(self, conn: Any, keys: Iterable[AccountKey]) -> None:
        """Fetch what is not known yet; an account without a row stands at zero."""
        wanted = sorted(set(keys) - self._known.keys())
        if not wanted:
            return
        names = ("book", "account", "owner", "currency")
        asked = orjson.dumps([dict(zip(names, key, strict=True)) for key in wanted]).decode()
        self._known |= dict.fromkeys(wanted, 0)
        for book, account, owner, currency, balance in conn.execute(_BALANCES, (asked,)).fetchall():
            self._known[book, account, owner, currency] = balance

    def of(self, book_id: str, account: str, owner: str, currency: str) -> int:
        """Balance in minor units. Raises KeyError for an account that was not loaded."""
        return self._known[book_id, account, owner, currency]

    def move(self, book_id: str, currency: str, legs: Sequence[Leg]) -> None:
        """Remember what a decision moves, as far as anybody asks about it."""
        for leg in legs:
            key = (book_id, leg.account, leg.owner, currency)
            if key in self._known:
                self._known[key] += leg.amount
