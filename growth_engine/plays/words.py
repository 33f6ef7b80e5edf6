"""Reasons of decisions: codes for programs, words for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from growth_engine.kit.i18n import translate
from growth_engine.ledger.contract import Reason
from growth_engine.plays.reasons import REASONS


def reason_text(reason: Reason) -> str:
    """A reason in the language spoken now."""
    return translate(REASONS[reason.code], reason.params)


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
