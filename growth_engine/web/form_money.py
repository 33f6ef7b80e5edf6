"""Amounts and rates in forms: typed and shown as people write them, kept in minor units and basis points."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from babel.numbers import get_currency_precision
from marshmallow import Schema, fields

#: A rate in percent has two decimals, which makes it whole basis points.
_RATE_DIGITS: Final = 2
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d*)?")


def currency_of(schema: Schema, values: Mapping[str, Any], prefix: str = "", outer: str = "") -> str:
    """The currency a form's amounts are in: what its own field says, else the one of the form around it."""
    own = schema.fields.get("currency")
    if own is None:
        return outer
    return str(values.get(f"{prefix}currency") or own.load_default)


def unit_field(name: str, one: fields.Field[Any], schema: Schema) -> str:
    """Name of the field that says whether a rate is a share or an amount; empty for any other field.

    A rate's metadata holds ``hundredths``; ``level1_value`` is counted as ``level1_unit`` says.
    """
    sibling = name.replace("value", "unit")
    return sibling if one.metadata.get("hundredths") and sibling in schema.fields else ""


def digits(one: fields.Field[Any], counted_as: str, currency: str) -> int | None:
    """Decimal places a field is written with; ``None`` for one that is neither amount nor rate."""
    if one.metadata.get("hundredths") and counted_as != "fixed":
        return _RATE_DIGITS
    if one.metadata.get("hundredths") or one.metadata.get("money"):
        return get_currency_precision(currency)
    return None


def written(minor: int, places: int) -> str:
    """5900 with two places is ``59.00``, 1250 is ``12.50``."""
    return f"{Decimal(minor).scaleb(-places):f}"


def shortly(basis_points: int) -> str:
    """A rate: 2000 is ``20``, 1250 is ``12.5``."""
    text = written(basis_points, _RATE_DIGITS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def read(text: str, places: int) -> int | str:
    """What was typed in minor units; text that is no such number comes back, for the schema to refuse.

    Everything ``int`` would take is read here: none of it may slip through as minor units.
    """
    plain = unicodedata.normalize("NFKC", text).replace(",", "").replace("_", "").replace(" ", "")
    if not _NUMBER.fullmatch(plain):
        return text
    minor = Decimal(plain).scaleb(places)
    return int(minor) if minor == minor.to_integral_value() else text
