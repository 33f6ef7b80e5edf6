"""Reasons of decisions: codes for programs, words for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from growth_engine.kit.i18n import format_amount, format_moment, translate
from growth_engine.ledger.contract import Reason
from growth_engine.plays.reasons import AMOUNTS, REASONS


def reason_text(reason: Reason) -> str:
    """A reason in the language spoken now."""
    return translate(REASONS[reason.code], readable(reason.params))


def readable(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters of a reason with amounts (should it name a currency) and times as people read them."""
    said = dict(params)
    if currency := params.get("currency"):
        said |= {name: format_amount(params[name], currency) for name in AMOUNTS & params.keys()}
    if until := params.get("until"):
        said["until"] = format_moment(datetime.fromisoformat(until), "UTC") + " UTC"
    return said


def in_words(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Reasons with their message in the language spoken now."""
    return [
        {
            "code": reason.code,
            "message": reason_text(reason),
            "params": dict(reason.params),
        }
        for reason in reasons
    ]
