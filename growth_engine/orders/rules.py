"""What may be said about orders and products, checked before anything is asked of the books."""

from __future__ import annotations

import re
from typing import Final

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

#: Currencies whose minor unit is the unit itself.
WHOLE_CURRENCIES: Final = frozenset({"JPY", "KRW", "VND"})
#: Largest single amount, minor units: far inside 64 bits even when a million of them are summed.
MOST_AMOUNT: Final = 100_000_000_000
MOST_QUANTITY: Final = 9_999
MOST_LINES: Final = 50

_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def check_amount(amount: int, field: str = "amount") -> None:
    """Raises ``Invalid`` unless the amount is a sensible positive number of minor units."""
    if not 0 < amount <= MOST_AMOUNT:
        raise Invalid(fields={field: [N_("Give an amount above zero, in minor units.")]})


def check_sku(sku: str) -> None:
    if not _SKU.match(sku):
        problem = N_("Use 1 to 64 letters, digits or . _ - and begin with a letter or a digit.")
        raise Invalid(fields={"sku": [problem]})


def check_external_id(value: str, field: str = "external_id") -> None:
    if not 1 <= len(value) <= 128 or not value.isprintable() or value != value.strip():
        raise Invalid(fields={field: [N_("Give 1 to 128 printable characters without spaces around them.")]})
